// Whether a thread takes numbers without a full mantissa for zero: a setting of its processor, which the runtime makes
// (session.ts) and new threads inherit on some systems.

const smallest = Float64Array.of(2 ** -1022);

/** Of the thread that asks. Sums of threads that answer differently may differ in bits. */
export const flushesDenormals = (): boolean => smallest.every((value) => value / 2 === 0);
