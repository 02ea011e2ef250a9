// Models with an adapter merged, written as a Hugging Face folder or GGUF and read again: PEFT's logits after
// merge_and_unload, from plain, 16-bit and packed weights.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { exportGguf } from '../../../models/checkpoint/export-gguf.ts';
import { exportHf } from '../../../models/checkpoint/export-hf.ts';
import { OpenFiles } from '../../../models/checkpoint/file.ts';
import { readTensor } from '../../../models/checkpoint/stored.ts';
import { mergeAdapter } from '../../../models/export/merge.ts';
import { AdapterError } from '../../../models/lora.ts';
import { openModel, type Model } from '../../../models/model.ts';
import { adapterPaths, readAdapter, readFloatTensors } from '../../../models/peft-files.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { quantize } from '../../../steps/quantize/step.ts';
import { runStep, type StepRun } from '../../steps/context.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { temporaryFolder } from '../files.ts';
import { forward, openGolden, readJson, relativeDifference, rowValues } from '../golden-model.ts';

const root = 'goldens/lora';
const skip = skipUnlessShared(root);
const cases =
  skip === false
    ? readdirSync(sharedPath(root)).filter((name) =>
        existsSync(sharedPath(`${root}/${name}/adapter`)),
      )
    : [];

interface Case {
  readonly base: string;
  readonly sequences: readonly (readonly number[])[];
}

const modelOf = (run: StepRun): { readonly model: Model; file: (name: string) => string } => {
  const artifact = run.output('model', 'model');
  return { model: openModel(artifact), file: (name) => artifact.file(name) };
};
const load = (path: string): Promise<StepRun> =>
  runStep(loadModel, { params: { source: 'path', path } });
const adapterOf = (name: string) =>
  readAdapter(adapterPaths(sharedPath(`${root}/${name}/adapter`)));

describe('merged', { skip }, () => {
  for (const name of cases)
    test(`${name}: the written folder gives PEFT's merged logits`, async () => {
      const folder = sharedPath(`${root}/${name}`);
      const { base, sequences } = readJson<Case>(join(folder, 'case.json'));
      const run = await load(join(folder, base));
      const { model, file } = modelOf(run);
      using scratch = temporaryFolder();
      using target = temporaryFolder();
      const merged = mergeAdapter(model, adapterOf(name), scratch.path);
      exportHf(merged.model, target.path, file);
      const expected = readFloatTensors(join(folder, 'logits.safetensors'));
      const result = await forward(openGolden(target.path), sequences);
      const logits = result.values.get('logits') ?? new Float32Array();
      for (const index of sequences.keys()) {
        const reference = expected.get(`merged.${index}`);
        assert.ok(reference);
        const difference = relativeDifference(rowValues(result, logits, index), reference.data);
        assert.ok(difference < 1e-4, `row ${index} differs by ${difference}`);
      }
      run.dispose();
    });

  test('as GGUF, through the reader again', async () => {
    const run = await load(sharedPath(`${root}/models/llama`));
    const { model, file } = modelOf(run);
    using scratch = temporaryFolder();
    using target = temporaryFolder();
    const merged = mergeAdapter(model, adapterOf('llama-all-linear'), scratch.path).model;
    const path = join(target.path, 'model.gguf');
    await exportGguf(merged, path, file);
    const again = await load(path);
    using files = new OpenFiles();
    const written = modelOf(again).model.tensors();
    for (const [name, tensor] of merged.tensors()) {
      const found = written.get(name);
      assert.ok(found, name);
      assert.deepEqual(readTensor(found, files), readTensor(tensor, files), name);
    }
    run.dispose();
    again.dispose();
  });

  test('a packed model is unpacked where it changes, and nowhere else', async () => {
    const run = await load(sharedPath(`${root}/models/llama`));
    const base = run.output('model', 'model');
    const packed = await runStep(quantize, { params: { format: 'nf4' }, inputs: { model: base } });
    using scratch = temporaryFolder();
    mkdirSync(join(scratch.path, 'a'));
    const adapter = adapterOf('llama-attention');
    const { model } = modelOf(packed);
    const merged = mergeAdapter(model, adapter, join(scratch.path, 'a'));
    assert.deepEqual([...merged.dtypes], [['F32', 4]]);
    using files = new OpenFiles();
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const [before, after] = [model.tensors().get(name), merged.model.tensors().get(name)];
    assert.ok(before && after && after.quantized === null);
    const plain = modelOf(run).model;
    mkdirSync(join(scratch.path, 'b'));
    const exact = mergeAdapter(plain, adapter, join(scratch.path, 'b')).model;
    const deltaOf = (from: Model, to: Model): Float32Array => {
      const [old, now] = [from, to].map((each) => each.tensors().get(name));
      assert.ok(old && now);
      const values = readTensor(old, files);
      return readTensor(now, files).map((value, index) => value - (values[index] ?? 0));
    };
    const difference = relativeDifference(deltaOf(model, merged.model), deltaOf(plain, exact));
    assert.ok(difference < 1e-5, `what is added differs by ${difference}`);
    const other = 'model.layers.0.mlp.up_proj.weight';
    assert.deepEqual(merged.model.tensors().get(other), model.tensors().get(other));
    run.dispose();
    packed.dispose();
  });

  for (const [name, left] of [
    ['llama-attention', ['q_proj', 'v_proj']],
    ['llama-all-linear', null],
  ] as const)
    test(`${name} in a packed model: transformers is told what is packed still`, async () => {
      const run = await load(sharedPath(`${root}/models/llama`));
      const inputs = { model: run.output('model', 'model') };
      const packed = await runStep(quantize, { params: { format: 'int8' }, inputs });
      using scratch = temporaryFolder();
      using target = temporaryFolder();
      const { model, file } = modelOf(packed);
      exportHf(mergeAdapter(model, adapterOf(name), scratch.path).model, target.path, file);
      const { quantization_config: config } = readJson<{
        quantization_config?: { llm_int8_skip_modules: string[] };
      }>(join(target.path, 'config.json'));
      const skipped = config?.llm_int8_skip_modules.filter((module) => module !== 'lm_head');
      const modules = left?.flatMap((part) =>
        [0, 1].map((at) => `model.layers.${at}.self_attn.${part}`),
      );
      assert.deepEqual(skipped?.sort(), modules?.sort());
      run.dispose();
      packed.dispose();
    });

  test('an adapter for another model is refused, naming a tensor', async () => {
    const run = await load(sharedPath(`${root}/models/gpt2`));
    using scratch = temporaryFolder();
    assert.throws(
      () => mergeAdapter(modelOf(run).model, adapterOf('llama-attention'), scratch.path),
      (error) => error instanceof AdapterError && /q_proj/.test(error.message),
    );
    run.dispose();
  });
});
