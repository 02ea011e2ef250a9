// Parquet -> rows of JSON values. Columns are those of the file, in its order; what JSON can't hold is written as text,
// as `datasets` writes it to JSON.

import { basename } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { DataError } from '../error.ts';
import type { SourceRow, Value } from '../row.ts';

const valueOf = (value: unknown): Value => {
  if (value === null || value === undefined) return null;
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      // JSON has no NaN and no infinity.
      return Number.isFinite(value) ? value : null;
    case 'bigint':
      // Integers that a double can't hold keep their digits.
      return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
    case 'object':
      break;
    default:
      throw new TypeError(`a ${typeof value} in a Parquet file`);
  }
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as unknown as Iterable<unknown>, valueOf);
  return rowOf(value);
};

const rowOf = (value: object): SourceRow =>
  Object.fromEntries(Object.entries(value).map(([name, field]) => [name, valueOf(field)]));

export const readParquet = async (path: string): Promise<SourceRow[]> => {
  try {
    const { compressors } = await import('hyparquet-compressors');
    const file = await asyncBufferFromFile(path);
    const rows = await parquetReadObjects({ file, compressors });
    return rows.map(rowOf);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
      throw new DataError('E540', `there is no file ${path}`);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError('E541', `${basename(path)}: no readable Parquet: ${reason}`);
  }
};
