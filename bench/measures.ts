// What several benches measure with.

import { readFileSync } from 'node:fs';

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** Bytes of this process as Linux counts them: resident now, of that anonymous, and the most there ever was. */
export const processBytes = (key: 'VmRSS' | 'RssAnon' | 'VmHWM'): number => {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024;
};
