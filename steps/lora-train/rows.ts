// Prompts as training rows: tokenised as generate does, with the end token a model must learn to give.

import { StepError, type InputArtifact } from '../../engine/step.ts';
import type { Model } from '../../models/model.ts';
import type { Tokenizer } from '../../models/tokenizer/tokenizer.ts';
import type { TrainingRow } from '../../models/train/batches.ts';
import { labelCount } from '../../models/train/batches.ts';
import type { FormatDocument, PromptRow } from '../../schemas/artifact.ts';
import { promptEncoder, type PromptEncoder } from '../generate/prompts.ts';
import { readDocument, readRows } from '../rows.ts';
import type { TrainSettings } from './settings.ts';

export interface TokenisedRows {
  readonly rows: readonly TrainingRow[];
  readonly format: FormatDocument;
  readonly dropped: readonly { readonly reason: string; readonly count: number }[];
}

export const tokenise = async (
  artifact: InputArtifact,
  model: Model,
  tokenizer: Tokenizer | null,
  settings: TrainSettings,
  maxLength: number,
): Promise<TokenisedRows> => {
  const format = readDocument<FormatDocument>(artifact, 'format.json');
  const encoder = promptEncoder(tokenizer, format, model.config.vocabSize);
  const end = endToken(model, tokenizer, format);
  const rows: TrainingRow[] = [];
  const dropped = new Map<string, number>();
  const drop = (reason: string): void => {
    dropped.set(reason, (dropped.get(reason) ?? 0) + 1);
  };
  for (const prompt of await readRows<PromptRow>(artifact)) {
    const row = trainingRow(prompt, encoder, end, settings.lossOn);
    if (row.tokens.length > maxLength) drop(`longer than ${maxLength} tokens`);
    else if (labelCount(row) === 0) drop('nothing to learn');
    else rows.push(row);
  }
  return {
    rows,
    format,
    dropped: [...dropped].map(([reason, rowCount]) => ({ reason, count: rowCount })),
  };
};

const trainingRow = (
  row: PromptRow,
  encoder: PromptEncoder,
  end: number | null,
  lossOn: TrainSettings['lossOn'],
): TrainingRow => {
  const ending = end === null ? [] : [end];
  if (row.completion === undefined && row.completion_tokens === undefined) {
    if (lossOn === 'completion')
      throw new StepError(
        'E580',
        `row ${row.id} has no completion to learn`,
        'use a template with a completion, or loss_on: all to learn the whole text',
      );
    return { id: row.id, tokens: [...encoder.prompt(row), ...ending], labelsFrom: 0 };
  }
  const { context, continuation } = encoder.pair(row, row.completion ?? '', row.completion_tokens);
  return {
    id: row.id,
    tokens: [...context, ...continuation, ...ending],
    labelsFrom: lossOn === 'all' ? 0 : context.length,
  };
};

/** The token that ends a completion, where the text doesn't bring its own (a chat template does). */
const endToken = (
  model: Model,
  tokenizer: Tokenizer | null,
  format: FormatDocument,
): number | null => {
  if (!format.append_eos) return null;
  const configured = model.document.config['eos_token_id'];
  const own: unknown = Array.isArray(configured) ? configured[0] : configured;
  const id = tokenizer?.eosTokenIds[0] ?? (typeof own === 'number' ? own : undefined);
  if (id === undefined)
    throw new StepError(
      'E580',
      'the model has no end token, so it could never learn to stop',
      'set eos_token_id in the config, or use a chat template that ends its turns',
    );
  return id;
};
