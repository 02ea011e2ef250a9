// Operators that combine elements along axes: sums, maxima, softmax, normalisations, orderings.
import type { Operator, OperatorTable } from '../operator.ts';
import { expectDtype, float, int, need, sameType } from '../operator.ts';
import type { Shape } from '../shape.ts';
import { ShapeError, dimAt, normalizeAxis, reducedShape, sameShape, showShape } from '../shape.ts';

interface Reduce {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

export interface ReductionAttributes {
  reduceSum: Reduce;
  reduceMean: Reduce;
  reduceMax: Reduce;
  reduceMin: Reduce;
  reduceSumSquare: Reduce;
  reduceLogSumExp: Reduce;
  softmax: { readonly axis: number };
  logSoftmax: { readonly axis: number };
  /** (x, scale, bias?) over the last axis -> y, mean, inverse deviation. */
  layerNormalization: { readonly epsilon: number };
  /** (x, scale) over the last axis: x / rms(x) * scale -> y, inverse rms. */
  rmsNormalization: { readonly epsilon: number };
  /** (x, skip, scale) -> rmsNormalization(x + skip), x + skip. */
  skipRmsNormalization: { readonly epsilon: number };
  argMax: { readonly axis: number; readonly keepDims: boolean };
  argMin: { readonly axis: number; readonly keepDims: boolean };
  /** -> values, indices (int64), largest first; ties by lower index. */
  topK: { readonly k: number; readonly axis: number };
  cumSum: { readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean };
}

const reduce = (type: string): Operator<Reduce> => ({
  arity: [2, 2],
  infer: (inputs, { axes, keepDims }) => {
    const x = need(inputs, 0);
    return [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keepDims) }];
  },
  onnx: ({ keepDims }) => ({ type, attributes: { keepdims: int(keepDims) } }),
});

const alongAxis = (type: string): Operator<{ readonly axis: number }> => ({
  arity: [1, 1],
  infer: (inputs, { axis }) => {
    const x = need(inputs, 0);
    normalizeAxis(axis, x.shape.length);
    return [x];
  },
  onnx: ({ axis }) => ({ type, attributes: { axis: int(axis) } }),
});

const arg = (type: string): Operator<{ readonly axis: number; readonly keepDims: boolean }> => ({
  arity: [1, 1],
  infer: (inputs, { axis, keepDims }) => [
    { dtype: 'int64', shape: reducedShape(need(inputs, 0).shape, [axis], keepDims) },
  ],
  onnx: ({ axis, keepDims }) => ({
    type,
    attributes: { axis: int(axis), keepdims: int(keepDims) },
  }),
});

function expectLastAxis(vector: Shape, x: Shape, what: string): void {
  if (!sameShape(vector, [dimAt(x, -1)])) {
    throw new ShapeError(`${what} must be ${showShape([dimAt(x, -1)])}, not ${showShape(vector)}`);
  }
}

const stats = (shape: Shape): Shape => [...shape.slice(0, -1), 1];

export const reduction: OperatorTable<ReductionAttributes> = {
  reduceSum: reduce('ReduceSum'),
  reduceMean: reduce('ReduceMean'),
  reduceMax: reduce('ReduceMax'),
  reduceMin: reduce('ReduceMin'),
  reduceSumSquare: reduce('ReduceSumSquare'),
  reduceLogSumExp: reduce('ReduceLogSumExp'),
  softmax: alongAxis('Softmax'),
  logSoftmax: alongAxis('LogSoftmax'),
  layerNormalization: {
    arity: [2, 3],
    infer: (inputs) => {
      const x = need(inputs, 0);
      sameType(inputs);
      expectLastAxis(need(inputs, 1).shape, x.shape, 'the scale');
      if (inputs[2] !== undefined) expectLastAxis(inputs[2].shape, x.shape, 'the bias');
      const stat = { dtype: x.dtype, shape: stats(x.shape) };
      return [x, stat, stat];
    },
    onnx: ({ epsilon }) => ({
      type: 'LayerNormalization',
      attributes: { axis: int(-1), epsilon: float(epsilon) },
    }),
  },
  rmsNormalization: {
    arity: [2, 2],
    infer: (inputs) => {
      const x = need(inputs, 0);
      sameType(inputs);
      expectLastAxis(need(inputs, 1).shape, x.shape, 'the scale');
      return [x, { dtype: x.dtype, shape: stats(x.shape) }];
    },
    onnx: ({ epsilon }) => ({
      type: 'SimplifiedLayerNormalization',
      attributes: { axis: int(-1), epsilon: float(epsilon) },
    }),
  },
  skipRmsNormalization: {
    arity: [3, 3],
    infer: (inputs) => {
      const [x, skip] = [need(inputs, 0), need(inputs, 1)];
      sameType(inputs);
      if (!sameShape(x.shape, skip.shape)) throw new ShapeError('x and skip must have one shape');
      expectLastAxis(need(inputs, 2).shape, x.shape, 'the scale');
      return [x, x];
    },
    onnx: ({ epsilon }) => ({
      type: 'SkipSimplifiedLayerNormalization',
      domain: 'com.microsoft',
      attributes: { epsilon: float(epsilon) },
      slots: [0, 3],
    }),
  },
  argMax: arg('ArgMax'),
  argMin: arg('ArgMin'),
  topK: {
    arity: [2, 2],
    infer: (inputs, { k, axis }) => {
      const x = need(inputs, 0);
      const at = normalizeAxis(axis, x.shape.length);
      const dim = dimAt(x.shape, at);
      if (k < 1 || (typeof dim === 'number' && k > dim)) {
        throw new ShapeError(`the ${k} largest of ${dim}`);
      }
      const shape = x.shape.map((size, i) => (i === at ? k : size));
      return [
        { dtype: x.dtype, shape },
        { dtype: 'int64', shape },
      ];
    },
    onnx: ({ axis }) => ({
      type: 'TopK',
      attributes: { axis: int(axis), largest: int(1), sorted: int(1) },
    }),
  },
  cumSum: {
    arity: [2, 2],
    infer: (inputs, { axis }) => {
      const x = need(inputs, 0);
      expectDtype(need(inputs, 1), 'the axis', 'int32', 'int64');
      normalizeAxis(axis, x.shape.length);
      return [x];
    },
    onnx: ({ exclusive, reverse }) => ({
      type: 'CumSum',
      attributes: { exclusive: int(exclusive), reverse: int(reverse) },
    }),
  },
};
