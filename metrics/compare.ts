// Is the candidate better than the baseline on the same rows? Differences are candidate minus baseline.

import { byCluster, centredP, resample, seededDraw } from './bootstrap.ts';
import { adjust, type Correction } from './correction.ts';
import { percentile, standardError, type Interval } from './interval.ts';
import { mcnemarExact } from './mcnemar.ts';
import type { Metric, RowScore } from './metric.ts';
import { detectableMean, detectableProportion } from './power.ts';
import { columnsOf } from './summarize.ts';

export type PairedTest = 'auto' | 'bootstrap' | 'mcnemar' | 'permutation';

export interface Pair {
  readonly metric: Metric;
  /** Scores of the same rows in the same order. */
  readonly baseline: readonly RowScore[];
  readonly candidate: readonly RowScore[];
  readonly clusters: readonly string[] | null;
}

export interface CompareOptions {
  readonly confidence: number;
  readonly test: PairedTest;
  readonly resamples: number;
  readonly seed: number;
}

export interface Comparison {
  readonly baseline: number;
  readonly candidate: number;
  readonly difference: number;
  readonly interval: Interval;
  readonly p: number;
  readonly n: number;
  readonly wins: number;
  readonly losses: number;
  readonly ties: number;
  readonly smallestDetectable: number | null;
  readonly test: string;
}

const isBinary = (scores: readonly RowScore[]): boolean =>
  scores.every(({ value }) => value === null || value === 0 || value === 1);

/** Two-sided p of exchanging baseline and candidate in each unit at random. */
const signFlipP = (differences: Float64Array, resamples: number, seed: number): number => {
  const draw = seededDraw(seed);
  const target = Math.abs(differences.reduce((sum, value) => sum + value, 0));
  let extreme = 0;
  for (let round = 0; round < resamples; round += 1) {
    let sum = 0;
    for (const value of differences) sum += draw(2) === 0 ? value : -value;
    if (Math.abs(sum) >= target - 1e-12) extreme += 1;
  }
  return (extreme + 1) / (resamples + 1);
};

/**
 * Paired comparison of one metric: percentile bootstrap interval of the difference, and a test: exact McNemar for
 * right/wrong rows, else the centred paired bootstrap. null where no row has the metric on both sides.
 */
export const comparePaired = (pair: Pair, options: CompareOptions): Comparison | null => {
  const { metric } = pair;
  const both = pair.baseline
    .map((score, row) => ({ row, before: score, after: pair.candidate[row] }))
    .filter(
      (entry): entry is typeof entry & { after: RowScore } =>
        entry.before.value !== null && typeof entry.after?.value === 'number',
    );
  if (both.length === 0) return null;
  const before = both.map((entry) => entry.before);
  const after = both.map((entry) => entry.after);
  const clusters =
    pair.clusters === null ? null : both.map(({ row }) => pair.clusters?.[row] ?? '');

  const width = before[0]?.parts.length ?? 0;
  const perRow = [...columnsOf(before), ...columnsOf(after)];
  const columns = clusters === null ? perRow : byCluster(perRow, clusters);
  const units = columns[0]?.length ?? 0;
  const sums = Float64Array.from(columns, (column) =>
    column.reduce((sum, value) => sum + value, 0),
  );
  const valueOf = (all: Float64Array, side: 0 | 1): number =>
    metric.aggregate(all.subarray(side * width, (side + 1) * width));
  const difference = valueOf(sums, 1) - valueOf(sums, 0);
  const statistic = { columns, of: (all: Float64Array) => valueOf(all, 1) - valueOf(all, 0) };
  const [distribution = new Float64Array()] = resample(
    [statistic],
    units,
    options.resamples,
    seededDraw(options.seed),
  );
  const sorted = distribution.filter(Number.isFinite).sort();
  const tail = (1 - options.confidence) / 2;

  const gains = both.map((entry) => (entry.after.value ?? 0) - (entry.before.value ?? 0));
  const direction = metric.higherIsBetter === false ? -1 : 1;
  const wins = gains.filter((gain) => gain * direction > 0).length;
  const losses = gains.filter((gain) => gain * direction < 0).length;
  const binary = metric.proportion && isBinary(before) && isBinary(after);
  const test =
    options.test === 'auto'
      ? binary && clusters === null
        ? 'mcnemar'
        : 'bootstrap'
      : options.test;
  const p = (): number => {
    switch (test) {
      case 'mcnemar':
        return mcnemarExact(wins, losses);
      case 'bootstrap':
        return centredP(distribution, difference);
      case 'permutation': {
        const perUnit = [Float64Array.from(gains)];
        const [flips = new Float64Array()] =
          clusters === null ? perUnit : byCluster(perUnit, clusters);
        return signFlipP(flips, options.resamples, options.seed);
      }
    }
  };
  const spread = standardError(sorted);
  return {
    baseline: valueOf(sums, 0),
    candidate: valueOf(sums, 1),
    difference,
    interval: [percentile(sorted, tail), percentile(sorted, 1 - tail)],
    p: p(),
    n: both.length,
    wins,
    losses,
    ties: both.length - wins - losses,
    smallestDetectable: binary
      ? detectableProportion(both.length, (wins + losses) / both.length, 1 - options.confidence)
      : spread === null
        ? null
        : detectableMean(spread * Math.sqrt(sorted.length), 1 - options.confidence),
    test: {
      mcnemar: 'exact McNemar',
      bootstrap: 'paired bootstrap',
      permutation: 'paired permutation',
    }[test],
  };
};

export interface Judged extends Comparison {
  readonly pAdjusted: number;
  readonly verdict: 'better' | 'worse' | 'no difference shown';
}

/** Adjusts the p-values of all comparisons made together, and says what they show at this confidence. */
export const judge = (
  comparisons: readonly { readonly metric: Metric; readonly comparison: Comparison }[],
  correction: Correction,
  confidence: number,
): Judged[] => {
  const adjusted = adjust(
    comparisons.map(({ comparison }) => comparison.p),
    correction,
  );
  return comparisons.map(({ metric, comparison }, index) => {
    const pAdjusted = adjusted[index] as number;
    const gain = comparison.difference * (metric.higherIsBetter === false ? -1 : 1);
    const shown = pAdjusted <= 1 - confidence + 1e-12 && metric.higherIsBetter !== null;
    return {
      ...comparison,
      pAdjusted,
      verdict: !shown || gain === 0 ? 'no difference shown' : gain > 0 ? 'better' : 'worse',
    };
  });
};
