// generate: a model answers prompts, or says how likely given texts are.

import { defineStep } from '../../engine/step.ts';
import { deviceParameters, deviceProblems, resolveDevice } from './device-parameters.ts';
import { openaiParameters, openaiProblems } from './openai-parameters.ts';
import { samples, textParameters, textProblems, withoutEffect } from './text-parameters.ts';

export const generate = defineStep({
  name: 'generate',
  version: 5,
  summary: 'Answers prompts with a model: free text, likelihoods of choices, or perplexity.',
  params: {
    type: 'object',
    additionalProperties: false,
    properties: {
      mode: {
        type: 'string',
        enum: ['text', 'choices', 'perplexity'],
        default: 'text',
        description:
          'text: new tokens after the prompt. choices: log-likelihood of every choice, as lm-evaluation-harness computes it. perplexity: log-probability of the completion, or of the whole text where there is none.',
      },
      ...textParameters,
      max_length: {
        type: 'integer',
        minimum: 2,
        description:
          'Tokens the model sees at once; default: what it was made for. Longer contexts lose their beginning.',
      },
      stride: {
        type: 'integer',
        minimum: 1,
        description:
          'Texts longer than max_length are read in windows that each score this many new tokens; default: half of max_length (perplexity).',
      },
      activations: {
        type: 'string',
        enum: ['auto', 'float', 'int16', 'int8'],
        default: 'auto',
        description:
          'How products with 4- and 8-bit weights treat their input: as it is, or rounded to 16 or 8 bits (8 bits: two to four times as fast). auto: as the model was quantised, else as it is.',
      },
      batch_tokens: {
        type: 'integer',
        minimum: 1,
        description:
          'Tokens of all rows in work at once; bounds memory. Default: by the size of the model.',
        'x-mesa-effect': 'none',
      },
      ...deviceParameters,
      allow_template_mismatch: {
        type: 'boolean',
        default: false,
        description:
          'Use an adapter with prompts of another template than it was trained with. Otherwise that is an error.',
      },
      ...openaiParameters,
    },
  },
  inputs: {
    // Needed unless a server answers: see openaiProblems.
    model: { kind: 'model', optional: true },
    prompts: { kind: 'prompts' },
    adapter: { kind: 'adapter', optional: true },
  },
  outputs: () => ({ predictions: 'predictions' }),
  usesSeed: samples,
  // What a server answers is an observation: it stands until it is made anew by force.
  deterministic: (params) => params['backend'] !== 'openai',
  device: (params) => (params['backend'] === 'openai' ? null : resolveDevice(params)),
  check: (params, inputs) => {
    const problems = [
      ...openaiProblems(params, inputs ?? null),
      ...deviceProblems(params),
      ...textProblems(params),
    ];
    const wrong = new Set(problems.map(({ pointer }) => pointer));
    return [...problems, ...withoutEffect(params).filter(({ pointer }) => !wrong.has(pointer))];
  },
  weight: 'model',
  run: async (context) => (await import('./run.ts')).run(context),
});
