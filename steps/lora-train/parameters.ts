// The parameters of lora-train: their schema, what a schema can't say, and their typed form.

import type { Complaint } from '../../engine/step.ts';
import type { JsonObject, JsonSchema } from '../../schemas/json.ts';

const count = (description: string, more: JsonSchema = {}): JsonSchema => ({
  type: 'integer',
  minimum: 1,
  description,
  ...more,
});
const number = (description: string, more: JsonSchema): JsonSchema => ({
  type: 'number',
  minimum: 0,
  description,
  ...more,
});
const flag = (description: string): JsonSchema => ({
  type: 'boolean',
  default: false,
  description,
});

const lora: Readonly<Record<string, JsonSchema>> = {
  r: count('Rank of the adapter.', { default: 8 }),
  lora_alpha: number('The adapter is scaled by lora_alpha / r.', { default: 16 }),
  lora_dropout: {
    type: 'number',
    minimum: 0,
    exclusiveMaximum: 1,
    default: 0,
    description: "Share of the adapter's inputs that is dropped at random.",
  },
  target_modules: {
    anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
    default: 'all-linear',
    description:
      'Modules to adapt: names (q_proj), a regular expression for whole names, or all-linear.',
  },
  use_rslora: flag('Scale by lora_alpha / sqrt(r).'),
  use_dora: flag('Train the length of every row of W + BA apart from its direction (DoRA).'),
  bias: {
    enum: ['none', 'all', 'lora_only'],
    default: 'none',
    description: 'Which biases are trained (only none is supported).',
  },
  modules_to_save: {
    type: 'array',
    items: { type: 'string' },
    default: [],
    description: 'Modules trained in full and stored in the adapter: lm_head, embed_tokens.',
  },
  rank_pattern: {
    type: 'object',
    additionalProperties: { type: 'integer', minimum: 1 },
    default: {},
    description: 'Other ranks for modules whose name ends in a match of the key.',
  },
  alpha_pattern: {
    type: 'object',
    additionalProperties: { type: 'number', exclusiveMinimum: 0 },
    default: {},
    description: 'Other values of lora_alpha, likewise.',
  },
  layers_to_transform: {
    type: 'array',
    items: { type: 'integer', minimum: 0 },
    description: 'Only these layers (from 0).',
  },
  init_lora_weights: {
    enum: [true, 'gaussian'],
    default: true,
    description: 'Start of A: true is Kaiming uniform, gaussian N(0, 1/r²). B starts at 0.',
  },
};

const trainer: Readonly<Record<string, JsonSchema>> = {
  learning_rate: { ...number('Largest learning rate.', { default: 2e-4 }) },
  num_train_epochs: { type: 'number', exclusiveMinimum: 0, default: 3, description: 'Epochs.' },
  max_steps: count('Optimiser steps, whatever num_train_epochs says.'),
  per_device_train_batch_size: count(
    'Rows of a micro-batch; with packing, sequences of max_length tokens.',
    { default: 1 },
  ),
  gradient_accumulation_steps: count(
    'Micro-batches of one optimiser step. The loss is averaged over all their tokens.',
    { default: 1 },
  ),
  lr_scheduler_type: {
    enum: [
      'linear',
      'cosine',
      'cosine_with_restarts',
      'cosine_with_min_lr',
      'polynomial',
      'constant',
      'constant_with_warmup',
      'inverse_sqrt',
    ],
    default: 'linear',
    description: 'How the learning rate goes.',
  },
  lr_scheduler_kwargs: {
    type: 'object',
    additionalProperties: false,
    default: {},
    properties: {
      num_cycles: { type: 'number', exclusiveMinimum: 0 },
      min_lr: { type: 'number', minimum: 0 },
      min_lr_rate: { type: 'number', minimum: 0 },
      power: { type: 'number', exclusiveMinimum: 0 },
      lr_end: { type: 'number', minimum: 0 },
      timescale: { type: 'number', exclusiveMinimum: 0 },
    },
    description: "The schedule's own parameters, with transformers' names.",
  },
  warmup_steps: { type: 'integer', minimum: 0, default: 0, description: 'Steps of warm-up.' },
  warmup_ratio: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    default: 0,
    description: 'Warm-up as a share of all steps; warmup_steps wins.',
  },
  weight_decay: number('Decay of everything but biases and norms (A and B do decay).', {
    default: 0,
  }),
  adam_beta1: { type: 'number', minimum: 0, exclusiveMaximum: 1, default: 0.9 },
  adam_beta2: { type: 'number', minimum: 0, exclusiveMaximum: 1, default: 0.999 },
  adam_epsilon: { type: 'number', exclusiveMinimum: 0, default: 1e-8 },
  max_grad_norm: number("Gradients are clipped to this norm; 0: they aren't.", { default: 1 }),
  gradient_checkpointing: flag('Compute activations again in the backward pass, to save memory.'),
  bf16: flag('Compute in bfloat16, where the device has it.'),
  fp16: flag('Compute in float16, where the device has it.'),
  eval_steps: count('Validate after every so many steps (default: at the end of every epoch).'),
  save_steps: count('Save a checkpoint after every so many steps too, besides each minute.', {
    'x-mesa-effect': 'none',
  }),
  load_best_model_at_end: flag('End with the parameters of the best validation.'),
  early_stopping_patience: count('Stop after so many validations in a row without a new best.'),
  neftune_noise_alpha: number('Noise on the embeddings (NEFTune).', { exclusiveMinimum: 0 }),
};

