// Whether attention gives a row the same bits however it is split to be read. It does where sums over keys are made in
// an order that only their positions decide: what a row may not see adds exact zeros. That is a matter of the
// processor's kernels (with AVX2 and AVX-512 it holds), so it is tried.

import { GraphBuilder } from '../../tensor/builder.ts';
import { createSession } from '../../tensor/session.ts';
import type { ModelConfig } from '../config.ts';
import { HIDDEN } from './attention.ts';
import { uneven } from './uneven.ts';

/** Where a row of LENGTH tokens is split: off every width of a register, and with few tokens on one side. */
const LENGTH = 301;
const SPLITS = [2, 31, 150, 256, 294, 299];

/** `fusedAttention`'s kernel (attention.ts), with one head of keys as this model has them. */
export const splitsFreely = async (
  { attention }: ModelConfig,
  threads: number,
): Promise<boolean> => {
  const { headDim } = attention;
  const heads = attention.heads === attention.kvHeads ? 1 : 2;
  const g = new GraphBuilder();
  const past = [1, 1, 'C', headDim];
  g.output(
    'y',
    g.attention(
      {
        q: g.input('q', 'float32', [1, 'T', heads * headDim]),
        k: g.input('k', 'float32', [1, 'T', headDim]),
        v: g.input('v', 'float32', [1, 'T', headDim]),
        mask: g.input('mask', 'float32', [1, 1, 'T', 'C+T']),
        pastKey: g.input('pastKey', 'float32', past),
        pastValue: g.input('pastValue', 'float32', past),
      },
      { heads, kvHeads: 1, scale: 1 / Math.sqrt(headDim) },
    ),
  );
  const session = await createSession(g.build(), { threads });
  const q = uneven(LENGTH * heads * headDim).map((value) => 4 * value);
  const k = uneven(LENGTH * headDim);
  const v = k.toReversed();
  /** The rows from `start` on, after all before them. */
  const from = async (start: number, end: number): Promise<Float32Array> => {
    const length = end - start;
    const rows = (data: Float32Array) => {
      const width = data.length / LENGTH;
      return { data: data.slice(start * width, end * width), shape: [1, length, width] };
    };
    const kept = (data: Float32Array) => ({
      data: data.slice(0, start * headDim),
      shape: [1, 1, start, headDim],
    });
    const mask = new Float32Array(length * end);
    for (let row = 0; row < length; row += 1)
      mask.fill(HIDDEN, row * end + start + row + 1, (row + 1) * end);
    const { y } = await session.run({
      q: rows(q),
      k: rows(k),
      v: rows(v),
      mask: { data: mask, shape: [1, 1, length, end] },
      pastKey: kept(k),
      pastValue: kept(v),
    });
    return y?.data as Float32Array;
  };
  try {
    const whole = await from(0, LENGTH);
    for (const split of SPLITS) {
      const [before, after] = [await from(0, split), await from(split, LENGTH)];
      const same = (part: Float32Array, first: number): boolean =>
        part.length > 0 && part.every((value, at) => value === whole[first + at]);
      if (!same(before, 0) || !same(after, before.length)) return false;
    }
    return true;
  } finally {
    await session.release();
  }
};
