// Random weights: a tensor too large for one piece holds the same values as its stream gives in one go.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  randomCheckpointBytes,
  writeRandomCheckpoint,
} from '../../../models/checkpoint/initialise.ts';
import { readSafetensorsHeader } from '../../../models/checkpoint/safetensors.ts';
import { modelConfig } from '../../../models/config.ts';
import { stream } from '../../../random/threefry.ts';
import { scratchFolder } from '../../scratch.ts';

test('pieces join to the values of the whole', () => {
  const json = {
    model_type: 'llama',
    vocab_size: 40_000,
    hidden_size: 32,
    intermediate_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 64,
    tie_word_embeddings: true,
  };
  const path = join(scratchFolder('init'), 'model.safetensors');
  writeRandomCheckpoint(path, json, modelConfig(json), 7);
  const { tensors } = readSafetensorsHeader(path);
  const bytes = readFileSync(path);

  const sizes = [...tensors.values()].map(({ data }) => data.bytes);
  assert.equal(
    randomCheckpointBytes(modelConfig(json)),
    sizes.reduce((sum, size) => sum + size, 0),
  );

  const name = 'model.embed_tokens.weight';
  const range = tensors.get(name)?.data;
  assert.ok(range !== undefined && range.bytes > 2 ** 22);
  const whole = stream(7, `init:${name}`).fillNormal(new Float32Array(40_000 * 32), 0, 0.02);
  assert.ok(
    bytes.subarray(range.offset, range.offset + range.bytes).equals(Buffer.from(whole.buffer)),
  );
});
