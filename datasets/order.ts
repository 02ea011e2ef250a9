// Seeded orders and samples, by MESA's generator or exactly as other tools make them. Works on indices alone.

import { defaultRng, randomState } from '../random/numpy.ts';
import { pythonRandom } from '../random/python.ts';
import { stream } from '../random/threefry.ts';

/**
 * `mesa`: counter-based; `python`: `random.Random(seed)`; `numpy`: `numpy.random.RandomState(seed)`, which is what
 * `np.random.seed` and pandas' and scikit-learn's `random_state` mean; `datasets`: `Dataset.shuffle(seed)`, which is
 * `numpy.random.default_rng(seed)`.
 */
export const METHODS = ['mesa', 'python', 'numpy', 'datasets'] as const;
export type Method = (typeof METHODS)[number];

const range = (n: number): number[] => Array.from({ length: n }, (_, index) => index);

/** A permutation of 0..n-1. */
export const shuffledIndices = (n: number, seed: number, method: Method): number[] => {
  switch (method) {
    case 'mesa':
      return stream(seed, 'datasets/shuffle').permutation(n);
    case 'python':
      return pythonRandom(seed).shuffle(range(n));
    case 'numpy':
      return randomState(seed).permutation(n);
    case 'datasets':
      return defaultRng(seed).permutation(n);
  }
};

/** k of 0..n-1 without replacement, in the order they are drawn. `python` is `random.Random(seed).sample(range(n), k)`. */
export const sampledIndices = (
  n: number,
  k: number,
  seed: number,
  method: Method,
  stratum = 0,
): number[] => {
  switch (method) {
    case 'mesa':
      return stream(seed, 'datasets/sample', stratum).permutation(n).slice(0, k);
    case 'python':
      return pythonRandom(seed).sample(range(n), k);
    case 'numpy':
      return randomState(seed).permutation(n).slice(0, k);
    case 'datasets':
      return defaultRng(seed).permutation(n).slice(0, k);
  }
};

/** k of 0..n-1 with replacement. */
export const drawnIndices = (n: number, k: number, seed: number, method: Method): number[] => {
  switch (method) {
    case 'mesa': {
      const random = stream(seed, 'datasets/draw');
      return Array.from({ length: k }, () => random.below(n));
    }
    case 'python':
      return pythonRandom(seed).choices(range(n), k);
    case 'numpy':
      return randomState(seed).integers(0, n, k);
    case 'datasets':
      return defaultRng(seed).integers(0, n, k);
  }
};

/**
 * Shares `total` among parts in proportion to their sizes, none above its size, by largest remainders (ties: the
 * earlier part). The sum is exactly `total`, which must not exceed the sum of sizes.
 */
export const apportion = (sizes: readonly number[], total: number): number[] => {
  const all = sizes.reduce((sum, size) => sum + size, 0);
  if (all === 0) return sizes.map(() => 0);
  const exact = sizes.map((size) => (size * total) / all);
  const shares = exact.map(Math.floor);
  let left = total - shares.reduce((sum, share) => sum + share, 0);
  const byRemainder = range(sizes.length).toSorted(
    (a, b) => (exact[b] ?? 0) - (shares[b] ?? 0) - ((exact[a] ?? 0) - (shares[a] ?? 0)) || a - b,
  );
  for (const index of byRemainder) {
    if (left === 0) break;
    if ((shares[index] ?? 0) >= (sizes[index] ?? 0)) continue;
    shares[index] = (shares[index] ?? 0) + 1;
    left -= 1;
  }
  return shares;
};
