// Every metric by name: the one place that a new metric is added to.

import { accuracyMetrics } from './accuracy.ts';
import { likelihoodMetrics } from './likelihood.ts';
import { bestOf, meanMetric, type Metric } from './metric.ts';
import { distinct, exactMatch, partialMatch, quasiExactMatch, tokenF1 } from './overlap.ts';
import { rougeL, rougeLsum, rougeN } from './rouge.ts';
import { words } from './text.ts';

const overlapMetric = (
  name: string,
  agreement: (prediction: string, reference: string) => number,
  proportion = false,
): Metric =>
  meanMetric({ name, modes: ['text'], higherIsBetter: true, proportion, row: bestOf(agreement) });

const textMetric = (
  name: string,
  higherIsBetter: boolean | null,
  value: (text: string) => number,
): Metric =>
  meanMetric({
    name,
    modes: ['text'],
    higherIsBetter,
    row: ({ text }) => (text === undefined ? null : value(text)),
  });

const all: readonly Metric[] = [
  ...accuracyMetrics,
  ...likelihoodMetrics,
  overlapMetric('exact_match', exactMatch, true),
  overlapMetric('quasi_exact_match', quasiExactMatch, true),
  overlapMetric('partial_match', partialMatch, true),
  overlapMetric('token_f1', tokenF1),
  overlapMetric('rouge_1', (prediction, reference) => rougeN(prediction, reference, 1)),
  overlapMetric('rouge_2', (prediction, reference) => rougeN(prediction, reference, 2)),
  overlapMetric('rouge_l', rougeL),
  overlapMetric('rouge_lsum', rougeLsum),
  textMetric('distinct_1', null, (text) => distinct(text, 1)),
  textMetric('distinct_2', null, (text) => distinct(text, 2)),
  textMetric('length', null, (text) => words(text).length),
];

const byName: ReadonlyMap<string, Metric> = new Map(all.map((metric) => [metric.name, metric]));

export const metricNames: readonly string[] = [...byName.keys()].sort();

export const findMetric = (name: string): Metric | undefined => byName.get(name);
