// Which files of a repository make up an adapter.

import { StepError, type HubRepository, type HubRequest } from '../../engine/step.ts';
import type { JsonObject } from '../../schemas/json.ts';

const CONFIG = 'adapter_config.json';
/** How it was trained, where MESA did. */
const TRAINING = 'training.json';
/** The first that is there; a pickle only where there is nothing else. */
const WEIGHTS = ['adapter_model.safetensors', 'adapter_model.bin'];

export const selectAdapterFiles = (id: string, { paths }: HubRepository): readonly string[] => {
  const weights = WEIGHTS.find((name) => paths.includes(name));
  if (weights !== undefined && paths.includes(CONFIG))
    return [CONFIG, weights, ...[TRAINING].filter((name) => paths.includes(name))];
  throw new StepError(
    'E512',
    `${id} holds no adapter: no ${paths.includes(CONFIG) ? (WEIGHTS[0] ?? '') : CONFIG}`,
    paths.includes('config.json') ? 'it is a model: use load-model' : undefined,
  );
};

export const hubRequests = (params: JsonObject): readonly HubRequest[] => {
  const { source, id, revision } = params;
  if (source !== 'hub' || typeof id !== 'string') return [];
  return [
    {
      type: 'model',
      id,
      revision: typeof revision === 'string' ? revision : 'main',
      // A repository may hold a model and an adapter.
      part: 'adapter',
      select: async (repository) => selectAdapterFiles(id, repository),
    },
  ];
};
