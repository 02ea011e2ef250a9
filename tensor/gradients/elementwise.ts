// Gradients of element-wise operators. In the comments y is the output and dy its gradient.
import type { GraphBuilder } from '../builder.ts';
import { isFloat } from '../dtype.ts';
import type { Value } from '../graph.ts';
import type { None } from '../operator.ts';
import type { ElementwiseAttributes } from '../ops/elementwise.ts';
import type { GradientRules, Vjp } from './rule.ts';
import { at, onlyFirst, sumTo } from './rule.ts';

type Unary = (b: GraphBuilder, dy: Value, x: Value, y: Value) => Value;
type Binary = (b: GraphBuilder, dy: Value, left: Value, right: Value, y: Value) => Value;

const unary =
  (rule: Unary): Vjp<unknown> =>
  (c) => {
    const [dy, x, y] = [onlyFirst(c), at(c.inputs, 0), at(c.outputs, 0)];
    return [() => rule(c.b, dy, x, y)];
  };

const binary =
  (toLeft: Binary, toRight: Binary): Vjp<None> =>
  (c) => {
    const [dy, left, right, y] = [onlyFirst(c), at(c.inputs, 0), at(c.inputs, 1), at(c.outputs, 0)];
    return [
      () => sumTo(c.b, toLeft(c.b, dy, left, right, y), left.shape),
      () => sumTo(c.b, toRight(c.b, dy, left, right, y), right.shape),
    ];
  };

/** dy where the condition holds, else zero; and the other way round. Equal operands count as left. */
const choose =
  (holds: (b: GraphBuilder, left: Value, right: Value) => Value, wanted: boolean): Binary =>
  (b, dy, left, right) =>
    wanted ? b.where(holds(b, left, right), dy, 0) : b.where(holds(b, left, right), 0, dy);

const leftIsLess = (b: GraphBuilder, left: Value, right: Value) => b.lessOrEqual(left, right);
const leftIsMore = (b: GraphBuilder, left: Value, right: Value) => b.greaterOrEqual(left, right);

/** d/dx of the exact gelu: cdf(x) + x * pdf(x). */
const exactGelu: Unary = (b, dy, x) => {
  const cdf = b.mul(b.add(b.erf(b.mul(x, Math.SQRT1_2)), 1), 0.5);
  const density = b.mul(b.exp(b.mul(b.mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return b.mul(dy, b.add(cdf, b.mul(x, density)));
};

/** y = x/2 (1 + tanh u), u = k (x + c x^3). */
const tanhGelu: Unary = (b, dy, x) => {
  const [k, c] = [Math.sqrt(2 / Math.PI), 0.044715];
  const square = b.mul(x, x);
  const t = b.tanh(b.mul(b.mul(x, b.add(b.mul(square, c), 1)), k));
  const slope = b.mul(b.add(b.mul(square, 3 * c), 1), k);
  const inner = b.mul(b.mul(x, b.sub(1, b.mul(t, t))), slope);
  return b.mul(dy, b.mul(b.add(b.add(t, 1), inner), 0.5));
};

export const elementwiseGradients: GradientRules<ElementwiseAttributes> = {
  add: binary(
    (_b, dy) => dy,
    (_b, dy) => dy,
  ),
  sub: binary(
    (_b, dy) => dy,
    (b, dy) => b.neg(dy),
  ),
  mul: binary(
    (b, dy, _left, right) => b.mul(dy, right),
    (b, dy, left) => b.mul(dy, left),
  ),
  div: binary(
    (b, dy, _left, right) => b.div(dy, right),
    (b, dy, _left, right, y) => b.neg(b.div(b.mul(dy, y), right)),
  ),
  pow: binary(
    (b, dy, left, right) => b.mul(dy, b.mul(right, b.pow(left, b.sub(right, 1)))),
    (b, dy, left, _right, y) => b.mul(dy, b.mul(y, b.log(left))),
  ),
  min: binary(choose(leftIsLess, true), choose(leftIsLess, false)),
  max: binary(choose(leftIsMore, true), choose(leftIsMore, false)),
  mod: 'nondifferentiable',
  equal: 'nondifferentiable',
  less: 'nondifferentiable',
  lessOrEqual: 'nondifferentiable',
  greater: 'nondifferentiable',
  greaterOrEqual: 'nondifferentiable',
  and: 'nondifferentiable',
  or: 'nondifferentiable',
  not: 'nondifferentiable',
  isNaN: 'nondifferentiable',
  where: (c) => {
    const [dy, condition] = [onlyFirst(c), at(c.inputs, 0)];
    return [
      undefined,
      () => sumTo(c.b, c.b.where(condition, dy, 0), at(c.inputs, 1).shape),
      () => sumTo(c.b, c.b.where(condition, 0, dy), at(c.inputs, 2).shape),
    ];
  },
  neg: unary((b, dy) => b.neg(dy)),
  abs: unary((b, dy, x) => b.mul(dy, b.sign(x))),
  // Flat wherever they have a slope: a loss that goes through one of these is a mistake, not a zero.
  sign: 'nondifferentiable',
  floor: 'nondifferentiable',
  ceil: 'nondifferentiable',
  round: 'nondifferentiable',
  exp: unary((b, dy, _x, y) => b.mul(dy, y)),
  log: unary((b, dy, x) => b.div(dy, x)),
  sqrt: unary((b, dy, _x, y) => b.div(b.mul(dy, 0.5), y)),
  reciprocal: unary((b, dy, _x, y) => b.neg(b.mul(dy, b.mul(y, y)))),
  erf: unary((b, dy, x) => b.mul(b.mul(dy, 2 / Math.sqrt(Math.PI)), b.exp(b.neg(b.mul(x, x))))),
  tanh: unary((b, dy, _x, y) => b.mul(dy, b.sub(1, b.mul(y, y)))),
  sigmoid: unary((b, dy, _x, y) => b.mul(dy, b.mul(y, b.sub(1, y)))),
  sin: unary((b, dy, x) => b.mul(dy, b.cos(x))),
  cos: unary((b, dy, x) => b.neg(b.mul(dy, b.sin(x)))),
  relu: unary((b, dy, x) => b.where(b.greater(x, 0), dy, 0)),
  // s + y (1 - s), with s = sigmoid(x)
  silu: unary((b, dy, x, y) => {
    const s = b.sigmoid(x);
    return b.mul(dy, b.add(s, b.mul(y, b.sub(1, s))));
  }),
  gelu: (c) => unary(c.attributes.approximate === 'tanh' ? tanhGelu : exactGelu)(c),
  cast: (c) => {
    const from = at(c.inputs, 0).dtype;
    if (!isFloat(from) || !isFloat(c.attributes.to)) return [undefined];
    return [() => c.b.cast(onlyFirst(c), from)];
  },
  identity: unary((_b, dy) => dy),
};
