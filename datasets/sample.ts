// Shuffling and sampling rows.

import { DataError } from './error.ts';
import { apportion, drawnIndices, sampledIndices, shuffledIndices, type Method } from './order.ts';
import { canonicalText, columnOf, type Row } from './row.ts';

export interface ShuffleOptions {
  readonly seed: number;
  readonly method: Method;
}
export interface SampleOptions extends ShuffleOptions {
  /** How many rows; below 1, which share of them. */
  readonly n: number;
  readonly stratifyBy?: string | undefined;
  readonly replacement: boolean;
}

const pick = (rows: readonly Row[], indices: readonly number[]): Row[] =>
  indices.map((index) => rows[index] as Row);

export const shuffleRows = (rows: readonly Row[], { seed, method }: ShuffleOptions): Row[] =>
  pick(rows, shuffledIndices(rows.length, seed, method));

/** Value of the column -> indices of its rows, in order of first appearance. A row without the column is an error. */
export const strata = (rows: readonly Row[], column: string): Map<string, number[]> => {
  const groups = new Map<string, number[]>();
  for (const [index, row] of rows.entries()) {
    const value = columnOf(row.source, column);
    if (value === undefined) {
      throw new DataError(
        'E551',
        `row ${row.id} has no column ${JSON.stringify(column)} to group by`,
      );
    }
    const key = canonicalText(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [index]);
    else group.push(index);
  }
  return groups;
};

/** A number of rows from a count or a share. */
export const countOf = (amount: number, of: number): number =>
  amount < 1 ? Math.floor(amount * of + 1e-9) : amount;

export const sampleRows = (rows: readonly Row[], options: SampleOptions): Row[] => {
  const { seed, method, stratifyBy, replacement } = options;
  const n = countOf(options.n, rows.length);
  if (replacement) {
    if (rows.length === 0) throw new DataError('E552', 'there are no rows to sample from');
    // A row may come several times: the k-th time (from 0) it is called `id~k`.
    const times = new Map<number, number>();
    return drawnIndices(rows.length, n, seed, method).map((index) => {
      const row = rows[index] as Row;
      const k = times.get(index) ?? 0;
      times.set(index, k + 1);
      return { ...row, id: `${row.id}~${String(k)}` };
    });
  }
  if (n > rows.length) {
    throw new DataError(
      'E552',
      `cannot sample ${String(n)} rows: there are ${String(rows.length)}`,
      'Ask for fewer, or set replacement: true.',
    );
  }
  if (stratifyBy === undefined) return pick(rows, sampledIndices(rows.length, n, seed, method));
  const groups = [...strata(rows, stratifyBy).values()];
  const shares = apportion(
    groups.map((group) => group.length),
    n,
  );
  const chosen = groups.flatMap((group, stratum) =>
    sampledIndices(group.length, shares[stratum] ?? 0, seed, method, stratum).map(
      (index) => group[index] as number,
    ),
  );
  return pick(
    rows,
    chosen.toSorted((a, b) => a - b),
  );
};
