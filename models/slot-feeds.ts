// What a graph over slots (attention.ts) is fed with, made from where rows lie.

import type { Feed } from '../tensor/session.ts';
import type { ModelConfig } from './config.ts';
import type { RopeTables } from './rope.ts';
import { ropeTables, tablesGrow } from './rope.ts';

/** Rows in equal slots; flat index of a token = slot * length + place in the slot. */
export interface Slots {
  readonly slots: number;
  readonly length: number;
  /** Longest row: what length-dependent rotary scaling goes by. */
  readonly longest: number;
  /** Place of each token in its row. [slots * length] */
  readonly positions: Int32Array;
  /** Row of each token, -1 on padding. */
  readonly segments: Int32Array;
}

/** exp(x - max) is 0 for anything a mask adds this to, and no arithmetic on it gives NaN. */
const hidden = -1e9;

export const slotFeeds = (config: ModelConfig, batch: Slots): Readonly<Record<string, Feed>> => {
  const { slots, length } = batch;
  const windows = new Set(config.attention.windows.filter((window) => window !== null));
  const [window, ...others] = windows;
  if (others.length > 0) throw new Error('layers with windows of different sizes');
  const positions = BigInt64Array.from(batch.positions, BigInt);
  const tables = config.positions.kind === 'rope' ? tablesFor(config, batch) : null;
  const shape = [slots, 1, length, length];
  return {
    positions: { data: positions, shape: [slots, length] },
    mask: { data: mask(batch, Infinity), shape },
    ...(window === undefined ? {} : { window_mask: { data: mask(batch, window), shape } }),
    ...(tables === null
      ? {}
      : {
          cos: { data: tables.cos, shape: [tables.rows, tables.cos.length / tables.rows] },
          sin: { data: tables.sin, shape: [tables.rows, tables.sin.length / tables.rows] },
        }),
  };
};

/** A query sees the keys of its own row at or before its place, within the window; padding sees itself. */
const mask = ({ slots, length, segments }: Slots, window: number): Float32Array => {
  const values = new Float32Array(slots * length * length).fill(hidden);
  for (let slot = 0; slot < slots; slot++) {
    const start = slot * length;
    for (let query = 0; query < length; query++) {
      const row = segments[start + query] ?? -1;
      const base = (start + query) * length;
      values[base + query] = 0;
      for (let key = query - 1; key >= 0 && row >= 0; key--) {
        if (segments[start + key] !== row || query - key >= window) break;
        values[base + key] = 0;
      }
    }
  }
  return values;
};

const cached = new WeakMap<ModelConfig, RopeTables>();

/** The runtime wants a row for each place of a slot, though the rows packed into it are shorter. */
const tablesFor = (config: ModelConfig, { longest, length }: Slots): RopeTables => {
  if (config.positions.kind !== 'rope') throw new Error('the model has no rotary positions');
  const { rope } = config.positions;
  const rows = Math.max(longest, length);
  if (!tablesGrow(rope)) return ropeTables(rope, longest, rows);
  const known = cached.get(config);
  if (known !== undefined && known.rows >= rows) return known;
  const made = ropeTables(rope, Math.max(rows, 512, 2 * (known?.rows ?? 0)));
  cached.set(config, made);
  return made;
};
