// What a metric is: row values and the sums that make the value of many rows, so that any metric, also a corpus
// metric such as perplexity, can be resampled row by row.

export interface MetricChoice {
  readonly label: string;
  /** What is appended to the prompt: for a template that asks for a letter, the letter. */
  readonly text: string;
  /** The option's own words, where `text` isn't these. */
  readonly option?: string;
  readonly logprob?: number;
}

/** One prediction of one row, as the mode that made it wrote it. */
export interface MetricRow {
  readonly id: string;
  readonly text?: string;
  readonly completion?: string;
  readonly answer?: string;
  readonly references?: readonly string[];
  readonly choices?: readonly MetricChoice[];
  readonly finish_reason?: string;
  /** Sum of natural-log probabilities over `tokens` tokens (mode perplexity). */
  readonly logprob?: number;
  readonly tokens?: readonly number[] | number;
}

export type Mode = 'text' | 'choices' | 'perplexity';

export interface RowScore {
  /** The row's own value; null where the metric isn't defined for the row. */
  readonly value: number | null;
  /** What the row adds to the metric's sums; all zero where it isn't defined. */
  readonly parts: readonly number[];
}

export interface Metric {
  readonly name: string;
  /** Kinds of prediction it can be computed from, best first. */
  readonly modes: readonly Mode[];
  readonly higherIsBetter: boolean | null;
  /** Row values are 0 or 1: intervals by Wilson, tests by McNemar. */
  readonly proportion: boolean;
  /** Compared with always answering the commonest, and a random, label. */
  readonly labelled: boolean;
  score(rows: readonly MetricRow[]): readonly RowScore[];
  /** Value from the sums of `parts`; NaN where there is nothing to divide by. */
  aggregate(sums: ArrayLike<number>): number;
}

const undefinedRow: RowScore = { value: null, parts: [0, 0] };

const ratio = (sums: ArrayLike<number>): number => (sums[0] as number) / (sums[1] as number);

/** A metric that is the mean of its row values. */
export const meanMetric = (
  definition: Pick<Metric, 'name' | 'modes' | 'higherIsBetter'> & {
    readonly proportion?: boolean;
    readonly labelled?: boolean;
    readonly row: (row: MetricRow) => number | null;
  },
): Metric => ({
  name: definition.name,
  modes: definition.modes,
  higherIsBetter: definition.higherIsBetter,
  proportion: definition.proportion ?? false,
  labelled: definition.labelled ?? false,
  score: (rows) =>
    rows.map((row) => {
      const value = definition.row(row);
      return value === null ? undefinedRow : { value, parts: [value, 1] };
    }),
  aggregate: ratio,
});

/** The texts a generated answer is held against. */
export const referencesOf = (row: MetricRow): readonly string[] => {
  if (row.references !== undefined && row.references.length > 0) return row.references;
  if (row.completion !== undefined) return [row.completion];
  return row.answer === undefined ? [] : [row.answer];
};

/** Best agreement of the generated text with any reference; null where either is missing. */
export const bestOf =
  (agreement: (prediction: string, reference: string) => number) =>
  (row: MetricRow): number | null => {
    const { text } = row;
    const references = referencesOf(row);
    if (text === undefined || references.length === 0) return null;
    return Math.max(...references.map((reference) => agreement(text, reference)));
  };
