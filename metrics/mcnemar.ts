// McNemar's exact test for paired right/wrong answers.

import { binomialHalfCdf } from './normal.ts';

/**
 * Two-sided p of `wins` against `losses` among discordant pairs: min(1, 2 P(X <= min)), X ~ Binomial(wins + losses, 1/2).
 * 1 where no pair is discordant.
 */
export const mcnemarExact = (wins: number, losses: number): number =>
  Math.min(1, 2 * binomialHalfCdf(Math.min(wins, losses), wins + losses));
