// load-dataset's parameters: their schema, and from them what datasets/ understands.

import type { Json, JsonObject, JsonSchema } from '../../schemas/json.ts';
import type { MixSource, Origin, Source } from '../../datasets/load.ts';
import type { Condition } from '../../datasets/filter.ts';
import type { Method } from '../../datasets/order.ts';
import type { FileFormat } from '../../datasets/read/file.ts';
import type { SourceRow } from '../../datasets/row.ts';
import type { SplitOptions } from '../../datasets/split.ts';

const METHOD: JsonSchema = {
  enum: ['mesa', 'python', 'numpy', 'datasets'],
  default: 'mesa',
  description:
    "Whose generator: MESA's; Python's random.Random(seed); numpy's RandomState(seed) (also pandas, scikit-learn); datasets' Dataset.shuffle(seed).",
};
const SEED: JsonSchema = { type: 'integer', minimum: 0, default: 0 };
const COLUMNS: JsonSchema = {
  anyOf: [
    { type: 'string', minLength: 1 },
    { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
  ],
};
const CONDITION: JsonSchema = {
  anyOf: [{ type: 'object' }, { type: 'array', items: { type: 'object' } }],
  description:
    'Rows to keep: `column: value`, or `column: {eq|ne|in|not_in|lt|lte|gt|gte|length|matches|exists: ...}`; `and`, `or`, `not` combine. Nested columns with dots.',
};

/** What every source has, the parts of a mixture too. */
const SOURCE: Readonly<Record<string, JsonSchema>> = {
  source: {
    enum: ['file', 'path', 'hub', 'inline'],
    description: '`file` (or `path`): local files; `inline`: rows in the experiment file; `hub`.',
  },
  id: { type: 'string', description: 'Hub: the dataset, such as `openlifescienceai/medmcqa`.' },
  config: { type: 'string', description: 'Hub: the configuration.' },
  split: { type: 'string', description: 'Hub: the split.' },
  revision: {
    type: 'string',
    'x-mesa-effect': 'none',
    description:
      'Hub: branch, tag or commit (default: main), pinned in mesa.lock.json. What counts is the content it is pinned to.',
  },
  path: {
    anyOf: [
      { type: 'string', minLength: 1, 'x-mesa-path': 'glob' },
      {
        type: 'array',
        minItems: 1,
        items: { type: 'string', minLength: 1, 'x-mesa-path': 'glob' },
      },
    ],
    description: 'File, several, or globs, relative to the experiment file.',
  },
  file_format: {
    enum: ['auto', 'jsonl', 'json', 'csv', 'tsv', 'parquet'],
    default: 'auto',
    description: 'auto: by the name of the file.',
  },
  header: {
    anyOf: [{ type: 'boolean' }, { type: 'array', minItems: 1, items: { type: 'string' } }],
    default: true,
    description:
      'CSV and TSV: whether the first record names the columns; or the names, for files without.',
  },
  rows: { type: 'array', minItems: 1, items: { type: 'object' }, description: 'inline: the rows.' },
  select: { type: 'array', items: { type: 'string' }, description: 'Columns to keep.' },
  rename: {
    type: 'object',
    additionalProperties: { type: 'string', minLength: 1 },
    description: 'Name in the source: new name. Nested columns (`data.Question`) are lifted out.',
  },
  id_column: {
    type: ['string', 'null'],
    description:
      'Column with unique ids. Default: `id` where there is one, else rows are numbered; null numbers them in any case.',
  },
  where: CONDITION,
  dedupe: {
    type: 'object',
    additionalProperties: false,
    properties: { by: COLUMNS },
    description:
      'Keeps the first of equal rows: by the columns given, else by question and answer.',
  },
  shuffle: {
    type: 'object',
    additionalProperties: false,
    properties: { seed: SEED, method: METHOD },
    description: 'Seeded order.',
  },
  sample: {
    type: 'object',
    additionalProperties: false,
    required: ['n'],
    properties: {
      n: {
        type: 'number',
        exclusiveMinimum: 0,
        description: 'Number of rows; below 1, share of them.',
      },
      seed: SEED,
      method: METHOD,
      stratify_by: {
        type: 'string',
        description: 'Column whose values keep their proportions (method mesa only).',
      },
      replacement: { type: 'boolean', default: false, description: 'A row may be drawn again.' },
    },
    description: 'Seeded sample; `method: python` is random.Random(seed).sample.',
  },
  skip: { type: 'integer', minimum: 0, description: 'Leaves out the first rows.' },
  take: { type: 'integer', minimum: 1, description: 'At most so many rows.' },
};

export const PARAMS: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ...SOURCE,
    splits: {
      type: 'object',
      minProperties: 1,
      properties: {
        stratify_by: { type: 'string', description: 'Column whose values keep their proportions.' },
        group_by: {
          type: 'string',
          description: 'Rows with one value of the column stay together.',
        },
      },
      additionalProperties: {
        anyOf: [{ type: 'number', exclusiveMinimum: 0 }, { const: 'rest' }],
      },
      description:
        'Disjoint splits, each an output of its own, taken in the order of the rows (shuffle first where the order means something): number of rows, share, or `rest`.',
    },
    mix: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        properties: {
          ...SOURCE,
          name: { type: 'string', minLength: 1, description: 'How ids of its rows begin.' },
          n: { type: 'integer', minimum: 1, description: 'How many rows of it.' },
          weight: { type: 'number', exclusiveMinimum: 0, description: 'Its share of the mixture.' },
        },
      },
      description: 'Several sources as one.',
    },
    contamination: {
      type: 'object',
      additionalProperties: false,
      properties: {
        ngram: { type: 'integer', minimum: 1, default: 13, description: 'Words in a row.' },
        drop: { type: 'boolean', default: false, description: 'Drops the rows found.' },
      },
      description: 'Finds rows that share words in a row with rows of the input `against`.',
    },
  },
};

