// One or more small graphs for every operator that has a gradient; gradient.test.ts compares each with central
// differences. The type has an entry per operator kind, so a rule without a case doesn't compile.
import type { GraphBuilder } from '../../tensor/builder.ts';
import type { DType, TensorData } from '../../tensor/dtype.ts';
import type { Value } from '../../tensor/graph.ts';
import type { OpKind } from '../../tensor/ops.ts';

export interface GradientCase {
  readonly name?: string;
  /** Differentiated fp32 inputs by name. Names of dimensions get their size from `dims`. */
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly dims?: Readonly<Record<string, number>>;
  /** Keeps values where the operator is smooth and defined; default is about -1.5 to 1.5. */
  readonly map?: (value: number, name: string, index: number) => number;
  readonly build: (b: GraphBuilder, x: Record<string, Value>) => readonly Value[];
}

const one =
  (op: (b: GraphBuilder, x: Value) => Value) =>
  (b: GraphBuilder, x: Record<string, Value>): readonly Value[] => [op(b, x['x']!)];

const two =
  (op: (b: GraphBuilder, l: Value, r: Value) => Value) =>
  (b: GraphBuilder, x: Record<string, Value>): readonly Value[] => [op(b, x['l']!, x['r']!)];

/** Away from zero, where abs, relu and their kind have a corner. */
const awayFromZero = (value: number): number => value + Math.sign(value) * 0.3;
const positive = (value: number): number => Math.abs(value) + 0.5;

/** Operands that are never closer than 0.25, so that no difference crosses a tie. */
const apart = (value: number, name: string): number =>
  Math.round(value * 2) / 2 + (name === 'r' ? 0.25 : 0);

/** Up to 13 values, each 0.3 from the next, in no order. */
const distinct = (_value: number, _name: string, index: number): number => ((index * 5) % 13) * 0.3;

const unary = (
  op: (b: GraphBuilder, x: Value) => Value,
  map?: (value: number) => number,
): readonly GradientCase[] => [
  { inputs: { x: ['T', 4] }, dims: { T: 3 }, build: one(op), ...(map && { map }) },
];

const binary = (
  op: (b: GraphBuilder, l: Value, r: Value) => Value,
  map?: (value: number, name: string) => number,
): readonly GradientCase[] =>
  [
    { l: [2, 3], r: [2, 3] },
    { l: ['T', 3], r: [3] },
    { l: [2, 1], r: ['T', 2, 3] },
    { l: [], r: ['T'] },
  ].map((inputs) => ({
    name: JSON.stringify(inputs),
    inputs,
    dims: { T: 4 },
    build: two(op),
    ...(map && { map }),
  }));

const constant = (
  b: GraphBuilder,
  data: TensorData | readonly number[],
  dtype: DType,
  shape: number[],
) => b.constant(data, dtype, shape);

const indices = (b: GraphBuilder, data: readonly number[], shape: number[]): Value =>
  constant(b, data, 'int64', shape);

const bytes = (count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (i * 67 + 29) % 256);

const scales = (b: GraphBuilder, shape: number[]): Value =>
  constant(
    b,
    Float32Array.from(
      { length: shape.reduce((p, d) => p * d, 1) },
      (_, i) => 0.02 + (i % 5) * 0.01,
    ),
    'float32',
    shape,
  );

type ReduceKind = Extract<OpKind, `reduce${string}`>;

const reduce = (op: ReduceKind, map: GradientCase['map'] = (v) => v): readonly GradientCase[] => [
  {
    name: 'last',
    inputs: { x: ['T', 4] },
    dims: { T: 3 },
    map,
    build: one((b, x) => b[op](x, [-1])),
  },
  { name: 'keep', inputs: { x: [2, 3, 2] }, map, build: one((b, x) => b[op](x, [0, 2], true)) },
  { name: 'all', inputs: { x: ['T', 3] }, dims: { T: 2 }, map, build: one((b, x) => b[op](x)) },
];

const products = (transA: boolean, transB: boolean): GradientCase => {
  const flip = <T>(pair: T[], swap: boolean): T[] => (swap ? pair.toReversed() : pair);
  return {
    name: `transA ${transA} transB ${transB}`,
    inputs: {
      l: flip<number | string>(['T', 5], transA),
      r: flip<number | string>([5, 2], transB),
    },
    dims: { T: 3 },
    build: two((b, l, r) => b.fusedMatMul(l, r, { transA, transB, alpha: 0.7 })),
  };
};

