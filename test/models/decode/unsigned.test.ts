// int8 rows as uint8, for processors whose products of uint8 and int8 are wrong: the same numbers, so the same bits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Activations } from '../../../models/digits.ts';
import type { WeightMode } from '../../../models/checkpoint/layout.ts';
import { skipUnlessShared } from '../../shared.ts';
import { cachedLogits } from './cached-logits.ts';
import { openTiny, tinyRunner } from './tiny-models.ts';

const path = 'goldens/quantization/llama-int8';
const tokens = [3, 17, 5, 60, 41, 8, 22];

const logitsOf = async (mode: WeightMode, activations: Activations): Promise<Float32Array> => {
  const runner = await tinyRunner(openTiny(path, mode), 'logits', { activations });
  const logits = await cachedLogits(runner, tokens, tokens.length);
  await runner.release();
  return logits;
};

test('every weight has its values in both', { skip: skipUnlessShared(path) }, () => {
  const signed = openTiny(path, 'stored').weights;
  const unsigned = openTiny(path, 'unsigned').weights;
  let rows = 0;
  for (const name of signed.names) {
    const weight = unsigned.get(name);
    if (weight?.kind === 'int8-rows') {
      rows += 1;
      assert.equal(weight.codes, 'uint8');
    }
    assert.deepEqual(unsigned.read(name), signed.read(name), name);
  }
  assert.equal(rows, 14);
});

for (const activations of ['int8', 'int16', 'float'] satisfies Activations[])
  test(`logits have the same bits: ${activations}`, { skip: skipUnlessShared(path) }, async () => {
    const signed = await logitsOf('stored', activations);
    assert.ok(signed.length > 0 && signed.every(Number.isFinite));
    assert.deepEqual(await logitsOf('unsigned', activations), signed);
  });
