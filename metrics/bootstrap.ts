// The bootstrap: statistics of sums over resampled units (rows, or whole clusters of rows).
// One set of resamples serves all statistics given, so that they can be compared and cost one set of draws.

import { stream } from '../random/threefry.ts';

/** A statistic of column sums: `columns[c][u]` is what unit u adds to sum c. */
export interface ResampledStatistic {
  readonly columns: readonly Float64Array[];
  readonly of: (sums: Float64Array) => number;
}

/** Draws the next unit to take, in [0, bound). */
export type Draw = (bound: number) => number;

export const seededDraw = (seed: number): Draw => {
  const random = stream(seed, 'bootstrap');
  return (bound) => random.below(bound);
};

/**
 * Values of each statistic over `resamples` draws of `units` units with replacement.
 * Returns one array of length `resamples` per statistic.
 */
export const resample = (
  statistics: readonly ResampledStatistic[],
  units: number,
  resamples: number,
  draw: Draw,
): Float64Array[] => {
  const results = statistics.map(() => new Float64Array(resamples));
  const picked = new Int32Array(units);
  const sums = statistics.map(({ columns }) => new Float64Array(columns.length));
  for (let round = 0; round < resamples; round += 1) {
    for (let index = 0; index < units; index += 1) picked[index] = draw(units);
    for (const [which, statistic] of statistics.entries()) {
      const total = sums[which] as Float64Array;
      for (const [c, column] of statistic.columns.entries()) {
        let sum = 0;
        for (let index = 0; index < units; index += 1)
          sum += column[picked[index] as number] as number;
        total[c] = sum;
      }
      (results[which] as Float64Array)[round] = statistic.of(total);
    }
  }
  return results;
};

/** Columns per row -> columns per cluster, in the order in which clusters first occur. */
export const byCluster = (
  columns: readonly Float64Array[],
  clusters: readonly string[],
): Float64Array[] => {
  const index = new Map<string, number>();
  const unit = clusters.map((name) => {
    const known = index.get(name);
    if (known !== undefined) return known;
    index.set(name, index.size);
    return index.size - 1;
  });
  return columns.map((column) => {
    const grouped = new Float64Array(index.size);
    column.forEach((value, row) => {
      const at = unit[row] as number;
      grouped[at] = (grouped[at] as number) + value;
    });
    return grouped;
  });
};

/**
 * Two-sided p of a resampled difference: the share of resamples that lie at least as far from the observed
 * difference as that lies from 0, counting the observed one.
 */
export const centredP = (distribution: Float64Array, difference: number): number => {
  let extreme = 0;
  for (const value of distribution) {
    if (Math.abs(value - difference) >= Math.abs(difference) - 1e-12) extreme += 1;
  }
  return (extreme + 1) / (distribution.length + 1);
};
