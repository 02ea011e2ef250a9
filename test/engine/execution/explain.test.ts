// Differences between keys in words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { History } from '../../../engine/action-cache.ts';
import { asDigest } from '../../../engine/digest.ts';
import { explain, reasonFor } from '../../../engine/explain.ts';
import type { KeyFields } from '../../../engine/key.ts';

const [one, two] = [asDigest('1'.repeat(64)), asDigest('2'.repeat(64))];
const base: KeyFields = {
  schema: 1,
  step: 'lora-train',
  code: 'lora-train@1',
  params: { r: 8, sample: { n: 5 }, path: ['train.jsonl', one], targets: ['q', 'v'] },
  inputs: [['data', null, 'prompts', one]],
  seed: 1,
  numerics: { runtime: 'onnxruntime', device: 'cpu', arch: 'x64' },
};
const params = (change: object): KeyFields => ({
  ...base,
  params: { ...(base.params as object), ...change },
});
const texts = (after: KeyFields): readonly string[] => explain(base, after).map(({ text }) => text);

test('every kind of difference has its words', () => {
  assert.deepEqual(texts(base), []);
  assert.deepEqual(texts(params({ r: 16 })), ['r 8 → 16']);
  assert.deepEqual(texts(params({ sample: { n: 5, seed: 3 } })), ['sample.seed 3 is new']);
  assert.deepEqual(texts(params({ path: ['train.jsonl', two] })), ['file train.jsonl changed']);
  assert.deepEqual(texts(params({ path: ['other.jsonl', one] })), [
    'path train.jsonl → other.jsonl',
  ]);
  assert.deepEqual(texts(params({ targets: ['q', 'k'] })), ['targets[1] v → k']);
  assert.deepEqual(texts({ ...base, code: 'lora-train@2' }), ['code lora-train@1 → lora-train@2']);
  assert.deepEqual(texts({ ...base, inputs: [['data', null, 'prompts', two]] }), [
    'input data changed',
  ]);
  assert.deepEqual(texts({ ...base, inputs: [] }), ['input data is gone']);
  assert.deepEqual(texts({ ...base, seed: 2 }), ['seed 1 → 2']);
  assert.deepEqual(
    texts({ ...base, numerics: { runtime: 'onnxruntime', device: 'webgpu', arch: 'x64' } }),
    ['numerics onnxruntime cpu x64 → onnxruntime webgpu x64'],
  );
});

const history = (step: string, fields: KeyFields): History => ({
  step,
  fields,
  durationMs: 1,
  peakBytes: null,
});

test('the nearest earlier result is the one with the fewest differences', () => {
  const far = history('adapter', { ...params({ r: 4, sample: { n: 9 } }), seed: 9 });
  const near = history('adapter[r=4]', params({ r: 4 }));
  assert.equal(reasonFor([far, near], 'adapter', base), 'r 4 → 8');
  assert.equal(reasonFor([far], 'adapter', base), 'r 4 → 8, and 2 more');
  assert.equal(reasonFor([], 'adapter', base), 'never run');
});

test('of equally near results that of the same instance is meant', () => {
  const other = history('adapter[r=2]', params({ r: 2 }));
  const own = history('adapter[r=8]', params({ r: 4 }));
  assert.equal(reasonFor([other, own], 'adapter[r=8]', base), 'r 4 → 8');
});
