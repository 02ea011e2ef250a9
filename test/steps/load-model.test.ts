// load-model: what it accepts, what it writes, and what it says about models that don't fit together.

import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StepError } from '../../engine/step.ts';
import { openModel } from '../../models/model.ts';
import { bytesOf, writeSafetensors } from '../../models/checkpoint/safetensors.ts';
import { loadModel } from '../../steps/load-model/step.ts';
import { goldenTensors, temporaryFolder } from '../models/files.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../shared.ts';
import { runStep } from './context.ts';
import { tinyLlama } from './tiny-llama.ts';

const smollm2 = 'models/smollm2-135m-instruct';
const llama = 'goldens/architectures/llama';
const skip = skipUnlessShared(llama);

test(
  'a GGUF in a folder: model.json, tokenizer files, weights referenced',
  {
    skip: skipUnlessShared(smollm2, 'goldens/smollm2'),
  },
  async () => {
    const run = await runStep(loadModel, {
      params: { source: 'path', path: sharedPath(smollm2) },
    });
    const artifact = run.output('model', 'model');
    const model = openModel(artifact);
    assert.equal(model.document.checkpoint.format, 'gguf');
    const [file] = model.document.checkpoint.files;
    const golden = readSharedJson<{ file: { bytes: number; sha256: string } }>(
      'goldens/smollm2/gguf.json',
    ).file;
    assert.deepEqual(file, {
      name: 'SmolLM2-135M-Instruct.Q4_1.gguf',
      size: golden.bytes,
      sha256: golden.sha256,
    });
    assert.ok(artifact.file(file.name).startsWith(sharedPath(smollm2)), 'not copied');
    const tokenizer = await model.tokenizer();
    assert.deepEqual(tokenizer?.encode('Hello world'), [19556, 905]);
    assert.deepEqual(tokenizer.eosTokenIds, [2]);
    assert.match(tokenizer.chatTemplate ?? '', /SmolLM, trained by Hugging Face/);
    run.dispose();
  },
);

test(
  'says what most parameters are in',
  { skip: skipUnlessShared('goldens/quantization') },
  async () => {
    for (const [path, format] of [
      ['goldens/quantization/llama-nf4', 'nf4'],
      ['goldens/quantization/llama-int8', 'int8'],
      ['goldens/quantization/llama', 'F32'],
    ] as const) {
      const run = await runStep(loadModel, { params: { source: 'path', path: sharedPath(path) } });
      const said = run.reports.flatMap((block) => (block.kind === 'headline' ? [block.text] : []));
      assert.match(said.join(), new RegExp(`parameters, ${format}, `));
      run.dispose();
    }
  },
);

const architectures = 'goldens/architectures';
test(
  'every architecture’s folder opens, and every weight can be read',
  {
    skip: skipUnlessShared(architectures),
  },
  async () => {
    const index = readSharedJson<Record<string, unknown>>(`${architectures}/index.json`);
    for (const name of Object.keys(index)) {
      const run = await runStep(loadModel, {
        params: { source: 'path', path: sharedPath(`${architectures}/${name}`) },
      });
      const weights = openModel(run.output('model', 'model')).weights(
        'float32',
        run.context.derived,
      );
      for (const weight of weights.names) {
        const found = weights.get(weight);
        assert.equal(found?.kind, 'float', `${name} ${weight}`);
        assert.equal(weights.read(weight).length * 4, found.data.bytes);
      }
      run.dispose();
    }
  },
);

const small = { ...tinyLlama, vocab_size: 97, initializer_range: 0.05 };

test('random weights: the same for the same seed, other for another, as HF starts them', async () => {
  const make = async (seed: number) => {
    const run = await runStep(loadModel, { params: { source: 'init', config: small }, seed });
    const artifact = run.output('model', 'model');
    const bytes = readFileSync(artifact.file('model.safetensors'));
    const document = readFileSync(artifact.file('model.json'), 'utf8');
    const weights = openModel(artifact).weights('float32', run.context.derived);
    const embeddings = weights.read('model.embed_tokens.weight');
    const norm = weights.read('model.norm.weight');
    run.dispose();
    return { bytes, document, embeddings, norm };
  };
  const [first, again, other] = await Promise.all([make(1), make(1), make(2)]);
  assert.ok(first.bytes.equals(again.bytes));
  assert.equal(first.document, again.document);
  assert.ok(!first.bytes.equals(other.bytes));
  assert.ok(first.norm.every((value) => value === 1));
  const variance = first.embeddings.reduce((sum, x) => sum + x * x, 0) / first.embeddings.length;
  assert.ok(Math.abs(Math.sqrt(variance) - 0.05) < 0.003);
});

test('random weights that the disk has no room for are refused before any is written', async () => {
  const config = {
    ...small,
    vocab_size: 128_000,
    hidden_size: 131_072,
    intermediate_size: 400_000,
    num_hidden_layers: 1000,
    num_attention_heads: 128,
  };
  await assert.rejects(runStep(loadModel, { params: { source: 'init', config } }), (error) => {
    assert.ok(error instanceof StepError && error.code === 'E585', String(error));
    assert.match(error.message, /takes \d+\.\d GiB of disk, \d+\.\d GiB are free/);
    return true;
  });
});

