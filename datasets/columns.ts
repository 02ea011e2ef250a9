// Choosing and renaming columns, the last thing done to rows: everything else names columns as the source does.

import { DataError, didYouMean } from './error.ts';
import { columnOf, columnsOf, type Row, type SourceRow, type Value } from './row.ts';

export interface ColumnOptions {
  /** Columns to keep, by their name in the source or their new one. All where absent. */
  readonly select?: readonly string[] | undefined;
  /** Name in the source (nested ones with dots) -> new name. */
  readonly rename?: Readonly<Record<string, string>> | undefined;
}

/** Fails where no row has the column. */
export const requireColumns = (
  rows: readonly SourceRow[],
  columns: readonly string[],
  what: string,
): void => {
  if (rows.length === 0) return;
  for (const column of columns) {
    if (rows.some((row) => columnOf(row, column) !== undefined)) continue;
    const known = columnsOf(rows);
    throw new DataError(
      'E551',
      `${what} names a column ${JSON.stringify(column)} that no row has${didYouMean(column, known)}`,
      `Columns: ${known.join(', ')}`,
    );
  }
};

const reshape = (
  row: SourceRow,
  select: ReadonlySet<string> | null,
  rename: ReadonlyMap<string, string>,
): SourceRow => {
  const out: Record<string, Value> = {};
  for (const [name, value] of Object.entries(row)) {
    const renamed = rename.get(name) ?? name;
    if (select === null || select.has(name) || select.has(renamed)) out[renamed] = value;
  }
  // Nested columns are lifted out; the object they stood in stays unless it isn't selected.
  for (const name of [...(select ?? []), ...rename.keys()]) {
    if (Object.hasOwn(row, name)) continue;
    const value = columnOf(row, name);
    if (value !== undefined) out[rename.get(name) ?? name] = value;
  }
  return out;
};

export const chooseColumns = (rows: readonly Row[], options: ColumnOptions): Row[] => {
  const rename = new Map(Object.entries(options.rename ?? {}));
  if (options.select === undefined && rename.size === 0) return [...rows];
  const sources = rows.map((row) => row.source);
  requireColumns(sources, [...rename.keys()], 'rename');
  const renamed = new Set(rename.values());
  requireColumns(
    sources,
    (options.select ?? []).filter((name) => !renamed.has(name)),
    'select',
  );
  const select = options.select === undefined ? null : new Set(options.select);
  return rows.map((row) => ({ ...row, source: reshape(row.source, select, rename) }));
};

/** The row as it is written: identity first. A source's own `id` or `item` that isn't the identity is kept beside it. */
export const writtenRow = ({ id, item, source }: Row): SourceRow => {
  const out: Record<string, Value> = { id, item };
  for (const [name, value] of Object.entries(source)) {
    if (name === 'id') {
      if (value !== id && !(typeof value === 'number' && String(value) === id))
        out['source_id'] = value;
    } else if (name === 'item') out['source_item'] = value;
    else out[name] = value;
  }
  return out;
};
