// The parameters of `backend: openai`, and what doesn't go together. Cheap to import: check and plan need it.

import type { Complaint } from '../../engine/step.ts';
import type { JsonObject, JsonSchema } from '../../schemas/json.ts';

const noEffect = { 'x-mesa-effect': 'none' } as const;

/** None has a default here, so that one given without this backend can be told. */
export const openaiParameters: Readonly<Record<string, JsonSchema>> = {
  backend: {
    type: 'string',
    enum: ['local', 'openai'],
    default: 'local',
    description: 'local: the model runs here. openai: an OpenAI-compatible server answers.',
  },
  base_url: {
    type: 'string',
    pattern: '^https?://',
    description:
      'Address of the server with its version, such as http://localhost:8000/v1 (openai).',
    ...noEffect,
  },
  model: {
    type: 'string',
    minLength: 1,
    description: 'The model, as the server calls it (openai).',
  },
  endpoint: {
    type: 'string',
    enum: ['chat', 'completions'],
    description:
      'chat: the server renders the conversation. completions: it reads the prompt as it is. Default: chat for prompts made from conversations in mode text, else completions (openai).',
  },
  extra_body: {
    type: 'object',
    description:
      'Further fields of each request, for what only this server knows, such as {top_k: 40}; null takes a field away (openai).',
  },
  api_key_env: {
    type: 'string',
    minLength: 1,
    description: 'Name of the environment variable that holds the key (openai).',
    ...noEffect,
  },
  api_key_file: {
    type: 'string',
    'x-mesa-path': 'file',
    description: 'File that holds the key (openai).',
    ...noEffect,
  },
  concurrency: {
    type: 'integer',
    minimum: 1,
    description: 'Requests at once; default: 4 (openai).',
    ...noEffect,
  },
  rate_limit: {
    type: 'number',
    exclusiveMinimum: 0,
    description: 'Requests a minute at most (openai).',
    ...noEffect,
  },
  retries: {
    type: 'integer',
    minimum: 0,
    description: 'How often a request is tried again; default: 6 (openai).',
    ...noEffect,
  },
  request_timeout: {
    type: 'number',
    exclusiveMinimum: 0,
    description: 'Seconds to wait for an answer; default: 300 (openai).',
    ...noEffect,
  },
};

/** Sampling that the protocol has no field for, with the value that means "off". */
const beyondProtocol: Readonly<Record<string, number>> = {
  top_k: 0,
  min_p: 0,
  repetition_penalty: 1,
  no_repeat_ngram_size: 0,
  min_new_tokens: 0,
};
const localOnly = ['max_length', 'stride', 'batch_tokens'];

/** `inputs`: the ports that are given; null where that isn't known. */
export const openaiProblems = (
  params: JsonObject,
  inputs: readonly string[] | null,
): readonly Complaint[] =>
  params['backend'] === 'openai' ? withServer(params, inputs) : withoutServer(params, inputs);

const withoutServer = (
  params: JsonObject,
  inputs: readonly string[] | null,
): readonly Complaint[] => [
  ...Object.keys(openaiParameters)
    .filter((key) => key !== 'backend' && params[key] !== undefined)
    .map((key) => ({
      pointer: `/${key}`,
      message: `${key} has no meaning without backend: openai`,
    })),
  ...(inputs === null || inputs.includes('model')
    ? []
    : [
        {
          pointer: '',
          message: 'generate lacks the input "model"',
          hint: 'add `model: step-id` under `inputs:`, or set backend: openai to ask a server',
        },
      ]),
];

const withServer = (params: JsonObject, inputs: readonly string[] | null): readonly Complaint[] => {
  const problems: Complaint[] = [];
  for (const key of ['base_url', 'model'])
    if (params[key] === undefined)
      problems.push({ pointer: '/backend', message: `backend: openai needs ${key}` });
  for (const port of ['model', 'adapter'])
    if (inputs?.includes(port) === true)
      problems.push({
        pointer: '/backend',
        message: `the server has its own model: the input "${port}" has no meaning with backend: openai`,
      });
  for (const [key, off] of Object.entries(beyondProtocol))
    if (params[key] !== undefined && params[key] !== off)
      problems.push({
        pointer: `/${key}`,
        message: `OpenAI's protocol has no ${key}`,
        hint: 'servers that know such a thing take it by their own name in extra_body',
      });
  for (const key of localOnly)
    if (params[key] !== undefined)
      problems.push({
        pointer: `/${key}`,
        message: `${key} has no meaning with backend: openai`,
      });
  const mode = params['mode'] as string | undefined;
  if (mode !== undefined && mode !== 'text' && params['endpoint'] === 'chat')
    problems.push({
      pointer: '/endpoint',
      message: `mode: ${mode} needs the completions endpoint: chats can't be echoed`,
    });
  if (params['api_key_env'] !== undefined && params['api_key_file'] !== undefined)
    problems.push({ pointer: '/api_key_file', message: 'the key comes from one place only' });
  return problems;
};
