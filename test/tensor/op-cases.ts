// A small computation for every operator with the numbers it must give, worked out here in plain TypeScript. The type
// has an entry per operator kind, so an operator without a case doesn't compile.
import type { GraphBuilder } from '../../tensor/builder.ts';
import type { DType } from '../../tensor/dtype.ts';
import type { Value } from '../../tensor/graph.ts';
import type { OpKind } from '../../tensor/ops.ts';
import { normalish } from './numbers.ts';

type Numbers = readonly number[];
interface Given {
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

const f32 = (shape: readonly number[], data: Numbers): Given => ({ dtype: 'float32', shape, data });
const typed = (dtype: DType, shape: readonly number[], data: Numbers): Given => ({
  dtype,
  shape,
  data,
});
const made = (shape: readonly number[], seed: number): Given =>
  f32(
    shape,
    Array.from(
      normalish(
        shape.reduce((p, d) => p * d, 1),
        seed,
      ),
    ),
  );
const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

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
const sum = (row: Numbers): number => row.reduce((s, v) => s + v, 0);
const rows = (data: Numbers, width: number): number[][] =>
  count(data.length / width).map((i) => data.slice(i * width, (i + 1) * width));

/** [m, k] @ [k, n] */
const product = (a: Numbers, b: Numbers, m: number, k: number, n: number): number[] =>
  count(m * n).map((at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return sum(count(k).map((x) => a[i * k + x]! * b[x * n + j]!));
  });
/** [m, n] transposed */
const flip = (a: Numbers, m: number, n: number): number[] =>
  count(m * n).map((at) => a[(at % m) * n + Math.floor(at / m)]!);

const softmaxRow = (row: number[]): number[] => {
  const most = Math.max(...row);
  const weights = row.map((v) => Math.exp(v - most));
  return weights.map((w) => w / sum(weights));
};

const normRow = (row: number[], centre: boolean, epsilon: number): [number[], number, number] => {
  const mean = centre ? sum(row) / row.length : 0;
  const inverse = 1 / Math.sqrt(sum(row.map((v) => (v - mean) ** 2)) / row.length + epsilon);
  return [row.map((v) => (v - mean) * inverse), mean, inverse];
};

const wide = made([2, 8], 3);
const gamma = made([8], 4);
const beta = made([8], 5);
const scaled = (data: Numbers): number[] => data.map((v, i) => v * gamma.data[i % 8]!);

/** Rotation of each half pair of a head [T, 4] by positions. */
const angle = (position: number, pair: number): number => position * 0.5 ** pair;
const rotate = (data: Numbers, positions: Numbers): number[] =>
  rows(data, 4).flatMap((row, t) => {
    const turn = (pair: number): [number, number] => {
      const [c, s] = [Math.cos(angle(positions[t]!, pair)), Math.sin(angle(positions[t]!, pair))];
      return [row[pair]! * c - row[pair + 2]! * s, row[pair + 2]! * c + row[pair]! * s];
    };
    const [[a, c], [b, d]] = [turn(0), turn(1)];
    return [a, b, c, d];
  });
const tables = (of: (angle: number) => number): Given =>
  f32(
    [6, 2],
    count(12).map((i) => of(angle(i >> 1, i & 1))),
  );

/** Two query heads sharing one key head of 8, causal, 2 past keys and 1 new position. */
const query = made([1, 1, 16], 6);
const [key, value] = [made([1, 1, 8], 7), made([1, 1, 8], 8)];
const [pastKey, pastValue] = [made([1, 1, 2, 8], 9), made([1, 1, 2, 8], 10)];
const attended = rows(query.data, 8).flatMap((q) => {
  const keys = rows([...pastKey.data, ...key.data], 8);
  const values = rows([...pastValue.data, ...value.data], 8);
  const weights = softmaxRow(keys.map((k) => sum(k.map((v, i) => v * q[i]!)) / Math.sqrt(8)));
  return count(8).map((i) => sum(weights.map((w, t) => w * values[t]![i]!)));
});

const bytes = (n: number): number[] => count(n).map((i) => (i * 67 + 29) % 256);
const nibbles = (data: Numbers): number[] => data.flatMap((byte) => [byte & 15, byte >> 4]);
const activations = made([2, 32], 11);
const weightBytes = bytes(3 * 16);
const blockScales = count(6).map((i) => 0.01 * (i + 1));
const weights = nibbles(weightBytes).map((code, i) => (code - 8) * blockScales[i >> 4]!);

const absmax = count(6).map((i) => 0.3 + i * 0.1);
/** Codes of NF4 (QLoRA paper, appendix E). */
const nf4 = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
  -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
  0.7229568362236023, 1,
];
const bnb = weightBytes
  .flatMap((byte) => [byte >> 4, byte & 15])
  .map((code, i) => nf4[code]! * absmax[i >> 4]!);

const data2x4 = [0, 1, 2, 3, 4, 5, 6, 7];

