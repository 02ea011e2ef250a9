// One number of each operand at a time.

import type { GraphBuilder } from '../../../tensor/builder.ts';
import type { DType } from '../../../tensor/dtype.ts';
import type { Value } from '../../../tensor/graph.ts';
import type { ElementwiseAttributes } from '../../../tensor/ops/elementwise.ts';
import { f32, typed, type Numbers, type OpCase } from './case.ts';

const samples = [-2.5, -1, -0.5, 0, 0.25, 1.5, 3];

const unary = (
  op: (b: GraphBuilder, x: Value) => Value,
  reference: (x: number) => number,
  points: Numbers = samples,
): OpCase[] => [
  {
    given: [f32([points.length], points)],
    build: (b, [x]) => [op(b, x!)],
    expected: [points.map(reference)],
  },
];

const left = [1, -2, 3, 0.5, 5, -6];

const right = [2, -2, 0.25];

const binary = (
  op: (b: GraphBuilder, l: Value, r: Value) => Value,
  reference: (l: number, r: number) => number,
  dtype: DType = 'float32',
  [l, r]: readonly [Numbers, Numbers] = [left, right],
): OpCase[] => [
  {
    given: [typed(dtype, [2, 3], l), typed(dtype, [3], r)],
    build: (b, [x, y]) => [op(b, x!, y!)],
    expected: [l.map((value, i) => reference(value, r[i % 3]!))],
  },
];

/** erf by its series: 1e-12 for the small arguments here. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 80; n++) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const elementwiseCases: Record<keyof ElementwiseAttributes, readonly OpCase[]> = {
  add: binary(
    (b, l, r) => b.add(l, r),
    (l, r) => l + r,
  ),
  sub: binary(
    (b, l, r) => b.sub(l, r),
    (l, r) => l - r,
  ),
  mul: binary(
    (b, l, r) => b.mul(l, r),
    (l, r) => l * r,
  ),
  div: binary(
    (b, l, r) => b.div(l, r),
    (l, r) => l / r,
  ),
  pow: binary(
    (b, l, r) => b.pow(b.abs(l), r),
    (l, r) => Math.abs(l) ** r,
  ),
  min: binary((b, l, r) => b.min(l, r), Math.min),
  max: binary((b, l, r) => b.max(l, r), Math.max),
  mod: binary(
    (b, l, r) => b.mod(l, r),
    (l, r) => ((l % r) + r) % r,
    'int64',
    [
      [7, -7, 5, 9, 4, 1],
      [3, 4, 5],
    ],
  ),
  equal: binary(
    (b, l, r) => b.equal(l, r),
    (l, r) => Number(l === r),
  ),
  less: binary(
    (b, l, r) => b.less(l, r),
    (l, r) => Number(l < r),
  ),
  lessOrEqual: binary(
    (b, l, r) => b.lessOrEqual(l, r),
    (l, r) => Number(l <= r),
  ),
  greater: binary(
    (b, l, r) => b.greater(l, r),
    (l, r) => Number(l > r),
  ),
  greaterOrEqual: binary(
    (b, l, r) => b.greaterOrEqual(l, r),
    (l, r) => Number(l >= r),
  ),
  and: binary(
    (b, l, r) => b.and(l, r),
    (l, r) => l & r,
    'bool',
    [
      [1, 0, 1, 0, 1, 1],
      [1, 1, 0],
    ],
  ),
  or: binary(
    (b, l, r) => b.or(l, r),
    (l, r) => l | r,
    'bool',
    [
      [1, 0, 1, 0, 1, 1],
      [1, 1, 0],
    ],
  ),
  not: [
    { given: [typed('bool', [2], [1, 0])], build: (b, [x]) => [b.not(x!)], expected: [[0, 1]] },
  ],
  isNaN: [
    {
      given: [f32([3], [1, NaN, Infinity])],
      build: (b, [x]) => [b.isNaN(x!)],
      expected: [[0, 1, 0]],
    },
  ],
  where: [
    {
      given: [typed('bool', [2, 1], [1, 0]), f32([3], [1, 2, 3])],
      build: (b, [condition, x]) => [b.where(condition!, x!, -1)],
      expected: [[1, 2, 3, -1, -1, -1]],
    },
  ],
  neg: unary(
    (b, x) => b.neg(x),
    (x) => -x,
  ),
  abs: unary((b, x) => b.abs(x), Math.abs),
  sign: unary((b, x) => b.sign(x), Math.sign),
  floor: unary((b, x) => b.floor(x), Math.floor),
  ceil: unary((b, x) => b.ceil(x), Math.ceil),
  round: unary(
    (b, x) => b.round(x),
    (x) => x,
    [-2, 0, 2],
  ).concat({
    name: 'half to even',
    given: [f32([5], [-2.5, -0.5, 0.5, 1.5, 2.4])],
    build: (b, [x]) => [b.round(x!)],
    expected: [[-2, 0, 0, 2, 2]],
  }),
  exp: unary((b, x) => b.exp(x), Math.exp, [-2, 0, 1]),
  log: unary((b, x) => b.log(x), Math.log, [0.1, 1, 9]),
  sqrt: unary((b, x) => b.sqrt(x), Math.sqrt, [0.1, 1, 9]),
  reciprocal: unary(
    (b, x) => b.reciprocal(x),
    (x) => 1 / x,
    [0.5, -4, 9],
  ),
  erf: unary((b, x) => b.erf(x), erf),
  tanh: unary((b, x) => b.tanh(x), Math.tanh),
  sigmoid: unary((b, x) => b.sigmoid(x), sigmoid),
  sin: unary((b, x) => b.sin(x), Math.sin),
  cos: unary((b, x) => b.cos(x), Math.cos),
  relu: unary(
    (b, x) => b.relu(x),
    (x) => Math.max(x, 0),
  ),
  silu: unary(
    (b, x) => b.silu(x),
    (x) => x * sigmoid(x),
  ),
  gelu: [
    ...unary(
      (b, x) => b.gelu(x),
      (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
    ),
    ...unary(
      (b, x) => b.gelu(x, 'tanh'),
      (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    ),
  ],
  cast: [
    {
      given: [f32([3], [1.9, -1.9, 3])],
      build: (b, [x]) => [b.cast(x!, 'int32'), b.cast(b.cast(x!, 'bfloat16'), 'float32')],
      expected: [
        [1, -1, 3],
        [1.8984375, -1.8984375, 3],
      ],
      tolerance: 0,
    },
  ],
  identity: unary(
    (b, x) => b.identity(x),
    (x) => x,
  ),
};
