// One metric as a short text for a line on screen.

import type { MetricValue } from '../../schemas/artifact.ts';

/** "accuracy 0.412 [0.390, 0.434] (n=1986)": with its 95 % interval. */
export const formatMetric = (name: string, { value, ci95, n }: MetricValue): string => {
  const interval = ci95 === null ? '' : ` [${ci95.map((bound) => bound.toFixed(3)).join(', ')}]`;
  return `${name} ${value.toFixed(3)}${interval} (n=${n})`;
};
