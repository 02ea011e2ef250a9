// A model written as GGUF is the model: against gguf-py's own files, and a real file out and in again.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { exportGguf } from '../../../models/checkpoint/export-gguf.ts';
import { exportHf } from '../../../models/checkpoint/export-hf.ts';
import { OpenFiles } from '../../../models/checkpoint/file.ts';
import { readGgufHeader, type GgufFile, type GgufTensor } from '../../../models/checkpoint/gguf.ts';
import { readTensor } from '../../../models/checkpoint/stored.ts';
import { openModel } from '../../../models/model.ts';
import type { JsonObject } from '../../../schemas/json.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { quantize } from '../../../steps/quantize/step.ts';
import { runStep } from '../../steps/context.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { temporaryFolder } from '../files.ts';

const exported = async (path: string, target: string) => {
  const source = isAbsolute(path) ? path : sharedPath(path);
  const run = await runStep(loadModel, { params: { source: 'path', path: source } });
  const artifact = run.output('model', 'model');
  const model = openModel(artifact);
  await exportGguf(model, target, (name) => artifact.file(name));
  return { run, model };
};

const digest = (tensor: GgufTensor | undefined, files: OpenFiles): string =>
  tensor === undefined
    ? 'missing'
    : createHash('sha256').update(files.read(tensor.data)).digest('hex');

