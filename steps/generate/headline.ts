// One line about predictions: what a person looks for first. A pure function of the rows.

import type { PredictionRow, PredictionsDocument } from '../../schemas/artifact.ts';

const share = (part: number, whole: number): string => `${Math.round((100 * part) / whole)} %`;

export const headline = (
  mode: PredictionsDocument['mode'],
  rows: readonly PredictionRow[],
): string => {
  if (rows.length === 0) return 'no rows';
  switch (mode) {
    case 'text':
      return textLine(rows);
    case 'choices':
      return choicesLine(rows);
    case 'perplexity':
      return perplexityLine(rows);
  }
};

const textLine = (rows: readonly PredictionRow[]): string => {
  const tokens = rows.reduce(
    (sum, row) => sum + (Array.isArray(row.tokens) ? row.tokens.length : 0),
    0,
  );
  const cut = rows.filter((row) => row.finish_reason === 'length').length;
  const mean = (tokens / rows.length).toFixed(1);
  return `${rows.length} answers, ${mean} tokens each, ${share(cut, rows.length)} cut at max_new_tokens`;
};

const choicesLine = (rows: readonly PredictionRow[]): string => {
  const counts = new Map<string, number>();
  for (const { prediction = '' } of rows) counts.set(prediction, (counts.get(prediction) ?? 0) + 1);
  const shown = [...counts]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, 5)
    .map(([label, count]) => `${label} ${share(count, rows.length)}`);
  return `${rows.length} rows, predicted ${shown.join(', ')}`;
};

const perplexityLine = (rows: readonly PredictionRow[]): string => {
  let logprob = 0;
  let tokens = 0;
  for (const row of rows) {
    logprob += row.logprob ?? 0;
    tokens += typeof row.tokens === 'number' ? row.tokens : 0;
  }
  return `perplexity ${Math.exp(-logprob / tokens).toPrecision(4)} over ${tokens} tokens of ${rows.length} rows`;
};
