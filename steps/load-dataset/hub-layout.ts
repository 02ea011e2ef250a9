// Which files of a dataset's repository are a split of a configuration: as its README says, else by the names that
// `datasets` goes by. Pure: paths and README text in, splits out.

import { matchesGlob } from 'node:path';
import { isObject } from '../../datasets/row.ts';

/** Configuration -> split -> paths, in order. A configuration named `null` is the only one, and has no name. */
export interface Layout {
  readonly configs: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;
  /** The one that is meant where none is named; null where one has to be. */
  readonly standard: string | null;
}

const DATA = /\.(?:parquet|jsonl|ndjson|json|csv|tsv)$/iu;
/** Files that lie beside data and are none. */
const NO_DATA = new Set(['dataset_infos.json', 'dataset_info.json', 'state.json', 'metadata.json']);

const isData = (path: string): boolean => {
  const parts = path.split('/');
  return (
    DATA.test(path) &&
    !parts.some((part) => part.startsWith('.') || part.startsWith('_')) &&
    !NO_DATA.has(parts.at(-1) ?? '')
  );
};

const extension = (path: string): string => path.slice(path.lastIndexOf('.') + 1).toLowerCase();

/** Repositories repeat themselves in other formats: the one with the most files counts, Parquet among equals. */
const oneFormat = (paths: readonly string[]): string[] => {
  const counts = new Map<string, number>();
  for (const path of paths) counts.set(extension(path), (counts.get(extension(path)) ?? 0) + 1);
  const [best] = [...counts].sort(
    ([a, many], [b, more]) => more - many || Number(b === 'parquet') - Number(a === 'parquet'),
  );
  return paths.filter((path) => extension(path) === best?.[0]).toSorted();
};

const KEYWORDS: readonly (readonly [split: string, words: readonly string[]])[] = [
  ['train', ['train', 'training']],
  ['validation', ['validation', 'valid', 'dev', 'val']],
  ['test', ['test', 'testing', 'eval', 'evaluation']],
];

/** The split that a path's file name, else one of its folders, names as a word of its own. */
const splitOf = (path: string): string | null => {
  const sharded = /^data\/([\w.]+)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?\.\w+$/u.exec(path)?.[1];
  if (sharded !== undefined) return sharded;
  for (const part of path.split('/').toReversed()) {
    const words = part.toLowerCase().split(/[^a-z]+/u);
    const found = KEYWORDS.find(([, names]) => names.some((name) => words.includes(name)));
    if (found !== undefined) return found[0];
  }
  return null;
};

const bySplit = (paths: readonly string[]): Map<string, string[]> => {
  const splits = new Map<string, string[]>();
  const named = paths.map((path) => [path, splitOf(path)] as const);
  const none = named.every(([, split]) => split === null);
  for (const [path, split] of named) {
    const name = none ? 'train' : split;
    if (name !== null) splits.set(name, [...(splits.get(name) ?? []), path]);
  }
  return splits;
};

const textsOf = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? (value as readonly unknown[]) : [value]).filter(
    (each) => typeof each === 'string',
  );

const matching = (
  paths: readonly string[],
  folder: string,
  patterns: readonly string[],
): string[] => {
  const found = new Set<string>();
  for (const pattern of patterns) {
    const full = `${folder}${pattern.replace(/^\.\//u, '')}`;
    for (const path of paths.toSorted()) {
      const below = path.startsWith(`${full.replace(/\/$/u, '')}/`) && isData(path);
      if (path === full || below || matchesGlob(path, full)) found.add(path);
    }
  }
  return [...found];
};

/** `data_files` of a configuration: a pattern, several, `{split: patterns}`, or `[{split, path}]`. */
const splitsOfDataFiles = (
  paths: readonly string[],
  folder: string,
  dataFiles: unknown,
): Map<string, string[]> => {
  const named: [string, readonly string[]][] = [];
  if (Array.isArray(dataFiles) && dataFiles.every(isObject)) {
    for (const { split, path } of dataFiles)
      if (typeof split === 'string') named.push([split, textsOf(path)]);
  } else if (isObject(dataFiles)) {
    for (const [split, path] of Object.entries(dataFiles)) named.push([split, textsOf(path)]);
  } else {
    return bySplit(matching(paths, folder, textsOf(dataFiles)));
  }
  return new Map(named.map(([split, patterns]) => [split, matching(paths, folder, patterns)]));
};

const folderOf = (config: unknown): string => {
  const dir = isObject(config) ? config['data_dir'] : undefined;
  const name = typeof dir === 'string' ? dir.replace(/^\.?\/*|\/+$/gu, '') : '';
  return name === '' ? '' : `${name}/`;
};

/** The `configs` of a README's front matter. Null where it says nothing of files. */
export const layoutOfCard = (paths: readonly string[], card: unknown): Layout | null => {
  const list: unknown = isObject(card) ? card['configs'] : undefined;
  if (!Array.isArray(list)) return null;
  const configs = new Map<string, ReadonlyMap<string, readonly string[]>>();
  let standard: string | null = null;
  for (const config of (list as readonly unknown[]).filter(isObject)) {
    const { config_name: name = 'default', data_files: dataFiles } = config;
    if (typeof name !== 'string') continue;
    const folder = folderOf(config);
    if (dataFiles === undefined && folder === '') continue;
    const splits =
      dataFiles === undefined
        ? bySplit(oneFormat(paths.filter((path) => path.startsWith(folder) && isData(path))))
        : splitsOfDataFiles(paths, folder, dataFiles);
    configs.set(name, splits);
    if (config['default'] === true) standard = name;
  }
  if (configs.size === 0) return null;
  const [only] = configs.size === 1 ? configs.keys() : configs.has('default') ? ['default'] : [];
  return { configs, standard: standard ?? only ?? null };
};

/** `<config>/<split>/0000.parquet`, as the hub converts every dataset to. */
const CONVERTED = /^([^/]+)\/(?:partial-)?([^/]+)\/\d{4}\.parquet$/u;

/** Files as they are named, where nothing says what they are. */
export const layoutOfNames = (paths: readonly string[]): Layout => {
  const data = paths.filter(isData);
  const converted = data.map((path) => CONVERTED.exec(path));
  const configs = new Map<string, Map<string, readonly string[]>>();
  const put = (config: string, split: string, files: readonly string[]): void => {
    const splits = configs.get(config) ?? new Map<string, readonly string[]>();
    splits.set(split, [...(splits.get(split) ?? []), ...files]);
    configs.set(config, splits);
  };
  if (data.length > 0 && converted.every((match) => match !== null)) {
    for (const match of converted.toSorted((a, b) => (a[0] < b[0] ? -1 : 1)))
      put(match[1] ?? '', match[2] ?? '', [match[0]]);
  } else {
    for (const [split, files] of bySplit(oneFormat(data))) put('default', split, files);
    // `<config>/<split>-*.parquet`: a folder may be asked for by its name.
    const folders = new Set(data.flatMap((path) => (path.includes('/') ? path.split('/', 1) : [])));
    for (const folder of folders) {
      if (folder === 'data' || folder === 'default') continue;
      const inside = data.filter((path) => path.startsWith(`${folder}/`));
      for (const [split, files] of bySplit(oneFormat(inside))) put(folder, split, files);
    }
  }
  const [only] = configs.size === 1 ? configs.keys() : configs.has('default') ? ['default'] : [];
  return { configs, standard: only ?? null };
};