const sameTensors = (actual: GgufFile, expected: GgufFile): void => {
  using files = new OpenFiles();
  assert.deepEqual([...actual.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
  for (const [name, tensor] of expected.tensors) {
    assert.equal(actual.tensors.get(name)?.encoding, tensor.encoding, name);
    assert.deepEqual(actual.tensors.get(name)?.shape, tensor.shape, name);
    assert.equal(digest(actual.tensors.get(name), files), digest(tensor, files), name);
  }
};

test(
  'a Hugging Face folder: the tensors and metadata that gguf-py wrote',
  {
    skip: skipUnlessShared('goldens/quantization/gguf'),
  },
  async () => {
    using folder = temporaryFolder();
    const path = `${folder.path}/model.gguf`;
    const { run } = await exported('goldens/quantization/llama', path);
    const actual = readGgufHeader(path);
    const expected = readGgufHeader(sharedPath('goldens/quantization/gguf/llama-f32.gguf'));
    sameTensors(actual, expected);
    for (const [key, value] of expected.metadata)
      if (key !== 'general.name') assert.deepEqual(actual.metadata.get(key), value, key);
    run.dispose();
  },
);

const smollm2 = 'models/smollm2-135m-instruct';
test(
  'SmolLM2: out and in again every block, token and setting is the same',
  {
    skip: skipUnlessShared(smollm2),
  },
  async () => {
    using folder = temporaryFolder();
    const path = `${folder.path}/model.gguf`;
    const { run } = await exported(smollm2, path);
    const actual = readGgufHeader(path);
    const expected = readGgufHeader(sharedPath(`${smollm2}/SmolLM2-135M-Instruct.Q4_1.gguf`));
    sameTensors(actual, expected);
    for (const [key, value] of expected.metadata) {
      // What says where a model came from isn't kept, nor what only llama.cpp's own tokenizer of this kind ignores.
      if (key.startsWith('general.') && !/architecture|file_type/.test(key)) continue;
      if (key === 'tokenizer.ggml.add_space_prefix') continue;
      assert.deepEqual(actual.metadata.get(key), value, key);
    }
    run.dispose();
  },
);

/** Families whose goldens say what GGUF can't: the key that is put right, and what is refused before. */
const mended: Readonly<Record<string, readonly [JsonObject, RegExp]>> = {
  gemma2: [{ query_pre_attn_scalar: 16 }, /scales its attention/],
  'gpt2-biomedlm': [{ scale_attn_by_inverse_layer_idx: false }, /scales its attention/],
};

const families = ['qwen2', 'qwen3', 'gemma', 'gemma2', 'phi3', 'gpt2', 'gpt2-biomedlm', 'mistral'];
for (const name of [...families, 'llama-mha-bias', 'llama-linear'])
  test(
    `${name}: written and read again it is the same model`,
    {
      skip: skipUnlessShared(`goldens/architectures/${name}`),
    },
    async () => {
      using folder = temporaryFolder();
      const path = folder.path + '/model.gguf';
      const [change, refusal] = mended[name] ?? [null, null];
      let source = `goldens/architectures/${name}`;
      if (refusal !== null) {
        await assert.rejects(exported(source, path), refusal);
        source = `${folder.path}/source`;
        cpSync(sharedPath(`goldens/architectures/${name}`), source, { recursive: true });
        const config = JSON.parse(readFileSync(`${source}/config.json`, 'utf8')) as JsonObject;
        rmSync(`${source}/config.json`);
        writeFileSync(`${source}/config.json`, JSON.stringify({ ...config, ...change }));
      }
      const { run, model } = await exported(source, path);
      const again = await runStep(loadModel, { params: { source: 'path', path } });
      const read = openModel(again.output('model', 'model'));
      const tensors = model.tensors();
      assert.deepEqual([...read.tensors().keys()].sort(), [...tensors.keys()].sort());
      using files = new OpenFiles();
      for (const [key, tensor] of read.tensors()) {
        const original = tensors.get(key);
        assert.ok(original);
        const values = readTensor(original, files);
        // Norms with 1 added lose a bit of the last place; nothing else changes.
        const tolerance = tensor.arrangement.kind === 'plus-one' ? 2 ** -23 : 0;
        for (const [i, value] of readTensor(tensor, files).entries())
          assert.ok(Math.abs(value - (values[i] ?? 0)) <= tolerance, `${key} ${i}`);
      }
      const { attention, mlp, norm, positions, ...rest } = read.config;
      assert.deepEqual(
        { ...rest, modelType: '' },
        {
          vocabSize: model.config.vocabSize,
          hiddenSize: model.config.hiddenSize,
          layers: model.config.layers,
          maxPositions: model.config.maxPositions,
          postNorms: model.config.postNorms,
          embeddingScale: model.config.embeddingScale,
          tied: model.config.tied,
          finalSoftcap: model.config.finalSoftcap,
          modelType: '',
        },
      );
      assert.deepEqual(positions, model.config.positions);
      assert.deepEqual([norm, mlp], [model.config.norm, model.config.mlp]);
      const { windows: _read, ...same } = attention;
      const { windows: _original, ...expected } = model.config.attention;
      assert.deepEqual(same, expected);
      run.dispose();
      again.dispose();
    },
  );

test(
  'a window that llama.cpp will not keep is said',
  { skip: skipUnlessShared('goldens/architectures/mistral') },
  async () => {
    using folder = temporaryFolder();
    const notesOf = async (name: string): Promise<readonly string[]> => {
      const path = sharedPath(`goldens/architectures/${name}`);
      const run = await runStep(loadModel, { params: { source: 'path', path } });
      const artifact = run.output('model', 'model');
      const target = `${folder.path}/${name}.gguf`;
      const notes = await exportGguf(openModel(artifact), target, (file) => artifact.file(file));
      run.dispose();
      return notes;
    };
    assert.match((await notesOf('mistral')).join(), /no window of \d+ tokens/);
    assert.deepEqual(await notesOf('llama'), []);
  },
);

/** A tiny model with a real tokenizer: its files, and the golden that has texts and ids. */
const tokenizers: Readonly<Record<string, readonly [Readonly<Record<string, string>>, number]>> = {
  phi3: [
    {
      'tokenizer.json': 'tokenizers/phi3/tokenizer.json',
      'tokenizer_config.json': 'tokenizers/phi3/tokenizer_config.json',
    },
    32064,
  ],
  gpt2: [
    {
      'vocab.json': 'tokenizers/gpt2-pure/encoder.json',
      'merges.txt': 'tokenizers/gpt2-pure/vocab.bpe',
    },
    50257,
  ],
};
for (const [name, [tokenizerFiles, vocabSize]] of Object.entries(tokenizers))
  test(
    `the tokenizer of ${name}: through GGUF the same ids`,
    { skip: skipUnlessShared(...Object.values(tokenizerFiles), `goldens/tokenizers/${name}.json`) },
    async () => {
      using folder = temporaryFolder();
      for (const [file, from] of Object.entries(tokenizerFiles))
        cpSync(sharedPath(from), `${folder.path}/${file}`);
      const size = { hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1 };
      const config = {
        model_type: 'llama',
        num_attention_heads: 2,
        vocab_size: vocabSize,
        ...size,
      };
      const made = await runStep(loadModel, {
        params: { source: 'init', config, tokenizer: folder.path },
      });
      const artifact = made.output('model', 'model');
      const model = openModel(artifact);
      const path = `${folder.path}/model.gguf`;
      await exportGguf(model, path, (file) => artifact.file(file));
      const read = await runStep(loadModel, { params: { source: 'path', path } });
      const [before, after] = await Promise.all([
        model.tokenizer(),
        openModel(read.output('model', 'model')).tokenizer(),
      ]);
      assert.ok(before !== null && after !== null);
      const golden = JSON.parse(
        readFileSync(sharedPath(`goldens/tokenizers/${name}.json`), 'utf8'),
      ) as { readonly cases: readonly { readonly text: string }[] };
      assert.ok(golden.cases.length > 20);
      for (const { text } of golden.cases) {
        // GGUF has no word for tokens that swallow the blanks beside them.
        if (/<\/?s>|<\|/.test(text) && /\s/.test(text)) continue;
        assert.deepEqual(after.encode(text), before.encode(text), JSON.stringify(text));
        const ids = before.encode(text);
        assert.equal(after.decode(ids), before.decode(ids));
      }
      made.dispose();
      read.dispose();
    },
  );

const folders = [
  'goldens/architectures/gpt2',
  'goldens/architectures/llama-sharded',
  'goldens/architectures/biogpt/pickle',
  'goldens/quantization/gguf/llama-q8_0.gguf',
  'goldens/quantization/llama-nf4',
];
for (const path of folders)
  test(
    `${path}: as a Hugging Face folder it is the same model`,
    {
      skip: skipUnlessShared(path),
    },
    async () => {
      using folder = temporaryFolder();
      const run = await runStep(loadModel, { params: { source: 'path', path: sharedPath(path) } });
      const artifact = run.output('model', 'model');
      const model = openModel(artifact);
      const written = exportHf(model, folder.path, (name) => artifact.file(name));
      assert.deepEqual(readdirSync(folder.path).sort(), [...written].sort());
      const again = await runStep(loadModel, { params: { source: 'path', path: folder.path } });
      const read = openModel(again.output('model', 'model'));
      assert.deepEqual(read.config, model.config);
      const tensors = model.tensors();
      assert.deepEqual([...read.tensors().keys()].sort(), [...tensors.keys()].sort());
      using files = new OpenFiles();
      for (const [name, tensor] of read.tensors()) {
        const original = tensors.get(name);
        assert.ok(original);
        assert.deepEqual(readTensor(tensor, files), readTensor(original, files), name);
      }
      run.dispose();
      again.dispose();
    },
  );

for (const format of ['q4_1', 'int4', 'nf4'])
  test(
    `GPT-2 in ${format}, exported: floats in the hub's arrangement, or bitsandbytes as it is`,
    {
      skip: skipUnlessShared('goldens/architectures/gpt2'),
    },
    async () => {
      using folder = temporaryFolder();
      const base = await runStep(loadModel, {
        params: { source: 'path', path: sharedPath('goldens/architectures/gpt2') },
      });
      // Rows of 48 values: no whole blocks of 32, but of 16.
      const params = { format, ...(format === 'int4' ? { block_size: 16 } : {}) };
      const model = base.output('model', 'model');
      const run = await runStep(quantize, { params, inputs: { model } });
      const artifact = run.output('model', 'model');
      const quantised = openModel(artifact);
      const target = `${folder.path}/hf`;
      mkdirSync(target);
      exportHf(quantised, target, (name) => artifact.file(name));
      const config = JSON.parse(readFileSync(`${target}/config.json`, 'utf8')) as object;
      assert.equal('quantization_config' in config, format === 'nf4');
      const again = await runStep(loadModel, { params: { source: 'path', path: target } });
      const read = openModel(again.output('model', 'model')).tensors();
      using files = new OpenFiles();
      for (const [name, tensor] of quantised.tensors()) {
        const found = read.get(name);
        assert.ok(found);
        assert.deepEqual(readTensor(found, files), readTensor(tensor, files), name);
      }
      for (const each of [base, run, again]) each.dispose();
    },
  );

test(
  'a GGUF model in NF4, exported: bitsandbytes layers stay, the embeddings become floats',
  {
    skip: skipUnlessShared('goldens/quantization/gguf'),
  },
  async () => {
    using folder = temporaryFolder();
    const base = await runStep(loadModel, {
      params: { source: 'path', path: sharedPath('goldens/quantization/gguf/llama-q8_0.gguf') },
    });
    const run = await runStep(quantize, {
      params: { format: 'nf4', double_quant: true },
      inputs: { model: base.output('model', 'model') },
    });
    const artifact = run.output('model', 'model');
    const quantised = openModel(artifact);
    assert.equal(quantised.document.checkpoint.format, 'mesa');
    exportHf(quantised, folder.path, (name) => artifact.file(name));
    const again = await runStep(loadModel, { params: { source: 'path', path: folder.path } });
    const read = openModel(again.output('model', 'model'));
    assert.equal(read.document.checkpoint.format, 'safetensors');
    assert.ok('quantization_config' in read.document.config);
    using files = new OpenFiles();
    for (const [name, tensor] of quantised.tensors()) {
      const found = read.tensors().get(name);
      assert.equal(found?.quantized?.kind, tensor.quantized?.kind, name);
      if (found !== undefined)
        assert.deepEqual(readTensor(found, files), readTensor(tensor, files), name);
    }
    for (const each of [base, run, again]) each.dispose();
  },
);
