// PCG64 (XSL-RR 128/64, O'Neill 2014) seeded through numpy's SeedSequence: the bit generator of
// `numpy.random.default_rng(seed)` (numpy/random/bit_generator.pyx, src/pcg64).

const MASK64 = (1n << 64n) - 1n;
const MASK128 = (1n << 128n) - 1n;
const MULTIPLIER = (2549297995355413924n << 64n) | 4865540595714422341n;
const POOL = 4;

const xorShift16 = (value: number): number => (value ^ (value >>> 16)) >>> 0;

/** `SeedSequence(seed).generate_state(n)` as 32-bit words. */
const seedSequence = (seed: bigint, count: number): number[] => {
  const entropy: number[] = [];
  let left = seed;
  do {
    entropy.push(Number(left & 0xffffffffn));
    left >>= 32n;
  } while (left > 0n);

  let hashConstant = 0x43b0d7e5;
  const hashMix = (value: number): number => {
    const mixed = value ^ hashConstant;
    hashConstant = Math.imul(hashConstant, 0x931e8875);
    return xorShift16(Math.imul(mixed, hashConstant));
  };
  const mix = (x: number, y: number): number =>
    xorShift16((Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) >>> 0);

  const pool = Array.from({ length: POOL }, (_, index) => hashMix(entropy[index] ?? 0));
  for (let from = 0; from < POOL; from += 1) {
    for (let to = 0; to < POOL; to += 1) {
      if (from !== to) pool[to] = mix(pool[to] ?? 0, hashMix(pool[from] ?? 0));
    }
  }
  for (const word of entropy.slice(POOL)) {
    for (let to = 0; to < POOL; to += 1) pool[to] = mix(pool[to] ?? 0, hashMix(word));
  }

  let stateConstant = 0x8b51f9dd;
  return Array.from({ length: count }, (_, index) => {
    const mixed = (pool[index % POOL] ?? 0) ^ stateConstant;
    stateConstant = Math.imul(stateConstant, 0x58f38ded);
    return xorShift16(Math.imul(mixed, stateConstant));
  });
};

export interface Pcg64 {
  next64: () => bigint;
  /** Halves of a 64-bit value, the low one first. */
  next32: () => number;
}

export const pcg64 = (seed: bigint): Pcg64 => {
  if (seed < 0n) throw new RangeError('a numpy seed must not be negative');
  const words = seedSequence(seed, 8).map(BigInt);
  const long = (index: number): bigint =>
    ((words[2 * index + 1] ?? 0n) << 32n) | (words[2 * index] ?? 0n);
  const increment = ((((long(2) << 64n) | long(3)) << 1n) | 1n) & MASK128;
  let state = 0n;
  const step = (): void => {
    state = (state * MULTIPLIER + increment) & MASK128;
  };
  step();
  state = (state + ((long(0) << 64n) | long(1))) & MASK128;
  step();

  const next64 = (): bigint => {
    step();
    const folded = (state >> 64n) ^ (state & MASK64);
    const turn = state >> 122n;
    return ((folded >> turn) | (folded << (64n - turn))) & MASK64;
  };
  let spare: number | null = null;
  return {
    next64,
    next32: () => {
      if (spare !== null) {
        const value = spare;
        spare = null;
        return value;
      }
      const value = next64();
      spare = Number(value >> 32n);
      return Number(value & 0xffffffffn);
    },
  };
};
