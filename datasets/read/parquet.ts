// Parquet -> rows of JSON values. Columns are those of the file, in its order. What JSON can't hold is text: dates and
// times as ISO 8601, integers beyond 2^53 as their digits, bytes as base64.

import { basename } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects, type Compressors } from 'hyparquet';
import { DataError } from '../error.ts';
import type { SourceRow, Value } from '../row.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Stands for a text that is none. The library reads statistics that way too, where it means nothing. */
const notText = Symbol('not UTF-8');

/** The library's own parsers replace what isn't UTF-8, and make a date a moment. */
const parsers = {
  stringFromBytes: (bytes: Uint8Array | undefined): string | symbol | undefined => {
    try {
      return bytes === undefined ? undefined : decoder.decode(bytes);
    } catch {
      return notText;
    }
  },
  dateFromDays: (days: number): string => new Date(days * 86_400_000).toISOString().slice(0, 10),
};

/** An empty page is empty, whatever it was compressed with: the library's LZ4 trips over it. */
const exceptEmpty = (compressors: Compressors): Compressors =>
  Object.fromEntries(
    Object.entries(compressors).map(([codec, decompress]) => [
      codec,
      (input: Uint8Array, length: number) =>
        length === 0 ? new Uint8Array() : decompress(input, length),
    ]),
  );

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
      throw new TypeError(
        value === notText ? 'a text that is not UTF-8' : `a ${typeof value} in a Parquet file`,
      );
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
    const options = { file, compressors: exceptEmpty(compressors), parsers, utf8: false };
    const rows = await parquetReadObjects(options);
    return rows.map(rowOf);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
      throw new DataError('E540', `there is no file ${path}`);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError('E541', `${basename(path)}: no readable Parquet: ${reason}`);
  }
};
