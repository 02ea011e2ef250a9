// Python's `random.Random(seed)` (CPython 3.2 to 3.14: Lib/random.py, Modules/_randommodule.c), so that a subset
// published as "random.Random(42).sample(...)" can be rebuilt row for row.

import { createHash } from 'node:crypto';
import { mt19937ByArray, res53 } from './mt19937.ts';

export interface PythonRandom {
  random(): number;
  /** Up to 53 bits. */
  getrandbits(bits: number): number;
  randint(low: number, high: number): number;
  choice<T>(values: readonly T[]): T;
  choices<T>(values: readonly T[], k: number, weights?: readonly number[]): T[];
  /** In place, as Python's. */
  shuffle<T>(values: T[]): T[];
  /** Without replacement. */
  sample<T>(values: readonly T[], k: number): T[];
  gauss(mean: number, deviation: number): number;
}

/** Little-endian 32-bit words of |seed|; a text is its UTF-8 bytes followed by their SHA-512, as a big-endian number. */
const seedWords = (seed: number | bigint | string): number[] => {
  let value: bigint;
  if (typeof seed === 'string') {
    const bytes = Buffer.from(seed, 'utf8');
    const digest = createHash('sha512').update(bytes).digest();
    value = BigInt(`0x${Buffer.concat([bytes, digest]).toString('hex')}`);
  } else {
    value = BigInt(seed);
    if (value < 0n) value = -value;
  }
  const words: number[] = [];
  do {
    words.push(Number(value & 0xffffffffn));
    value >>= 32n;
  } while (value > 0n);
  return words;
};

const bitLength = (value: number): number => {
  let bits = 0;
  for (let left = value; left >= 1; left = Math.floor(left / 2)) bits += 1;
  return bits;
};

export const pythonRandom = (seed: number | bigint | string): PythonRandom => {
  const words = mt19937ByArray(seedWords(seed));
  let nextGauss: number | null = null;

  const random = (): number => res53(words);
  const getrandbits = (bits: number): number => {
    if (bits === 0) return 0;
    if (bits <= 32) return words.next() >>> (32 - bits);
    if (bits > 53) throw new RangeError('getrandbits gives at most 53 bits');
    const low = words.next();
    return low + (words.next() >>> (64 - bits)) * 2 ** 32;
  };
  const randbelow = (n: number): number => {
    const bits = bitLength(n);
    let value = getrandbits(bits);
    while (value >= n) value = getrandbits(bits);
    return value;
  };
  const choice = <T>(values: readonly T[]): T => {
    if (values.length === 0) throw new RangeError('Cannot choose from an empty sequence');
    return values[randbelow(values.length)] as T;
  };
  const sample = <T>(values: readonly T[], k: number): T[] => {
    const n = values.length;
    if (k < 0 || k > n) throw new RangeError('Sample larger than population or is negative');
    // CPython copies the population or remembers what it took, whichever it thinks smaller; the draws differ.
    const setSize = 21 + (k > 5 ? 4 ** Math.ceil(Math.log(k * 3) / Math.log(4)) : 0);
    const result: T[] = [];
    if (n <= setSize) {
      const pool = [...values];
      for (let taken = 0; taken < k; taken += 1) {
        const index = randbelow(n - taken);
        result.push(pool[index] as T);
        pool[index] = pool[n - taken - 1] as T;
      }
      return result;
    }
    const selected = new Set<number>();
    for (let taken = 0; taken < k; taken += 1) {
      let index = randbelow(n);
      while (selected.has(index)) index = randbelow(n);
      selected.add(index);
      result.push(values[index] as T);
    }
    return result;
  };
  return {
    random,
    getrandbits,
    randint: (low, high) => low + randbelow(high - low + 1),
    choice,
    choices: (values, k, weights) => {
      if (weights === undefined) {
        return Array.from(
          { length: k },
          () => values[Math.floor(random() * values.length)] as never,
        );
      }
      const cumulative: number[] = [];
      for (const weight of weights) cumulative.push((cumulative.at(-1) ?? 0) + weight);
      const total = cumulative.at(-1) ?? 0;
      return Array.from({ length: k }, () => {
        const point = random() * total;
        const found = cumulative.findIndex((edge) => point < edge);
        return values[found === -1 ? values.length - 1 : found] as never;
      });
    },
    shuffle: (values) => {
      for (let last = values.length - 1; last > 0; last -= 1) {
        const other = randbelow(last + 1);
        const held = values[last] as never;
        values[last] = values[other] as never;
        values[other] = held;
      }
      return values;
    },
    sample,
    gauss: (mean, deviation) => {
      let z = nextGauss;
      nextGauss = null;
      if (z === null) {
        const angle = random() * 2 * Math.PI;
        const radius = Math.sqrt(-2 * Math.log(1 - random()));
        z = Math.cos(angle) * radius;
        nextGauss = Math.sin(angle) * radius;
      }
      return mean + z * deviation;
    },
  };
};
