// Where numbers lie.

import type { LayoutAttributes } from '../../../tensor/ops/layout.ts';
import { count, f32, typed, type OpCase } from './case.ts';

const data2x4 = [0, 1, 2, 3, 4, 5, 6, 7];

export const layoutCases: Record<keyof LayoutAttributes, readonly OpCase[]> = {
  transpose: [
    {
      given: [f32([2, 3], count(6))],
      build: (b, [x]) => [b.transpose(x!, [1, 0])],
      expected: [[0, 3, 1, 4, 2, 5]],
    },
  ],
  reshape: [
    {
      given: [f32([2, 3], count(6))],
      build: (b, [x]) => [b.reshape(x!, [3, -1])],
      expected: [count(6)],
    },
  ],
  squeeze: [
    {
      given: [f32([1, 3], count(3))],
      build: (b, [x]) => [b.squeeze(x!, [0])],
      expected: [count(3)],
    },
  ],
  unsqueeze: [
    {
      given: [f32([3], count(3))],
      build: (b, [x]) => [b.unsqueeze(x!, [1])],
      expected: [count(3)],
    },
  ],
  concat: [
    {
      given: [f32([2, 1], [1, 2]), f32([2, 2], [3, 4, 5, 6])],
      build: (b, [x, y]) => [b.concat([x!, y!], 1)],
      expected: [[1, 3, 4, 2, 5, 6]],
    },
  ],
  split: [
    {
      given: [f32([2, 4], data2x4)],
      build: (b, [x]) => b.split(x!, 1, [1, 3]),
      expected: [
        [0, 4],
        [1, 2, 3, 5, 6, 7],
      ],
    },
  ],
  slice: [
    {
      given: [f32([2, 4], data2x4)],
      build: (b, [x]) => [b.slice(x!, 1, 1, 3), b.slice(x!, -1, -1)],
      expected: [
        [1, 2, 5, 6],
        [3, 7],
      ],
    },
  ],
  pad: [
    {
      given: [f32([2, 2], [1, 2, 3, 4])],
      build: (b, [x]) => [b.pad(x!, 1, 1, 0)],
      expected: [[0, 1, 2, 0, 3, 4]],
    },
  ],
  expand: [
    {
      given: [f32([2, 1], [1, 2])],
      build: (b, [x]) => [b.expand(x!, [2, 2])],
      expected: [[1, 1, 2, 2]],
    },
  ],
  gather: [
    {
      given: [f32([3, 2], count(6)), typed('int64', [2], [2, 0])],
      build: (b, [x, i]) => [b.gather(x!, i!)],
      expected: [[4, 5, 0, 1]],
    },
  ],
  gatherElements: [
    {
      given: [f32([2, 3], count(6)), typed('int64', [2, 1], [2, 0])],
      build: (b, [x, i]) => [b.gatherElements(x!, i!, 1)],
      expected: [[2, 3]],
    },
  ],
  gatherND: [
    {
      given: [f32([2, 3], count(6)), typed('int64', [2, 2], [1, 2, 0, 1])],
      build: (b, [x, i]) => [b.gatherND(x!, i!)],
      expected: [[5, 1]],
    },
  ],
  scatterElements: [
    {
      given: [
        f32([2, 3], count(6)),
        typed('int64', [2, 2], [2, 2, 0, 1]),
        f32([2, 2], [10, 20, 30, 40]),
      ],
      build: (b, [x, i, u]) => [b.scatterElements(x!, i!, u!, 1, 'add')],
      expected: [[0, 1, 32, 33, 44, 5]],
    },
  ],
  scatterND: [
    {
      given: [f32([3, 2], count(6)), typed('int64', [2, 1], [2, 2]), f32([2, 2], [10, 20, 30, 40])],
      build: (b, [x, i, u]) => [b.scatterND(x!, i!, u!, 'add')],
      expected: [[0, 1, 2, 3, 44, 65]],
    },
  ],
  trilu: [
    {
      given: [f32([2, 2], [1, 2, 3, 4])],
      build: (b, [x]) => [b.trilu(x!, false), b.trilu(x!, true, 1)],
      expected: [
        [1, 0, 3, 4],
        [0, 2, 0, 0],
      ],
    },
  ],
  shape: [
    { given: [f32([2, 3], count(6))], build: (b, [x]) => [b.shapeOf(x!)], expected: [[2, 3]] },
  ],
  constantOfShape: [
    {
      given: [],
      build: (b) => [b.constantOfShape([2, 2], 1.5, 'float32')],
      expected: [[1.5, 1.5, 1.5, 1.5]],
    },
  ],
  range: [
    {
      given: [f32([4, 1], count(4))],
      build: (b) => [b.range(4), b.range(3, { start: 2, delta: 3, dtype: 'float32' })],
      expected: [
        [0, 1, 2, 3],
        [2, 5, 8],
      ],
    },
  ],
};
