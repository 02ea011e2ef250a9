// A data file of any known format -> rows.

import { basename, extname } from 'node:path';
import { DataError } from '../error.ts';
import type { SourceRow } from '../row.ts';
import { readCsv, type Header } from './csv.ts';
import { readJson } from './json.ts';
import { readJsonl } from './jsonl.ts';

export const FILE_FORMATS = ['jsonl', 'json', 'csv', 'tsv', 'parquet'] as const;
export type FileFormat = (typeof FILE_FORMATS)[number];

const BY_EXTENSION: Readonly<Record<string, FileFormat>> = {
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'json',
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.tab': 'tsv',
  '.parquet': 'parquet',
};

export const formatOf = (path: string): FileFormat => {
  const format = BY_EXTENSION[extname(path).toLowerCase()];
  if (format !== undefined) return format;
  throw new DataError(
    'E540',
    `the format of ${basename(path)} can't be told from its name`,
    `Set file_format to one of ${FILE_FORMATS.join(', ')}.`,
  );
};

/** A file of text. Parquet is read by `readFile` alone. */
export const readTextFile = (
  path: string,
  format: Exclude<FileFormat, 'parquet'>,
  header: Header,
): SourceRow[] => {
  switch (format) {
    case 'jsonl':
      return readJsonl(path);
    case 'json':
      return readJson(path);
    case 'csv':
      return readCsv(path, ',', header);
    case 'tsv':
      return readCsv(path, '\t', header);
  }
};

export const readFile = async (
  path: string,
  format: FileFormat | 'auto',
  header: Header,
): Promise<SourceRow[]> => {
  const known = format === 'auto' ? formatOf(path) : format;
  if (known !== 'parquet') return readTextFile(path, known, header);
  // Its reader is loaded for those who need it.
  const { readParquet } = await import('./parquet.ts');
  return readParquet(path);
};
