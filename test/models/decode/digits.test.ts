// Products of integer weights with activations as digits, beside the same products in float64.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  blockDigits,
  digitsOf,
  rowDigitsOf,
  sumOfBlockDigits,
  sumOfRowDigits,
  ZERO,
  type Activations,
} from '../../../models/digits.ts';
import { stream } from '../../../random/threefry.ts';
import { GraphBuilder } from '../../../tensor/builder.ts';
import { createSession, type Session } from '../../../tensor/session.ts';

const K = 96;
const N = 40;
const BLOCK = 32;

/** What rounding may leave, relative to (largest |x| of the row) * sum of |w|. */
const tolerance: Readonly<Record<Activations, number>> = { int8: 4e-3, int16: 1.6e-5, float: 2e-7 };

const random = stream(3, 'digits');
const codes = Int8Array.from({ length: N * K }, () => random.below(255) - 127);
/** [N, K] */
const weight = (row: number, column: number): number => (codes[row * K + column] ?? 0) / 127;

const rowProduct = (count: number): Promise<Session> => {
  const g = new GraphBuilder();
  const digits = rowDigitsOf(g, count)(g.input('x', 'float32', ['M', K]));
  const products = g.qGemm(
    { data: digits.codes, scale: g.constant(1), zero: g.constant(ZERO, 'uint8') },
    {
      data: g.initializer('w', 'int8', [N, K]),
      scales: g.initializer('s', 'float32', [N]),
    },
  );
  g.output('y', sumOfRowDigits(g, products, digits));
  const initializers = { w: codes, s: new Float32Array(N).fill(1 / 127) };
  return createSession(g.build(), { initializers });
};

const blockProduct = (count: number): Promise<Session> => {
  const g = new GraphBuilder();
  const digits = blockDigits(g, g.input('x', 'float32', ['M', K]), BLOCK, count);
  const perRow = K / BLOCK;
  const products = g.matMulNBits(
    digits.values,
    {
      data: g.initializer('w', 'uint8', [N, perRow, BLOCK]),
      scales: g.initializer('s', 'float32', [N, perRow]),
    },
    { n: N, k: K, bits: 8, blockSize: BLOCK, accuracy: 4 },
  );
  g.output('y', sumOfBlockDigits(g, products, digits));
  const initializers = {
    w: Uint8Array.from(codes, (code) => code + ZERO),
    s: new Float32Array(N * perRow).fill(1 / 127),
  };
  return createSession(g.build(), { initializers });
};

/** Ordinary values, one far larger than the others, zeros, and rows of nothing. */
const rows = fc.array(
  fc.tuple(
    fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: K, maxLength: K }),
    fc.constantFrom(0, 1, 1e-20, 3000),
    fc.nat(K - 1),
  ),
  { minLength: 1, maxLength: 4 },
);

for (const [name, product] of [
  ['int8 rows', rowProduct],
  ['8-bit blocks', blockProduct],
] as const) {
  for (const activations of ['int8', 'int16', 'float'] as const) {
    test(`${name}, ${activations} activations: within what its digits hold`, async () => {
      const session = await product(digitsOf(activations));
      await fc.assert(
        fc.asyncProperty(rows, async (made) => {
          const x = Float32Array.from(
            made.flatMap(([values, factor, at]) =>
              values.map((value, index) =>
                index === at ? value * factor : value * Math.min(1, factor),
              ),
            ),
          );
          const { y } = await session.run({ x: { data: x, shape: [made.length, K] } });
          for (let row = 0; row < made.length; row += 1) {
            const own = x.subarray(row * K, (row + 1) * K);
            const largest = Math.max(...own.map(Math.abs));
            for (let column = 0; column < N; column += 1) {
              const wanted = own.reduce((sum, value, k) => sum + value * weight(column, k), 0);
              const norm = own.reduce((sum, _, k) => sum + Math.abs(weight(column, k)), 0);
              const error = Math.abs(Number(y?.data[row * N + column]) - wanted);
              assert.ok(
                error <= tolerance[activations] * largest * norm,
                `row ${row}, column ${column}: off by ${error}, largest input ${largest}`,
              );
            }
          }
        }),
        { numRuns: 40 },
      );
      await session.release();
    });
  }
}
