// Where training starts: which tensors are trained, and their first values.

import { StepError, type StepContext } from '../../engine/step.ts';
import type { ModelConfig } from '../../models/config.ts';
import { checkAdapter, fitAdapter, type FittedAdapter } from '../../models/linear-lora.ts';
import { readAdapter } from '../../models/peft-files.ts';
import type { Trainable } from '../../models/train/trainables.ts';
import {
  adapterTrainables,
  fromTensors,
  initialAdapter,
  modelTrainables,
  storedValues,
} from '../../models/train/trainables.ts';
import type { WeightSource } from '../../models/weights.ts';
import type { TrainSettings } from './settings.ts';

export interface Start {
  /** Null: every weight is trained. */
  readonly adapter: FittedAdapter | null;
  readonly trainables: readonly Trainable[];
  readonly initial: Float32Array;
}

export const startOf = (
  context: StepContext,
  settings: TrainSettings,
  weights: WeightSource,
  config: ModelConfig,
): Start => {
  const input = context.optionalInput('adapter');
  if (settings.method === 'full') {
    if (input !== null)
      throw new StepError('E581', 'method: full cannot go on with an adapter', 'use method: lora');
    const trainables = modelTrainables(config, weights);
    return { adapter: null, trainables, initial: storedValues(trainables, weights) };
  }
  if (input === null) {
    const adapter = fitAdapter(settings.lora, config, weights);
    const trainables = adapterTrainables(adapter);
    return {
      adapter,
      trainables,
      initial: initialAdapter(adapter, trainables, weights, context.seed),
    };
  }
  // An adapter to go on with brings its own rank, scale and modules.
  const files = readAdapter({
    config: input.file('adapter_config.json'),
    weights: input.file('adapter_model.safetensors'),
  });
  const lora = { ...files.config, lora_dropout: settings.lora.lora_dropout };
  const adapter = fitAdapter(lora, config, weights);
  checkAdapter(adapter, files.tensors);
  const trainables = adapterTrainables(adapter);
  return { adapter, trainables, initial: fromTensors(trainables, files.tensors) };
};
