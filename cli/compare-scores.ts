// Two scores artifacts as a comparison, with the same pairing, tests and correction as the step `compare-baseline`.

import { readFileSync } from 'node:fs';
import { err, ok, type Result } from '../engine/result.ts';
import { StepError } from '../engine/step.ts';
import { comparePaired, judge, type Comparison } from '../metrics/compare.ts';
import type { Metric } from '../metrics/metric.ts';
import { findMetric } from '../metrics/registry.ts';
import type { ComparisonDocument, PairedComparison, ScoreRow } from '../schemas/artifact.ts';
import { pairedComparison } from '../steps/compare-baseline/paired-comparison.ts';
import { pairRows, rowScore, type RowPair } from '../steps/compare-baseline/pair-rows.ts';
import type { ComparisonResult } from '../ui/results.ts';
import { readDocument, type OpenArtifact } from './results.ts';

export interface NamedScores {
  /** How the column is headed: the step, or `run/step`. */
  readonly name: string;
  readonly artifact: OpenArtifact;
}

const settings = { confidence: 0.95, test: 'auto', resamples: 10_000, seed: 0 } as const;
const correction = 'holm';

const rowsOf = (artifact: OpenArtifact): ScoreRow[] =>
  readFileSync(artifact.file('rows.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ScoreRow);

const pairUp = (before: NamedScores, after: NamedScores): Result<RowPair[], string> => {
  try {
    return ok(pairRows(rowsOf(before.artifact), rowsOf(after.artifact), after.name));
  } catch (error) {
    if (error instanceof StepError) return err(error.message);
    throw error;
  }
};

const compareMetric = (metric: Metric, pairs: readonly RowPair[]): Comparison | null =>
  comparePaired(
    {
      metric,
      baseline: pairs.map(({ before }) => rowScore(before, metric.name)),
      candidate: pairs.map(({ after }) => rowScore(after, metric.name)),
      clusters: pairs.every(({ before }) => before.cluster !== undefined)
        ? pairs.map(({ before }) => before.cluster ?? '')
        : null,
    },
    settings,
  );

/** The error says why the two can't be paired. */
export const compareScores = (
  before: NamedScores,
  after: NamedScores,
): Result<ComparisonResult, string> => {
  const old = readDocument(before.artifact, 'scores.json');
  const fresh = readDocument(after.artifact, 'scores.json');
  if (old === null || fresh === null) return err('one of the two has no scores.json');
  const pairs = pairUp(before, after);
  if (!pairs.ok) return pairs;
  const entries = Object.keys(old.metrics)
    .filter((name) => name in fresh.metrics)
    .flatMap((name) => {
      const metric = findMetric(name);
      const comparison = metric === undefined ? null : compareMetric(metric, pairs.value);
      return metric === undefined || comparison === null
        ? []
        : [{ metric, candidate: null, comparison }];
    });
  const comparisons = judge(entries, correction, settings.confidence).flatMap(
    (result, i): PairedComparison[] => {
      const metric = entries[i]?.metric;
      if (metric === undefined) return [];
      return [pairedComparison(metric, null, result)];
    },
  );
  const document: ComparisonDocument = {
    confidence: settings.confidence,
    correction,
    comparisons,
    gates: [],
  };
  return ok({
    step: after.name,
    document,
    baseline: { step: before.name, document: old },
    candidates: [{ label: null, step: after.name, document: fresh }],
  });
};
