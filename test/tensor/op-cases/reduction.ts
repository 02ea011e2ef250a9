// Sums, softmax, norms, and what else looks along an axis.

import type { GraphBuilder } from '../../../tensor/builder.ts';
import type { Value } from '../../../tensor/graph.ts';
import type { ReductionAttributes } from '../../../tensor/ops/reduction.ts';
import { f32, made, rows, softmaxRow, sum, type Numbers, type OpCase } from './case.ts';

const matrix = made([2, 3], 1);

const reduceRows = (
  op: (b: GraphBuilder, x: Value) => Value,
  reference: (row: number[]) => number,
): OpCase[] => [
  {
    given: [matrix],
    build: (b, [x]) => [op(b, x!)],
    expected: [[0, 1].map((row) => reference(matrix.data.slice(row * 3, row * 3 + 3)))],
  },
];

const normRow = (row: number[], centre: boolean, epsilon: number): [number[], number, number] => {
  const mean = centre ? sum(row) / row.length : 0;
  const inverse = 1 / Math.sqrt(sum(row.map((v) => (v - mean) ** 2)) / row.length + epsilon);
  return [row.map((v) => (v - mean) * inverse), mean, inverse];
};

const wide = made([2, 8], 3);

const gamma = made([8], 4);

const beta = made([8], 5);

const scaled = (data: Numbers): number[] => data.map((v, i) => v * gamma.data[i % 8]!);

export const reductionCases: Record<keyof ReductionAttributes, readonly OpCase[]> = {
  reduceSum: reduceRows((b, x) => b.reduceSum(x, [-1]), sum),
  reduceMean: reduceRows(
    (b, x) => b.reduceMean(x, [-1]),
    (row) => sum(row) / 3,
  ),
  reduceMax: reduceRows(
    (b, x) => b.reduceMax(x, [-1]),
    (row) => Math.max(...row),
  ),
  reduceMin: reduceRows(
    (b, x) => b.reduceMin(x, [-1]),
    (row) => Math.min(...row),
  ),
  reduceSumSquare: reduceRows(
    (b, x) => b.reduceSumSquare(x, [-1]),
    (row) => sum(row.map((v) => v * v)),
  ),
  reduceLogSumExp: reduceRows(
    (b, x) => b.reduceLogSumExp(x, [-1]),
    (row) => Math.log(sum(row.map(Math.exp))),
  ),
  softmax: [
    {
      given: [matrix],
      build: (b, [x]) => [b.softmax(x!)],
      expected: [rows(matrix.data, 3).flatMap(softmaxRow)],
    },
  ],
  logSoftmax: [
    {
      given: [matrix],
      build: (b, [x]) => [b.logSoftmax(x!)],
      expected: [rows(matrix.data, 3).flatMap(softmaxRow).map(Math.log)],
    },
  ],
  layerNormalization: [
    {
      given: [wide, gamma, beta],
      build: (b, [x, s, t]) => b.apply('layerNormalization', [x, s, t], { epsilon: 0.01 }),
      expected: [
        scaled(rows(wide.data, 8).flatMap((row) => normRow(row, true, 0.01)[0])).map(
          (v, i) => v + beta.data[i % 8]!,
        ),
        rows(wide.data, 8).map((row) => normRow(row, true, 0.01)[1]),
        rows(wide.data, 8).map((row) => normRow(row, true, 0.01)[2]),
      ],
    },
  ],
  rmsNormalization: [
    {
      given: [wide, gamma],
      build: (b, [x, s]) => b.apply('rmsNormalization', [x, s], { epsilon: 0.01 }),
      expected: [
        scaled(rows(wide.data, 8).flatMap((row) => normRow(row, false, 0.01)[0])),
        rows(wide.data, 8).map((row) => normRow(row, false, 0.01)[2]),
      ],
    },
  ],
  skipRmsNormalization: [
    {
      given: [wide, made([2, 8], 12), gamma],
      build: (b, [x, skip, s]) => b.skipRmsNormalization(x!, skip!, s!, 0.01),
      expected: (() => {
        const total = wide.data.map((v, i) => v + made([2, 8], 12).data[i]!);
        return [scaled(rows(total, 8).flatMap((row) => normRow(row, false, 0.01)[0])), total];
      })(),
    },
  ],
  argMax: [
    {
      given: [f32([2, 3], [1, 5, 5, 9, 2, 3])],
      build: (b, [x]) => [b.argMax(x!, -1)],
      expected: [[1, 0]],
    },
  ],
  argMin: [
    {
      given: [f32([2, 3], [1, 5, 5, 9, 2, 3])],
      build: (b, [x]) => [b.argMin(x!, -1)],
      expected: [[0, 1]],
    },
  ],
  topK: [
    {
      given: [f32([2, 4], [1, 5, 5, 4, 9, 2, 3, 8])],
      build: (b, [x]) => b.topK(x!, 2),
      expected: [
        [5, 5, 9, 8],
        [1, 2, 0, 3],
      ],
    },
  ],
  cumSum: [
    {
      given: [f32([2, 3], [1, 2, 3, 4, 5, 6])],
      build: (b, [x]) => [b.cumSum(x!, 1), b.cumSum(x!, 0, { exclusive: true, reverse: true })],
      expected: [
        [1, 3, 6, 4, 9, 15],
        [4, 5, 6, 0, 0, 0],
      ],
    },
  ],
};
