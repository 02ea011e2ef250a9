// What the three modes share: the model ready to run, the rows, the journal, and telling of progress.

import { monotonicMs, type StepContext } from '../../engine/step.ts';
import type { PredictionRow, PromptRow } from '../../schemas/artifact.ts';
import type { Head } from '../../models/decode/graph.ts';
import type { Runner } from '../../models/decode/runner.ts';
import type { Journal } from './journal.ts';
import type { PromptEncoder } from './prompts.ts';
import type { Settings } from './settings.ts';

export interface Work {
  readonly context: StepContext;
  readonly settings: Settings;
  readonly rows: readonly PromptRow[];
  readonly encoder: PromptEncoder;
  readonly endTokens: readonly number[];
  /** Tokens the model sees at most. */
  readonly maxLength: number;
  readonly journal: Journal;
  /** `length`: the longest of all rows, in tokens, whatever the journal holds. */
  open(head: Head, length: number): Promise<Runner>;
}

export interface Meter {
  /** A row is finished: journaled, and told. */
  finished(index: number, row: PredictionRow): void;
  /** Tokens computed so far. */
  tokens(count: number): void;
}

/** Between two words of progress, unless a row has finished. */
const QUIET_MS = 250;

export const meter = ({ context, journal }: Work, total: number, unit: string): Meter => {
  const started = monotonicMs();
  let told = started;
  let computed = 0;
  const tell = (): void => {
    told = monotonicMs();
    const seconds = (told - started) / 1000;
    const rate = seconds > 0 ? computed / seconds : 0;
    context.progress({
      unit: 'rows',
      done: journal.rows.size,
      total,
      values: computed === 0 ? {} : { tokens_per_second: rate },
    });
    if (computed > 0) context.measure('tokens_per_second', rate, unit);
  };
  return {
    finished: (index, row) => {
      journal.add(index, row);
      if (journal.rows.size === total || monotonicMs() - told >= QUIET_MS) tell();
    },
    tokens: (count) => {
      computed = count;
      if (monotonicMs() - told >= QUIET_MS) tell();
    },
  };
};

/** Rows that begin alike next to each other, so that what they share is read once. */
export const inTokenOrder = <Row>(
  rows: readonly Row[],
  tokensOf: (row: Row) => readonly number[],
): readonly Row[] =>
  [...rows].sort((a, b) => {
    const [left, right] = [tokensOf(a), tokensOf(b)];
    const most = Math.min(left.length, right.length);
    for (let index = 0; index < most; index += 1) {
      const difference = (left[index] ?? 0) - (right[index] ?? 0);
      if (difference !== 0) return difference;
    }
    return left.length - right.length;
  });