const copyOf = (folder: string, change: (config: Record<string, unknown>) => void) => {
  const temporary = temporaryFolder();
  cpSync(sharedPath(folder), temporary.path, { recursive: true, mode: 0 });
  const config = readSharedJson<Record<string, unknown>>(`${folder}/config.json`);
  change(config);
  return { temporary, config };
};

const failure = async (path: string): Promise<StepError> => {
  try {
    await runStep(loadModel, { params: { source: 'path', path } });
  } catch (error) {
    assert.ok(error instanceof StepError, String(error));
    return error;
  }
  return assert.fail('it was accepted');
};

test('config and tensors that disagree are told with file and tensor', { skip }, async () => {
  const cases: readonly (readonly [(config: Record<string, unknown>) => void, RegExp])[] = [
    [(config) => (config['num_hidden_layers'] = 3), /lacks model\.layers\.2\..*more tensors/],
    [(config) => (config['num_hidden_layers'] = 1), /tensor model\.layers\.1.* is no part/],
    [(config) => (config['vocab_size'] = 191), /tensor .*has shape \[192, 48\].*\[191, 48\]/],
    [(config) => (config['model_type'] = 'mamba'), /config\.json: model_type 'mamba'/],
    [(config) => (config['hidden_size'] = 'big'), /config\.json: hidden_size/],
  ];
  for (const [change, message] of cases) {
    using folder = temporaryFolder();
    const config = readSharedJson<Record<string, unknown>>(`${llama}/config.json`);
    change(config);
    folder.write('config.json', JSON.stringify(config));
    folder.write('model.safetensors', readFileSync(sharedPath(`${llama}/model.safetensors`)));
    assert.match((await failure(folder.path)).message, message);
  }
});

const sharded = 'goldens/architectures/llama-sharded';
test(
  'shards that contradict their index, and names that leave the folder',
  {
    skip: skipUnlessShared(sharded),
  },
  async () => {
    const indexName = 'model.safetensors.index.json';
    const index = readSharedJson<{ weight_map: Record<string, string> }>(`${sharded}/${indexName}`);
    const [one = '', two = ''] = [...new Set(Object.values(index.weight_map))].sort();
    const tensor =
      Object.keys(index.weight_map).find((name) => index.weight_map[name] === one) ?? '';
    const attempt = async (map: Record<string, string>): Promise<string> => {
      const { temporary } = copyOf(sharded, () => undefined);
      using folder = temporaryFolder();
      for (const name of new Set([...Object.values(index.weight_map), 'config.json']))
        folder.write(name, readFileSync(join(temporary.path, name)));
      temporary[Symbol.dispose]();
      folder.write(indexName, JSON.stringify({ weight_map: map }));
      return (await failure(folder.path)).message;
    };
    const { [tensor]: _left, ...without } = index.weight_map;
    assert.match(await attempt(without), /is not in the index/);
    assert.match(await attempt({ ...index.weight_map, [tensor]: two }), /is said to be in/);
    assert.match(
      await attempt({ ...index.weight_map, [tensor]: `../${one}` }),
      /no plain file name/,
    );
    assert.match(await attempt({ ...index.weight_map, [tensor]: '/etc/passwd' }), /no plain file/);
  },
);

test('a folder without weights, a missing path, a file of another kind', async () => {
  using folder = temporaryFolder();
  assert.match((await failure(folder.path)).message, /holds no weights/);
  assert.match((await failure(join(folder.path, 'no'))).message, /does not exist/);
  assert.match((await failure(folder.write('x.txt', 'x'))).message, /neither a folder nor/);
  const path = join(folder.path, 'model.safetensors');
  writeSafetensors(path, [
    { name: 'a', dtype: 'F32', shape: [1], chunks: () => [bytesOf(Float32Array.of(1))] },
  ]);
  assert.match((await failure(path)).message, /has no config\.json/);
});

test('one safetensors file with its config beside it', { skip }, async () => {
  const run = await runStep(loadModel, {
    params: { source: 'file', path: sharedPath(`${llama}/model.safetensors`) },
  });
  const weights = openModel(run.output('model', 'model')).weights('float32', run.context.derived);
  const golden = goldenTensors(sharedPath(`${llama}/model.safetensors`));
  for (const name of golden.names) assert.deepEqual(weights.read(name), golden.values(name));
  run.dispose();
});

test('weights that are no numbers are told by name, in every format', { skip }, async () => {
  const golden = goldenTensors(sharedPath(`${llama}/model.safetensors`));
  for (const [value, bits] of [
    [NaN, 0x7e00],
    [Infinity, 0x7c00],
  ] as const)
    for (const dtype of ['F32', 'F16'] as const) {
      using folder = temporaryFolder();
      folder.write('config.json', readFileSync(sharedPath(`${llama}/config.json`)));
      const bad = 'model.layers.1.mlp.up_proj.weight';
      const values = (name: string): ArrayBufferView => {
        const all = golden.values(name);
        if (dtype === 'F32') {
          if (name === bad) all[17] = value;
          return all;
        }
        const halves = Uint16Array.from(all, () => 0x3c00);
        if (name === bad) halves[17] = bits;
        return halves;
      };
      writeSafetensors(
        join(folder.path, 'model.safetensors'),
        golden.names.map((name) => ({
          name,
          dtype,
          shape: golden.shape(name),
          chunks: () => [bytesOf(values(name))],
        })),
      );
      const { message } = await failure(folder.path);
      assert.match(message, /tensor model\.layers\.1\.mlp\.up_proj\.weight: .*NaN or infinite/);
    }
});
