// What small products are tried with, to learn how a processor's kernels add up.

/** Numbers between -0.5 and 0.5 whose sums depend on their order. */
export const uneven = (length: number): Float32Array => {
  const numbers = new Float32Array(length);
  for (let at = 0; at < length; at += 1) numbers[at] = ((at * 0.754877666) % 1) - 0.5;
  return numbers;
};