/** Cases by operator; 'none' where gradient.ts says that there is no gradient. */
export const gradientCases: Record<OpKind, readonly GradientCase[] | 'none'> = {
  add: [
    ...binary((b, l, r) => b.add(l, r)),
    { name: 'twice', inputs: { x: [3] }, build: one((b, x) => b.mul(b.add(x, x), x)) },
  ],
  sub: binary((b, l, r) => b.sub(l, r)),
  mul: binary((b, l, r) => b.mul(l, r)),
  div: binary(
    (b, l, r) => b.div(l, r),
    (v, name) => (name === 'r' ? positive(v) : v),
  ),
  pow: binary(
    (b, l, r) => b.pow(l, r),
    (v, name) => (name === 'l' ? positive(v) : v),
  ),
  min: binary((b, l, r) => b.min(l, r), apart),
  max: binary((b, l, r) => b.max(l, r), apart),
  mod: 'none',
  equal: 'none',
  less: 'none',
  lessOrEqual: 'none',
  greater: 'none',
  greaterOrEqual: 'none',
  and: 'none',
  or: 'none',
  not: 'none',
  isNaN: 'none',
  where: [
    {
      inputs: { l: ['T', 3], r: [3] },
      dims: { T: 2 },
      build: two((b, l, r) => b.where(constant(b, [1, 0, 1], 'bool', [3]), l, b.mul(r, r))),
    },
    {
      name: 'a condition on the value itself',
      inputs: { x: [4] },
      map: awayFromZero,
      build: one((b, x) => b.where(b.greater(x, 0), b.mul(x, x), x)),
    },
  ],
  neg: unary((b, x) => b.neg(x)),
  abs: unary((b, x) => b.abs(x), awayFromZero),
  sign: 'none',
  floor: 'none',
  ceil: 'none',
  round: 'none',
  exp: unary((b, x) => b.exp(x)),
  log: unary((b, x) => b.log(x), positive),
  sqrt: unary((b, x) => b.sqrt(x), positive),
  reciprocal: unary((b, x) => b.reciprocal(x), positive),
  erf: unary((b, x) => b.erf(x)),
  tanh: unary((b, x) => b.tanh(x)),
  sigmoid: unary((b, x) => b.sigmoid(x)),
  sin: unary((b, x) => b.sin(x)),
  cos: unary((b, x) => b.cos(x)),
  relu: unary((b, x) => b.relu(x), awayFromZero),
  silu: unary((b, x) => b.silu(x)),
  gelu: [
    ...unary((b, x) => b.gelu(x, 'none')),
    ...unary((b, x) => b.gelu(x, 'tanh')).map((c) => ({ ...c, name: 'tanh' })),
  ],
  cast: unary((b, x) => b.cast(b.cast(x, 'float64'), 'float32')),
  identity: unary((b, x) => b.identity(x)),
  transpose: [
    { inputs: { x: [2, 'T', 4] }, dims: { T: 3 }, build: one((b, x) => b.transpose(x, [2, 0, 1])) },
  ],
  reshape: [
    {
      inputs: { x: ['B', 'T', 6] },
      dims: { B: 2, T: 3 },
      build: one((b, x) => b.reshape(b.reshape(x, ['B', 'T', 2, 3]), ['B*T', 6])),
    },
  ],
  squeeze: [{ inputs: { x: [2, 1, 3, 1] }, build: one((b, x) => b.squeeze(x, [1, -1])) }],
  unsqueeze: [
    { inputs: { x: ['T', 3] }, dims: { T: 2 }, build: one((b, x) => b.unsqueeze(x, [0, -1])) },
  ],
  concat: [
    {
      inputs: { l: ['T', 2], r: ['S', 2] },
      dims: { T: 3, S: 2 },
      build: two((b, l, r) => b.concat([l, r, l], 0)),
    },
  ],
  split: [
    {
      name: 'one part unused',
      inputs: { x: [2, 7] },
      build: (b, x) => {
        const [first, , last] = b.split(x['x']!, 1, [1, 2, 4]);
        return [b.mul(first!, last!)];
      },
    },
    {
      name: 'all parts',
      inputs: { x: ['T', 4] },
      dims: { T: 3 },
      build: (b, x) => b.split(x['x']!, -1, [1, 3]),
    },
  ],
  slice: [
    { name: 'middle', inputs: { x: [2, 6] }, build: one((b, x) => b.slice(x, 1, 1, 4)) },
    {
      name: 'named, from the end',
      inputs: { x: ['T', 3] },
      dims: { T: 5 },
      build: one((b, x) => b.slice(x, 0, 1, -1)),
    },
  ],
  pad: [{ inputs: { x: ['T', 3] }, dims: { T: 2 }, build: one((b, x) => b.pad(x, 0, 2, 1)) }],
  expand: [
    {
      inputs: { x: [3, 1] },
      build: one((b, x) => b.expand(x, [2, 3, 4])),
    },
  ],
  gather: [
    {
      name: 'rows, one twice',
      inputs: { x: ['V', 3] },
      dims: { V: 5 },
      build: one((b, x) => b.gather(x, indices(b, [4, 0, 4, 2], [2, 2]))),
    },
    {
      name: 'inner axis',
      inputs: { x: [2, 4, 3] },
      build: one((b, x) => b.gather(x, indices(b, [3, 1, 3], [3]), 1)),
    },
    {
      name: 'last axis, matrix of indices',
      inputs: { x: [2, 4] },
      build: one((b, x) => b.gather(x, indices(b, [3, 1, 3, 0], [2, 2]), -1)),
    },
  ],
  gatherElements: [
    {
      inputs: { x: ['T', 4] },
      dims: { T: 2 },
      build: one((b, x) => b.gatherElements(x, indices(b, [3, 3, 0, 2], [2, 2]), 1)),
    },
  ],
  gatherND: [
    {
      inputs: { x: [2, 3, 2] },
      build: one((b, x) => b.gatherND(x, indices(b, [1, 2, 0, 0, 1, 2], [3, 2]))),
    },
  ],
  scatterElements: [
    {
      name: 'set',
      inputs: { l: [2, 4], r: [2, 2] },
      build: two((b, l, r) => b.scatterElements(l, indices(b, [3, 1, 0, 2], [2, 2]), r, 1)),
    },
    {
      name: 'add',
      inputs: { l: [2, 4], r: [2, 2] },
      build: two((b, l, r) => b.scatterElements(l, indices(b, [3, 3, 0, 2], [2, 2]), r, 1, 'add')),
    },
  ],
  scatterND: [
    {
      name: 'set',
      inputs: { l: [4, 2], r: [2, 2] },
      build: two((b, l, r) => b.scatterND(l, indices(b, [3, 1], [2, 1]), r)),
    },
    {
      name: 'add',
      inputs: { l: [4, 2], r: [3, 2] },
      build: two((b, l, r) => b.scatterND(l, indices(b, [3, 1, 3], [3, 1]), r, 'add')),
    },
  ],
  trilu: [
    { name: 'lower', inputs: { x: [3, 4] }, build: one((b, x) => b.trilu(x, false)) },
    { name: 'upper, shifted', inputs: { x: [2, 4, 4] }, build: one((b, x) => b.trilu(x, true, 1)) },
  ],
  shape: 'none',
  constantOfShape: 'none',
  range: 'none',
  reduceSum: reduce('reduceSum'),
  reduceMean: reduce('reduceMean'),
  reduceMax: reduce('reduceMax', distinct),
  reduceMin: reduce('reduceMin', distinct),
  reduceSumSquare: reduce('reduceSumSquare'),
  reduceLogSumExp: reduce('reduceLogSumExp'),
  softmax: [
    { name: 'last', inputs: { x: ['T', 5] }, dims: { T: 2 }, build: one((b, x) => b.softmax(x)) },
    { name: 'first', inputs: { x: [4, 3] }, build: one((b, x) => b.softmax(x, 0)) },
  ],
  logSoftmax: [
    {
      name: 'last',
      inputs: { x: ['T', 5] },
      dims: { T: 2 },
      build: one((b, x) => b.logSoftmax(x)),
    },
  ],
  layerNormalization: [
    {
      inputs: { x: ['B', 'T', 6], scale: [6], bias: [6] },
      dims: { B: 2, T: 3 },
      build: (b, x) => [b.layerNormalization(x['x']!, x['scale']!, x['bias'], 1e-2)],
    },
    {
      name: 'no bias',
      inputs: { x: [4, 6], scale: [6] },
      build: (b, x) => [b.layerNormalization(x['x']!, x['scale']!, undefined, 1e-5)],
    },
  ],
  rmsNormalization: [
    {
      inputs: { x: ['B', 'T', 6], scale: [6] },
      dims: { B: 2, T: 3 },
      build: (b, x) => [b.rmsNormalization(x['x']!, x['scale']!, 1e-2)],
    },
  ],
  skipRmsNormalization: 'none',
  argMax: 'none',
  argMin: 'none',
  topK: [{ inputs: { x: [2, 5] }, map: distinct, build: one((b, x) => b.topK(x, 2)[0]) }],
  cumSum: [
    { inputs: { x: ['T', 3] }, dims: { T: 4 }, build: one((b, x) => b.cumSum(x, 0)) },
    {
      name: 'exclusive, reverse',
      inputs: { x: [2, 4] },
      build: one((b, x) => b.cumSum(x, 1, { exclusive: true, reverse: true })),
    },
  ],
  matmul: [
    { inputs: { l: ['T', 4], r: [4, 3] }, dims: { T: 2 }, build: two((b, l, r) => b.matmul(l, r)) },
    {
      name: 'batch times matrix',
      inputs: { l: ['B', 'T', 4], r: [4, 3] },
      dims: { B: 2, T: 3 },
      build: two((b, l, r) => b.matmul(l, r)),
    },
    {
      name: 'batches that broadcast',
      inputs: { l: [2, 1, 3, 4], r: [3, 4, 2] },
      build: two((b, l, r) => b.matmul(l, r)),
    },
    {
      name: 'matrix times batch',
      inputs: { l: [3, 4], r: [2, 4, 2] },
      build: two((b, l, r) => b.matmul(l, r)),
    },
  ],
  fusedMatMul: [
    products(false, false),
    products(false, true),
    products(true, false),
    products(true, true),
    {
      name: 'a linear layer as it lies',
      inputs: { l: ['B', 'T', 4], r: [3, 4] },
      dims: { B: 2, T: 3 },
      build: two((b, l, r) => b.fusedMatMul(l, r, { transB: true, alpha: 0.5 })),
    },
    {
      name: 'batched, transposed left',
      inputs: { l: [2, 4, 3], r: [2, 5, 4] },
      build: two((b, l, r) => b.fusedMatMul(l, r, { transA: true, transB: true })),
    },
  ],
  gemm: [
    {
      inputs: { l: ['M', 3], r: [4, 3], c: ['M', 4] },
      dims: { M: 2 },
      build: (b, { l, r, c }) => [b.gemm(l!, r!, c!)],
    },
  ],
  rotaryEmbedding: [false, true].flatMap((interleaved) =>
    [0, 2].map((numHeads) => ({
      name: `interleaved ${interleaved} heads ${numHeads}`,
      inputs: { x: numHeads > 0 ? [2, 3, 16] : [2, 2, 3, 8] },
      build: one((b, x) => {
        const angles = Array.from({ length: 16 }, (_, i) => (i >> 2) * 0.7 ** (i & 3));
        return b.rotaryEmbedding(
          x,
          {
            positions: indices(b, [0, 1, 2, 3, 0, 1], [2, 3]),
            cos: constant(b, Float32Array.from(angles, Math.cos), 'float32', [4, 4]),
            sin: constant(b, Float32Array.from(angles, Math.sin), 'float32', [4, 4]),
          },
          { numHeads, interleaved },
        );
      }),
    })),
  ),
  attention: 'none',
  matMulNBits: ([4, 8] as const).flatMap((bits) =>
    [false, true].map((zeros) => ({
      name: `${bits} bits, zero points ${zeros}`,
      inputs: { x: [2, 48] },
      build: one((b, x) =>
        b.matMulNBits(
          x,
          {
            data: constant(b, bytes((3 * 3 * 16 * bits) / 8), 'uint8', [3, 3, (16 * bits) / 8]),
            scales: scales(b, [3, 3]),
            ...(zeros && {
              zeroPoints: constant(b, bytes(bits === 4 ? 6 : 9), 'uint8', [3, bits === 4 ? 2 : 3]),
            }),
          },
          { n: 3, k: 48, bits, blockSize: 16, accuracy: 1 },
        ),
      ),
    })),
  ),
  matMulBnb4: (['nf4', 'fp4'] as const).map((type) => ({
    name: type,
    inputs: { x: [3, 32] },
    build: one((b, x) =>
      b.matMulBnb4(
        x,
        { codes: constant(b, bytes(64), 'uint8', [64]), absmax: scales(b, [8]) },
        { n: 4, k: 32, blockSize: 16, type },
      ),
    ),
  })),
  qGemm: 'none',
  quantizeLinear: 'none',
  dequantizeLinear: 'none',
  gatherBlockQuantized: 'none',
};
