// A metric's numbers as text, alike wherever a person meets them: decimals, its interval, which way is better.

import { fixed, signed } from './format.ts';

export type Interval = readonly [number, number];

/** As many decimals as leave three to four digits, the same for all numbers of a row. */
export const decimalsFor = (...values: readonly number[]): number => {
  const largest = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
  if (largest < 10) return 3;
  if (largest < 100) return 2;
  return largest < 1000 ? 1 : 0;
};

export const arrow = (higherIsBetter: boolean | null): string =>
  higherIsBetter === null ? '' : higherIsBetter ? '↑' : '↓';

/** "0.412 [0.390, 0.434]": the value and its 95 % interval, which says more than an error where values are few. */
export const withInterval = (
  value: number,
  ci95: Interval | null | undefined,
  decimals: number,
): string =>
  fixed(value, decimals) +
  (ci95 === null || ci95 === undefined
    ? ''
    : ` [${fixed(ci95[0], decimals)}, ${fixed(ci95[1], decimals)}]`);

/** "[+0.038, +0.074]": of a difference. */
export const signedInterval = ([low, high]: Interval, decimals: number): string =>
  `[${signed(low, decimals)}, ${signed(high, decimals)}]`;
