// What a row is, and how a column of it is named. Columns may be nested: `data.Question` is the field `Question` of
// the object in column `data`, unless a column has the whole name.

export type Value = null | boolean | number | string | readonly Value[] | ValueObject;
export interface ValueObject {
  readonly [key: string]: Value;
}
/** A row as it stands in the source: column -> value. */
export type SourceRow = ValueObject;

/** A row with its identity (identity.ts). */
export interface Row {
  readonly id: string;
  readonly item: string;
  readonly source: SourceRow;
}

export const isObject = (value: unknown): value is ValueObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `undefined` where the row has no such column. */
export const columnOf = (row: SourceRow, column: string): Value | undefined => {
  if (Object.hasOwn(row, column)) return row[column];
  let value: Value | undefined = row;
  for (const part of column.split('.')) {
    if (!isObject(value) || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
};

/** Names of the columns of any row, in order of first appearance. */
export const columnsOf = (rows: readonly SourceRow[]): string[] => {
  const names = new Set<string>();
  for (const row of rows) for (const name of Object.keys(row)) names.add(name);
  return [...names];
};

/** A text that is equal for equal values: keys of objects sorted. */
export const canonicalText = (value: Value | undefined): string => {
  if (value === undefined) return 'null';
  if (Array.isArray(value)) return `[${(value as readonly Value[]).map(canonicalText).join(',')}]`;
  if (isObject(value)) {
    const parts = Object.keys(value)
      .toSorted()
      .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key])}`);
    return `{${parts.join(',')}}`;
  }
  return JSON.stringify(value);
};
