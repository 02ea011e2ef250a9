// Gradients of sums, maxima, softmax and normalisations.
import type { GraphBuilder } from '../builder.ts';
import type { Value } from '../graph.ts';
import type { ReductionAttributes } from '../ops/reduction.ts';
import { dimAt, elements, reducedShape } from '../shape.ts';
import type { GradientRules, Vjp, VjpContext } from './rule.ts';
import { at, lazily, onlyFirst, sumTo } from './rule.ts';

type ReduceContext = VjpContext<{ readonly axes: readonly number[]; readonly keepDims: boolean }>;

/** A reduced tensor with the reduced axes as 1, so that it broadcasts against the input. */
const keepAxes = (c: ReduceContext, reduced: Value): Value =>
  c.b.reshape(reduced, reducedShape(at(c.inputs, 0).shape, c.attributes.axes, true));

const spread = (c: ReduceContext, dy: Value): Value =>
  c.b.expand(keepAxes(c, dy), at(c.inputs, 0).shape);

/** How many elements go into one result. */
function count(c: ReduceContext): Value {
  const x = at(c.inputs, 0);
  const dim = elements(c.attributes.axes.map((axis) => dimAt(x.shape, axis)));
  return typeof dim === 'number' ? c.b.constant(dim, x.dtype) : c.b.cast(c.b.sizeOf(dim), x.dtype);
}

/** An extreme that several elements share gives each an equal part, as torch.amax does. */
const extreme: Vjp<ReduceContext['attributes']> = (c) => [
  () => {
    const x = at(c.inputs, 0);
    const hit = c.b.cast(c.b.equal(x, keepAxes(c, at(c.outputs, 0))), x.dtype);
    const hits = c.b.reduceSum(hit, c.attributes.axes, true);
    return c.b.mul(hit, c.b.div(keepAxes(c, onlyFirst(c)), hits));
  },
];

const meanOfLast = (b: GraphBuilder, x: Value): Value => b.reduceMean(x, [-1], true);

export const reductionGradients: GradientRules<ReductionAttributes> = {
  reduceSum: (c) => [() => spread(c, onlyFirst(c))],
  reduceMean: (c) => [() => spread(c, c.b.div(onlyFirst(c), count(c)))],
  reduceMax: extreme,
  reduceMin: extreme,
  reduceSumSquare: (c) => [() => c.b.mul(at(c.inputs, 0), c.b.mul(keepAxes(c, onlyFirst(c)), 2))],
  reduceLogSumExp: (c) => [
    () => {
      const share = c.b.exp(c.b.sub(at(c.inputs, 0), keepAxes(c, at(c.outputs, 0))));
      return c.b.mul(share, keepAxes(c, onlyFirst(c)));
    },
  ],
  // y (dy - sum(dy y))
  softmax: (c) => [
    () => {
      const [dy, y] = [onlyFirst(c), at(c.outputs, 0)];
      const rows = c.b.reduceSum(c.b.mul(dy, y), [c.attributes.axis], true);
      return c.b.mul(y, c.b.sub(dy, rows));
    },
  ],
  logSoftmax: (c) => [
    () => {
      const dy = onlyFirst(c);
      const rows = c.b.reduceSum(dy, [c.attributes.axis], true);
      return c.b.sub(dy, c.b.mul(c.b.exp(at(c.outputs, 0)), rows));
    },
  ],
  // With n = (x - mean) * inv and g = dy * scale: dx = inv (g - mean(g) - n mean(g n)).
  layerNormalization: (c) => {
    const { b } = c;
    const [dy, x, scale] = [onlyFirst(c), at(c.inputs, 0), at(c.inputs, 1)];
    const [mean, inverse] = [at(c.outputs, 1), at(c.outputs, 2)];
    const normal = lazily(() => b.mul(b.sub(x, mean), inverse));
    return [
      () => {
        const g = b.mul(dy, scale);
        const centred = b.sub(g, meanOfLast(b, g));
        const radial = b.mul(normal(), meanOfLast(b, b.mul(g, normal())));
        return b.mul(inverse, b.sub(centred, radial));
      },
      () => sumTo(b, b.mul(dy, normal()), scale.shape),
      () => sumTo(b, dy, scale.shape),
    ];
  },
  // The same without the mean.
  rmsNormalization: (c) => {
    const { b } = c;
    const [dy, x, scale] = [onlyFirst(c), at(c.inputs, 0), at(c.inputs, 1)];
    const inverse = at(c.outputs, 1);
    const normal = lazily(() => b.mul(x, inverse));
    return [
      () => {
        const g = b.mul(dy, scale);
        const radial = b.mul(normal(), meanOfLast(b, b.mul(g, normal())));
        return b.mul(inverse, b.sub(g, radial));
      },
      () => sumTo(b, b.mul(dy, normal()), scale.shape),
    ];
  },
  // One kernel for inference, without the inverse deviation: training uses add and rmsNormalization.
  skipRmsNormalization: 'nondifferentiable',
  argMax: 'nondifferentiable',
  argMin: 'nondifferentiable',
  topK: (c) => {
    const x = at(c.inputs, 0);
    return [
      () => {
        const zeros = c.b.full(0, x.dtype, x.shape);
        const indices = at(c.outputs, 1);
        return c.b.scatterElements(zeros, indices, onlyFirst(c), c.attributes.axis, 'add');
      },
    ];
  },
  cumSum: (c) => {
    const { exclusive, reverse, axis } = c.attributes;
    return [() => c.b.cumSum(onlyFirst(c), axis, { exclusive, reverse: !reverse })];
  },
};
