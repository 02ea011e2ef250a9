// Activations for integer products. What rounding to -127 .. 127 leaves is at most half a step, so in steps of 1/254 it
// can be rounded again: x = s (d1 + d2 / 254 + d3 / 254^2), s = max|x| / 127. One digit is the usual 8-bit product,
// two hold 16 bits, and three the 24 of a float32 (of the largest value that shares s): integer weights then stay
// packed and the product is as exact as float32's. Digits lie below each other, so that weights are read once:
//
//     x [M, K] -> digits [count * M, K] -> one product [count * M, N] -> sum [M, N]

import type { GraphBuilder } from '../tensor/builder.ts';
import type { Value } from '../tensor/graph.ts';
import type { Dim } from '../tensor/shape.ts';

/** float: as exact as float32. int8: rounded to 8 bits, two to four times as fast. int16: to 16 bits, in between. */
export type Activations = 'float' | 'int16' | 'int8';

export const digitsOf = (activations: Activations): number =>
  ({ int8: 1, int16: 2, float: 3 })[activations];

/** uint8 codes of 0. */
export const ZERO = 128;
const LARGEST = 127;
/** Steps of a digit in one step of the digit before. */
const BASE = 2 * LARGEST;

export interface RowDigits {
  /** uint8 [count * M, K] */
  readonly codes: Value;
  /** [M, 1]: s. A row's own, so that it doesn't depend on others. */
  readonly scales: Value;
  readonly count: number;
}

/** Makes digits of rows; what depends on their number alone is made once. */
export const rowDigitsOf = (g: GraphBuilder, count: number): ((x: Value) => RowDigits) => {
  const zeros = new Map<Dim, Value>();
  const zerosOf = (rows: Dim): Value => {
    const known = zeros.get(rows) ?? g.expand(g.constant(ZERO, 'uint8'), [rows, 1]);
    zeros.set(rows, known);
    return known;
  };
  return (x) => {
    const rows = g.reshape(x, [-1, x.shape.at(-1) ?? 1]);
    return rowDigits(g, rows, zerosOf(rows.shape[0] ?? 1), count);
  };
};

/**
 * x [M, K] with one scale a row; zeros [M, 1]. A row of zeros has the scale 0: whatever its codes are then, what is
 * made of them is multiplied by it.
 */
const rowDigits = (g: GraphBuilder, x: Value, zeros: Value, count: number): RowDigits => {
  const scales = stepOf(g, x);
  const first = g.quantizeLinear(x, scales, {
    to: 'uint8',
    zero: zeros,
    blockSize: Number(x.shape[1]),
  });
  const codes = [first];
  const zero = g.constant(ZERO, 'uint8');
  const valueOf = (code: Value, step: Value): Value => g.dequantizeLinear(code, step, { zero });
  let rest = count === 1 ? x : g.sub(g.div(x, scales), valueOf(first, g.constant(1)));
  for (let digit = 1; digit < count; digit += 1) {
    const step = g.constant(BASE ** -digit);
    const code = g.quantizeLinear(rest, step, { to: 'uint8', zero });
    codes.push(code);
    if (digit + 1 < count) rest = g.sub(rest, valueOf(code, step));
  }
  return { codes: stacked(g, codes), scales, count };
};

/** [count * M, N] of integer sums -> [M, N]: (y1 + y2 / 254 + ...) s. */
export const sumOfRowDigits = (
  g: GraphBuilder,
  products: Value,
  { scales, count }: RowDigits,
): Value => {
  if (count === 1) return g.mul(products, scales);
  // As a product with one row: the digits are read once, and copied never.
  const steps = Float32Array.from({ length: count }, (_, digit) => BASE ** -digit);
  const flat = g.matmul(g.constant(steps, 'float32', [1, count]), g.reshape(products, [count, -1]));
  return g.mul(g.reshape(flat, [scales.shape[0] ?? 1, products.shape[1] ?? 1]), scales);
};

export interface BlockDigits {
  /** [count * M, K] */
  readonly values: Value;
  /** M */
  readonly rows: Dim;
  readonly count: number;
}

/**
 * x [..., K] as a sum of float matrices, one below the other, whose blocks of `blockSize` a kernel that rounds each
 * block to int8 (MatMulNBits with accuracy_level 4) leaves as they are. It rounds the last itself.
 */
export const blockDigits = (
  g: GraphBuilder,
  x: Value,
  blockSize: number,
  count: number,
): BlockDigits => {
  const columns = Number(x.shape.at(-1) ?? 1);
  const rows = g.reshape(x, [-1, columns]);
  let rest = g.reshape(rows, [-1, columns / blockSize, blockSize]);
  const parts: Value[] = [];
  for (let digit = 1; digit < count; digit += 1) {
    const step = g.max(stepOf(g, rest), 1e-30);
    const part = g.mul(g.round(g.div(rest, step)), step);
    parts.push(part);
    rest = g.sub(rest, part);
  }
  parts.push(rest);
  return { values: g.reshape(stacked(g, parts), [-1, columns]), rows: rows.shape[0] ?? 1, count };
};

/** [count * M, N] -> [M, N] */
export const sumOfBlockDigits = (
  g: GraphBuilder,
  products: Value,
  { count, rows }: BlockDigits,
): Value => {
  if (count === 1) return products;
  const ones = g.constant(new Float32Array(count).fill(1), 'float32', [1, count]);
  const flat = g.matmul(ones, g.reshape(products, [count, -1]));
  return g.reshape(flat, [rows, products.shape[1] ?? 1]);
};

/** What a row or block is divided by; 0 for one of zeros. */
const stepOf = (g: GraphBuilder, x: Value): Value =>
  g.mul(g.reduceMax(g.abs(x), [-1], true), 1 / LARGEST);

const stacked = (g: GraphBuilder, parts: readonly Value[]): Value => {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : g.concat(parts, 0);
};
