// A JSON file of rows: an array of objects; an object of rows by key (the key becomes a column); or an object with one
// array of objects in it (`{"version": ..., "data": [...]}`).

import { basename } from 'node:path';
import { DataError } from '../error.ts';
import { isObject, type SourceRow, type Value } from '../row.ts';
import { decode, readBytes } from './text.ts';

/** Column that receives the key of a row, where rows stand in an object. */
export const KEY_COLUMN = 'key';

/**
 * Keys of the outermost object in the order of the file. JSON.parse would put keys that look like integers (PubMed ids)
 * first and in ascending order; the order of rows decides what a seeded sample picks.
 */
const keysInOrder = (text: string): string[] => {
  const keys: string[] = [];
  // Strings are skipped as a whole, so that brackets in them don't count.
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]:]/gs;
  let depth = 0;
  let last = '';
  for (const [found] of text.matchAll(token)) {
    if (found === '{' || found === '[') depth += 1;
    else if (found === '}' || found === ']') depth -= 1;
    else if (found === ':') {
      if (depth === 1) keys.push(JSON.parse(last) as string);
    } else if (depth === 1) last = found;
  }
  return [...new Set(keys)];
};

const isRowList = (value: Value | undefined): value is readonly SourceRow[] =>
  Array.isArray(value) && value.length > 0 && value.every(isObject);

export const readJson = (path: string): SourceRow[] => {
  const name = basename(path);
  const text = decode(readBytes(path), path, 1);
  let value: Value;
  try {
    value = JSON.parse(text) as Value;
  } catch (cause) {
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
    if (Object.values(object).length > 0 && Object.values(object).every(isObject)) {
      return keysInOrder(text).map((key) => {
        const row = object[key] as SourceRow;
        return Object.hasOwn(row, KEY_COLUMN) ? row : { [KEY_COLUMN]: key, ...row };
      });
    }
  }
  throw new DataError(
    'E541',
    `${name}: no rows found`,
    'A JSON file is an array of objects, an object of rows by key, or an object with one array of objects in it.',
  );
};
