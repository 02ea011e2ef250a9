import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bfloat16ToFloat32,
  byteLength,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  fromNumbers,
} from '../../tensor/dtype.ts';

test('every float16 and bfloat16 pattern comes back from its value', () => {
  for (let bits = 0; bits < 65536; bits++) {
    const half = float16ToFloat32(bits);
    if (!Number.isNaN(half)) assert.equal(float32ToFloat16(half), bits);
    const brain = bfloat16ToFloat32(bits);
    if (!Number.isNaN(brain)) assert.equal(float32ToBfloat16(brain), bits);
  }
  assert.ok(Number.isNaN(float16ToFloat32(float32ToFloat16(NaN))));
  assert.ok(Number.isNaN(bfloat16ToFloat32(float32ToBfloat16(NaN))));
});

test('rounding is to nearest, ties to even, at both ends of the range', () => {
  assert.equal(float16ToFloat32(float32ToFloat16(1 + 2 ** -11)), 1);
  assert.equal(float16ToFloat32(float32ToFloat16(1 + 3 * 2 ** -11)), 1 + 2 ** -9);
  assert.equal(float16ToFloat32(float32ToFloat16(65519)), 65504);
  assert.equal(float16ToFloat32(float32ToFloat16(65520)), Infinity);
  assert.equal(float16ToFloat32(float32ToFloat16(2 ** -25)), 0);
  assert.equal(float16ToFloat32(float32ToFloat16(1.5 * 2 ** -25)), 2 ** -24);
  assert.equal(bfloat16ToFloat32(float32ToBfloat16(1 + 2 ** -8)), 1);
  assert.equal(bfloat16ToFloat32(float32ToBfloat16(1 + 3 * 2 ** -8)), 1 + 2 ** -6);
});

test('4-bit numbers are packed low half first', () => {
  assert.deepEqual([...fromNumbers('uint4', [1, 2, 15])], [0x21, 0x0f]);
  assert.deepEqual([...fromNumbers('int4', [-1, 7])], [0x7f]);
  assert.equal(byteLength('int4', 3), 2);
});