const text = (value: Json | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;
const number = (value: Json | undefined): number | undefined =>
  typeof value === 'number' ? value : undefined;
const object = (value: Json | undefined): JsonObject | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
const texts = (value: Json | undefined): readonly string[] | undefined =>
  typeof value === 'string' ? [value] : Array.isArray(value) ? (value as string[]) : undefined;

const RESERVED = ['stratify_by', 'group_by'];

/** Names of the splits, in the order of the file; none where the step has the single output `rows`. */
export const splitNames = (params: JsonObject): string[] =>
  Object.keys(object(params['splits']) ?? {}).filter((name) => !RESERVED.includes(name));

export const splitOptions = (params: JsonObject): SplitOptions => {
  const splits = object(params['splits']) ?? {};
  return {
    sizes: Object.fromEntries(
      splitNames(params).map((name) => [name, splits[name] as number | 'rest']),
    ),
    stratifyBy: text(splits['stratify_by']),
    groupBy: text(splits['group_by']),
  };
};

const originOf = (params: JsonObject): Origin => {
  if (Array.isArray(params['mix'])) {
    return { kind: 'mix', parts: (params['mix'] as JsonObject[]).map(mixSourceOf) };
  }
  if (sourceKind(params) === 'inline') {
    return { kind: 'inline', rows: (params['rows'] ?? []) as readonly SourceRow[] };
  }
  const format = (text(params['file_format']) ?? 'auto') as FileFormat | 'auto';
  const header = (params['header'] ?? true) as boolean | readonly string[];
  if (sourceKind(params) === 'hub') {
    // Which commit and which files is for the lock to say.
    const [id, config, split] = [
      text(params['id']) ?? '',
      text(params['config']),
      text(params['split']),
    ];
    return { kind: 'hub', id, config, split, revision: '', files: [], format, header };
  }
  return {
    kind: 'file',
    paths: texts(params['path']) ?? [],
    format,
    header,
  };
};

/** `source`, or what the other parameters imply. */
export const sourceKind = (params: JsonObject): 'file' | 'hub' | 'inline' => {
  const given = text(params['source']);
  if (given === 'hub' || given === 'inline') return given;
  if (given !== undefined || params['path'] !== undefined) return 'file';
  return params['rows'] === undefined ? 'hub' : 'inline';
};

const methodOf = (value: Json | undefined): Method => (text(value) ?? 'mesa') as Method;

export const sourceOf = (params: JsonObject): Source => {
  const dedupe = object(params['dedupe']);
  const shuffle = object(params['shuffle']);
  const sample = object(params['sample']);
  const rename = object(params['rename']);
  return {
    origin: originOf(params),
    idColumn: params['id_column'] === null ? null : text(params['id_column']),
    select: texts(params['select']),
    rename: rename === undefined ? undefined : (rename as Record<string, string>),
    where: params['where'] as Condition | undefined,
    dedupe: dedupe === undefined ? undefined : (texts(dedupe['by']) ?? null),
    shuffle:
      shuffle === undefined
        ? undefined
        : { seed: number(shuffle['seed']) ?? 0, method: methodOf(shuffle['method']) },
    sample:
      sample === undefined
        ? undefined
        : {
            n: number(sample['n']) ?? 0,
            seed: number(sample['seed']) ?? 0,
            method: methodOf(sample['method']),
            stratifyBy: text(sample['stratify_by']),
            replacement: sample['replacement'] === true,
          },
    skip: number(params['skip']),
    take: number(params['take']),
  };
};

const mixSourceOf = (part: JsonObject): MixSource => ({
  ...sourceOf(part),
  name: text(part['name']),
  n: number(part['n']),
  weight: number(part['weight']),
});
