// lora-train: fine-tunes a model on prompts and completions, with an adapter or every weight. Names and defaults are
// those of PEFT's LoraConfig and transformers' TrainingArguments; this file is the contract, run.ts the work.

import { defineStep } from '../../engine/step.ts';
import { parameters, problems } from './parameters.ts';

export const loraTrain = defineStep({
  name: 'lora-train',
  version: 3,
  summary: 'Fine-tunes a model with LoRA (or every weight) on prompts and completions.',
  params: parameters,
  inputs: {
    model: { kind: 'model' },
    data: { kind: 'prompts' },
    validation: { kind: 'prompts', optional: true },
    adapter: { kind: 'adapter', optional: true },
  },
  outputs: (params) => (params['method'] === 'full' ? { model: 'model' } : { adapter: 'adapter' }),
  // An adapter starts from random values; with every weight trained only the order of the rows is, and noise.
  usesSeed: (params) =>
    params['method'] !== 'full' ||
    params['shuffle'] !== 'sequential' ||
    params['neftune_noise_alpha'] !== undefined,
  device: () => 'cpu',
  check: problems,
  weight: 'model',
  run: async (context) => (await import('./run.ts')).run(context),
});
