// numpy's two generators as far as subsets and orders are made with them: `default_rng(seed)` (PCG64; also what
// `datasets.Dataset.shuffle` uses) and the legacy `RandomState(seed)` (MT19937; also scikit-learn's).
// Sources: numpy/random/_generator.pyx, mtrand.pyx, src/distributions/distributions.c.

import { mt19937, res53 } from './mt19937.ts';
import { pcg64 } from './pcg64.ts';

export interface NumpyRandom {
  random(): number;
  /** Integers in [low, high): `integers` of a Generator, `randint` of a RandomState. Ranges up to 2^32. */
  integers(low: number, high: number, count: number): number[];
  shuffle<T>(values: T[]): T[];
  permutation(n: number): number[];
  choice(n: number, k: number, replace: boolean): number[];
}

const range = (n: number): number[] => Array.from({ length: n }, (_, index) => index);

const swap = (values: unknown[], a: number, b: number): void => {
  const held = values[a];
  values[a] = values[b];
  values[b] = held;
};

/** An integer in [0, most]: words cut to its bits, those above it drawn again. */
const masked = (next: () => number, most: number): number => {
  const mask = most >= 0x80000000 ? 0xffffffff : 2 ** (32 - Math.clz32(most)) - 1;
  let value = (next() & mask) >>> 0;
  while (value > most) value = (next() & mask) >>> 0;
  return value;
};

/** `numpy.random.default_rng(seed)`. */
export const defaultRng = (seed: number | bigint): NumpyRandom => {
  const bits = pcg64(BigInt(seed));

  /** An integer in [0, most], Lemire's method on 32-bit words. */
  const bounded = (most: number): number => {
    if (most === 0) return 0;
    if (most >= 0xffffffff) {
      if (most === 0xffffffff) return bits.next32();
      throw new RangeError('ranges above 2^32 are not supported');
    }
    const size = BigInt(most + 1);
    let product = BigInt(bits.next32()) * size;
    if ((product & 0xffffffffn) < size) {
      const threshold = (0xffffffffn - BigInt(most)) % size;
      while ((product & 0xffffffffn) < threshold) product = BigInt(bits.next32()) * size;
    }
    return Number(product >> 32n);
  };
  const shuffleDownTo = <T>(values: T[], first: number): T[] => {
    for (let last = values.length - 1; last >= first; last -= 1) swap(values, last, bounded(last));
    return values;
  };
  /** `shuffle` and `permutation` draw by masked rejection, `choice` by Lemire's method. */
  const shuffle = <T>(values: T[]): T[] => {
    for (let last = values.length - 1; last > 0; last -= 1) {
      swap(values, last, masked(bits.next32, last));
    }
    return values;
  };
  const integers = (low: number, high: number, count: number): number[] =>
    Array.from({ length: count }, () => low + bounded(high - 1 - low));
  return {
    random: () => Number(bits.next64() >> 11n) / 2 ** 53,
    integers,
    shuffle,
    permutation: (n) => shuffle(range(n)),
    choice: (n, k, replace) => {
      if (replace) return integers(0, n, k);
      if (k > n) throw new RangeError('cannot take a larger sample than the population');
      // numpy shuffles the tail for a large share of a large population, else uses Floyd's algorithm.
      if (n > 10_000 && k > Math.floor(n / 50)) {
        return shuffleDownTo(range(n), Math.max(n - k, 1)).slice(n - k);
      }
      const taken = new Set<number>();
      const result: number[] = [];
      for (let most = n - k; most < n; most += 1) {
        const value = bounded(most);
        const free = taken.has(value) ? most : value;
        taken.add(free);
        result.push(free);
      }
      return shuffleDownTo(result, 1);
    },
  };
};

/** `numpy.random.RandomState(seed)`, seed below 2^32. */
export const randomState = (
  seed: number,
): NumpyRandom & { readonly standardNormal: () => number } => {
  if (!Number.isSafeInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new RangeError('a RandomState seed lies between 0 and 2^32 - 1');
  }
  const words = mt19937(seed);
  let nextNormal: number | null = null;

  const bounded = (most: number): number => (most === 0 ? 0 : masked(words.next, most));
  const shuffle = <T>(values: T[]): T[] => {
    for (let last = values.length - 1; last > 0; last -= 1) swap(values, last, bounded(last));
    return values;
  };
  const permutation = (n: number): number[] => shuffle(range(n));
  const integers = (low: number, high: number, count: number): number[] =>
    Array.from({ length: count }, () => low + bounded(high - 1 - low));
  return {
    random: () => res53(words),
    integers,
    shuffle,
    permutation,
    choice: (n, k, replace) => {
      if (replace) return integers(0, n, k);
      if (k > n) throw new RangeError('cannot take a larger sample than the population');
      return permutation(n).slice(0, k);
    },
    standardNormal: () => {
      if (nextNormal !== null) {
        const value = nextNormal;
        nextNormal = null;
        return value;
      }
      for (;;) {
        const a = 2 * res53(words) - 1;
        const b = 2 * res53(words) - 1;
        const square = a * a + b * b;
        if (square > 0 && square < 1) {
          const factor = Math.sqrt((-2 * Math.log(square)) / square);
          nextNormal = factor * a;
          return factor * b;
        }
      }
    },
  };
};
