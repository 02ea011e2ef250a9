// The smallest difference that so many rows could have shown.

import { normalQuantile } from './normal.ts';

/**
 * Paired right/wrong answers (Connor 1987): the d with d sqrt(n) = z_{1-alpha/2} sqrt(p) + z_power sqrt(p - d^2),
 * p being the share of discordant pairs; null where no d <= p solves it.
 */
export const detectableProportion = (
  n: number,
  discordance: number,
  alpha = 0.05,
  power = 0.8,
): number | null => {
  const zAlpha = normalQuantile(1 - alpha / 2);
  const zPower = normalQuantile(power);
  const gap = (d: number): number =>
    d * Math.sqrt(n) -
    zAlpha * Math.sqrt(discordance) -
    zPower * Math.sqrt(Math.max(0, discordance - d * d));
  const highest = Math.min(discordance, Math.sqrt(discordance));
  if (discordance <= 0 || gap(highest) < 0) return null;
  let low = 0;
  let high = highest;
  for (let step = 0; step < 200; step += 1) {
    const middle = (low + high) / 2;
    if (gap(middle) < 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
};

/** Paired means: (z_{1-alpha/2} + z_power) times the standard error of the difference. */
export const detectableMean = (standardError: number, alpha = 0.05, power = 0.8): number =>
  (normalQuantile(1 - alpha / 2) + normalQuantile(power)) * standardError;
