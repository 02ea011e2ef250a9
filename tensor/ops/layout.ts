// Operators that move, pick or place elements without computing on them, and those that read or make shapes.
// Where ONNX wants a tensor of sizes (reshape, slice ...), the builder gives it as an input; the attribute holds
// the same sizes as dimensions, for checking.
import type { DType } from '../dtype.ts';
import type { None, OperatorTable, TensorType } from '../operator.ts';
import { expectBroadcastsTo, expectDtype, int, ints, need, sameType, string } from '../operator.ts';
import type { Dim, Shape } from '../shape.ts';
import {
  ShapeError,
  addDims,
  concatShapes,
  dimAt,
  normalizeAxis,
  reshapeTarget,
  sameDim,
  sameShape,
  showShape,
  subDims,
} from '../shape.ts';

export type Reduction = 'none' | 'add';

export interface LayoutAttributes {
  transpose: { readonly permutation: readonly number[] };
  reshape: { readonly shape: Shape };
  squeeze: { readonly axes: readonly number[] };
  unsqueeze: { readonly axes: readonly number[] };
  concat: { readonly axis: number };
  split: { readonly axis: number; readonly sizes: Shape };
  /** From start up to end along one axis. */
  slice: { readonly axis: number; readonly start: Dim; readonly end: Dim };
  /** Zeros (or a value) before and after along one axis. */
  pad: { readonly axis: number; readonly before: Dim; readonly after: Dim };
  expand: { readonly shape: Shape };
  gather: { readonly axis: number };
  gatherElements: { readonly axis: number };
  /** indices int64 [..., k] name slices of the first k axes. */
  gatherND: None;
  scatterElements: { readonly axis: number; readonly reduction: Reduction };
  scatterND: { readonly reduction: Reduction };
  trilu: { readonly upper: boolean };
  /** Sizes of the axes start..end-1 as int64. */
  shape: { readonly start: number; readonly end: number };
  constantOfShape: { readonly shape: Shape; readonly value: number; readonly dtype: DType };
  /** start, start + delta ... below limit; `length` names how many. */
  range: { readonly length: Dim };
}

const integers = ['int32', 'int64'] as const;

/** Output shape of a gather: the indices' shape in place of the axis. */
export const gatherShape = (data: Shape, indices: Shape, axis: number): Shape => {
  const at = normalizeAxis(axis, data.length);
  return [...data.slice(0, at), ...indices, ...data.slice(at + 1)];
};

/** Shape of the slices that indices [..., k] name in the first k axes of the data. */
function sliceShape(data: Shape, indices: Shape): Shape {
  const depth = dimAt(indices, -1);
  if (typeof depth !== 'number' || depth > data.length) {
    throw new ShapeError('the last dimension of the indices must be a number of leading axes');
  }
  return [...indices.slice(0, -1), ...data.slice(depth)];
}

const replaceDim = (type: TensorType, axis: number, dim: Dim): TensorType => {
  const at = normalizeAxis(axis, type.shape.length);
  return { dtype: type.dtype, shape: type.shape.map((old, i) => (i === at ? dim : old)) };
};

