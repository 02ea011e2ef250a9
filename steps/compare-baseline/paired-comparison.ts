// A judged comparison as comparison.json holds it: one mapping for the step and for `mesa compare`.

import type { Judged } from '../../metrics/compare.ts';
import type { Metric } from '../../metrics/metric.ts';
import type { PairedComparison } from '../../schemas/artifact.ts';

export const pairedComparison = (
  metric: Metric,
  candidate: string | null,
  result: Judged,
): PairedComparison => ({
  metric: metric.name,
  candidate,
  baseline_value: result.baseline,
  candidate_value: result.candidate,
  difference: result.difference,
  ci95: result.interval,
  p: result.p,
  p_adjusted: result.pAdjusted,
  n: result.n,
  wins: result.wins,
  losses: result.losses,
  ties: result.ties,
  smallest_detectable_difference: result.smallestDetectable,
  higher_is_better: metric.higherIsBetter,
  verdict: result.verdict,
  test: result.test,
});
