// One metric as a short text for a line on screen.

import type { MetricValue } from '../../schemas/artifact.ts';

/** "accuracy 0.412 ±0.022 (n=1986)": half the 95 % interval where it is about symmetric. */
export const formatMetric = (name: string, { value, ci95, n }: MetricValue): string => {
  const half = ci95 === null ? '' : ` ±${((ci95[1] - ci95[0]) / 2).toFixed(3)}`;
  return `${name} ${value.toFixed(3)}${half} (n=${n})`;
};
