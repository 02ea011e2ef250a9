// What a case is, and the numbers that cases of several families are made of.

import type { GraphBuilder } from '../../../tensor/builder.ts';
import type { DType } from '../../../tensor/dtype.ts';
import type { Value } from '../../../tensor/graph.ts';
import { normalish } from '../numbers.ts';

export type Numbers = readonly number[];

export interface Given {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Numbers;
}

export interface OpCase {
  readonly name?: string;
  readonly given: readonly Given[];
  readonly build: (b: GraphBuilder, x: readonly Value[]) => readonly Value[];
  readonly expected: readonly Numbers[];
  /** Largest absolute difference; 0 for exact. Default 2e-6. */
  readonly tolerance?: number;
}

export const f32 = (shape: readonly number[], data: Numbers): Given => ({
  dtype: 'float32',
  shape,
  data,
});

export const typed = (dtype: DType, shape: readonly number[], data: Numbers): Given => ({
  dtype,
  shape,
  data,
});

export const made = (shape: readonly number[], seed: number): Given =>
  f32(
    shape,
    Array.from(
      normalish(
        shape.reduce((p, d) => p * d, 1),
        seed,
      ),
    ),
  );

export const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

export const sum = (row: Numbers): number => row.reduce((s, v) => s + v, 0);

export const rows = (data: Numbers, width: number): number[][] =>
  count(data.length / width).map((i) => data.slice(i * width, (i + 1) * width));

export const softmaxRow = (row: number[]): number[] => {
  const most = Math.max(...row);
  const weights = row.map((v) => Math.exp(v - most));
  return weights.map((w) => w / sum(weights));
};
