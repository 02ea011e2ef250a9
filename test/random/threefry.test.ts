// Threefry against the published vectors, and what every stream promises.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { deriveKey, stream, threefry2x32 } from '../../random/threefry.ts';

// The first three: Random123's kat_vectors ("threefry2x32 20"); the others: jax 0.10 (jax.extend.random.threefry_2x32).
const KNOWN = [
  { counter: [0, 0], key: [0, 0], gives: [0x6b200159, 0x99ba4efe] },
  {
    counter: [0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    gives: [0x1cb996fc, 0xbb002be7],
  },
  {
    counter: [0x243f6a88, 0x85a308d3],
    key: [0x13198a2e, 0x03707344],
    gives: [0xc4923a9c, 0x483df7a0],
  },
  { counter: [1, 2], key: [3, 4], gives: [0x1582f228, 0xe15e40d1] },
  { counter: [0xdeadbeef, 7], key: [42, 0], gives: [0xfcb16cb7, 0xdc892552] },
] as const;

test('threefry2x32 gives the known answers', () => {
  for (const { counter, key, gives } of KNOWN) {
    const out = new Uint32Array(2);
    threefry2x32(key[0], key[1], counter[0], counter[1], out);
    assert.deepEqual([...out], gives);
  }
});

const anyStream = fc.record({
  seed: fc.maxSafeInteger(),
  purpose: fc.string({ unit: 'grapheme' }),
  indices: fc.array(fc.maxSafeNat(), { maxLength: 3 }),
});

test('equal names give equal values', () => {
  fc.assert(
    fc.property(anyStream, ({ seed, purpose, indices }) => {
      const values = (): number[] => {
        const random = stream(seed, purpose, ...indices);
        return [random.uint32(), random.uniform(), random.normal(), random.below(1000)];
      };
      assert.deepEqual(values(), values());
    }),
  );
});

test('different names give different keys', () => {
  fc.assert(
    fc.property(anyStream, anyStream, (one, other) => {
      fc.pre(JSON.stringify(one) !== JSON.stringify(other));
      assert.notDeepEqual(
        deriveKey(one.seed, one.purpose, one.indices),
        deriveKey(other.seed, other.purpose, other.indices),
      );
    }),
  );
  // Parts that would be the same bytes if they were joined.
  const keys = [
    deriveKey(1, 'ab', []),
    deriveKey(1, 'ab\0', []),
    deriveKey(1, 'ab', [0]),
    deriveKey(1, 'ab', [0, 0]),
    deriveKey(1, 'abcd', []),
    deriveKey(1, 'abcd\0\0\0\0', []),
    deriveKey(1 + 2 ** 32, 'ab', []),
    deriveKey(-1, 'ab', []),
    deriveKey(1, '', [1, 2]),
    deriveKey(1, '', [2, 1]),
    deriveKey(1, '', [1 + 2 ** 32, 2]),
  ].map(String);
  assert.equal(new Set(keys).size, keys.length);
});

test('a permutation holds every index once', () => {
  fc.assert(
    fc.property(anyStream, fc.nat({ max: 300 }), ({ seed, purpose, indices }, n) => {
      const order = stream(seed, purpose, ...indices).permutation(n);
      assert.deepEqual(
        order.toSorted((a, b) => a - b),
        Array.from({ length: n }, (_, index) => index),
      );
    }),
  );
});

test('below stays under its bound, also above 2^32', () => {
  fc.assert(
    fc.property(fc.nat(), fc.maxSafeNat(), (seed, bound) => {
      fc.pre(bound > 0);
      const random = stream(seed, 'below');
      for (let draw = 0; draw < 20; draw += 1) {
        const value = random.below(bound);
        assert.ok(Number.isSafeInteger(value) && value >= 0 && value < bound);
      }
    }),
  );
  assert.throws(() => stream(0, 'below').below(0), RangeError);
});

test('all permutations of four are equally likely', () => {
  const counts = new Map<string, number>();
  const draws = 24_000;
  for (let draw = 0; draw < draws; draw += 1) {
    const order = stream(7, 'uniformity', draw).permutation(4).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  // Chi-squared with 23 degrees of freedom: 49.7 is its 0.999 quantile. The seed is fixed, so this can't flicker.
  const expected = draws / 24;
  const chi = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  assert.ok(chi < 49.7, `chi-squared ${String(chi)}`);
});

test('bulk values have the moments they should', () => {
  const size = 200_001;
  const moments = (values: Float32Array): { mean: number; variance: number } => {
    const mean = values.reduce((sum, value) => sum + value, 0) / size;
    return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size };
  };
  const uniform = moments(stream(1, 'uniform').fillUniform(new Float32Array(size), -2, 4));
  assert.ok(Math.abs(uniform.mean - 1) < 0.02 && Math.abs(uniform.variance - 3) < 0.03);
  const normal = moments(stream(1, 'normal').fillNormal(new Float32Array(size), 3, 2));
  assert.ok(Math.abs(normal.mean - 3) < 0.02 && Math.abs(normal.variance - 4) < 0.06);
  const mask = stream(1, 'dropout').fillDropout(new Float32Array(size), 0.25);
  assert.deepEqual(
    [...new Set(mask)].toSorted((a, b) => a - b),
    [0, Math.fround(1 / 0.75)],
  );
  const dropped = mask.filter((value) => value === 0).length / size;
  assert.ok(Math.abs(dropped - 0.25) < 0.005);
});
