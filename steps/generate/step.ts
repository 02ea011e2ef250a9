// generate: a model answers prompts, or says how likely given texts are.

import { defineStep } from '../../engine/step.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { deviceParameters, deviceProblems, resolveDevice } from './device-parameters.ts';
import { openaiParameters, openaiProblems } from './openai-parameters.ts';

const samples = (params: JsonObject): boolean =>
  (params['mode'] ?? 'text') === 'text' && Number(params['temperature'] ?? 0) > 0;

export const generate = defineStep({
  name: 'generate',
  version: 4,
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
      max_new_tokens: {
        type: 'integer',
        minimum: 1,
        default: 256,
        description: 'Tokens to make at most (text).',
      },
      min_new_tokens: {
        type: 'integer',
        minimum: 0,
        default: 0,
        description: 'No end token before so many tokens (text).',
      },
      temperature: {
        type: 'number',
        minimum: 0,
        default: 0,
        description: 'Divides the logits before drawing; 0 takes the most likely token (text).',
      },
      top_k: {
        type: 'integer',
        minimum: 0,
        default: 0,
        description: 'Draw from the k most likely tokens, ties included; 0: from all (text).',
      },
      top_p: {
        type: 'number',
        exclusiveMinimum: 0,
        maximum: 1,
        default: 1,
        description: 'Draw from the fewest tokens that hold this much probability (text).',
      },
      min_p: {
        type: 'number',
        minimum: 0,
        maximum: 1,
        default: 0,
        description:
          'Draw from tokens at least this many times as likely as the most likely one (text).',
      },
      repetition_penalty: {
        type: 'number',
        exclusiveMinimum: 0,
        default: 1,
        description: 'Makes tokens that were there before less likely; 1: off (text).',
      },
      no_repeat_ngram_size: {
        type: 'integer',
        minimum: 0,
        default: 0,
        description: 'No n-gram of this size twice; 0: off (text).',
      },
      stop: {
        type: 'array',
        items: { type: 'string', minLength: 1 },
        default: [],
        description: 'The text ends before the first of these strings (text).',
      },
      num_beams: {
        type: 'integer',
        minimum: 1,
        default: 1,
        description:
          'Search with this many beams for the text of the highest score, instead of taking one token after the other; 1: off (text).',
      },
      length_penalty: {
        type: 'number',
        default: 1,
        description:
          'Exponent on the length that divides the log-probability of a beam; above 0 favours longer texts (text, with num_beams).',
      },
      early_stopping: {
        type: 'boolean',
        default: false,
        description:
          'Stop at the first num_beams finished texts, instead of when none can become better (text, with num_beams).',
      },
      num_return_sequences: {
        type: 'integer',
        minimum: 1,
        default: 1,
        description:
          'Answers to each prompt; more than one get the ids `<id>#0`, `<id>#1` ... (text).',
      },
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
    const problems: { pointer: string; message: string; hint?: string }[] = [
      ...openaiProblems(params, inputs ?? null),
      ...deviceProblems(params),
    ];
    if ((params['mode'] ?? 'text') === 'text') {
      if (Number(params['min_new_tokens'] ?? 0) > Number(params['max_new_tokens'] ?? 256)) {
        problems.push({
          pointer: '/min_new_tokens',
          message: 'min_new_tokens is greater than max_new_tokens',
        });
      }
      const sequences = Number(params['num_return_sequences'] ?? 1);
      const beams = Number(params['num_beams'] ?? 1);
      if (beams > 1 && samples(params)) {
        problems.push({
          pointer: '/num_beams',
          message: 'beams and drawing at random exclude each other',
          hint: 'leave out temperature or num_beams',
        });
      } else if (beams > 1 && sequences > beams) {
        problems.push({
          pointer: '/num_return_sequences',
          message: `${beams} beams give ${beams} answers at most`,
        });
      } else if (sequences > 1 && beams === 1 && !samples(params)) {
        problems.push({
          pointer: '/num_return_sequences',
          message:
            'several answers to a prompt need a temperature above 0: greedy ones are all equal',
          hint: 'set temperature, for example 0.7, or num_beams',
        });
      }
    }
    return problems;
  },
  weight: 'model',
  run: async (context) => (await import('./run.ts')).run(context),
});
