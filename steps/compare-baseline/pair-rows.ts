// Rows of two scores artifacts, paired by id. What can't be paired is an error: a difference over other rows
// than the reader thinks of is worse than none.

import { StepError } from '../../engine/step.ts';
import type { RowScore } from '../../metrics/metric.ts';
import type { ScoreRow } from '../../schemas/artifact.ts';

export interface RowPair {
  readonly before: ScoreRow;
  readonly after: ScoreRow;
}

const list = (ids: readonly string[]): string =>
  `${ids.slice(0, 3).join(', ')}${ids.length > 3 ? ` and ${ids.length - 3} more` : ''}`;

export const pairRows = (
  baseline: readonly ScoreRow[],
  candidate: readonly ScoreRow[],
  candidateName: string,
): RowPair[] => {
  const byId = new Map(candidate.map((row) => [row.id, row]));
  const baselineIds = new Set(baseline.map(({ id }) => id));
  const missing = baseline.filter(({ id }) => !byId.has(id)).map(({ id }) => id);
  const extra = candidate.filter(({ id }) => !baselineIds.has(id)).map(({ id }) => id);
  if (missing.length > 0 || extra.length > 0) {
    const parts = [
      ...(missing.length > 0 ? [`only the baseline has ${list(missing)}`] : []),
      ...(extra.length > 0 ? [`only ${candidateName} has ${list(extra)}`] : []),
    ];
    throw new StepError(
      'E530',
      `baseline and ${candidateName} score different rows: ${parts.join('; ')}`,
      'give both sides predictions of the same prompts',
    );
  }
  return baseline.map((before) => {
    const after = byId.get(before.id) as ScoreRow;
    if (after.item !== before.item) {
      throw new StepError(
        'E531',
        `row ${before.id} is another question in ${candidateName} than in the baseline`,
        'the data changed between the two: run both on the same dataset',
      );
    }
    return { before, after };
  });
};

/** A row's score of one metric, as metrics/ wants it. */
export const rowScore = (row: ScoreRow, metric: string): RowScore => ({
  value: row.metrics[metric] ?? null,
  parts: row.parts?.[metric] ?? [0, 0],
});
