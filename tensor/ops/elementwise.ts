// Operators that work element by element, with NumPy's broadcasting.
import type { DType } from '../dtype.ts';
import { isFloat } from '../dtype.ts';
import type { None, Operator, OperatorTable } from '../operator.ts';
import { expectDtype, float, int, need, sameType, string } from '../operator.ts';
import { dtypeFacts } from '../dtype.ts';
import { ShapeError, broadcastShapes } from '../shape.ts';

export interface ElementwiseAttributes {
  add: None;
  sub: None;
  mul: None;
  div: None;
  pow: None;
  min: None;
  max: None;
  /** Integer remainder with the divisor's sign. */
  mod: None;
  equal: None;
  less: None;
  lessOrEqual: None;
  greater: None;
  greaterOrEqual: None;
  and: None;
  or: None;
  not: None;
  isNaN: None;
  /** where(condition, a, b) */
  where: None;
  neg: None;
  abs: None;
  sign: None;
  floor: None;
  ceil: None;
  /** Half to even. */
  round: None;
  exp: None;
  log: None;
  sqrt: None;
  reciprocal: None;
  erf: None;
  tanh: None;
  sigmoid: None;
  sin: None;
  cos: None;
  relu: None;
  /** x * sigmoid(x) */
  silu: None;
  /** Exact (erf), or GPT-2's tanh approximation. */
  gelu: { readonly approximate: 'none' | 'tanh' };
  cast: { readonly to: DType };
  identity: None;
}

const unary = (type: string, floatOnly = true): Operator<None> => ({
  arity: [1, 1],
  infer: (inputs) => {
    const x = need(inputs, 0);
    if (floatOnly && !isFloat(x.dtype)) throw new ShapeError(`needs a float, not ${x.dtype}`);
    return [x];
  },
  onnx: () => ({ type }),
});

const binary = (type: string): Operator<None> => ({
  arity: [2, 2],
  infer: (inputs) => [
    {
      dtype: sameType(inputs),
      shape: broadcastShapes(need(inputs, 0).shape, need(inputs, 1).shape),
    },
  ],
  onnx: () => ({ type }),
});

const comparison = (type: string): Operator<None> => ({
  arity: [2, 2],
  infer: (inputs) => {
    sameType(inputs);
    return [
      { dtype: 'bool', shape: broadcastShapes(need(inputs, 0).shape, need(inputs, 1).shape) },
    ];
  },
  onnx: () => ({ type }),
});

const logical = (type: string): Operator<None> => ({
  ...binary(type),
  infer: (inputs) => {
    expectDtype(need(inputs, 0), 'a condition', 'bool');
    sameType(inputs);
    return [
      { dtype: 'bool', shape: broadcastShapes(need(inputs, 0).shape, need(inputs, 1).shape) },
    ];
  },
});

export const elementwise: OperatorTable<ElementwiseAttributes> = {
  add: binary('Add'),
  sub: binary('Sub'),
  mul: binary('Mul'),
  div: binary('Div'),
  pow: binary('Pow'),
  min: binary('Min'),
  max: binary('Max'),
  mod: binary('Mod'),
  equal: comparison('Equal'),
  less: comparison('Less'),
  lessOrEqual: comparison('LessOrEqual'),
  greater: comparison('Greater'),
  greaterOrEqual: comparison('GreaterOrEqual'),
  and: logical('And'),
  or: logical('Or'),
  not: {
    arity: [1, 1],
    infer: (inputs) => {
      expectDtype(need(inputs, 0), 'a condition', 'bool');
      return [need(inputs, 0)];
    },
    onnx: () => ({ type: 'Not' }),
  },
  isNaN: {
    arity: [1, 1],
    infer: (inputs) => [{ dtype: 'bool', shape: need(inputs, 0).shape }],
    onnx: () => ({ type: 'IsNaN' }),
  },
  where: {
    arity: [3, 3],
    infer: (inputs) => {
      const [condition, a, b] = [need(inputs, 0), need(inputs, 1), need(inputs, 2)];
      expectDtype(condition, 'the condition', 'bool');
      return [
        { dtype: sameType([a, b]), shape: broadcastShapes(condition.shape, a.shape, b.shape) },
      ];
    },
    onnx: () => ({ type: 'Where' }),
  },
  neg: unary('Neg', false),
  abs: unary('Abs', false),
  sign: unary('Sign', false),
  floor: unary('Floor'),
  ceil: unary('Ceil'),
  round: unary('Round'),
  exp: unary('Exp'),
  log: unary('Log'),
  sqrt: unary('Sqrt'),
  reciprocal: unary('Reciprocal'),
  erf: unary('Erf'),
  tanh: unary('Tanh'),
  sigmoid: unary('Sigmoid'),
  sin: unary('Sin'),
  cos: unary('Cos'),
  relu: unary('Relu'),
  // One kernel on every provider; ONNX's own Swish (opset 24) has none on WebGPU.
  silu: {
    ...unary('QuickGelu'),
    onnx: () => ({
      type: 'QuickGelu',
      domain: 'com.microsoft',
      attributes: { alpha: float(1) },
    }),
  },
  gelu: {
    arity: [1, 1],
    infer: (inputs) => [need(inputs, 0)],
    onnx: ({ approximate }) => ({ type: 'Gelu', attributes: { approximate: string(approximate) } }),
  },
  cast: {
    arity: [1, 1],
    infer: (inputs, { to }) => [{ dtype: to, shape: need(inputs, 0).shape }],
    onnx: ({ to }) => ({ type: 'Cast', attributes: { to: int(dtypeFacts[to].onnx) } }),
  },
  identity: unary('Identity', false),
};
