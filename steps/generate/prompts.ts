// Prompt rows as tokens, by mode. Where a row gives token ids they are taken as they are; text needs the model's
// tokenizer.

import { StepError } from '../../engine/step.ts';
import type { FormatDocument, PromptRow } from '../../schemas/artifact.ts';
import type { Tokenizer } from '../../models/tokenizer/tokenizer.ts';
import { encodePair, type TokenPair } from '../../models/decode/continuations.ts';

export interface PromptEncoder {
  readonly tokenizer: Tokenizer | null;
  /** The prompt alone. */
  prompt(row: PromptRow): readonly number[];
  /** The prompt and a text after it; `tokens` where the row gives them instead. */
  pair(row: PromptRow, text: string, tokens: readonly number[] | undefined): TokenPair;
}

export const promptEncoder = (
  tokenizer: Tokenizer | null,
  format: FormatDocument,
  vocabSize: number,
): PromptEncoder => {
  const special = !format.special_tokens_in_text;
  const needTokenizer = (row: PromptRow): Tokenizer => {
    if (tokenizer !== null) return tokenizer;
    throw new StepError(
      'E571',
      `row ${row.id} is text, and the model has no tokenizer`,
      'give load-model a `tokenizer`, or rows with prompt_tokens',
    );
  };
  const checked = (row: PromptRow, tokens: readonly number[]): readonly number[] => {
    const wrong = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong === undefined) return tokens;
    throw new StepError(
      'E572',
      `row ${row.id} has the token ${String(wrong)}, and the model knows ${vocabSize}`,
      'the tokenizer or the token ids belong to another model',
    );
  };
  const textOf = (row: PromptRow): string => {
    if (row.prompt !== undefined) return row.prompt;
    throw new StepError('E572', `row ${row.id} has neither prompt nor prompt_tokens`);
  };
  return {
    tokenizer,
    prompt: (row) => {
      if (row.prompt_tokens !== undefined) return checked(row, row.prompt_tokens);
      const addSpecialTokens = special;
      return checked(row, needTokenizer(row).encode(textOf(row), { addSpecialTokens }));
    },
    pair: (row, text, tokens) => {
      if (row.prompt_tokens !== undefined && tokens !== undefined) {
        return { context: checked(row, row.prompt_tokens), continuation: checked(row, tokens) };
      }
      const coder = needTokenizer(row);
      const encode = (piece: string, withSpecial: boolean): readonly number[] =>
        checked(row, coder.encode(piece, { addSpecialTokens: withSpecial }));
      if (row.prompt_tokens !== undefined) {
        return { context: checked(row, row.prompt_tokens), continuation: encode(text, false) };
      }
      // lm-evaluation-harness: the beginning-of-text token, where there is none the end-of-text token.
      const prefixToken = coder.bosTokenId ?? coder.eosTokenIds[0] ?? 0;
      return encodePair(encode, textOf(row), text, { special, prefixToken });
    },
  };
};

/** The fields of a prompt row that scoring needs, in the order they are written. */
export const keptFields = (row: PromptRow): Partial<PromptRow> => ({
  ...(row.prompt === undefined ? {} : { prompt: row.prompt }),
  ...(row.completion === undefined ? {} : { completion: row.completion }),
  ...(row.answer === undefined ? {} : { answer: row.answer }),
  ...(row.references === undefined ? {} : { references: row.references }),
  ...(row.group === undefined ? {} : { group: row.group }),
});
