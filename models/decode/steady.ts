// Keeping a row's sums in one order, whatever the number of threads and of other rows: products of which neither side is
// packed beforehand (attention's over the cache, and those that unpack 4-bit codes as they go) are divided among
// threads in a way that may change it (tensor/steady.ts says how).

import { STRETCH, steadyShares } from '../../tensor/steady.ts';
import type { ModelConfig } from '../config.ts';
import type { WeightSource } from '../weights.ts';

/** Multiplications for which a product gets one more thread. */
const THREAD_WORK = 65_536;

/** Positions at least that a cache has for wider heads, so that a thread has more than 64 columns of scores. */
const WIDE_CAPACITY = 256;

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
