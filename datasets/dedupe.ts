// Keeping the first of rows that are equal.

import { canonicalText, columnOf, type Row } from './row.ts';

/** By item (question and answer), or by the values of the columns given. */
export const dedupeRows = (rows: readonly Row[], by: readonly string[] | null): Row[] => {
  const seen = new Set<string>();
  return rows.filter((row) => {
    const key =
      by === null
        ? row.item
        : by.map((column) => canonicalText(columnOf(row.source, column))).join('\u0000');
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
};
