// Embeddings that are the head, too, in fewer bits: looked up and multiplied with as the values that their codes stand
// for, and floats again for transformers, which never quantises them.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { exportHf } from '../../../models/checkpoint/export-hf.ts';
import { openModel, type Model } from '../../../models/model.ts';
import { headModule } from '../../../models/modules.ts';
import type { JsonObject } from '../../../schemas/json.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { quantize } from '../../../steps/quantize/step.ts';
import { runStep } from '../../steps/context.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { cachedLogits } from '../decode/cached-logits.ts';
import { tinyRunner } from '../decode/tiny-models.ts';
import { temporaryFolder } from '../files.ts';
import { forward, openGolden, readJson, relativeDifference } from '../golden-model.ts';

const tokens = [3, 17, 5, 60, 41, 8, 22];

/** [tokens, vocab] */
const decoded = async (model: Model, derived: string): Promise<Float32Array> => {
  const { config } = model;
  const runner = await tinyRunner({ config, weights: model.weights('stored', derived) }, 'logits');
  const logits = await cachedLogits(runner, tokens, tokens.length);
  await runner.release();
  return logits;
};

const compare = async (load: JsonObject, params: JsonObject): Promise<void> => {
  const base = await runStep(loadModel, { params: load });
  const run = await runStep(quantize, {
    params: { ...params, skip_modules: [] },
    inputs: { model: base.output('model', 'model') },
  });
  const artifact = run.output('model', 'model');
  const model = openModel(artifact);
  const name = `${headModule(model.config)}.weight`;
  using scratch = temporaryFolder();
  assert.notEqual(model.weights('stored', scratch.path).get(name)?.kind, 'float');
  using target = temporaryFolder();
  exportHf(model, target.path, (file) => artifact.file(file));
  const written = openGolden(target.path, { mode: 'packed' });
  assert.equal(written.weights.get(name)?.kind, 'float');
  const packed = readJson<{ quantization_config?: { llm_int8_skip_modules: string[] } }>(
    join(target.path, 'config.json'),
  ).quantization_config;
  if (packed !== undefined) assert.ok(packed.llm_int8_skip_modules.includes('lm_head'));
  const expected = await forward(written, [tokens]);
  const difference = relativeDifference(
    await decoded(model, scratch.path),
    expected.values.get('logits') ?? new Float32Array(),
  );
  assert.ok(difference < 1e-4, `logits differ by ${difference}`);
  base.dispose();
  run.dispose();
};

for (const architecture of ['llama-tied', 'gemma', 'gpt2', 'qwen2', 'biogpt']) {
  const path = `goldens/architectures/${architecture}`;
  test(`${architecture} in int8`, { skip: skipUnlessShared(path) }, () =>
    compare({ source: 'path', path: sharedPath(path) }, { format: 'int8' }),
  );
}

const config = {
  model_type: 'llama',
  vocab_size: 96,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  tie_word_embeddings: true,
};
for (const format of ['int4', 'q8_0', 'q4_0', 'q4_1'])
  test(`a llama in ${format}`, () => compare({ source: 'init', config }, { format }));

test('in nf4 they stay, and it is said why', async () => {
  const base = await runStep(loadModel, { params: { source: 'init', config } });
  const inputs = { model: base.output('model', 'model') };
  const run = await runStep(quantize, { params: { format: 'nf4', skip_modules: [] }, inputs });
  assert.deepEqual(run.warnings, [
    'not quantised: model.embed_tokens: embeddings are not stored as nf4',
  ]);
  const model = openModel(run.output('model', 'model'));
  assert.equal(model.weights('packed', run.context.derived).get('lm_head.weight')?.kind, 'float');
  base.dispose();
  run.dispose();
});
