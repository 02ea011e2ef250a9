// Weights where the runtime can map them: in place when they lie right, else in one derived file that any number of
// processes may make, and that is made again when it is damaged.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { modelConfig } from '../../../models/config.ts';
import { aliasesOf } from '../../../models/checkpoint/inventory.ts';
import { OpenFiles } from '../../../models/checkpoint/file.ts';
import { openWeights, type WeightMode } from '../../../models/checkpoint/layout.ts';
import { locateModel } from '../../../models/checkpoint/locate.ts';
import type { WeightSource } from '../../../models/weights.ts';
import { projectRoot, sharedPath, skipUnlessShared } from '../../shared.ts';
import { goldenTensors, temporaryFolder } from '../files.ts';

const root = 'goldens/architectures';
const skip = skipUnlessShared(root);

const open = (name: string, mode: WeightMode, derived: string, digest = 'a'): WeightSource => {
  const { tensors, config } = locateModel(sharedPath(`${root}/${name}`));
  const aliases = aliasesOf(modelConfig(config));
  return openWeights({ tensors, aliases, digests: [digest] }, mode, derived);
};

/** The bytes that a session would map. */
const mapped = (weights: WeightSource, name: string): Float32Array => {
  const weight = weights.get(name);
  assert.ok(weight?.kind === 'float' && weight.dtype === 'float32', name);
  using files = new OpenFiles();
  return new Float32Array(files.read(weight.data).buffer);
};

test('float32 files are mapped where they are, and nothing is written', { skip }, () => {
  using folder = temporaryFolder();
  for (const mode of ['float32', 'packed', 'stored'] satisfies WeightMode[]) {
    const weights = open('llama-sharded', mode, folder.path);
    for (const name of weights.names)
      assert.match(weights.get(name)?.data.path ?? '', /llama-sharded\/model-0000\d-of/);
  }
  assert.deepEqual(readdirSync(folder.path), []);
});

for (const name of ['llama-bf16', 'llama-fp16'])
  test(`${name}: stored as it is where that is asked for, else float32 once`, { skip }, () => {
    using folder = temporaryFolder();
    const golden = goldenTensors(sharedPath(`${root}/${name}/model.safetensors`));
    const stored = open(name, 'stored', folder.path);
    for (const each of stored.names) {
      const weight = stored.get(each);
      assert.ok(weight?.kind === 'float' && weight.dtype !== 'float32', each);
      assert.match(weight.data.path, /model\.safetensors$/);
    }
    assert.deepEqual(readdirSync(folder.path), []);
    for (const mode of ['float32', 'packed'] satisfies WeightMode[]) {
      const weights = open(name, mode, folder.path);
      for (const each of golden.names) {
        assert.deepEqual(mapped(weights, each), golden.values(each));
        assert.deepEqual(weights.read(each), golden.values(each));
      }
    }
  });

for (const name of ['gpt2', 'gpt2/hub-layout'])
  test(`${name}: Conv1D becomes [out, in], the head is the embeddings`, { skip }, () => {
    using folder = temporaryFolder();
    const golden = goldenTensors(sharedPath(`${root}/gpt2/model.safetensors`));
    // The hub's layout has no config of its own here.
    const { tensors, config } = locateModel(sharedPath(`${root}/gpt2`));
    const inHub = name === 'gpt2' ? tensors : hubTensors(folder.path, config);
    const aliases = aliasesOf(modelConfig(config));
    const input = { tensors: inHub, aliases, digests: ['a'] };
    const weights = openWeights(input, 'float32', join(folder.path, 'derived'));
    for (const each of golden.names) {
      const values = golden.values(each);
      const [rows = 1, columns] = golden.shape(each);
      const turned = /c_attn\.weight|c_proj\.weight|c_fc\.weight/.test(each);
      const expected = turned
        ? values.map((_, i) => {
            const row = Math.floor(i / rows);
            return values[(i % rows) * (columns ?? 1) + row] ?? 0;
          })
        : values;
      assert.deepEqual(mapped(weights, each), expected, each);
      assert.deepEqual(weights.read(each), expected, each);
    }
    assert.deepEqual(weights.get('lm_head.weight'), weights.get('transformer.wte.weight'));
  });

const hubTensors = (folder: string, config: object) => {
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const weights = sharedPath(`${root}/gpt2/hub-layout/model.safetensors`);
  writeFileSync(join(folder, 'model.safetensors'), readFileSync(weights));
  return locateModel(folder).tensors;
};

test('a derived file is made once per content, and again when it is damaged', { skip }, () => {
  using folder = temporaryFolder();
  const first = mapped(open('llama-bf16', 'float32', folder.path), 'model.norm.weight');
  const [name = ''] = readdirSync(folder.path);
  const path = join(folder.path, name);
  const bytes = readFileSync(path);
  for (const damage of [
    () => truncateSync(path, bytes.length - 5),
    () => writeFileSync(path, 'not a file of weights'),
    () => writeFileSync(path, ''),
  ]) {
    damage();
    const weights = open('llama-bf16', 'float32', folder.path);
    assert.deepEqual(mapped(weights, 'model.norm.weight'), first);
    assert.ok(readFileSync(path).equals(bytes));
  }
  open('llama-bf16', 'float32', folder.path, 'other content');
  assert.equal(readdirSync(folder.path).length, 2);
});

test('processes that make the same derived file at once all get it whole', { skip }, async () => {
  using folder = temporaryFolder();
  // Tests run from source or compiled; the modules beside this one are whichever it is.
  const module = (path: string): string =>
    pathToFileURL(join(import.meta.dirname, '../../../models/checkpoint', path)).href;
  const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const script = `
    const { openWeights } = await import(${JSON.stringify(module(`layout.${extension}`))});
    const { locateModel } = await import(${JSON.stringify(module(`locate.${extension}`))});
    const { tensors } = locateModel(${JSON.stringify(sharedPath(`${root}/llama-bf16`))});
    const input = { tensors, aliases: new Map(), digests: ['a'] };
    for (let i = 0; i < 5; i++)
      openWeights(input, 'float32', ${JSON.stringify(folder.path)}).read('model.norm.weight');
  `;
  const codes = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'ignore', 'inherit'],
        cwd: projectRoot,
      });
      const [code] = (await once(child, 'exit')) as [number | null];
      return code;
    }),
  );
  assert.deepEqual(codes, [0, 0, 0]);
  assert.equal(readdirSync(folder.path).length, 1);
  const golden = goldenTensors(sharedPath(`${root}/llama-bf16/model.safetensors`));
  const weights = open('llama-bf16', 'float32', folder.path);
  for (const name of golden.names) assert.deepEqual(mapped(weights, name), golden.values(name));
});
