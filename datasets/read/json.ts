// A JSON file of rows: an array of objects; an object of rows by key (the key becomes a column); or an object with one
// array of objects in it (`{"version": ..., "data": [...]}`).

import { basename } from 'node:path';
import { DataError } from '../error.ts';
import { isObject, type SourceRow, type Value } from '../row.ts';
import { decode, readBytes } from './text.ts';

/** Column that receives the key of a row, where rows stand in an object. */
export const KEY_COLUMN = 'key';

const isRowList = (value: Value | undefined): value is readonly SourceRow[] =>
  Array.isArray(value) && value.length > 0 && value.every(isObject);

export const readJson = (path: string): SourceRow[] => {
  const name = basename(path);
  let value: Value;
  try {
    value = JSON.parse(decode(readBytes(path), path, 1)) as Value;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(
      'E541',
      `${name}: no JSON: ${(cause as Error).message}`,
      'For a file with one object on each line say `file_format: jsonl`.',
    );
  }
  if (Array.isArray(value)) {
    const rows = value as readonly Value[];
    return rows.map((row, index) => {
      if (isObject(row)) return row;
      throw new DataError('E541', `${name}: element ${String(index)} is no JSON object`);
    });
  }
  if (isObject(value)) {
    const object = value;
    const lists = Object.values(object).filter(isRowList);
    if (lists.length === 1 && lists[0] !== undefined) return [...lists[0]];
    const keyed = Object.entries(object);
    if (keyed.length > 0 && keyed.every(([, row]) => isObject(row))) {
      return keyed.map(([key, row]) => {
        if (Object.hasOwn(row as SourceRow, KEY_COLUMN)) return row as SourceRow;
        return { [KEY_COLUMN]: key, ...(row as SourceRow) };
      });
    }
  }
  throw new DataError(
    'E541',
    `${name}: no rows found`,
    'A JSON file is an array of objects, an object of rows by key, or an object with one array of objects in it.',
  );
};
