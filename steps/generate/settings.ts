// The parameters of generate as values with types. The schema has checked them and filled their defaults.

import type { StepContext } from '../../engine/step.ts';
import type { Activations } from '../../models/digits.ts';
import type { Compute } from '../../models/tensors.ts';
import type { Device } from '../../tensor/session.ts';
import { resolveDevice } from './device-parameters.ts';
import type { JsonObject } from '../../schemas/json.ts';

export interface TextSettings {
  readonly maxNewTokens: number;
  readonly minNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly noRepeatNgramSize: number;
  readonly stop: readonly string[];
  readonly sequences: number;
  readonly beams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean;
}

export interface Settings {
  readonly mode: 'text' | 'choices' | 'perplexity';
  readonly text: TextSettings;
  readonly maxLength: number | null;
  readonly stride: number | null;
  readonly activations: 'auto' | Activations;
  readonly batchTokens: number | null;
  readonly device: Device;
  /** Null: half precision where the device has it. */
  readonly compute: Compute | null;
  readonly allowTemplateMismatch: boolean;
}

export const settingsOf = ({ params }: StepContext): Settings => {
  const number = (key: string): number => Number(params[key]);
  const optional = (key: string): number | null =>
    typeof params[key] === 'number' ? params[key] : null;
  return {
    mode: params['mode'] as Settings['mode'],
    text: {
      maxNewTokens: number('max_new_tokens'),
      minNewTokens: number('min_new_tokens'),
      temperature: number('temperature'),
      topK: number('top_k'),
      topP: number('top_p'),
      minP: number('min_p'),
      repetitionPenalty: number('repetition_penalty'),
      noRepeatNgramSize: number('no_repeat_ngram_size'),
      stop: params['stop'] as readonly string[],
      sequences: number('num_return_sequences'),
      beams: number('num_beams'),
      lengthPenalty: number('length_penalty'),
      earlyStopping: params['early_stopping'] === true,
    },
    maxLength: optional('max_length'),
    stride: optional('stride'),
    activations: params['activations'] as Settings['activations'],
    batchTokens: optional('batch_tokens'),
    device: resolveDevice(params),
    compute: (params['compute'] as Compute | undefined) ?? null,
    allowTemplateMismatch: params['allow_template_mismatch'] === true,
  };
};

/** What predictions.json says about how rows were made: only what had a say in this mode. */
export const describeDecoding = (
  settings: Settings,
  effective: {
    readonly maxLength: number;
    readonly activations: Activations;
    readonly compute: Compute;
    readonly stride: number;
    readonly seed: number;
    readonly endTokens: readonly number[];
  },
): JsonObject => {
  const { mode, text } = settings;
  const { activations, maxLength, stride } = effective;
  const common = {
    activations,
    // On the CPU it can't be anything else.
    ...(settings.device === 'cpu' ? {} : { compute: effective.compute }),
    max_length: maxLength,
  };
  if (mode === 'choices') return common;
  if (mode === 'perplexity') return { ...common, stride };
  const sampled = text.temperature > 0;
  return {
    ...common,
    max_new_tokens: text.maxNewTokens,
    min_new_tokens: text.minNewTokens,
    temperature: text.temperature,
    ...(sampled ? { top_k: text.topK, top_p: text.topP, min_p: text.minP } : {}),
    repetition_penalty: text.repetitionPenalty,
    no_repeat_ngram_size: text.noRepeatNgramSize,
    stop: text.stop,
    num_return_sequences: text.sequences,
    ...(text.beams > 1
      ? {
          num_beams: text.beams,
          length_penalty: text.lengthPenalty,
          early_stopping: text.earlyStopping,
        }
      : {}),
    end_tokens: effective.endTokens,
    ...(sampled ? { seed: effective.seed } : {}),
  };
};
