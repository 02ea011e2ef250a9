// quantize: the result is smaller, is read packed with the values its codes stand for, and is itself a model.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StepError } from '../../engine/step.ts';
import { writeRandomCheckpoint } from '../../models/checkpoint/initialise.ts';
import { modelConfig } from '../../models/config.ts';
import { openModel } from '../../models/model.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { loadModel } from '../../steps/load-model/step.ts';
import { quantize } from '../../steps/quantize/step.ts';
import { firstDifference, goldenTensors, temporaryFolder } from '../models/files.ts';
import { torchFile } from '../models/torch-file.ts';
import { sharedPath, skipUnlessShared } from '../shared.ts';
import { prepareStep, runStep } from './context.ts';

const folder = 'goldens/quantization';
const skip = skipUnlessShared(folder);

const expectedError: Readonly<Record<string, number>> = {
  // Root mean square error relative to normal weights (reference/ml-facts.md 2.5, with some room).
  nf4: 0.1,
  fp4: 0.14,
  int8: 0.01,
  int4: 0.1,
  q8_0: 0.008,
  q4_0: 0.1,
  q4_1: 0.09,
};
const cases: readonly JsonObject[] = [
  ...Object.keys(expectedError).map((format) => ({ format })),
  { format: 'nf4', double_quant: true },
  { format: 'int4', block_size: 64 },
  { format: 'int4', skip_modules: [] },
  { format: 'q8_0', skip_modules: ['q_proj', 'model.layers.1', 'lm_head'] },
];

const skippedMuch = ({ skip_modules: names }: JsonObject): boolean =>
  Array.isArray(names) && names.length > 1;

for (const params of cases)
  test(`quantize ${JSON.stringify(params)}`, { skip }, async () => {
    const base = await runStep(loadModel, {
      params: { source: 'path', path: sharedPath(`${folder}/llama`) },
    });
    const model = base.output('model', 'model');
    const run = await runStep(quantize, { params, inputs: { model } });
    const artifact = run.output('model', 'model');
    const quantised = openModel(artifact);
    const record = quantised.document.quantization as {
      bytes_before: number;
      bytes_after: number;
      tensors: { name: string; relative_error: number }[];
    };
    assert.ok(record.bytes_after < record.bytes_before * (skippedMuch(params) ? 0.9 : 0.5));
    assert.ok(record.tensors.length > 0);
    const limit = expectedError[params['format'] as string] ?? 0;
    for (const { name, relative_error: error } of record.tensors)
      assert.ok(error > 0 && error < limit, `${name} ${error}`);

    const { derived } = run.context;
    const packed = quantised.weights('packed', derived);
    const original = goldenTensors(sharedPath(`${folder}/llama/model.safetensors`));
    const names = new Set(record.tensors.map(({ name }) => name));
    const skipped = (params['skip_modules'] ?? ['lm_head']) as string[];
    for (const name of packed.names) {
      const linear = /proj\.weight$|lm_head/.test(name);
      const kept = skipped.some((part) => name.includes(part));
      assert.equal(names.has(name), linear && !kept, name);
      const weight = packed.get(name);
      if (names.has(name)) assert.notEqual(weight?.kind, 'float', name);
      else assert.equal(firstDifference(packed.read(name), original.values(name)), null, name);
    }
    // Quantised again from its own values nothing moves further than a code (a model like any other).
    const twice = await runStep(quantize, { params, inputs: { model: artifact } });
    const again = openModel(twice.output('model', 'model')).weights('packed', derived);
    for (const name of names) {
      const values = packed.read(name);
      const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      for (const [i, value] of again.read(name).entries())
        assert.ok(Math.abs(value - (values[i] ?? 0)) <= 0.14 * largest, name);
    }
    const repeated = await runStep(quantize, { params, inputs: { model } });
    for (const file of artifact.names)
      assert.ok(
        readFileSync(artifact.file(file)).equals(
          readFileSync(repeated.output('model', 'model').file(file)),
        ),
        `${file} is the same every time`,
      );
    for (const each of [base, run, twice, repeated]) each.dispose();
  });

