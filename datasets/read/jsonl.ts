// JSON Lines: one object a line. Empty lines are skipped.

import { basename } from 'node:path';
import { DataError } from '../error.ts';
import { isObject, type SourceRow } from '../row.ts';
import { linesOf } from './text.ts';

export const readJsonl = (path: string): SourceRow[] => {
  const rows: SourceRow[] = [];
  for (const { number, text } of linesOf(path)) {
    if (text.trim() === '') continue;
    const place = `${basename(path)}:${String(number)}`;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      const looksLikeArray = number === 1 && text.trimStart().startsWith('[');
      throw new DataError(
        'E541',
        `${place}: no JSON: ${(cause as Error).message}`,
        looksLikeArray ? 'This looks like one JSON array: say `file_format: json`.' : undefined,
      );
    }
    if (!isObject(value)) {
      throw new DataError(
        'E541',
        `${place}: a row must be a JSON object, not ${Array.isArray(value) ? 'a list' : JSON.stringify(value)}`,
        Array.isArray(value)
          ? 'For a file that is one JSON array say `file_format: json`.'
          : undefined,
      );
    }
    rows.push(value);
  }
  return rows;
};