export const parameters: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    method: {
      enum: ['lora', 'full'],
      default: 'lora',
      description: 'lora: an adapter beside frozen weights. full: every weight.',
    },
    ...lora,
    ...trainer,
    max_length: count(
      "Tokens of a packed sequence, and of a row at most: longer rows are left out, and counted. Default 1024, or the model's own limit if that is lower.",
      { minimum: 2 },
    ),
    packing: {
      type: 'boolean',
      default: true,
      description: 'Fill sequences with rows; no row sees another.',
    },
    loss_on: {
      enum: ['completion', 'all'],
      default: 'completion',
      description: 'Tokens that are learned: those of the completion, or of the prompt as well.',
    },
    shuffle: {
      enum: ['mesa', 'sequential', 'torch'],
      default: 'mesa',
      description:
        "Order of the rows in each epoch. torch: as transformers' Trainer orders them with this seed.",
    },
    device: {
      enum: ['auto', 'cpu', 'webgpu', 'cuda', 'coreml'],
      default: 'auto',
      description: 'Where to train.',
    },
  },
};

const loraOnly = [
  'target_modules',
  'use_rslora',
  'use_dora',
  'modules_to_save',
  'rank_pattern',
  'alpha_pattern',
  'layers_to_transform',
] as const;

/** What the schema can't say. */
export const problems = (params: JsonObject): readonly Complaint[] => {
  const found: Complaint[] = [];
  const report = (key: string, message: string, hint?: string): void => {
    found.push({ pointer: `/${key}`, message, ...(hint === undefined ? {} : { hint }) });
  };
  const { method, device } = params;
  if (typeof device === 'string' && device !== 'auto' && device !== 'cpu')
    report('device', `training on ${device} is not supported yet`, 'use cpu');
  for (const key of ['bf16', 'fp16'])
    if (params[key] === true)
      report(key, 'the CPU computes in float32', 'leave it out; weights may be 16 bit in memory');
  if (params['bias'] !== undefined && params['bias'] !== 'none')
    report('bias', 'training biases is not supported yet', 'use none');
  if (method === 'full') {
    for (const key of loraOnly) {
      const value = params[key];
      const given = Array.isArray(value)
        ? value.length > 0
        : typeof value === 'object' && value !== null
          ? Object.keys(value).length > 0
          : value !== undefined && value !== false && value !== 'all-linear';
      if (given) report(key, `${key} has no meaning with method: full`);
    }
    if (Number(params['lora_dropout'] ?? 0) > 0)
      report('lora_dropout', 'lora_dropout has no meaning with method: full');
  }
  return found;
};
