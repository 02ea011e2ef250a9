// A model ready to decode: the graph, its session, and the feeds that are the same in every run. One call runs one
// batch; what the batch means (a prompt, a step of many rows, choices after a prefix) is its caller's business.

import type { Graph } from '../../tensor/graph.ts';
import { createSession, type Device, type Feed, type Session } from '../../tensor/session.ts';
import type { TensorData } from '../../tensor/dtype.ts';
import type { ModelConfig } from '../config.ts';
import { ropeTables } from '../rope.ts';
import { cacheNames } from './attention.ts';
import type { CacheShape, KeyValueCache } from './cache.ts';
import { decodeGraph, type DecodeGraphParts, type Head } from './graph.ts';

export interface RunnerOptions extends DecodeGraphParts {
  /** Positions at most; longer rows are refused by their owners. */
  readonly maxLength: number;
  readonly threads: number;
  readonly device?: Device;
  /** Typed arrays of the graph's in-memory initialisers (adapters). */
  readonly initializers?: Readonly<Record<string, TensorData>>;
  /** See Runner. */
  readonly leastRows: 1 | 2;
}

/** One run: batch * T tokens over a cache. */
export interface Batch {
  /** [batch, T] */
  readonly ids: Feed;
  readonly positions: Feed;
  /** [batch, 1] */
  readonly lengths: Feed;
  /** [R], indices into batch * T */
  readonly select: Feed;
  /** null: nothing is cached. */
  readonly cache: readonly Feed[] | null;
  /** scores only */
  readonly segments?: Feed;
  readonly picks?: Feed;
}

export interface BatchResult {
  /** [batch, 2 * layers * kvHeads, T, headDim]; empty unless asked for. */
  readonly present: Float32Array;
  /** [R] */
  readonly next: Int32Array;
  /** [R, vocabSize]; empty unless asked for. */
  readonly logits: Float32Array;
  /** [S]; empty unless the head is scores. */
  readonly scores: Float32Array;
}

export type Output = 'present' | 'next' | 'logits' | 'scores';

export interface Runner {
  readonly config: ModelConfig;
  readonly head: Head;
  readonly maxLength: number;
  /** No product may have fewer rows: 2 where a kernel gives other bits for one row than for several. */
  readonly leastRows: 1 | 2;
  readonly cacheShape: CacheShape;
  run(batch: Batch, outputs: readonly Output[]): Promise<BatchResult>;
  release(): Promise<void>;
}

export const createRunner = async (options: RunnerOptions): Promise<Runner> => {
  const graph: Graph = decodeGraph(options);
  const session: Session = await createSession(graph, {
    device: options.device ?? 'cpu',
    threads: options.threads,
    // Only casts of 16-bit weights (and norms of adapted ones) have constants alone as inputs here.
    foldConstants: true,
    ...(options.initializers === undefined ? {} : { initializers: options.initializers }),
  });
  return runnerOver(session, options);
};

const EMPTY = new Float32Array(0);

const runnerOver = (session: Session, options: RunnerOptions): Runner => {
  const { config, head, maxLength, leastRows } = options;
  const { kvHeads, headDim } = config.attention;
  const names = cacheNames(config.layers);
  const nothing: Feed = { data: EMPTY, shape: [1, kvHeads, 0, headDim] };
  const empty = names.map(() => nothing);
  const fixed: Record<string, Feed> = {};
  if (config.positions.kind === 'rope') {
    const { rows, cos, sin } = ropeTables(config.positions.rope, maxLength);
    const shape = [rows, cos.length / rows];
    fixed['cos'] = { data: cos, shape };
    fixed['sin'] = { data: sin, shape };
  }
  return {
    config,
    head,
    maxLength,
    leastRows,
    cacheShape: { layers: config.layers, kvHeads, headDim },
    run: async (batch, outputs) => {
      const feeds: Record<string, Feed> = {
        ...fixed,
        ids: batch.ids,
        positions: batch.positions,
        lengths: batch.lengths,
        select: batch.select,
      };
      if (batch.segments !== undefined) feeds['segments'] = batch.segments;
      if (batch.picks !== undefined) feeds['picks'] = batch.picks;
      const cache = batch.cache ?? empty;
      names.forEach((name, index) => {
        const feed = cache[index];
        if (feed !== undefined) feeds[name] = feed;
      });
      const results = await session.run(feeds, { fetches: outputs });
      const floats = (name: Output): Float32Array =>
        (results[name]?.data as Float32Array | undefined) ?? EMPTY;
      return {
        present: floats('present'),
        next: (results['next']?.data as Int32Array | undefined) ?? new Int32Array(0),
        logits: floats('logits'),
        scores: floats('scores'),
      };
    },
    release: () => session.release(),
  };
};

/** The cache as feeds; made again when its arrays are replaced. */
export const cacheFeeds = (cache: KeyValueCache): readonly Feed[] => {
  const { kvHeads, headDim } = cache.shape;
  const shape = [cache.places, kvHeads, cache.capacity, headDim];
  return cache.arrays.map((data) => ({ data, shape }));
};

export const int32 = (values: ArrayLike<number>, shape: readonly number[]): Feed => ({
  data: Int32Array.from(values),
  shape,
});

export const int64 = (values: ArrayLike<number>, shape: readonly number[]): Feed => {
  const data = new BigInt64Array(values.length);
  for (let index = 0; index < values.length; index += 1) data[index] = BigInt(values[index] ?? 0);
  return { data, shape };
};