export const opCases: Record<OpKind, readonly OpCase[]> = {
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
  matmul: [
    {
      given: [made([2, 3], 20), made([3, 4], 21)],
      build: (b, [x, y]) => [b.matmul(x!, y!)],
      expected: [product(made([2, 3], 20).data, made([3, 4], 21).data, 2, 3, 4)],
    },
  ],
  fusedMatMul: [
    {
      name: 'weight as it lies',
      given: [made([2, 3], 20), made([4, 3], 22)],
      build: (b, [x, y]) => [b.fusedMatMul(x!, y!, { transB: true, alpha: 0.5 })],
      expected: [
        product(made([2, 3], 20).data, flip(made([4, 3], 22).data, 4, 3), 2, 3, 4).map(
          (v) => v / 2,
        ),
      ],
    },
  ],
  gemm: [
    {
      given: [made([2, 3], 20), made([4, 3], 22), made([2, 4], 23)],
      build: (b, [x, y, z]) => [b.gemm(x!, y!, z!)],
      expected: [
        product(made([2, 3], 20).data, flip(made([4, 3], 22).data, 4, 3), 2, 3, 4).map(
          (v, at) => v + made([2, 4], 23).data[at]!,
        ),
      ],
    },
  ],
  rotaryEmbedding: [
    {
      given: [
        made([1, 3, 4], 23),
        typed('int64', [1, 3], [0, 2, 5]),
        tables(Math.cos),
        tables(Math.sin),
      ],
      build: (b, [x, positions, cos, sin]) => [
        b.rotaryEmbedding(x!, { positions: positions!, cos: cos!, sin: sin! }, { numHeads: 1 }),
      ],
      expected: [rotate(made([1, 3, 4], 23).data, [0, 2, 5])],
    },
  ],
  attention: [
    {
      given: [query, key, value, pastKey, pastValue],
      build: (b, [q, k, v, past, pastValues]) => [
        b.attention(
          {
            q: q!,
            k: k!,
            v: v!,
            mask: b.constant([0, 0, 0], 'float32', [1, 1, 1, 3]),
            pastKey: past!,
            pastValue: pastValues!,
          },
          { heads: 2, kvHeads: 1, scale: 1 / Math.sqrt(8) },
        ),
      ],
      expected: [attended],
    },
  ],
  matMulNBits: [
    {
      given: [activations],
      build: (b, [x]) => [
        b.matMulNBits(
          x!,
          {
            data: b.constant(weightBytes, 'uint8', [3, 2, 8]),
            scales: b.constant(blockScales, 'float32', [3, 2]),
          },
          { n: 3, k: 32, bits: 4, blockSize: 16, accuracy: 1 },
        ),
      ],
      expected: [
        count(6).map((at) =>
          sum(
            count(32).map(
              (k) => activations.data[(at < 3 ? 0 : 32) + k]! * weights[(at % 3) * 32 + k]!,
            ),
          ),
        ),
      ],
    },
  ],
  matMulBnb4: [
    {
      given: [activations],
      build: (b, [x]) => [
        b.matMulBnb4(
          x!,
          {
            codes: b.constant(weightBytes, 'uint8', [48]),
            absmax: b.constant(absmax, 'float32', [6]),
          },
          { n: 3, k: 32, blockSize: 16, type: 'nf4' },
        ),
      ],
      expected: [
        count(6).map((at) =>
          sum(
            count(32).map(
              (k) => activations.data[(at < 3 ? 0 : 32) + k]! * bnb[(at % 3) * 32 + k]!,
            ),
          ),
        ),
      ],
    },
  ],
  qGemm: [
    {
      given: [
        typed('uint8', [2, 2], [130, 120, 128, 129]),
        typed('int8', [3, 2], [1, 3, -2, 4, 5, -6]),
        f32([3], [0.5, 2, 1]),
      ],
      build: (b, [x, y, scales]) => [
        b.qGemm(
          { data: x!, scale: b.constant(1), zero: b.constant(128, 'uint8') },
          { data: y!, scales: scales! },
        ),
      ],
      expected: [[(2 - 24) * 0.5, (-4 - 32) * 2, 10 + 48, 3 * 0.5, 4 * 2, -6]],
    },
  ],
  quantizeLinear: [
    {
      given: [f32([2, 2], [0.5, -1, 10, 0.24])],
      build: (b, [x]) => [
        b.quantizeLinear(x!, b.constant([0.5, 0.1], 'float32'), {
          to: 'uint8',
          zero: b.constant([128, 128], 'uint8'),
          axis: 0,
        }),
      ],
      expected: [[129, 126, 228, 130]],
      tolerance: 0,
    },
  ],
  dequantizeLinear: [
    {
      name: '4 bits by blocks',
      given: [f32([], [0])],
      build: (b, [x]) => [
        b.add(
          b.dequantizeLinear(
            b.constant(
              count(32).map((i) => i % 16),
              'uint4',
              [1, 32],
            ),
            b.constant([0.5, 2], 'float32', [1, 2]),
            { axis: 1, blockSize: 16 },
          ),
          x!,
        ),
      ],
      expected: [count(32).map((i) => (i % 16) * (i < 16 ? 0.5 : 2))],
    },
    {
      name: 'int8 rows',
      given: [typed('int8', [2, 2], [1, -2, 127, -128])],
      build: (b, [x]) => [b.dequantizeLinear(x!, b.constant([0.5, 2], 'float32'), { axis: 0 })],
      expected: [[0.5, -1, 254, -256]],
    },
  ],
  gatherBlockQuantized: [
    {
      given: [typed('int64', [2], [2, 0])],
      build: (b, [i]) => [
        b.gatherBlockQuantized(
          {
            data: b.constant(weightBytes, 'uint8', [3, 16]),
            scales: b.constant(blockScales, 'float32', [3, 2]),
          },
          i!,
          { blockSize: 16, bits: 4 },
        ),
      ],
      expected: [[...weights.slice(64), ...weights.slice(0, 32)]],
    },
  ],
};
