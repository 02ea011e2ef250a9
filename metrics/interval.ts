// Uncertainty of one mean or proportion.

import { normalQuantile } from './normal.ts';

export type Interval = readonly [low: number, high: number];

export const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let index = 0; index < values.length; index += 1) sum += values[index] as number;
  return sum / values.length;
};

/** Standard error of the mean: sample standard deviation (n - 1) over root n; null below two values. */
export const standardError = (values: ArrayLike<number>): number | null => {
  const n = values.length;
  if (n < 2) return null;
  const centre = mean(values);
  let squares = 0;
  for (let index = 0; index < n; index += 1) squares += ((values[index] as number) - centre) ** 2;
  return Math.sqrt(squares / (n - 1) / n);
};

/**
 * Standard error where rows come in clusters that share a passage (Miller 2024, arXiv:2411.00640):
 * the variance of the mean plus the covariances within clusters; 0 where those make it negative.
 */
export const clusteredStandardError = (
  values: ArrayLike<number>,
  clusters: readonly string[],
): number | null => {
  const plain = standardError(values);
  if (plain === null) return null;
  const centre = mean(values);
  const sums = new Map<string, { sum: number; squares: number }>();
  for (let index = 0; index < values.length; index += 1) {
    const residual = (values[index] as number) - centre;
    const name = clusters[index] ?? '';
    const entry = sums.get(name) ?? { sum: 0, squares: 0 };
    entry.sum += residual;
    entry.squares += residual * residual;
    sums.set(name, entry);
  }
  let cross = 0;
  for (const { sum, squares } of sums.values()) cross += sum * sum - squares;
  return Math.sqrt(Math.max(0, plain * plain + cross / values.length ** 2));
};

/** Wilson's score interval of a proportion (Wilson 1927). */
export const wilson = (successes: number, n: number, confidence = 0.95): Interval => {
  const z = normalQuantile(1 - (1 - confidence) / 2);
  const p = successes / n;
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return [
    successes === 0 ? 0 : Math.max(0, centre - half),
    successes === n ? 1 : Math.min(1, centre + half),
  ];
};

/** NumPy's default (linear) percentile of sorted values; `q` in [0, 1]. */
export const percentile = (sorted: ArrayLike<number>, q: number): number => {
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (position - below) * (high - low);
};
