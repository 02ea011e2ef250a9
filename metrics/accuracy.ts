// Right or wrong among given options: by log-likelihood of the choices, or by what a free text says.

import { meanMetric, type Metric, type MetricChoice, type MetricRow } from './metric.ts';
import { parseOption } from './options.ts';

const argmax = (values: readonly number[]): number => {
  let best = 0;
  for (let index = 1; index < values.length; index += 1) {
    if ((values[index] as number) > (values[best] as number)) best = index;
  }
  return best;
};

const scored = (
  row: MetricRow,
): readonly (MetricChoice & { readonly logprob: number })[] | null => {
  const choices = row.choices?.filter(
    (choice): choice is MetricChoice & { logprob: number } => choice.logprob !== undefined,
  );
  return choices === undefined || choices.length === 0 ? null : choices;
};

/** Characters (code points) of a choice without the space that separates it from the prompt, as lm-evaluation-harness counts. */
const characters = (text: string): number => Math.max(1, [...text.replace(/^ /, '')].length);

/** The label with the highest log-likelihood, the first of equals; `normalized`: per character. */
export const likeliestLabel = (row: MetricRow, normalized = false): string | null => {
  const choices = scored(row);
  if (choices === null) return null;
  const values = choices.map(({ logprob, text }) =>
    normalized ? logprob / characters(text) : logprob,
  );
  return choices[argmax(values)]?.label ?? null;
};

/** The label that the generated text means. */
const spokenLabel = (text: string, choices: readonly MetricChoice[]): string | null =>
  parseOption(
    text,
    choices.map((choice) => ({ label: choice.label, text: choice.option ?? choice.text })),
  );

/** The label the row predicts: by likelihood where choices were scored, else by the generated text. */
export const predictedLabel = (row: MetricRow): string | null =>
  likeliestLabel(row) ??
  (row.text === undefined || row.choices === undefined ? null : spokenLabel(row.text, row.choices));

/** Softmax over the choices' log-likelihoods. */
export const choiceProbabilities = (row: MetricRow): readonly number[] | null => {
  const choices = scored(row);
  if (choices === null) return null;
  const top = Math.max(...choices.map(({ logprob }) => logprob));
  const weights = choices.map(({ logprob }) => Math.exp(logprob - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
};

const right = (label: string | null, row: MetricRow): number | null =>
  row.answer === undefined ? null : Number(label === row.answer);

const family = { higherIsBetter: true, proportion: true, labelled: true } as const;

const accuracy = meanMetric({
  ...family,
  name: 'accuracy',
  modes: ['choices'],
  row: (row) => (scored(row) === null ? null : right(likeliestLabel(row), row)),
});

const accuracyNorm = meanMetric({
  ...family,
  name: 'accuracy_norm',
  modes: ['choices'],
  row: (row) => (scored(row) === null ? null : right(likeliestLabel(row, true), row)),
});

const hasOptions = (row: MetricRow): row is MetricRow & { text: string; choices: MetricChoice[] } =>
  row.text !== undefined && row.choices !== undefined && row.choices.length > 0;

const optionAccuracy = meanMetric({
  ...family,
  name: 'option_accuracy',
  modes: ['text'],
  row: (row) => (hasOptions(row) ? right(spokenLabel(row.text, row.choices), row) : null),
});

const unparsedRate = meanMetric({
  name: 'unparsed_rate',
  modes: ['text'],
  higherIsBetter: false,
  proportion: true,
  row: (row) => (hasOptions(row) ? Number(spokenLabel(row.text, row.choices) === null) : null),
});

/**
 * Unweighted mean F1 over the labels that occur as an answer or a prediction (scikit-learn's default).
 * Sums: true positives, predictions and answers of each label.
 */
const macroF1: Metric = {
  name: 'macro_f1',
  modes: ['choices', 'text'],
  higherIsBetter: true,
  proportion: false,
  labelled: false,
  score: (rows) => {
    // From what the rows ask, not from what was predicted: two predictions of the same rows have the same sums.
    const labels = [
      ...new Set(
        rows.flatMap((row) => [row.answer, ...(row.choices ?? []).map(({ label }) => label)]),
      ),
    ].filter((label) => label !== undefined);
    labels.sort();
    return rows.map((row) => {
      const predicted = predictedLabel(row);
      if (row.answer === undefined) return { value: null, parts: labels.flatMap(() => [0, 0, 0]) };
      return {
        value: Number(predicted === row.answer),
        parts: labels.flatMap((label) => [
          Number(predicted === label && row.answer === label),
          Number(predicted === label),
          Number(row.answer === label),
        ]),
      };
    });
  },
  aggregate: (sums) => {
    let total = 0;
    let present = 0;
    for (let at = 0; at < sums.length; at += 3) {
      const either = (sums[at + 1] as number) + (sums[at + 2] as number);
      if (either === 0) continue;
      present += 1;
      total += (2 * (sums[at] as number)) / either;
    }
    return total / present;
  },
};

export const accuracyMetrics: readonly Metric[] = [
  accuracy,
  accuracyNorm,
  optionAccuracy,
  macroF1,
  unparsedRate,
];
