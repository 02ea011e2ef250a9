// The only place that reads the wall clock: times are measurements, and no artifact or key may depend on one.

/** Milliseconds since the epoch. */
export const now = (): number => Date.now();

/** Milliseconds since an arbitrary origin, monotonic. */
export const monotonicMs = (): number => performance.now();
