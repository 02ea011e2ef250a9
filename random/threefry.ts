// MESA's own generator: Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011; Random123's reference code). It is a keyed bijection of a counter, so a value is named by
// (seed, purpose, indices, position): there is no state to save, and the order of execution doesn't matter.
// Knows nothing of what the numbers are for.

const PARITY = 0x1bd11bda;
/** Marks words of the purpose, so that no purpose can be confused with an index (whose high word is < 2^21). */
const PURPOSE_WORD = 0x80000000;
const PURPOSE_END = 0xc0000000;

/** Encrypts the counter (c0, c1) under the key (k0, k1); writes two words to `out`. */
export const threefry2x32 = (
  k0: number,
  k1: number,
  c0: number,
  c1: number,
  out: Uint32Array | Int32Array,
  offset = 0,
): void => {
  const k2 = PARITY ^ k0 ^ k1;
  let x = (c0 + k0) | 0;
  let y = (c1 + k1) | 0;
  // Rotations 13 15 26 6 | 17 29 16 24, five groups of four rounds with a key injection after each. Unrolled:
  // dropout masks need tens of millions of words a second.
  x = (x + y) | 0;
  y = ((y << 13) | (y >>> 19)) ^ x;
  x = (x + y) | 0;
  y = ((y << 15) | (y >>> 17)) ^ x;
  x = (x + y) | 0;
  y = ((y << 26) | (y >>> 6)) ^ x;
  x = (x + y) | 0;
  y = ((y << 6) | (y >>> 26)) ^ x;
  x = (x + k1) | 0;
  y = (y + k2 + 1) | 0;
  x = (x + y) | 0;
  y = ((y << 17) | (y >>> 15)) ^ x;
  x = (x + y) | 0;
  y = ((y << 29) | (y >>> 3)) ^ x;
  x = (x + y) | 0;
  y = ((y << 16) | (y >>> 16)) ^ x;
  x = (x + y) | 0;
  y = ((y << 24) | (y >>> 8)) ^ x;
  x = (x + k2) | 0;
  y = (y + k0 + 2) | 0;
  x = (x + y) | 0;
  y = ((y << 13) | (y >>> 19)) ^ x;
  x = (x + y) | 0;
  y = ((y << 15) | (y >>> 17)) ^ x;
  x = (x + y) | 0;
  y = ((y << 26) | (y >>> 6)) ^ x;
  x = (x + y) | 0;
  y = ((y << 6) | (y >>> 26)) ^ x;
  x = (x + k0) | 0;
  y = (y + k1 + 3) | 0;
  x = (x + y) | 0;
  y = ((y << 17) | (y >>> 15)) ^ x;
  x = (x + y) | 0;
  y = ((y << 29) | (y >>> 3)) ^ x;
  x = (x + y) | 0;
  y = ((y << 16) | (y >>> 16)) ^ x;
  x = (x + y) | 0;
  y = ((y << 24) | (y >>> 8)) ^ x;
  x = (x + k1) | 0;
  y = (y + k2 + 4) | 0;
  x = (x + y) | 0;
  y = ((y << 13) | (y >>> 19)) ^ x;
  x = (x + y) | 0;
  y = ((y << 15) | (y >>> 17)) ^ x;
  x = (x + y) | 0;
  y = ((y << 26) | (y >>> 6)) ^ x;
  x = (x + y) | 0;
  y = ((y << 6) | (y >>> 26)) ^ x;
  out[offset] = (x + k2) | 0;
  out[offset + 1] = (y + k0 + 5) | 0;
};

