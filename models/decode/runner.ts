// A model ready to decode: the graph, its session, and the feeds that are the same in every run. One call runs one
// batch; what the batch means (a prompt, a step of many rows, choices after a prefix) is its caller's business.

import type { Graph } from '../../tensor/graph.ts';
import { inSharedMemory } from '../../tensor/feeds.ts';
import { createPartedSession, type PartedSession } from '../../tensor/parted-session.ts';
import { SessionError, type Feed } from '../../tensor/session.ts';
import type { TensorData } from '../../tensor/dtype.ts';
import type { ModelConfig } from '../config.ts';
import { ropeTables } from '../rope.ts';
import { cacheNames } from './attention.ts';
import { cacheShapeOf, KeyValueCache, type CacheData, type CacheShape } from './cache.ts';
import { CHUNK } from './chunks.ts';
import { decodeGraph, readsFused, type DecodeGraphParts, type Head } from './graph.ts';
import { leastPlaces, leastTokens } from './steady.ts';

export interface RunnerOptions extends DecodeGraphParts {
  /** Positions at most; longer rows are refused by their owners. */
  readonly maxLength: number;
  /** Tokens of the longest row there is, answers included. */
  readonly longest: number;
  readonly threads: number;
  /** Sessions that share the graph; as many as pay unless said. */
  readonly parts?: number;
  /** Typed arrays of the graph's in-memory initialisers (adapters). */
  readonly initializers?: Readonly<Record<string, TensorData>>;
  /** See Runner. */
  readonly leastRows: 1 | 2;
  readonly splitsFreely: boolean;
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
  readonly present: CacheData;
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
  readonly longest: number;
  /** No product may have fewer rows: 2 where a kernel gives other bits for one row than for several. See rowsFor. */
  readonly leastRows: 1 | 2;
  /** Rows that decode together at least, so that a row's bits depend neither on their number nor on the threads'. */
  readonly leastPlaces: number;
  /** Tokens of a row that are read at once at least, after so many others, for the same reason. */
  leastTokens(past: number): number;
  /** Whether a row has the same bits however it is split into runs of at least two tokens, over a cache without gaps. */
  readonly splitsFreely: boolean;
  /**
   * Whether a row has the same bits in every batch and over any capacity of the cache. If not, whoever runs it makes
   * batches and capacities by the whole input, so that what is done again after an interruption is the same.
   */
  readonly batchInvariant: boolean;
  readonly cacheShape: CacheShape;
  run(batch: Batch, outputs: readonly Output[]): Promise<BatchResult>;
  release(): Promise<void>;
}

/** Rows that one thread takes in a product that unpacks its weights (MatMulNBits; what is left may be a single row). */
const TILE = 128;

/** How many rows to run for `count` of them: one more where a kernel would meet a single row. */
export const rowsFor = (count: number, { leastRows }: Pick<Runner, 'leastRows'>): number =>
  leastRows === 2 && count % TILE === 1 ? count + 1 : count;

/** How many rows to decode together for `count` of them. */
export const rowsTogether = (count: number, runner: Runner): number =>
  rowsFor(Math.max(runner.leastPlaces, count), runner);

/** How many tokens to run for `count` tokens of a row after `past` others. */
export const tokensFor = (count: number, past: number, runner: Runner): number =>
  rowsFor(Math.max(count, runner.leastTokens(past)), runner);

export const createRunner = async (options: RunnerOptions): Promise<Runner> => {
  const graph: Graph = decodeGraph(options);
  const session = await createPartedSession(graph, {
    device: options.device,
    threads: options.threads,
    ...(options.parts === undefined ? {} : { parts: options.parts }),
    // Only casts of 16-bit weights (and norms of adapted ones) have constants alone as inputs here.
    foldConstants: true,
    ...(options.initializers === undefined ? {} : { initializers: options.initializers }),
  });
  return runnerOver(session, options);
};

const EMPTY = new Float32Array(0);

const runnerOver = (session: PartedSession, options: RunnerOptions): Runner => {
  const { config, head, maxLength, longest, compute, device, threads } = options;
  // The one kernel of graphs that only read divides its work by heads.
  const divides = device === 'cpu' && !readsFused(options);
  const names = cacheNames(config.layers);
  const shared = session.parts > 1;
  const cacheShape = { ...cacheShapeOf(config, compute), shared };
  // Tensors without elements crash the WebGPU provider (1.30): there an empty cache is one of masked positions.
  const empty = cacheFeeds(new KeyValueCache(cacheShape, 1, device === 'cpu' ? 0 : 1));
  const fixed: Record<string, Feed> = {};
  if (config.positions.kind === 'rope') {
    // The kernel wants as many rows as there are tokens in a run, whatever their positions: choices side by side may be
    // more than the longest row has.
    const { rope } = config.positions;
    const { rows, cos, sin } = ropeTables(rope, maxLength, Math.max(maxLength, CHUNK));
    const shape = [rows, cos.length / rows];
    fixed['cos'] = { data: shared ? inSharedMemory(cos) : cos, shape };
    fixed['sin'] = { data: shared ? inSharedMemory(sin) : sin, shape };
  }
  return {
    config,
    head,
    maxLength,
    longest,
    leastRows: options.leastRows,
    leastPlaces: divides ? leastPlaces(config.attention, longest, threads) : 1,
    leastTokens: (past) => (divides ? leastTokens(config.attention, past, threads) : 1),
    splitsFreely: options.splitsFreely,
    batchInvariant: device === 'cpu',
    cacheShape,
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
      const fetches = compute === 'float16' ? [...outputs, 'sums'] : outputs;
      const results = await session.run(feeds, { fetches });
      const floats = (name: Output | 'sums'): Float32Array =>
        (results[name]?.data as Float32Array | undefined) ?? EMPTY;
      if (!floats('sums').every(Number.isFinite)) throw tooLarge();
      return {
        present: (results['present']?.data as CacheData | undefined) ?? EMPTY,
        next: (results['next']?.data as Int32Array | undefined) ?? new Int32Array(0),
        logits: floats('logits'),
        scores: floats('scores'),
      };
    },
    release: () => session.release(),
  };
};

const tooLarge = (): SessionError =>
  new SessionError('overflow', 'half precision is too narrow for numbers within this model');

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