test('int4 is mapped from its own file: nothing is written beside it', { skip }, async () => {
  const base = await runStep(loadModel, {
    params: { source: 'path', path: sharedPath(`${folder}/llama`) },
  });
  const run = await runStep(quantize, {
    params: { format: 'int4' },
    inputs: { model: base.output('model', 'model') },
  });
  const artifact = run.output('model', 'model');
  const weights = openModel(artifact).weights('packed', run.context.derived);
  for (const name of weights.names)
    assert.equal(weights.get(name)?.data.path, artifact.file('model.safetensors'));
  base.dispose();
  run.dispose();
});

test('a tied head that a checkpoint repeats is neither copied nor counted', async () => {
  using made = temporaryFolder();
  const config = {
    model_type: 'llama',
    vocab_size: 64,
    hidden_size: 16,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    tie_word_embeddings: true,
  };
  const path = join(made.path, 'plain.safetensors');
  writeRandomCheckpoint(path, config, modelConfig(config), 1);
  const plain = goldenTensors(path);
  const tensors = plain.names.map((name) => ({
    name,
    shape: plain.shape(name),
    storage: plain.values(name),
  }));
  const head = tensors.find(({ name }) => name === 'model.embed_tokens.weight')!;
  made.write('config.json', JSON.stringify(config));
  const bytes: number[] = [];
  for (const repeated of [[], [{ ...head, name: 'lm_head.weight' }]]) {
    made.write('pytorch_model.bin', torchFile([...tensors, ...repeated]));
    const base = await runStep(loadModel, { params: { source: 'path', path: made.path } });
    const run = await runStep(quantize, {
      params: { format: 'nf4' },
      inputs: { model: base.output('model', 'model') },
    });
    const artifact = run.output('model', 'model');
    const names = goldenTensors(artifact.file('model.safetensors')).names;
    assert.ok(!names.includes('lm_head.weight'));
    const { quantization } = openModel(artifact).document;
    bytes.push(Number(quantization?.['bytes_before']), Number(quantization?.['bytes_after']));
    base.dispose();
    run.dispose();
  }
  assert.deepEqual(bytes.slice(0, 2), bytes.slice(2));
});

test('sizes that a format’s blocks don’t divide are told once for a reason; where none fits, it is refused', async () => {
  const config = {
    model_type: 'llama',
    vocab_size: 64,
    hidden_size: 24,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 2,
  };
  const base = await runStep(loadModel, { params: { source: 'init', config } });
  const inputs = { model: base.output('model', 'model') };
  const run = await runStep(quantize, { params: { format: 'q8_0' }, inputs });
  assert.equal(run.warnings.length, 1);
  assert.match(
    run.warnings[0]!,
    /^not quantised: 12 layers \(model\.layers\.0\.\S+ \.\.\.\): rows of 24 /,
  );
  const none = prepareStep(quantize, {
    params: { format: 'q8_0', skip_modules: ['lm_head', 'down_proj'] },
    inputs,
  });
  await assert.rejects(Promise.resolve(quantize.run(none.context)), (error: unknown) => {
    assert.ok(error instanceof StepError);
    assert.equal(error.code, 'E511');
    assert.match(error.message, /no layer of this model can be q8_0: .*12 layers .*rows of 24/);
    return true;
  });
  for (const each of [base, run, none]) each.dispose();
});

test('parameters that have no meaning for a format are told', () => {
  const check = (params: JsonObject): number => quantize.check?.(params).length ?? 0;
  assert.equal(check({ format: 'int8', double_quant: true }), 1);
  assert.equal(check({ format: 'q4_0', block_size: 64 }), 1);
  assert.equal(check({ format: 'nf4', block_size: 128, double_quant: true }), 0);
});
