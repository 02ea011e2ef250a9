// load-adapter: an adapter made elsewhere as an artifact, as PEFT saved it.

import { defineStep, type Complaint } from '../../engine/step.ts';
import { hubRequests } from './hub-request.ts';

export const loadAdapter = defineStep({
  name: 'load-adapter',
  version: 1,
  summary: 'Loads an adapter made elsewhere: a PEFT folder.',
  params: {
    type: 'object',
    additionalProperties: false,
    required: ['source'],
    properties: {
      source: {
        type: 'string',
        enum: ['hub', 'path'],
        description:
          'hub: a repository of the Hugging Face hub. path: a folder on this machine, as PEFT saves it.',
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
        'x-mesa-path': 'folder',
        description: 'A folder with adapter_config.json and adapter_model.safetensors (or .bin).',
      },
    },
  },
  inputs: {},
  outputs: () => ({ adapter: 'adapter' }),
  hub: hubRequests,
  check: (params) => {
    const source = typeof params['source'] === 'string' ? params['source'] : '';
    const problems: Complaint[] = [];
    const needed = source === 'hub' ? 'id' : 'path';
    const unused = source === 'hub' ? ['path'] : ['id', 'revision'];
    if (params[needed] === undefined)
      problems.push({ pointer: '/source', message: `source: ${source} needs ${needed}` });
    for (const key of unused)
      if (params[key] !== undefined)
        problems.push({
          pointer: `/${key}`,
          message: `${key} has no meaning with source: ${source}`,
        });
    return problems;
  },
  weight: 'light',
  run: async (context) => (await import('./run.ts')).run(context),
});
