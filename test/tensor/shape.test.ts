import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ShapeError,
  addDims,
  broadcastShapes,
  canonicalDim,
  concatShapes,
  divDims,
  evaluateDim,
  matmulShape,
  mulDims,
  reshapeTarget,
  sameDim,
  subDims,
} from '../../tensor/shape.ts';
import type { Dim } from '../../tensor/shape.ts';

const names = ['B', 'T', 'P'] as const;
const dim: fc.Arbitrary<Dim> = fc.oneof(
  fc.integer({ min: 0, max: 20 }),
  fc.constantFrom(...names),
  fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)).map(([a, b]) => mulDims(a, b)),
  fc.tuple(fc.constantFrom(...names), fc.nat(9)).map(([a, n]) => addDims(a, n)),
);
const sizes = fc
  .tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 9 }),
  )
  .map((values) => new Map(names.map((name, i) => [name as string, values[i]!])));

describe('dimensions', () => {
  test('their algebra is that of their values', () => {
    fc.assert(
      fc.property(dim, dim, sizes, (a, b, at) => {
        const [x, y] = [evaluateDim(a, at)!, evaluateDim(b, at)!];
        assert.equal(evaluateDim(addDims(a, b), at), x + y);
        assert.equal(evaluateDim(subDims(a, b), at), x - y);
        assert.equal(evaluateDim(mulDims(a, b), at), x * y);
        const product = mulDims(a, b);
        const quotient = b === 0 ? undefined : divDims(product, b);
        if (quotient !== undefined) assert.equal(evaluateDim(quotient, at)! * y, x * y);
        assert.ok(sameDim(canonicalDim(a), a));
        assert.equal(canonicalDim(canonicalDim(a)), canonicalDim(a));
      }),
    );
  });

  test('order and spelling do not matter', () => {
    assert.ok(sameDim('T*B', 'B*T'));
    assert.ok(sameDim('P+T', 'T+P'));
    assert.equal(mulDims(2, 'P+1'), '2*P+2');
    assert.equal(subDims('T', 1), 'T-1');
    assert.equal(addDims('T-1', 1), 'T');
    assert.equal(divDims('6*B*T', '2*T'), '3*B');
    assert.equal(divDims('T+1', 2), undefined);
  });

  test('what is no size and no name is refused', () => {
    assert.throws(() => addDims(1.5), ShapeError);
    assert.throws(() => addDims('a b'), /"a b" is not the name of a dimension/);
  });
});

describe('shapes', () => {
  test('broadcast as NumPy does; names only with themselves and 1', () => {
    assert.deepEqual(broadcastShapes(['B', 1, 4], ['T', 1]), ['B', 'T', 4]);
    assert.deepEqual(broadcastShapes([], [2, 3]), [2, 3]);
    assert.throws(
      () => broadcastShapes(['B', 3], ['T', 3]),
      /\[B, 3\] and \[T, 3\] don't broadcast/,
    );
    assert.throws(() => broadcastShapes([2], [3]), ShapeError);
    assert.throws(() => broadcastShapes(['T'], [3]), ShapeError);
  });

  test('matrix products join the inner dimension', () => {
    assert.deepEqual(matmulShape(['B', 'T', 4], [8, 4], false, true), ['B', 'T', 8]);
    assert.throws(() => matmulShape([2, 3], [4, 5]), /inner dimensions 3 and 4 differ/);
    assert.throws(() => matmulShape([3], [3, 2]), /two matrices/);
  });

  test('reshape fills one open dimension exactly or not at all', () => {
    assert.deepEqual(reshapeTarget(['B', 'T', 12], ['B*T', 3, -1]), ['B*T', 3, 4]);
    assert.deepEqual(reshapeTarget(['B', 'T', 12], [-1, 12]), ['B*T', 12]);
    assert.throws(() => reshapeTarget(['T', 10], ['T', 3, -1]), /don't fill/);
    assert.throws(() => reshapeTarget(['T', 4], ['B', 4]), /4\*T elements don't fill \[B, 4\]/);
    assert.throws(() => reshapeTarget([4], [-1, -1]), /more than one/);
  });

  test('concatenation adds along its axis and needs the others equal', () => {
    assert.deepEqual(
      concatShapes(
        [
          ['P', 4],
          ['T', 4],
        ],
        0,
      ),
      ['P+T', 4],
    );
    assert.throws(
      () =>
        concatShapes(
          [
            [2, 4],
            [2, 5],
          ],
          0,
        ),
      /differ outside axis 0/,
    );
  });
});
