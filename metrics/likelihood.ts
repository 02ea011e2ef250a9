// Likelihood of given texts, and how far choice probabilities can be trusted.

import { choiceProbabilities } from './accuracy.ts';
import { meanMetric, type Metric, type MetricRow } from './metric.ts';

const tokenCount = (row: MetricRow): number =>
  typeof row.tokens === 'number' ? row.tokens : (row.tokens?.length ?? 0);

const bytesOf = (row: MetricRow): number => new TextEncoder().encode(row.completion ?? '').length;

/** A metric of total log-probability over a total of units (tokens or bytes). */
const likelihoodMetric = (
  name: string,
  units: (row: MetricRow) => number,
  aggregate: (meanLoss: number) => number,
): Metric => ({
  name,
  modes: ['perplexity'],
  higherIsBetter: false,
  proportion: false,
  labelled: false,
  score: (rows) =>
    rows.map((row) => {
      const count = units(row);
      if (row.logprob === undefined || count === 0) return { value: null, parts: [0, 0] };
      return { value: aggregate(-row.logprob / count), parts: [-row.logprob, count] };
    }),
  aggregate: (sums) => aggregate((sums[0] as number) / (sums[1] as number)),
});

/** Standard deviation (n - 1) over rows of the row's mean loss. Sums: n, sum, sum of squares. */
const lossStd: Metric = {
  name: 'loss_std',
  modes: ['perplexity'],
  higherIsBetter: null,
  proportion: false,
  labelled: false,
  score: (rows) =>
    rows.map((row) => {
      const count = tokenCount(row);
      if (row.logprob === undefined || count === 0) return { value: null, parts: [0, 0, 0] };
      const loss = -row.logprob / count;
      return { value: loss, parts: [1, loss, loss * loss] };
    }),
  aggregate: (sums) => {
    const [n, sum, squares] = [sums[0] as number, sums[1] as number, sums[2] as number];
    return Math.sqrt(Math.max(0, squares - (sum * sum) / n) / (n - 1));
  },
};

const goldProbability = (
  row: MetricRow,
): { probabilities: readonly number[]; gold: number } | null => {
  const probabilities = choiceProbabilities(row);
  const gold = row.choices?.findIndex(({ label }) => label === row.answer) ?? -1;
  return probabilities === null || gold < 0 ? null : { probabilities, gold };
};

const brier = meanMetric({
  name: 'brier',
  modes: ['choices'],
  higherIsBetter: false,
  row: (row) => {
    const known = goldProbability(row);
    return known === null
      ? null
      : known.probabilities.reduce((sum, p, k) => sum + (p - Number(k === known.gold)) ** 2, 0);
  },
});

const nll = meanMetric({
  name: 'nll',
  modes: ['choices'],
  higherIsBetter: false,
  row: (row) => {
    const known = goldProbability(row);
    return known === null ? null : -Math.log(known.probabilities[known.gold] as number);
  },
});

export const likelihoodMetrics: readonly Metric[] = [
  likelihoodMetric('perplexity', tokenCount, Math.exp),
  likelihoodMetric('loss', tokenCount, (loss) => loss),
  likelihoodMetric('bits_per_byte', bytesOf, (loss) => loss / Math.LN2),
  lossStd,
  brier,
  nll,
];
