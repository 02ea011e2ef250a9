// MT19937 (Matsumoto and Nishimura 1998, mt19937ar.c): the word generator beneath Python's random, numpy's
// RandomState and torch's CPU generator. They differ in how they seed it and in what they make of the words.

const N = 624;
const M = 397;

export interface MersenneTwister {
  /** The next 32-bit word. */
  next: () => number;
}

const init = (seed: number): Uint32Array => {
  const state = new Uint32Array(N);
  state[0] = seed;
  for (let index = 1; index < N; index += 1) {
    const former = state[index - 1] ?? 0;
    state[index] = Math.imul(1812433253, former ^ (former >>> 30)) + index;
  }
  return state;
};

const generator = (state: Uint32Array): MersenneTwister => {
  let at = N;
  const refill = (): void => {
    for (let index = 0; index < N; index += 1) {
      const y = ((state[index] ?? 0) & 0x80000000) | ((state[(index + 1) % N] ?? 0) & 0x7fffffff);
      state[index] = (state[(index + M) % N] ?? 0) ^ (y >>> 1) ^ ((y & 1) === 1 ? 0x9908b0df : 0);
    }
    at = 0;
  };
  return {
    next: () => {
      if (at === N) refill();
      let y = state[at] ?? 0;
      at += 1;
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      y ^= y >>> 18;
      return y >>> 0;
    },
  };
};

/** `init_genrand`: numpy's legacy seeding and torch's. */
export const mt19937 = (seed: number): MersenneTwister => generator(init(seed >>> 0));

/** `init_by_array`: Python's seeding. */
export const mt19937ByArray = (key: readonly number[]): MersenneTwister => {
  const state = init(19650218);
  let i = 1;
  let j = 0;
  const former = (): number => {
    const value = state[i - 1] ?? 0;
    return value ^ (value >>> 30);
  };
  const wrap = (): void => {
    i += 1;
    if (i >= N) {
      state[0] = state[N - 1] ?? 0;
      i = 1;
    }
  };
  for (let rounds = Math.max(N, key.length); rounds > 0; rounds -= 1) {
    state[i] = ((state[i] ?? 0) ^ Math.imul(former(), 1664525)) + (key[j] ?? 0) + j;
    wrap();
    j = (j + 1) % key.length;
  }
  for (let rounds = N - 1; rounds > 0; rounds -= 1) {
    state[i] = ((state[i] ?? 0) ^ Math.imul(former(), 1566083941)) - i;
    wrap();
  }
  state[0] = 0x80000000;
  return generator(state);
};

/** A double in [0, 1) of 53 bits from two words: `genrand_res53`. */
export const res53 = (words: MersenneTwister): number => {
  const high = words.next() >>> 5;
  const low = words.next() >>> 6;
  return (high * 2 ** 26 + low) / 2 ** 53;
};
