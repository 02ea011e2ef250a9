// What load-dataset takes from the hub: a request for each source that lies there, and the files that answer it.

import { StepError, type HubRepository, type HubRequest } from '../../engine/step.ts';
import type { Json, JsonObject } from '../../schemas/json.ts';
import { layoutOfCard, layoutOfNames, type Layout } from './hub-layout.ts';
import { sourceKind } from './parameters.ts';

/** Where the hub keeps every dataset as Parquet, those too that a script makes. */
const CONVERTED = 'refs/convert/parquet';

const cardOf = async (repository: HubRepository): Promise<unknown> => {
  if (!repository.paths.includes('README.md')) return null;
  const front = /^---\r?\n(.*?)\r?\n---/su.exec(await repository.read('README.md'))?.[1];
  if (front === undefined) return null;
  const { parse } = await import('yaml');
  try {
    return parse(front) as unknown;
  } catch {
    // A card that can't be read says nothing; the names of the files still do.
    return null;
  }
};

/** A dataset whose rows are made by Python code, which nothing here runs. */
const isScript = (id: string, { paths }: HubRepository): boolean =>
  paths.includes(`${id.split('/').at(-1) ?? ''}.py`);

const oneOf = (names: Iterable<string>): string => [...names].sort().join(', ');

const choose = (
  id: string,
  { configs, standard }: Layout,
  config: string | undefined,
  split: string | undefined,
): readonly string[] => {
  if (configs.size === 0)
    throw new StepError(
      'E544',
      `${id} holds no data files that can be read`,
      'read are Parquet, JSON lines, JSON, CSV and TSV',
    );
  const name = config ?? standard;
  if (name === null)
    throw new StepError(
      'E544',
      `${id} has several configurations`,
      `say config: ${oneOf(configs.keys())}`,
    );
  const splits = configs.get(name);
  if (splits === undefined)
    throw new StepError(
      'E544',
      `${id} has no configuration ${name}`,
      `it has ${oneOf(configs.keys())}`,
    );
  const chosen = split ?? (splits.size === 1 ? [...splits.keys()][0] : undefined);
  if (chosen === undefined)
    throw new StepError('E544', `${id} has several splits`, `say split: ${oneOf(splits.keys())}`);
  const files = splits.get(chosen) ?? [];
  if (files.length === 0)
    throw new StepError('E544', `${id} has no split ${chosen}`, `it has ${oneOf(splits.keys())}`);
  return files;
};

export const selectDatasetFiles = async (
  id: string,
  repository: HubRepository,
  config: string | undefined,
  split: string | undefined,
): Promise<readonly string[] | { readonly instead: string }> => {
  const layout = layoutOfCard(repository.paths, await cardOf(repository));
  if (layout === null && isScript(id, repository)) return { instead: CONVERTED };
  return choose(id, layout ?? layoutOfNames(repository.paths), config, split);
};

const text = (value: Json | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;

const requestOf = (params: JsonObject): readonly HubRequest[] => {
  const id = text(params['id']);
  if (sourceKind(params) !== 'hub' || id === undefined) return [];
  const config = text(params['config']);
  const split = text(params['split']);
  return [
    {
      type: 'dataset',
      id,
      revision: text(params['revision']) ?? 'main',
      part: [config, split].filter((each) => each !== undefined).join('/'),
      select: async (repository) => selectDatasetFiles(id, repository, config, split),
    },
  ];
};

/** In the order of the sources. */
export const hubRequests = (params: JsonObject): readonly HubRequest[] =>
  (Array.isArray(params['mix']) ? (params['mix'] as JsonObject[]) : [params]).flatMap(requestOf);
