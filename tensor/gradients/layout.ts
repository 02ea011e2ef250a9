// Gradients of operators that move elements: each is the move back. Where an element was read several times its
// gradients add up; where none was read the gradient is zero.
import type { GraphBuilder } from '../builder.ts';
import type { Value } from '../graph.ts';
import type { LayoutAttributes } from '../ops/layout.ts';
import type { Dim } from '../shape.ts';
import { addDims, dimAt, subDims } from '../shape.ts';
import type { GradientRules, Vjp } from './rule.ts';
import { at, onlyFirst, sumTo } from './rule.ts';

const zerosLike = (b: GraphBuilder, x: Value): Value => b.full(0, x.dtype, x.shape);

/** The same elements in the input's shape. */
const reshapeBack: Vjp<unknown> = (c) => [() => c.b.reshape(onlyFirst(c), at(c.inputs, 0).shape)];

export const layoutGradients: GradientRules<LayoutAttributes> = {
  transpose: (c) => {
    const { permutation } = c.attributes;
    const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
    return [() => c.b.transpose(onlyFirst(c), inverse)];
  },
  reshape: reshapeBack,
  squeeze: reshapeBack,
  unsqueeze: (c) => [() => c.b.squeeze(onlyFirst(c), c.attributes.axes)],
  concat: (c) => {
    const { axis } = c.attributes;
    let end: Dim = 0;
    return c.inputs.map((_, i) => {
      const start = end;
      end = addDims(start, dimAt(at(c.inputs, i).shape, axis));
      const stop = end;
      return () => c.b.slice(onlyFirst(c), axis, start, stop);
    });
  },
  split: (c) => [
    () =>
      c.b.concat(
        c.outputs.map((part, i) => c.gradients[i] ?? zerosLike(c.b, part)),
        c.attributes.axis,
      ),
  ],
  slice: (c) => {
    const { axis, start, end } = c.attributes;
    const rest = subDims(dimAt(at(c.inputs, 0).shape, axis), end);
    return [() => c.b.pad(onlyFirst(c), axis, start, rest)];
  },
  pad: (c) => {
    const { axis, before } = c.attributes;
    const end = addDims(before, dimAt(at(c.inputs, 0).shape, axis));
    return [() => c.b.slice(onlyFirst(c), axis, before, end)];
  },
  expand: (c) => [() => sumTo(c.b, onlyFirst(c), at(c.inputs, 0).shape)],
  gather: (c) => {
    const { b } = c;
    const [data, indices] = [at(c.inputs, 0), at(c.inputs, 1)];
    const { axis } = c.attributes;
    // Scatter works on leading axes: bring the gathered one to the front, and back afterwards.
    const before = data.shape.slice(0, axis).map((_, i) => i);
    const places = indices.shape.map((_, i) => axis + i);
    const after = data.shape.slice(axis + 1).map((_, i) => axis + places.length + i);
    const inner = data.shape.map((_, i) => i).filter((i) => i !== axis);
    return [
      () => {
        const dy = onlyFirst(c);
        const moved = axis === 0 ? dy : b.transpose(dy, [...places, ...before, ...after]);
        const front = [dimAt(data.shape, axis), ...inner.map((i) => dimAt(data.shape, i))];
        const target = b.full(0, data.dtype, front);
        const where = b.unsqueeze(b.cast(indices, 'int64'), [-1]);
        const sums = b.scatterND(target, where, moved, 'add');
        const back = data.shape.map((_, i) => (i === axis ? 0 : inner.indexOf(i) + 1));
        return axis === 0 ? sums : b.transpose(sums, back);
      },
    ];
  },
  gatherElements: (c) => {
    const [data, indices] = [at(c.inputs, 0), at(c.inputs, 1)];
    const { axis } = c.attributes;
    return [() => c.b.scatterElements(zerosLike(c.b, data), indices, onlyFirst(c), axis, 'add')];
  },
  gatherND: (c) => {
    const [data, indices] = [at(c.inputs, 0), at(c.inputs, 1)];
    return [() => c.b.scatterND(zerosLike(c.b, data), indices, onlyFirst(c), 'add')];
  },
  // Without reduction the places must differ, as ONNX asks too: of two updates of one place only one counts.
  scatterElements: (c) => {
    const { axis, reduction } = c.attributes;
    const [dy, indices, updates] = [onlyFirst(c), at(c.inputs, 1), at(c.inputs, 2)];
    return [
      () =>
        reduction === 'add'
          ? dy
          : c.b.scatterElements(dy, indices, zerosLike(c.b, updates), axis, 'none'),
      undefined,
      () => c.b.gatherElements(dy, indices, axis),
    ];
  },
  scatterND: (c) => {
    const { reduction } = c.attributes;
    const [dy, indices, updates] = [onlyFirst(c), at(c.inputs, 1), at(c.inputs, 2)];
    return [
      () => (reduction === 'add' ? dy : c.b.scatterND(dy, indices, zerosLike(c.b, updates))),
      undefined,
      () => c.b.gatherND(dy, indices),
    ];
  },
  trilu: (c) => [() => c.b.one('trilu', [onlyFirst(c), ...c.inputs.slice(1)], c.attributes)],
  shape: 'nondifferentiable',
  constantOfShape: 'nondifferentiable',
  range: 'nondifferentiable',
};
