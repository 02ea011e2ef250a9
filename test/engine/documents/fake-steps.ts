// Step types for the tests of analysis: the shapes of the built-in ones, none of their work.

import type { ArtifactKind } from '../../../schemas/artifact.ts';
import type { JsonObject, JsonSchema } from '../../../schemas/json.ts';
import { defineStep, type StepDefinition, type StepRegistry } from '../../../engine/step.ts';

const run = (): Promise<void> =>
  Promise.reject(new Error('the steps of these tests are never run'));

const splitNames = (params: JsonObject): readonly string[] =>
  typeof params['splits'] === 'object' && params['splits'] !== null
    ? Object.keys(params['splits'])
    : ['rows'];

const outputsOf = (
  kind: ArtifactKind,
  names: readonly string[],
): Readonly<Record<string, ArtifactKind>> => Object.fromEntries(names.map((name) => [name, kind]));

const loadModel = defineStep({
  name: 'load-model',
  version: 1,
  summary: 'a model',
  weight: 'model',
  params: {
    type: 'object',
    additionalProperties: false,
    required: ['source'],
    properties: {
      source: { enum: ['hub', 'path', 'init'] },
      id: { type: 'string', minLength: 1 },
      revision: { type: 'string' },
      path: { type: 'string', 'x-mesa-path': 'any' },
      dtype: { enum: ['auto', 'float32', 'bfloat16'], default: 'auto' },
    },
    allOf: [
      {
        if: { properties: { source: { const: 'hub' } }, required: ['source'] },
        then: { required: ['id'] },
      },
      {
        if: { properties: { source: { const: 'path' } }, required: ['source'] },
        then: { required: ['path'] },
      },
    ],
  } satisfies JsonSchema,
  inputs: {},
  outputs: () => ({ model: 'model' }),
  usesSeed: (params) => params['source'] === 'init',
  run,
});

const loadDataset = defineStep({
  name: 'load-dataset',
  version: 1,
  summary: 'rows',
  weight: 'light',
  params: {
    type: 'object',
    additionalProperties: false,
    properties: {
      source: { enum: ['hub', 'file', 'inline'], default: 'hub' },
      id: { type: 'string' },
      revision: { type: 'string' },
      path: {
        anyOf: [
          { type: 'string', 'x-mesa-path': 'glob' },
          { type: 'array', items: { type: 'string', 'x-mesa-path': 'glob' }, minItems: 1 },
        ],
      },
      split: { type: 'string' },
      splits: { type: 'object', additionalProperties: { type: 'number', exclusiveMinimum: 0 } },
      sample: {
        type: 'object',
        additionalProperties: false,
        required: ['n'],
        properties: {
          n: { type: 'integer', minimum: 1 },
          seed: { type: 'integer', default: 0 },
          method: { enum: ['mesa', 'python'], default: 'mesa' },
        },
      },
      take: { type: 'integer', minimum: 1 },
    },
  } satisfies JsonSchema,
  inputs: {},
  outputs: (params) => outputsOf('dataset', splitNames(params)),
  run,
});

const format = defineStep({
  name: 'format',
  version: 1,
  summary: 'prompts',
  weight: 'light',
  params: {
    type: 'object',
    additionalProperties: false,
    required: ['template'],
    properties: {
      template: {
        anyOf: [
          { enum: ['mcq-letter', 'mcq-text', 'instruction'] },
          { type: 'object', additionalProperties: { type: 'string' }, required: ['prompt'] },
        ],
      },
      chat: {
        type: 'object',
        additionalProperties: false,
        properties: { system: { type: 'string' } },
      },
      max_length: { type: 'integer', minimum: 1 },
    },
  } satisfies JsonSchema,
  inputs: { rows: { kind: 'dataset' }, model: { kind: 'model', optional: true } },
  outputs: () => ({ prompts: 'prompts' }),
  run,
});

