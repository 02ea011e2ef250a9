// Which files of a repository make up a model. Decided once, when the model is locked.

import { StepError, type HubRepository, type HubRequest } from '../../engine/step.ts';
import type { JsonObject } from '../../schemas/json.ts';

/** Beside the weights, where the repository has them. */
const COMPANIONS = [
  'config.json',
  'generation_config.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
];
/** One kind of tokenizer, the first that is whole. */
const TOKENIZERS = [
  ['tokenizer.json'],
  ['vocab.json', 'merges.txt'],
  ['dict.txt', 'bpecodes'],
  ['tokenizer.model'],
];
/** One format of weights, the first that is there: as one file, or through its index. */
const WEIGHTS = ['model.safetensors', 'pytorch_model.bin'];

const shardsOf = async (repository: HubRepository, index: string): Promise<string[]> => {
  const refuse = (): never => {
    throw new StepError('E512', `${index} of the repository is no index of weights`);
  };
  let json: unknown;
  try {
    json = JSON.parse(await repository.read(index));
  } catch (error) {
    if (error instanceof SyntaxError) return refuse();
    throw error;
  }
  const map = (json as { readonly weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null) return refuse();
  const shards = [...new Set(Object.values(map as Record<string, unknown>))];
  const missing = shards.find((shard) => !repository.paths.includes(String(shard)));
  if (missing !== undefined)
    throw new StepError(
      'E512',
      `${index} names ${JSON.stringify(missing)}, which the repository doesn't have`,
    );
  return shards.map(String);
};

const weightsOf = async (id: string, repository: HubRepository): Promise<readonly string[]> => {
  const { paths } = repository;
  for (const name of WEIGHTS) {
    if (paths.includes(name)) return [name];
    const index = `${name}.index.json`;
    if (paths.includes(index)) return [index, ...(await shardsOf(repository, index))];
  }
  const ggufs = paths.filter((path) => path.endsWith('.gguf'));
  const [only] = ggufs;
  if (only !== undefined && ggufs.length === 1) return [only];
  if (ggufs.length > 1)
    throw new StepError(
      'E512',
      `${id} holds ${ggufs.length} GGUF files: ${ggufs.slice(0, 12).join(', ')}${ggufs.length > 12 ? ' ...' : ''}`,
      'name one with `file:`',
    );
  throw new StepError(
    'E512',
    `${id} holds no weights: no model.safetensors, no pytorch_model.bin and no .gguf file`,
    paths.includes('adapter_config.json')
      ? 'it is an adapter: load the model it was made for, and the adapter beside it'
      : undefined,
  );
};

const namedFile = (id: string, { paths }: HubRepository, file: string): string => {
  if (paths.includes(file)) return file;
  const ggufs = paths.filter((path) => path.endsWith('.gguf'));
  throw new StepError(
    'E512',
    `${id} has no file ${file}`,
    ggufs.length === 0 ? undefined : `it has ${ggufs.slice(0, 12).join(', ')}`,
  );
};

/** The files that are needed, and none that says the same in another format. */
export const selectModelFiles = async (
  id: string,
  repository: HubRepository,
  file: string | undefined,
): Promise<readonly string[]> => {
  const weights =
    file === undefined ? await weightsOf(id, repository) : [namedFile(id, repository, file)];
  // A GGUF file has config and tokenizer in itself.
  if (weights[0]?.endsWith('.gguf') === true) return weights;
  const has = (name: string): boolean => repository.paths.includes(name);
  const tokenizer = TOKENIZERS.find((names) => names.every(has)) ?? [];
  return [...COMPANIONS.filter(has), ...tokenizer, ...weights];
};

export const hubRequests = (params: JsonObject): readonly HubRequest[] => {
  const { source, id, revision, file } = params;
  if (source !== 'hub' || typeof id !== 'string') return [];
  const part = typeof file === 'string' ? file : '';
  return [
    {
      type: 'model',
      id,
      revision: typeof revision === 'string' ? revision : 'main',
      part,
      select: async (repository) =>
        selectModelFiles(id, repository, part === '' ? undefined : part),
    },
  ];
};
