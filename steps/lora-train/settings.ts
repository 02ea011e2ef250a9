// The parameters of lora-train as the library wants them.

import type { LoraConfig } from '../../models/lora.ts';
import type { AdamWOptions } from '../../models/train/optimizer.ts';
import type { SchedulerType, ScheduleOptions } from '../../models/train/schedule.ts';
import type { Json, JsonObject } from '../../schemas/json.ts';

export interface TrainSettings {
  readonly method: 'lora' | 'full';
  readonly lora: LoraConfig;
  readonly epochs: number;
  /** 0: as many as the epochs have. */
  readonly maxSteps: number;
  readonly batchSize: number;
  readonly accumulation: number;
  readonly optimizer: AdamWOptions;
  readonly schedule: Omit<ScheduleOptions, 'totalSteps' | 'warmupSteps'>;
  readonly warmupSteps: number;
  readonly warmupRatio: number;
  readonly maxGradNorm: number;
  readonly recompute: boolean;
  readonly noiseAlpha: number;
  /** 0: at the end of every epoch. */
  readonly evalSteps: number;
  /** 0: none. */
  readonly saveSteps: number;
  readonly keepBest: boolean;
  /** 0: never. */
  readonly patience: number;
  readonly maxLength: number | null;
  readonly packing: boolean;
  readonly lossOn: 'completion' | 'all';
  readonly shuffle: 'mesa' | 'sequential' | 'torch';
}

const numberOf = (params: JsonObject, key: string, fallback: number): number =>
  typeof params[key] === 'number' ? params[key] : fallback;

const strings = (value: Json | undefined): readonly string[] =>
  Array.isArray(value) ? value.map(String) : [];

const numbers = (value: Json | undefined): Readonly<Record<string, number>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, number>>) : {};

export const settingsOf = (params: JsonObject): TrainSettings => ({
  method: params['method'] === 'full' ? 'full' : 'lora',
  lora: loraOf(params),
  epochs: numberOf(params, 'num_train_epochs', 3),
  maxSteps: numberOf(params, 'max_steps', 0),
  batchSize: numberOf(params, 'per_device_train_batch_size', 1),
  accumulation: numberOf(params, 'gradient_accumulation_steps', 1),
  optimizer: {
    beta1: numberOf(params, 'adam_beta1', 0.9),
    beta2: numberOf(params, 'adam_beta2', 0.999),
    epsilon: numberOf(params, 'adam_epsilon', 1e-8),
    weightDecay: numberOf(params, 'weight_decay', 0),
  },
  schedule: {
    type: (params['lr_scheduler_type'] ?? 'linear') as SchedulerType,
    learningRate: numberOf(params, 'learning_rate', 2e-4),
    ...numbers(params['lr_scheduler_kwargs']),
  },
  warmupSteps: numberOf(params, 'warmup_steps', 0),
  warmupRatio: numberOf(params, 'warmup_ratio', 0),
  maxGradNorm: numberOf(params, 'max_grad_norm', 1),
  recompute: params['gradient_checkpointing'] === true,
  noiseAlpha: numberOf(params, 'neftune_noise_alpha', 0),
  evalSteps: numberOf(params, 'eval_steps', 0),
  saveSteps: numberOf(params, 'save_steps', 0),
  keepBest: params['load_best_model_at_end'] === true,
  patience: numberOf(params, 'early_stopping_patience', 0),
  maxLength: typeof params['max_length'] === 'number' ? params['max_length'] : null,
  packing: params['packing'] !== false,
  lossOn: params['loss_on'] === 'all' ? 'all' : 'completion',
  shuffle: (params['shuffle'] ?? 'mesa') as TrainSettings['shuffle'],
});

const loraOf = (params: JsonObject): LoraConfig => {
  const targets = params['target_modules'];
  const layers = params['layers_to_transform'];
  const saved = strings(params['modules_to_save']);
  return {
    r: numberOf(params, 'r', 8),
    lora_alpha: numberOf(params, 'lora_alpha', 16),
    lora_dropout: numberOf(params, 'lora_dropout', 0),
    target_modules: Array.isArray(targets)
      ? strings(targets)
      : typeof targets === 'string'
        ? targets
        : 'all-linear',
    use_rslora: params['use_rslora'] === true,
    use_dora: params['use_dora'] === true,
    init_lora_weights: params['init_lora_weights'] === 'gaussian' ? 'gaussian' : true,
    rank_pattern: numbers(params['rank_pattern']),
    alpha_pattern: numbers(params['alpha_pattern']),
    layers_to_transform: Array.isArray(layers) ? layers.map(Number) : null,
    target_parameters: [],
    modules_to_save: saved.length === 0 ? null : saved,
  };
};
