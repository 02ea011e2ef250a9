// What a template makes of a row, before few-shot examples, a chat template or a length limit.

import type { Value } from '../row.ts';

export interface Turn {
  readonly role: string;
  readonly content: string;
}

export interface DraftChoice {
  readonly label: string;
  /** What is appended to the prompt when this choice is scored, without the delimiter. */
  readonly text: string;
  /** The option's words, where `text` is only its letter. */
  readonly option?: string;
}

export interface Draft {
  /** Stands once, before the few-shot examples. */
  readonly description: string;
  /** The question as a text to be continued. */
  readonly body: string;
  /** The question as a chat message (or several), for chat templates. */
  readonly turns: readonly Turn[];
  /** Between body and target; chat templates bring their own. */
  readonly delimiter: string;
  /** The answer in full; null where the row has none. */
  readonly target: string | null;
  readonly choices: readonly DraftChoice[] | null;
  /** A label of `choices`. */
  readonly answer: string | null;
  /** Texts a generated answer is compared with. */
  readonly references: readonly string[];
  readonly group: Readonly<Record<string, string>>;
}

/** A row that gives no prompt, and why: counted, not fatal. */
export interface Unusable {
  readonly unusable: string;
}

export const isUnusable = (made: Draft | Unusable): made is Unusable => 'unusable' in made;

/** A value as text: texts as they are, numbers in decimal, nothing for null. */
export const asText = (value: Value | undefined): string => {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  return JSON.stringify(value);
};
