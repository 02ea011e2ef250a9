// What generate says about its parameters before anything runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../schemas/json.ts';
import { generate } from '../../steps/generate/step.ts';

const said = (params: JsonObject): readonly string[] =>
  (generate.check?.(params, ['model', 'prompts']) ?? []).map(
    ({ pointer, warning = false }) => `${warning ? 'warning' : 'error'} ${pointer}`,
  );

test('what has no effect with the other parameters is a warning', () => {
  assert.deepEqual(said({ mode: 'choices', temperature: 0.7, num_beams: 4, stop: ['.'] }), [
    'warning /temperature',
    'warning /stop',
    'warning /num_beams',
  ]);
  assert.deepEqual(said({ mode: 'perplexity', max_new_tokens: 8, stride: 4 }), [
    'warning /max_new_tokens',
  ]);
  assert.deepEqual(said({ stride: 4, top_p: 0.9, early_stopping: true }), [
    'warning /stride',
    'warning /top_p',
    'warning /early_stopping',
  ]);
});

test('defaults written out, and what has an effect, are no warnings', () => {
  assert.deepEqual(said({ mode: 'choices', temperature: 0, max_new_tokens: 256, stop: [] }), []);
  assert.deepEqual(said({ temperature: 0.7, top_p: 0.9, top_k: 5, min_p: 0.1 }), []);
  assert.deepEqual(said({ num_beams: 2, length_penalty: 2, early_stopping: true }), []);
});

test('what is an error already is not warned of, too', () => {
  const openai = { backend: 'openai', base_url: 'http://x/v1' };
  assert.deepEqual(
    generate
      .check?.({ ...openai, top_k: 5 }, ['prompts'])
      .filter(({ pointer }) => pointer === '/top_k').length,
    1,
  );
});
