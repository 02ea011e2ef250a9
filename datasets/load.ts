// One source -> rows: read, identify, filter, deduplicate, drop contaminated rows, shuffle, sample, skip and take, in this
// order (splits and the choice of columns follow). A mixture is made of sources that went through all of it.

import { globSync, statSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { chooseColumns, requireColumns, type ColumnOptions } from './columns.ts';
import { contaminated } from './contamination.ts';
import { dedupeRows } from './dedupe.ts';
import { DataError } from './error.ts';
import { columnsOfCondition, compileCondition, type Condition } from './filter.ts';
import { countDuplicates, identify } from './identity.ts';
import { mixRows } from './mix.ts';
import type { Header } from './read/csv.ts';
import { readFile, type FileFormat } from './read/file.ts';
import type { Row, SourceRow, ValueObject } from './row.ts';
import { sampleRows, shuffleRows, type SampleOptions, type ShuffleOptions } from './sample.ts';

export type Origin =
  | {
      readonly kind: 'file';
      /** Absolute paths and globs. */
      readonly paths: readonly string[];
      readonly format: FileFormat | 'auto';
      readonly header: Header;
    }
  | {
      /** Files of a dataset on the hub, already on this machine; their rows are numbered as one. */
      readonly kind: 'hub';
      readonly id: string;
      readonly config: string | undefined;
      readonly split: string | undefined;
      /** The commit. */
      readonly revision: string;
      /** By their names in the repository, in order. */
      readonly files: readonly { readonly name: string; readonly path: string }[];
      readonly format: FileFormat | 'auto';
      readonly header: Header;
    }
  | { readonly kind: 'inline'; readonly rows: readonly SourceRow[] }
  | { readonly kind: 'mix'; readonly parts: readonly MixSource[] };

export interface MixSource extends Source {
  /** How ids of its rows begin. Default: the file's name without ending. */
  readonly name: string | undefined;
  readonly n: number | undefined;
  readonly weight: number | undefined;
}

export interface Source extends ColumnOptions {
  readonly origin: Origin;
  readonly idColumn: string | null | undefined;
  readonly where?: Condition | readonly Condition[] | undefined;
  /** Columns; `null`: by question and answer. */
  readonly dedupe?: readonly string[] | null | undefined;
  readonly contamination?:
    | { readonly ngram: number; readonly drop: boolean; readonly against: readonly SourceRow[] }
    | undefined;
  readonly shuffle?: ShuffleOptions | undefined;
  readonly sample?: SampleOptions | undefined;
  readonly skip?: number | undefined;
  readonly take?: number | undefined;
}

export interface Loaded {
  readonly rows: readonly Row[];
  /** What the rows came from, for dataset.json: names and counts, never paths. */
  readonly source: ValueObject;
  readonly dropped: readonly { readonly reason: string; readonly count: number }[];
  /** Rows (before the deduplication) that repeat question and answer of an earlier one. */
  readonly duplicates: number;
  readonly contaminated: number;
}

const stem = (path: string): string => basename(path, extname(path));

/** Files of paths and globs, those of one glob sorted; a pattern without any file is an error. */
export const expandPaths = (paths: readonly string[]): string[] =>
  paths.flatMap((path) => {
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return [path];
    const found = /[*?[{]/.test(path)
      ? globSync(path)
          .filter((match) => statSync(match).isFile())
          .toSorted()
      : [];
    if (found.length > 0) return found;
    throw new DataError('E540', `there is no file ${path}`);
  });

/** How ids of rows from the hub begin: `org/name/config/split`, as far as the experiment says it. */
const hubName = (origin: Origin & { readonly kind: 'hub' }): string =>
  [origin.id, origin.config, origin.split].filter((part) => part !== undefined).join('/');

/** A mixture's name for a part that has none. */
const partName = (origin: Origin, index: number): string => {
  if (origin.kind === 'file' && origin.paths[0] !== undefined) return stem(origin.paths[0]);
  if (origin.kind === 'hub') return basename(origin.id);
  return `source${String(index + 1)}`;
};

const readHub = async (
  origin: Origin & { readonly kind: 'hub' },
  idColumn: Source['idColumn'],
): Promise<{ rows: Row[]; description: ValueObject }> => {
  const { id, config, split, revision } = origin;
  const rows: SourceRow[] = [];
  const files: { name: string; rows: number }[] = [];
  for (const { name, path } of origin.files) {
    const read = await readFile(path, origin.format, origin.header);
    for (const row of read) rows.push(row);
    files.push({ name, rows: read.length });
  }
  return {
    rows: identify(rows, { name: hubName(origin), idColumn }),
    description: {
      kind: 'hub',
      id,
      ...(config === undefined ? {} : { config }),
      ...(split === undefined ? {} : { split }),
      revision,
      files,
    },
  };
};

const readOrigin = async (source: Source): Promise<{ rows: Row[]; description: ValueObject }> => {
  const { origin, idColumn } = source;
  switch (origin.kind) {
    case 'inline':
      return {
        rows: identify(origin.rows, { name: 'inline', idColumn }),
        description: { kind: 'inline', rows: origin.rows.length },
      };
    case 'hub':
      return readHub(origin, idColumn);
    case 'file': {
      const files: { name: string; rows: Row[] }[] = [];
      for (const path of expandPaths(origin.paths)) {
        const rows = await readFile(path, origin.format, origin.header);
        files.push({ name: basename(path), rows: identify(rows, { name: stem(path), idColumn }) });
      }
      const seen = new Map<string, string>();
      for (const { name, rows } of files) {
        for (const { id } of rows) {
          const former = seen.get(id);
          if (former !== undefined) {
            throw new DataError(
              'E543',
              `a row of ${former} and one of ${name} both have id ${JSON.stringify(id)}`,
              'Load them as two sources of `mix`, which puts the name of the source before each id.',
            );
          }
          seen.set(id, name);
        }
      }
      return {
        rows: files.flatMap(({ rows }) => rows),
        description: {
          kind: 'file',
          files: files.map(({ name, rows }) => ({ name, rows: rows.length })),
        },
      };
    }
    case 'mix': {
      const parts = [];
      for (const [index, part] of origin.parts.entries()) {
        const loaded = await loadSource(part);
        const name = part.name ?? partName(part.origin, index);
        const rows = chooseColumns(loaded.rows, part);
        parts.push({ name, loaded, rows, n: part.n, weight: part.weight });
      }
      return {
        rows: mixRows(parts),
        description: {
          kind: 'mix',
          parts: parts.map(({ name, loaded }) => ({ name, source: loaded.source })),
        },
      };
    }
  }
};

export const loadSource = async (source: Source): Promise<Loaded> => {
  const read = await readOrigin(source);
  let rows = read.rows;
  const dropped: { reason: string; count: number }[] = [];
  const keep = (reason: string, kept: Row[]): void => {
    if (kept.length < rows.length) dropped.push({ reason, count: rows.length - kept.length });
    rows = kept;
  };
  if (source.where !== undefined) {
    const condition = source.where as Condition;
    requireColumns(
      rows.map((row) => row.source),
      columnsOfCondition(condition),
      'where',
    );
    const holds = compileCondition(condition);
    keep(
      'where',
      rows.filter((row) => holds(row.source)),
    );
  }
  const duplicates = countDuplicates(rows);
  if (source.dedupe !== undefined) keep('duplicate', dedupeRows(rows, source.dedupe));
  let contaminatedCount = 0;
  if (source.contamination !== undefined) {
    const { ngram, drop, against } = source.contamination;
    const found = contaminated(rows, against, ngram);
    contaminatedCount = found.size;
    if (drop) {
      keep(
        'contaminated',
        rows.filter((row) => !found.has(row.id)),
      );
    }
  }
  if (source.shuffle !== undefined) rows = shuffleRows(rows, source.shuffle);
  if (source.sample !== undefined) rows = sampleRows(rows, source.sample);
  const from = source.skip ?? 0;
  rows = rows.slice(from, source.take === undefined ? undefined : from + source.take);
  return {
    rows,
    source: read.description,
    dropped,
    duplicates,
    contaminated: contaminatedCount,
  };
};
