// load-model: a model made elsewhere (or random weights from a config) as an artifact. Weights are referenced, not copied.

import { defineStep, type Complaint } from '../../engine/step.ts';
import { hubRequests } from './hub-request.ts';

export const loadModel = defineStep({
  name: 'load-model',
  version: 1,
  summary: 'Loads a model: a Hugging Face folder, a GGUF or safetensors file, or random weights.',
  params: {
    type: 'object',
    additionalProperties: false,
    required: ['source'],
    properties: {
      source: {
        type: 'string',
        enum: ['hub', 'path', 'file', 'init'],
        description:
          'hub: a repository of the Hugging Face hub. path (or file): files on this machine. init: random weights from `config`.',
      },
      id: { type: 'string', description: 'The repository on the hub, as `organisation/name`.' },
      revision: {
        type: 'string',
        'x-mesa-effect': 'none',
        description:
          'Branch, tag or commit on the hub (default: main), pinned in mesa.lock.json. What counts is the content it is pinned to.',
      },
      path: {
        type: 'string',
        'x-mesa-path': 'any',
        description:
          'A folder in the Hugging Face layout, or one .gguf or .safetensors file (with config.json beside it).',
      },
      file: {
        type: 'string',
        description: 'Which GGUF file of a folder or repository that holds several.',
      },
      config: {
        type: 'object',
        description: 'For `init`: the keys of config.json (model_type, hidden_size, ...).',
      },
      tokenizer: {
        type: 'string',
        'x-mesa-path': 'any',
        description: 'A folder or a tokenizer.json, where the tokenizer is not beside the weights.',
      },
      chat_template: {
        type: 'string',
        description: 'A Jinja template that replaces the one of the model.',
      },
      dtype: {
        type: 'string',
        enum: ['auto', 'float32'],
        default: 'auto',
        description:
          'auto: quantised weights stay packed in memory where the step that uses them can compute with them. float32: every weight is unpacked.',
      },
    },
  },
  inputs: {},
  outputs: () => ({ model: 'model' }),
  hub: hubRequests,
  usesSeed: (params) => params['source'] === 'init',
  check: (params) => {
    const source = typeof params['source'] === 'string' ? params['source'] : '';
    const problems: Complaint[] = [];
    const needs = (key: string): void => {
      if (params[key] === undefined)
        problems.push({ pointer: '/source', message: `source: ${source} needs ${key}` });
    };
    const only = (key: string, sources: readonly string[]): void => {
      if (params[key] !== undefined && !sources.includes(source))
        problems.push({
          pointer: `/${key}`,
          message: `${key} has no meaning with source: ${source}`,
        });
    };
    if (source === 'hub') needs('id');
    if (source === 'path' || source === 'file') needs('path');
    if (source === 'init') needs('config');
    only('id', ['hub']);
    only('revision', ['hub']);
    only('path', ['path', 'file']);
    only('file', ['hub', 'path', 'file']);
    only('config', ['init']);
    return problems;
  },
  weight: 'light',
  run: async (context) => (await import('./run.ts')).run(context),
});
