// From row scores to one value with its uncertainty.

import { byCluster, resample, seededDraw, type ResampledStatistic } from './bootstrap.ts';
import {
  clusteredStandardError,
  percentile,
  standardError,
  wilson,
  type Interval,
} from './interval.ts';
import type { Metric, MetricRow, RowScore } from './metric.ts';

export interface Summary {
  readonly value: number;
  readonly stderr: number | null;
  readonly ci95: Interval | null;
  readonly n: number;
}

export interface SummaryOptions {
  readonly resamples: number;
  readonly seed: number;
  /** Cluster name of each row, where rows share a passage. */
  readonly clusters: readonly string[] | null;
}

/** Columns of a metric's parts, one per sum; rows in which the metric isn't defined add zeros. */
export const columnsOf = (scores: readonly Pick<RowScore, 'parts'>[]): Float64Array[] => {
  const width = scores[0]?.parts.length ?? 0;
  return Array.from({ length: width }, (_, part) =>
    Float64Array.from(scores, ({ parts }) => parts[part] ?? 0),
  );
};

const total = (column: Float64Array): number => column.reduce((sum, value) => sum + value, 0);

/**
 * Value, standard error and 95 % interval. Proportions of independent rows by Wilson; everything else by the
 * percentile bootstrap over rows, or over clusters. The standard error of a mean is that of its row values
 * (clustered where rows are); that of a corpus metric the standard deviation of its resamples.
 */
export const summarize = (
  metric: Metric,
  scores: readonly RowScore[],
  options: SummaryOptions,
): Summary | null => {
  const defined = scores.flatMap(({ value }) => (value === null ? [] : [value]));
  if (defined.length === 0) return null;
  const columns = columnsOf(scores);
  const value = metric.aggregate(columns.map(total));
  if (!Number.isFinite(value)) return null;
  const n = defined.length;
  const isMean = Math.abs(total(Float64Array.from(defined)) / n - value) <= 1e-12 * Math.abs(value);
  if (metric.proportion && options.clusters === null) {
    const successes = defined.filter((score) => score === 1).length;
    return { value, stderr: standardError(defined), ci95: wilson(successes, n), n };
  }
  if (n < 2) return { value, stderr: null, ci95: null, n };
  const statistic: ResampledStatistic = {
    columns: options.clusters === null ? columns : byCluster(columns, options.clusters),
    of: (sums) => metric.aggregate(sums),
  };
  const units = statistic.columns[0]?.length ?? 0;
  const [distribution] = resample([statistic], units, options.resamples, seededDraw(options.seed));
  const sorted = (distribution ?? new Float64Array()).filter(Number.isFinite).sort();
  if (sorted.length === 0) return { value, stderr: null, ci95: null, n };
  const definedClusters = options.clusters?.filter((_, row) => scores[row]?.value !== null);
  const spread = (): number => (standardError(sorted) ?? 0) * Math.sqrt(sorted.length);
  return {
    value,
    stderr: isMean
      ? definedClusters === undefined
        ? standardError(defined)
        : clusteredStandardError(defined, definedClusters)
      : spread(),
    ci95: [percentile(sorted, 0.025), percentile(sorted, 0.975)],
    n,
  };
};

/** What always answering the commonest label, and answering at random, would score. */
export const labelBaselines = (
  rows: readonly MetricRow[],
): { readonly majority: number; readonly random: number } | null => {
  const labelled = rows.filter((row) => row.answer !== undefined && (row.choices?.length ?? 0) > 0);
  if (labelled.length === 0) return null;
  const counts = new Map<string, number>();
  let random = 0;
  for (const { answer, choices } of labelled) {
    counts.set(answer ?? '', (counts.get(answer ?? '') ?? 0) + 1);
    random += 1 / (choices?.length ?? 1);
  }
  return {
    majority: Math.max(...counts.values()) / labelled.length,
    random: random / labelled.length,
  };
};