const assertCounter = (value: number, what: string): void => {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${what} must be an integer from 0 to 2^53-1, not ${String(value)}`);
  }
};

/**
 * The key of (seed, purpose, ...indices): each part is absorbed by one application of the cipher, as a pair of words
 * no other part can have.
 */
export const deriveKey = (
  seed: number,
  purpose: string,
  indices: readonly number[],
): readonly [number, number] => {
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(`a seed must be a safe integer, not ${String(seed)}`);
  }
  const key = new Int32Array([seed | 0, Math.floor(seed / 2 ** 32) | 0]);
  const absorb = (low: number, high: number): void => {
    threefry2x32(key[0] ?? 0, key[1] ?? 0, low, high, key);
  };
  const bytes = new TextEncoder().encode(purpose);
  for (let at = 0; at < bytes.length; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    absorb(word, PURPOSE_WORD);
  }
  absorb(bytes.length, PURPOSE_END);
  for (const index of indices) {
    assertCounter(index, 'an index');
    absorb(index | 0, Math.floor(index / 2 ** 32));
  }
  return [key[0] ?? 0, key[1] ?? 0];
};

/** A sequence of random values; every method takes the next ones. */
export interface RandomStream {
  uint32(): number;
  /** In [0, 1), 53 bits. */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** An integer in [0, bound), each equally likely (bound up to 2^53-1). */
  below(bound: number): number;
  /** Shuffles in place. */
  shuffle<T>(values: T[]): T[];
  permutation(n: number): number[];
  /** low + u (high - low) with u in [0, 1) of 24 bits, then rounded to float32. */
  fillUniform(out: Float32Array, low?: number, high?: number): Float32Array;
  fillNormal(out: Float32Array, mean?: number, deviation?: number): Float32Array;
  /** An inverted dropout mask: 0 with probability p, else 1 / (1 - p). */
  fillDropout(out: Float32Array, p: number): Float32Array;
}

/**
 * The stream of (seed, purpose, ...indices). Equal arguments give equal values anywhere, any time;
 * different arguments give independent ones.
 */
export const stream = (seed: number, purpose: string, ...indices: number[]): RandomStream => {
  const [k0, k1] = deriveKey(seed, purpose, indices);
  const block = new Int32Array(2);
  let counter = 0;
  let spare = false;
  let spareNormal: number | null = null;

  const advance = (): void => {
    threefry2x32(k0, k1, counter | 0, Math.floor(counter / 2 ** 32), block);
    counter += 1;
  };
  const uint32 = (): number => {
    if (spare) {
      spare = false;
      return (block[1] ?? 0) >>> 0;
    }
    advance();
    spare = true;
    return (block[0] ?? 0) >>> 0;
  };
  const uniform = (): number => {
    const high = uint32() >>> 5;
    const low = uint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  };
  const normal = (): number => {
    if (spareNormal !== null) {
      const value = spareNormal;
      spareNormal = null;
      return value;
    }
    // Box-Muller: no rejection, so the n-th normal is always at the same position. 1 - u is never 0.
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  const below = (bound: number): number => {
    if (!Number.isSafeInteger(bound) || bound < 1) {
      throw new RangeError(`below needs a bound from 1 to 2^53-1, not ${String(bound)}`);
    }
    // Values past the last whole multiple of the bound are drawn again: no bias.
    if (bound <= 2 ** 32) {
      const limit = 2 ** 32 - (2 ** 32 % bound);
      let value = uint32();
      while (value >= limit) value = uint32();
      return value % bound;
    }
    const limit = 2 ** 53 - (2 ** 53 % bound);
    const draw = (): number => (uint32() >>> 11) * 2 ** 32 + uint32();
    let value = draw();
    while (value >= limit) value = draw();
    return value % bound;
  };
  const shuffle = <T>(values: T[]): T[] => {
    for (let last = values.length - 1; last > 0; last -= 1) {
      const other = below(last + 1);
      const held = values[last] as T;
      values[last] = values[other] as T;
      values[other] = held;
    }
    return values;
  };
  /** Calls `put(i, word)` for i < n: two words a block, whole blocks, whatever was left of the last one is dropped. */
  const words = (n: number, put: (index: number, word: number) => void): void => {
    spare = false;
    for (let index = 0; index < n; index += 2) {
      advance();
      put(index, (block[0] ?? 0) >>> 0);
      if (index + 1 < n) put(index + 1, (block[1] ?? 0) >>> 0);
    }
  };
  return {
    uint32,
    uniform,
    normal,
    below,
    shuffle,
    permutation: (n) => shuffle(Array.from({ length: n }, (_, index) => index)),
    fillUniform: (out, low = 0, high = 1) => {
      const scale = (high - low) / 2 ** 24;
      words(out.length, (index, word) => {
        out[index] = low + (word >>> 8) * scale;
      });
      return out;
    },
    fillNormal: (out, mean = 0, deviation = 1) => {
      for (let index = 0; index < out.length; index += 1) out[index] = mean + deviation * normal();
      return out;
    },
    fillDropout: (out, p) => {
      if (!(p >= 0 && p < 1)) throw new RangeError(`dropout must be in [0, 1), not ${String(p)}`);
      const threshold = Math.round(p * 2 ** 32);
      const keep = 1 / (1 - p);
      words(out.length, (index, word) => {
        out[index] = word < threshold ? 0 : keep;
      });
      return out;
    },
  };
};
