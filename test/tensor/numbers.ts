// Numbers for tests that look random and never change: a 32-bit linear congruential generator (Numerical Recipes).

/** A stream of numbers in 0..1. */
export function noise(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function normalish(count: number, seed: number): Float32Array {
  const next = noise(seed);
  return Float32Array.from({ length: count }, () => next() + next() + next() - 1.5);
}
