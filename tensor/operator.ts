// What an entry of the operator table says: which types come out, and which ONNX node it is. Tables live in ops/,
// one file per family; this file owns their common vocabulary and knows no operator by name.
import type { DType } from './dtype.ts';
import type { Shape } from './shape.ts';
import { ShapeError, broadcastShapes, showShape } from './shape.ts';

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

export type OnnxAttribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  /** A one-element tensor (ConstantOfShape). */
  | { readonly kind: 'scalar'; readonly value: number; readonly dtype: DType };

export const int = (value: number | boolean): OnnxAttribute => ({
  kind: 'int',
  value: Number(value),
});
export const float = (value: number): OnnxAttribute => ({ kind: 'float', value });
export const ints = (value: readonly number[]): OnnxAttribute => ({ kind: 'ints', value });
export const string = (value: string): OnnxAttribute => ({ kind: 'string', value });

export interface OnnxOp {
  readonly type: string;
  /** '' is ai.onnx at the model's opset. */
  readonly domain?: 'com.microsoft';
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  /** Where our outputs stand among the ONNX node's; default 0, 1, 2 ... */
  readonly slots?: readonly number[];
}

/** No attributes. */
export type None = Readonly<Record<string, never>>;

export type InputTypes = readonly (TensorType | undefined)[];

export interface Operator<A> {
  /** How many inputs may be given, at least and at most; those between may be left out. */
  readonly arity: readonly [number, number];
  /** Output types; throws ShapeError where the inputs don't fit. */
  readonly infer: (inputs: InputTypes, attributes: A) => readonly TensorType[];
  readonly onnx: (attributes: A, inputs: InputTypes, outputs: readonly TensorType[]) => OnnxOp;
}

export type OperatorTable<T> = { readonly [K in keyof T]: Operator<T[K]> };

/** The input at `index`, which this operator needs. */
export function need(inputs: InputTypes, index: number): TensorType {
  const type = inputs[index];
  if (type === undefined) throw new ShapeError(`input ${index} is missing`);
  return type;
}

/** The common dtype of the first `count` inputs. */
export function sameType(inputs: InputTypes): DType {
  const { dtype } = need(inputs, 0);
  for (const type of inputs) {
    if (type !== undefined && type.dtype !== dtype) {
      throw new ShapeError(`${dtype} and ${type.dtype} don't mix; cast one of them`);
    }
  }
  return dtype;
}

export function expectDtype(type: TensorType, what: string, ...allowed: readonly DType[]): void {
  if (!allowed.includes(type.dtype)) {
    throw new ShapeError(`${what} must be ${allowed.join(' or ')}, not ${type.dtype}`);
  }
}

export function expectRank(type: TensorType, what: string, ...ranks: readonly number[]): void {
  if (!ranks.includes(type.shape.length)) {
    throw new ShapeError(
      `${what} must have rank ${ranks.join(' or ')}, not ${showShape(type.shape)}`,
    );
  }
}

/** `small` broadcasts to `big` without enlarging it. */
export function expectBroadcastsTo(small: Shape, big: Shape): void {
  const joint = broadcastShapes(small, big);
  if (showShape(joint) !== showShape(broadcastShapes(big))) {
    throw new ShapeError(`${showShape(small)} doesn't broadcast to ${showShape(big)}`);
  }
}