const loraTrain = defineStep({
  name: 'lora-train',
  version: 1,
  summary: 'an adapter',
  weight: 'model',
  params: {
    type: 'object',
    additionalProperties: false,
    properties: {
      method: { enum: ['lora', 'full'], default: 'lora' },
      r: { type: 'integer', minimum: 1, maximum: 1024, default: 8 },
      lora_alpha: { type: 'number', exclusiveMinimum: 0, default: 16 },
      lora_dropout: { type: 'number', minimum: 0, exclusiveMaximum: 1, default: 0 },
      target_modules: {
        anyOf: [{ const: 'all-linear' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
        default: 'all-linear',
      },
      learning_rate: { type: 'number', exclusiveMinimum: 0, default: 2e-4 },
      num_train_epochs: { type: 'number', exclusiveMinimum: 0, default: 3 },
      per_device_train_batch_size: { type: 'integer', minimum: 1, default: 1 },
      max_length: { type: 'integer', minimum: 1 },
      loss_on: { enum: ['completion', 'all'], default: 'completion' },
      load_best_model_at_end: { type: 'boolean', default: false },
      gates: { type: 'array', items: { type: 'string', pattern: '^[a-z_]+ (>=|<=) .+$' } },
    },
  } satisfies JsonSchema,
  inputs: {
    model: { kind: 'model' },
    data: { kind: 'prompts' },
    validation: { kind: 'prompts', optional: true },
  },
  outputs: (params) => (params['method'] === 'full' ? { model: 'model' } : { adapter: 'adapter' }),
  usesSeed: () => true,
  check: (params) =>
    params['load_best_model_at_end'] === true
      ? [
          {
            pointer: '/load_best_model_at_end',
            message: 'the best model is known only with evaluations',
            hint: 'add `eval_steps:`',
          },
        ]
      : [],
  run,
});

const generate = defineStep({
  name: 'generate',
  version: 1,
  summary: 'predictions',
  weight: 'model',
  params: {
    type: 'object',
    additionalProperties: false,
    properties: {
      max_new_tokens: { type: 'integer', minimum: 1, default: 256 },
      temperature: { type: 'number', minimum: 0, default: 0 },
      stop: { type: 'array', items: { type: 'string' }, uniqueItems: true, maxItems: 4 },
      api_key_env: { type: 'string' },
      base_url: { type: 'string' },
    },
  } satisfies JsonSchema,
  inputs: {
    model: { kind: 'model' },
    prompts: { kind: 'prompts' },
    adapter: { kind: 'adapter', optional: true },
  },
  outputs: () => ({ predictions: 'predictions' }),
  usesSeed: (params) => Number(params['temperature']) > 0,
  check: (params) =>
    params['api_key_env'] !== undefined && params['base_url'] === undefined
      ? [
          {
            pointer: '/api_key_env',
            message: 'api_key_env has no effect without a server',
            hint: 'set base_url',
            warning: true,
          },
        ]
      : [],
  run,
});

const score = defineStep({
  name: 'score',
  version: 1,
  summary: 'scores',
  weight: 'light',
  params: {
    type: 'object',
    additionalProperties: false,
    required: ['metrics'],
    properties: {
      metrics: {
        type: 'array',
        minItems: 1,
        items: { enum: ['exact_match', 'option_accuracy', 'rouge_l'] },
      },
    },
  } satisfies JsonSchema,
  inputs: { predictions: { kind: ['predictions', 'dataset'], many: true } },
  outputs: () => ({ scores: 'scores' }),
  run,
});

const compareBaseline = defineStep({
  name: 'compare-baseline',
  version: 1,
  summary: 'a comparison',
  weight: 'light',
  params: {
    type: 'object',
    additionalProperties: false,
    properties: {
      confidence: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1, default: 0.95 },
    },
  } satisfies JsonSchema,
  inputs: { baseline: { kind: 'scores' }, candidate: { kind: 'scores', many: true } },
  outputs: () => ({ comparison: 'comparison' }),
  run,
});

const definitions: readonly StepDefinition[] = [
  loadModel,
  loadDataset,
  format,
  loraTrain,
  generate,
  score,
  compareBaseline,
];

export const fakeRegistry: StepRegistry = {
  get: (name) => definitions.find((definition) => definition.name === name),
  names: definitions.map((definition) => definition.name),
};