export const layout: OperatorTable<LayoutAttributes> = {
  transpose: {
    arity: [1, 1],
    infer: (inputs, { permutation }) => {
      const { dtype, shape } = need(inputs, 0);
      if (
        permutation.length !== shape.length ||
        !shape.every((_, axis) => permutation.includes(axis))
      ) {
        throw new ShapeError(`(${permutation.join(', ')}) doesn't permute ${showShape(shape)}`);
      }
      return [{ dtype, shape: permutation.map((axis) => dimAt(shape, axis)) }];
    },
    onnx: ({ permutation }) => ({ type: 'Transpose', attributes: { perm: ints(permutation) } }),
  },
  reshape: {
    arity: [2, 2],
    infer: (inputs, { shape }) => {
      const x = need(inputs, 0);
      return [{ dtype: x.dtype, shape: reshapeTarget(x.shape, shape) }];
    },
    onnx: () => ({ type: 'Reshape' }),
  },
  squeeze: {
    arity: [2, 2],
    infer: (inputs, { axes }) => {
      const { dtype, shape } = need(inputs, 0);
      const dropped = new Set(axes.map((axis) => normalizeAxis(axis, shape.length)));
      for (const axis of dropped) {
        if (!sameDim(dimAt(shape, axis), 1)) throw new ShapeError(`axis ${axis} isn't 1`);
      }
      return [{ dtype, shape: shape.filter((_, axis) => !dropped.has(axis)) }];
    },
    onnx: () => ({ type: 'Squeeze' }),
  },
  unsqueeze: {
    arity: [2, 2],
    infer: (inputs, { axes }) => {
      const { dtype, shape } = need(inputs, 0);
      const rank = shape.length + axes.length;
      const added = new Set(axes.map((axis) => normalizeAxis(axis, rank)));
      const rest = [...shape];
      return [
        {
          dtype,
          shape: Array.from({ length: rank }, (_, axis) =>
            added.has(axis) ? 1 : (rest.shift() ?? 1),
          ),
        },
      ];
    },
    onnx: () => ({ type: 'Unsqueeze' }),
  },
  concat: {
    arity: [1, Infinity],
    infer: (inputs, { axis }) => [
      {
        dtype: sameType(inputs),
        shape: concatShapes(
          inputs.map((_, i) => need(inputs, i).shape),
          axis,
        ),
      },
    ],
    onnx: ({ axis }) => ({ type: 'Concat', attributes: { axis: int(axis) } }),
  },
  split: {
    arity: [2, 2],
    infer: (inputs, { axis, sizes }) => {
      const x = need(inputs, 0);
      const [total, dim] = [addDims(...sizes), dimAt(x.shape, axis)];
      if (!sameDim(total, dim)) {
        throw new ShapeError(`parts ${showShape(sizes)} don't add up to ${dim}`);
      }
      return sizes.map((size) => replaceDim(x, axis, size));
    },
    onnx: ({ axis }) => ({ type: 'Split', attributes: { axis: int(axis) } }),
  },
  slice: {
    arity: [4, 4],
    infer: (inputs, { axis, start, end }) => {
      const x = need(inputs, 0);
      const [size, dim] = [subDims(end, start), dimAt(x.shape, axis)];
      if (
        (typeof size === 'number' && size < 0) ||
        (typeof start === 'number' && start < 0) ||
        (typeof end === 'number' && typeof dim === 'number' && end > dim)
      ) {
        throw new ShapeError(`${start}..${end} is outside the ${dim} elements of axis ${axis}`);
      }
      return [replaceDim(x, axis, size)];
    },
    onnx: () => ({ type: 'Slice' }),
  },
  pad: {
    arity: [4, 4],
    infer: (inputs, { axis, before, after }) => {
      const x = need(inputs, 0);
      return [replaceDim(x, axis, addDims(before, dimAt(x.shape, axis), after))];
    },
    onnx: () => ({ type: 'Pad' }),
  },
  expand: {
    arity: [2, 2],
    infer: (inputs, { shape }) => {
      const x = need(inputs, 0);
      expectBroadcastsTo(x.shape, shape);
      return [{ dtype: x.dtype, shape }];
    },
    onnx: () => ({ type: 'Expand' }),
  },
  gather: {
    arity: [2, 2],
    infer: (inputs, { axis }) => {
      const [data, indices] = [need(inputs, 0), need(inputs, 1)];
      expectDtype(indices, 'indices', ...integers);
      return [{ dtype: data.dtype, shape: gatherShape(data.shape, indices.shape, axis) }];
    },
    onnx: ({ axis }) => ({ type: 'Gather', attributes: { axis: int(axis) } }),
  },
  gatherElements: {
    arity: [2, 2],
    infer: (inputs, { axis }) => {
      const [data, indices] = [need(inputs, 0), need(inputs, 1)];
      expectDtype(indices, 'indices', ...integers);
      normalizeAxis(axis, data.shape.length);
      if (data.shape.length !== indices.shape.length) {
        throw new ShapeError('indices must have the rank of the data');
      }
      return [{ dtype: data.dtype, shape: indices.shape }];
    },
    onnx: ({ axis }) => ({ type: 'GatherElements', attributes: { axis: int(axis) } }),
  },
  gatherND: {
    arity: [2, 2],
    infer: (inputs) => {
      const [data, indices] = [need(inputs, 0), need(inputs, 1)];
      expectDtype(indices, 'indices', 'int64');
      return [{ dtype: data.dtype, shape: sliceShape(data.shape, indices.shape) }];
    },
    onnx: () => ({ type: 'GatherND' }),
  },
  scatterElements: {
    arity: [3, 3],
    infer: (inputs, { axis }) => {
      const [data, indices, updates] = [need(inputs, 0), need(inputs, 1), need(inputs, 2)];
      expectDtype(indices, 'indices', ...integers);
      sameType([data, updates]);
      normalizeAxis(axis, data.shape.length);
      if (data.shape.length !== indices.shape.length || !sameShape(indices.shape, updates.shape)) {
        throw new ShapeError('indices and updates must have one shape, of the rank of the data');
      }
      return [data];
    },
    onnx: ({ axis, reduction }) => ({
      type: 'ScatterElements',
      attributes: { axis: int(axis), reduction: string(reduction) },
    }),
  },
  scatterND: {
    arity: [3, 3],
    infer: (inputs) => {
      const [data, indices, updates] = [need(inputs, 0), need(inputs, 1), need(inputs, 2)];
      expectDtype(indices, 'indices', 'int64');
      sameType([data, updates]);
      const expected = sliceShape(data.shape, indices.shape);
      if (!sameShape(updates.shape, expected)) {
        throw new ShapeError(`updates must be ${showShape(expected)}`);
      }
      return [data];
    },
    onnx: ({ reduction }) => ({ type: 'ScatterND', attributes: { reduction: string(reduction) } }),
  },
  trilu: {
    arity: [1, 2],
    infer: (inputs) => [need(inputs, 0)],
    onnx: ({ upper }) => ({ type: 'Trilu', attributes: { upper: int(upper) } }),
  },
  shape: {
    arity: [1, 1],
    infer: (inputs, { start, end }) => {
      const { shape } = need(inputs, 0);
      if (start < 0 || end > shape.length || start >= end) {
        throw new ShapeError(`axes ${start}..${end} are outside ${showShape(shape)}`);
      }
      return [{ dtype: 'int64', shape: [end - start] }];
    },
    onnx: ({ start, end }) => ({ type: 'Shape', attributes: { start: int(start), end: int(end) } }),
  },
  constantOfShape: {
    arity: [1, 1],
    infer: (_inputs, { shape, dtype }) => [{ dtype, shape }],
    onnx: ({ value, dtype }) => ({
      type: 'ConstantOfShape',
      attributes: { value: { kind: 'scalar', value, dtype } },
    }),
  },
  range: {
    arity: [3, 3],
    infer: (inputs, { length }) => {
      for (const type of inputs) {
        if (type?.shape.length !== 0) throw new ShapeError('start, limit and delta are scalars');
      }
      return [{ dtype: sameType(inputs), shape: [length] }];
    },
    onnx: () => ({ type: 'Range' }),
  },
};
