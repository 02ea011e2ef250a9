// Disjoint splits, taken one after another in the order the rows have. No row is in two; rows left over are in none.

import { DataError } from './error.ts';
import { apportion } from './order.ts';
import type { Row } from './row.ts';
import { countOf, strata } from './sample.ts';

export interface SplitOptions {
  /** Name -> number of rows, share of them (below 1), or `rest`. */
  readonly sizes: Readonly<Record<string, number | 'rest'>>;
  /** Each split has the column's values in the proportions of all rows. */
  readonly stratifyBy?: string | undefined;
  /** Rows with one value of the column stay together: a split may then be smaller than asked for. */
  readonly groupBy?: string | undefined;
}

/** Split sizes in rows, `rest` last. */
const countsOf = (sizes: SplitOptions['sizes'], total: number): Map<string, number> => {
  const counts = new Map<string, number>();
  let used = 0;
  const shares = Object.values(sizes).filter((size) => typeof size === 'number' && size < 1);
  const allOfIt = Math.abs(shares.reduce<number>((sum, size) => sum + Number(size), 0) - 1) < 1e-9;
  const last = Object.entries(sizes)
    .filter(([, size]) => size === 'rest' || (allOfIt && size < 1))
    .at(-1)?.[0];
  for (const [name, size] of Object.entries(sizes)) {
    if (size === 'rest' && name !== last) {
      throw new DataError('E553', 'only one split can take the rest');
    }
    const count = size === 'rest' ? 0 : countOf(size, total);
    counts.set(name, count);
    if (name !== last) used += count;
  }
  if (used > total) {
    throw new DataError(
      'E553',
      `the splits ask for ${String(used)} rows, but there are ${String(total)}`,
      'Make them smaller, or give one split `rest`.',
    );
  }
  // Shares that make a whole leave no row out: the last of them takes what rounding left.
  if (last !== undefined) counts.set(last, total - used);
  return counts;
};

const byGroup = (
  rows: readonly Row[],
  counts: ReadonlyMap<string, number>,
  column: string,
): Map<string, number[]> => {
  const taken = new Map([...counts.keys()].map((name) => [name, [] as number[]]));
  for (const group of strata(rows, column).values()) {
    for (const [name, count] of counts) {
      const into = taken.get(name) ?? [];
      if (into.length + group.length > count) continue;
      into.push(...group);
      break;
    }
  }
  return taken;
};

const byStratum = (
  rows: readonly Row[],
  counts: ReadonlyMap<string, number>,
  column: string,
): Map<string, number[]> => {
  const groups = [...strata(rows, column).values()];
  const left = groups.map((group) => group.length);
  const from = groups.map(() => 0);
  const taken = new Map<string, number[]>();
  for (const [name, count] of counts) {
    const shares = apportion(left, count);
    const indices = groups.flatMap((group, at) => {
      const start = from[at] ?? 0;
      const share = shares[at] ?? 0;
      from[at] = start + share;
      left[at] = (left[at] ?? 0) - share;
      return group.slice(start, start + share);
    });
    taken.set(name, indices);
  }
  return taken;
};

/** Split name -> its rows, in the order they had. */
export const splitRows = (rows: readonly Row[], options: SplitOptions): Map<string, Row[]> => {
  const counts = countsOf(options.sizes, rows.length);
  let taken: Map<string, number[]>;
  if (options.groupBy !== undefined) {
    if (options.stratifyBy !== undefined) {
      throw new DataError('E553', 'splits take stratify_by or group_by, not both');
    }
    taken = byGroup(rows, counts, options.groupBy);
  } else if (options.stratifyBy !== undefined) {
    taken = byStratum(rows, counts, options.stratifyBy);
  } else {
    let start = 0;
    taken = new Map();
    for (const [name, count] of counts) {
      taken.set(
        name,
        Array.from({ length: count }, (_, index) => start + index),
      );
      start += count;
    }
  }
  return new Map(
    [...taken].map(([name, indices]) => [
      name,
      indices.toSorted((a, b) => a - b).map((index) => rows[index] as Row),
    ]),
  );
};
