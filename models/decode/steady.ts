// Keeping a row's sums in one order, whatever the number of threads and of other rows. Matrix products of which neither
// side is packed beforehand (attention's over the cache, and those that unpack 4-bit codes as they go) are divided
// among threads by the runtime: by rows where there are as many rows as columns, else by columns in blocks of 16; and
// where a thread has 64 columns or fewer, longer stretches of the inner dimension are added up at once. So the order of
// a sum depends on the number of threads that a product gets, which depends on its size and on how many products there
// are at once. (MLAS, sgemm.cpp; every case of 1 to 16 threads, 1 to 8 heads of keys, 1 to 200 rows, 64 to 256 features
// and 64 to 1984 positions was tried against these rules.)

import type { ModelConfig } from '../config.ts';
import type { WeightSource } from '../weights.ts';

/** Multiplications for which a product gets one more thread. */
const THREAD_WORK = 65_536;

/** Features of a head up to which its scores are sums of one stretch. */
const STRETCH = 128;

/** Positions at least that a cache has for wider heads, so that a thread has more than 64 columns of scores. */
const WIDE_CAPACITY = 256;

/** Among how many threads `columns` may be divided so that each has more than 64. */
export const steadyShares = (columns: number): number =>
  Math.max(1, Math.floor(Math.ceil(columns / 16) / 5));

/** As many of the threads as do not change a sum: products of NF4 and FP4 weights are divided by columns. */
export const steadyThreads = (weights: WeightSource, threads: number): number => {
  const columns = weights.names.flatMap((name) => {
    const weight = weights.get(name);
    return weight?.kind === 'bnb4' ? [weight.shape[0]] : [];
  });
  return columns.reduce((least, count) => Math.min(least, steadyShares(count)), threads);
};

type Heads = ModelConfig['attention'];

/** Rows that decode together at least: with fewer, several threads share one product of attention. */
export const leastPlaces = (
  { heads, kvHeads, headDim }: Heads,
  longest: number,
  threads: number,
): number => {
  const group = heads / kvHeads;
  // One row is another kernel, which adds up in one order.
  if (group === 1) return 1;
  const positions = Math.max(leastCapacity(headDim), longest);
  const wanted = Math.min(threads, Math.floor((group * headDim * positions) / THREAD_WORK) + 1);
  return Math.max(1, Math.ceil(wanted / (kvHeads * steadyShares(headDim))));
};

/** Tokens of a chunk at least, of a row alone over `past` positions: so many that products are divided by rows. */
export const leastTokens = (
  { heads, kvHeads, headDim }: Heads,
  past: number,
  threads: number,
): number => {
  if (threads <= kvHeads * steadyShares(headDim)) return 1;
  const columns = headDim > STRETCH ? Math.max(headDim, Math.min(past, 80 * threads)) : headDim;
  return Math.ceil(columns / (heads / kvHeads));
};

/** Capacity of a cache that is decoded over. */
export const leastCapacity = (headDim: number): number => (headDim > STRETCH ? WIDE_CAPACITY : 0);
