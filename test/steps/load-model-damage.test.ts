// Damaged checkpoints as users meet them: every kind of file broken in every way that is known, each an error of
// load-model that names file and tensor. The readers' own tests fuzz them (test/models/checkpoint/damage.test.ts).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { readGgufHeader } from '../../models/checkpoint/gguf.ts';
import { readSafetensorsHeader } from '../../models/checkpoint/safetensors.ts';
import { readTorchFile } from '../../models/checkpoint/torch.ts';
import type { FileRange } from '../../models/weights.ts';
import { copyOf } from '../models/files.ts';
import { sharedPath, skipUnlessShared } from '../shared.ts';
import {
  type Entry,
  failure,
  entriesOf,
  withTensors,
  withBytes,
  changedAt,
  replaced,
  nan,
} from './damaged-models.ts';

const llama = 'goldens/architectures/llama';
const q = 'model.layers.0.self_attn.q_proj.weight';

describe('safetensors', { skip: skipUnlessShared(llama) }, () => {
  test('tensors that are missing, too many, of another shape or type', async () => {
    assert.equal(await withTensors(llama, () => undefined), 'accepted');
    assert.match(
      await withTensors(llama, (all) => all.delete(q)),
      /model\.safetensors: lacks model\.layers\.0\.self_attn\.q_proj\.weight$/,
    );
    assert.match(
      await withTensors(llama, (all) => {
        all.set('model.extra.weight', { dtype: 'F32', shape: [1], bytes: new Uint8Array(4) });
      }),
      /model\.safetensors: tensor model\.extra\.weight: is no part of the model/,
    );
    const found = (all: Map<string, Entry>): Entry => {
      const entry = all.get(q);
      assert.ok(entry);
      return entry;
    };
    assert.match(
      await withTensors(llama, (all) => {
        found(all).shape = [96, 24];
      }),
      /tensor model\.layers\.0\.self_attn\.q_proj\.weight: has shape \[96, 24\], .* \[48, 48\]/,
    );
    assert.match(
      await withTensors(llama, (all) => {
        const entry = found(all);
        entry.dtype = 'I32';
      }),
      /q_proj\.weight: holds I32 values and nothing that says how/,
    );
    assert.match(
      await withTensors(llama, (all) => {
        const entry = found(all);
        entry.dtype = 'F8_E4M3';
        entry.bytes = entry.bytes.subarray(0, entry.bytes.length / 4);
      }),
      /q_proj\.weight: has dtype F8_E4M3, which MESA cannot read/,
    );
  });

  test('truncated anywhere', async () => {
    const size = readFileSync(sharedPath(`${llama}/model.safetensors`)).length;
    for (const length of [0, 4, 8, 100, 3000, size >> 1, size - 1])
      assert.match(
        await withBytes(llama, 'model.safetensors', (bytes) => bytes.subarray(0, length)),
        /model\.safetensors: (?:is no safetensors file|says its header has|tensor .*truncated)/,
      );
  });

  test('overlapping tensors, and a header that is longer than any memory', async () => {
    const { tensors } = readSafetensorsHeader(sharedPath(`${llama}/model.safetensors`));
    const [first, second] = [...tensors.values()];
    assert.ok(first && second && first.data.bytes === second.data.bytes);
    const text = (bytes: Buffer): string => bytes.toString('latin1');
    const header = text(readFileSync(sharedPath(`${llama}/model.safetensors`)));
    const base = first.data.offset;
    const range = ({ data }: { readonly data: FileRange }): string =>
      `[${data.offset - base},${data.offset - base + data.bytes}]`;
    assert.ok(header.includes(range(second)));
    // The first one's range, with spaces up to the length of the second's.
    const same = range(first).replace(
      '[',
      '['.padEnd(1 + range(second).length - range(first).length),
    );
    assert.match(
      await withBytes(llama, 'model.safetensors', replaced(range(second), same)),
      /tensor .* overlaps /,
    );
    const huge = Buffer.alloc(8);
    huge.writeBigUInt64LE(2n ** 63n);
    assert.match(
      await withBytes(llama, 'model.safetensors', changedAt(0, huge)),
      /says its header has 9223372036854776000 bytes/,
    );
  });
});

const sharded = 'goldens/architectures/llama-sharded';
const shardedPickle = 'goldens/architectures/biogpt/pickle-sharded';
for (const [name, golden, indexName] of [
  ['safetensors', sharded, 'model.safetensors.index.json'],
  ['torch', shardedPickle, 'pytorch_model.bin.index.json'],
] as const)
  describe(`shards of ${name}`, { skip: skipUnlessShared(golden) }, () => {
    const mapOf = (): Record<string, string> =>
      (
        JSON.parse(readFileSync(sharedPath(`${golden}/${indexName}`), 'utf8')) as {
          weight_map: Record<string, string>;
        }
      ).weight_map;
    const withIndex = async (content: unknown): Promise<string> => {
      using folder = copyOf(golden);
      folder.write(indexName, typeof content === 'string' ? content : JSON.stringify(content));
      return await failure(folder.path);
    };

    test('an index that contradicts them, and one that is none', async () => {
      const map = mapOf();
      const inOrder = Object.keys(map).sort();
      // One whose shard has others too.
      const tensor = inOrder.find((each) => each.includes('layers.0')) ?? '';
      const one = map[tensor] ?? '';
      const other = Object.values(map).find((file) => file !== one) ?? '';
      const index = (change: Record<string, unknown>) => ({ weight_map: { ...map, ...change } });
      assert.equal(await withIndex(index({})), 'accepted');
      const { [tensor]: _left, ...without } = map;
      assert.match(await withIndex({ weight_map: without }), /is not in the index/);
      assert.match(
        await withIndex(index({ [tensor]: other })),
        new RegExp(
          `tensor ${tensor.replaceAll('.', '\\.')}: is said to be in ${other}, but is not`,
        ),
      );
      assert.match(await withIndex(index({ extra: one })), /tensor extra: is said to be in/);
      for (const file of [
        `../${one}`,
        `/tmp/${one}`,
        `./${one}`,
        `sub/${one}`,
        `..\\${one}`,
        '',
        3,
      ])
        assert.match(await withIndex(index({ [tensor]: file })), /no plain file name/);
      assert.match(await withIndex(index({ [tensor]: 'none.bin' })), /none\.bin: cannot be opened/);
      assert.match(await withIndex({}), /has no weight_map/);
      assert.match(await withIndex({ weight_map: [] }), /has no weight_map/);
      assert.match(await withIndex({ weight_map: {} }), /index\.json: lacks /);
      assert.match(await withIndex([]), /must hold a JSON object/);
      assert.match(await withIndex('{"weight_map": {'), /index\.json: does not hold valid JSON/);
    });

    test('a shard that is missing, truncated, or another one again', async () => {
      const files = [...new Set(Object.values(mapOf()))].sort();
      const [first = '', second = ''] = files;
      const bytes = readFileSync(sharedPath(`${golden}/${second}`));
      const withShard = async (content: Buffer): Promise<string> => {
        using folder = copyOf(golden);
        folder.write(second, content);
        return await failure(folder.path);
      };
      assert.match(await withShard(bytes.subarray(0, bytes.length >> 1)), new RegExp(second));
      assert.match(await withShard(Buffer.alloc(0)), new RegExp(second));
      // Its tensors are then in two shards.
      assert.match(
        await withShard(readFileSync(sharedPath(`${golden}/${first}`))),
        new RegExp(`${second}: tensor .*: is also in .*${first}`),
      );
    });
  });

for (const form of ['pickle', 'pickle-legacy']) {
  const golden = `goldens/architectures/biogpt/${form}`;
  describe(form, { skip: skipUnlessShared(golden) }, () => {
    const name = 'pytorch_model.bin';
    test('truncated anywhere', async () => {
      const size = readFileSync(sharedPath(`${golden}/${name}`)).length;
      for (const length of [0, 3, 100, 4000, size >> 1, size - 1])
        assert.match(
          await withBytes(golden, name, (bytes) => bytes.subarray(0, length)),
          /pytorch_model\.bin: /,
        );
    });

    test('a global that could run code', async () => {
      assert.match(
        await withBytes(
          golden,
          name,
          replaced('collections\nOrderedDict', 'subprocess_\ncheck_calls'),
        ),
        /pytorch_model\.bin: holds a pickle that names subprocess_\.check_calls, which is not allowed/,
      );
    });

    test('tensors that are missing, too many, or no numbers', async () => {
      const weight = 'biogpt.layers.1.fc1.weight';
      const other = weight.replace('layers.1', 'layers.7');
      assert.match(
        await withBytes(golden, name, replaced(weight, other)),
        /lacks biogpt\.layers\.1\.fc1\.weight$/,
      );
      const at = readTorchFile(sharedPath(`${golden}/${name}`)).get(weight)?.data.offset ?? 0;
      assert.match(
        await withBytes(golden, name, changedAt(at + 4, nan)),
        /tensor biogpt\.layers\.1\.fc1\.weight: holds values that are no numbers/,
      );
    });
  });
}

const ggufs = 'goldens/quantization/gguf';
describe('GGUF', { skip: skipUnlessShared(ggufs) }, () => {
  const name = 'llama-q4_0.gguf';
  const change = (with_: (bytes: Buffer) => Buffer): Promise<string> =>
    withBytes(ggufs, name, with_);

  test('truncated anywhere', async () => {
    const size = readFileSync(sharedPath(`${ggufs}/${name}`)).length;
    for (const length of [0, 3, 20, 1000, size >> 1, size - 1])
      assert.match(await change((bytes) => bytes.subarray(0, length)), /truncated/);
  });

  test('tensors that are missing or too many, and unknown names', async () => {
    assert.match(
      await change(replaced('blk.1.ffn_up.weight', 'blk.7.ffn_up.weight')),
      /lacks model\.layers\.1\.mlp\.up_proj\.weight/,
    );
    assert.match(
      await change(replaced('blk.1.ffn_up.weight', 'blk.1.ffn_ap.weight')),
      /tensor blk\.1\.ffn_ap\.weight: /,
    );
    assert.match(
      await change(replaced('blk.1.ffn_up.weight', 'blk.0.ffn_up.weight')),
      /tensor blk\.0\.ffn_up\.weight: is listed twice/,
    );
  });

  test('offsets and sizes that lie', async () => {
    const bytes = readFileSync(sharedPath(`${ggufs}/${name}`));
    const { tensors } = readGgufHeader(sharedPath(`${ggufs}/${name}`));
    const tensor = 'blk.1.ffn_up.weight';
    const shape = tensors.get(tensor)?.shape ?? [];
    // name | rank u32 | dimensions u64 each | type u32 | offset u64
    const start = bytes.indexOf(tensor) + tensor.length;
    const u64 = (value: bigint): Uint8Array => {
      const word = Buffer.alloc(8);
      word.writeBigUInt64LE(value);
      return word;
    };
    const dimension = start + 4;
    const offset = start + 4 + 8 * shape.length + 4;
    const size = (value: bigint): Promise<string> => change(changedAt(dimension, u64(value)));
    assert.match(await size(2n ** 40n), /tensor blk\.1\.ffn_up\.weight: .*truncated or damaged/);
    assert.match(await size(2n ** 64n - 32n), /tensor blk\.1\.ffn_up\.weight: /);
    assert.match(await size(0n), /tensor blk\.1\.ffn_up\.weight: has the unusable shape/);
    assert.match(await size(33n), /no whole number of Q4_0 blocks/);
    assert.match(await change(changedAt(offset, u64(2n ** 50n))), /truncated or damaged/);
    assert.match(await change(changedAt(offset, u64(0n))), /tensor .* overlaps /);
    const rank = Buffer.from(Uint32Array.of(9).buffer);
    assert.match(await change(changedAt(start, rank)), /has 9 dimensions/);
    // The counts of tensors and of metadata, after magic and version.
    assert.match(await change(changedAt(8, u64(2n ** 40n))), /more than the file can hold/);
    assert.match(await change(changedAt(16, u64(2n ** 63n))), /more than the file can hold/);
  });

  test('metadata without which there is no model', async () => {
    assert.match(
      await change(replaced('llama.block_count', 'llama.block_caunt')),
      /lacks the metadata llama\.block_count/,
    );
    const bytes = readFileSync(sharedPath(`${ggufs}/${name}`));
    const at = bytes.indexOf('llama.block_count') + 'llama.block_count'.length + 4;
    for (const layers of [0, 1, 3, 2 ** 32 - 1])
      assert.match(
        await change(changedAt(at, Buffer.from(Uint32Array.of(layers).buffer))),
        /llama-q4_0\.gguf: (?:num_hidden_layers is|lacks |tensor .* is no part)/,
      );
  });

  test('values that are no numbers, in blocks too', async () => {
    const { tensors } = readGgufHeader(sharedPath(`${ggufs}/${name}`));
    const [block, plain] = ['blk.1.ffn_up.weight', 'blk.1.ffn_norm.weight'].map((each) => {
      const tensor = tensors.get(each);
      assert.ok(tensor);
      return tensor;
    });
    assert.ok(block?.encoding === 'Q4_0' && plain?.encoding === 'F32');
    // The scale of the second block, as a half.
    const half = Buffer.from('007e', 'hex');
    assert.match(
      await change(changedAt(block.data.offset + 18, half)),
      /tensor blk\.1\.ffn_up\.weight: holds values that are no numbers/,
    );
    assert.match(
      await change(changedAt(plain.data.offset, nan)),
      /tensor blk\.1\.ffn_norm\.weight: holds values that are no numbers/,
    );
  });
});

const nf4 = 'goldens/quantization/llama-nf4';
const int8 = 'goldens/quantization/llama-int8';
describe('bitsandbytes', { skip: skipUnlessShared(nf4, int8) }, () => {
  const state = `${q}.quant_state.bitsandbytes__nf4`;
  const found = (all: Map<string, Entry>, name: string): Entry => {
    const entry = all.get(name);
    assert.ok(entry, name);
    return entry;
  };
  const withState = (change: (json: Record<string, unknown>) => unknown): Promise<string> =>
    withTensors(nf4, (all) => {
      const entry = found(all, state);
      const json = JSON.parse(Buffer.from(entry.bytes).toString()) as Record<string, unknown>;
      const made = change(json);
      entry.bytes = Buffer.from(typeof made === 'string' ? made : JSON.stringify(made ?? json));
      entry.shape = [entry.bytes.length];
    });
  const cut = (name: string) => (all: Map<string, Entry>) => {
    const entry = found(all, name);
    entry.bytes = entry.bytes.subarray(0, entry.bytes.length - 4);
    entry.shape = [entry.bytes.length / (entry.dtype === 'U8' ? 1 : 4)];
  };

  test('parts that are missing or of another length', async () => {
    assert.equal(await withTensors(nf4, () => undefined), 'accepted');
    const all = entriesOf(sharedPath(`${nf4}/model.safetensors`));
    const parts = [...all.keys()].filter((name) => name.startsWith(`${q}.`) && name !== state);
    assert.ok(parts.includes(`${q}.absmax`));
    for (const name of [q, ...parts]) {
      assert.match(
        await withTensors(nf4, (tensors) => tensors.delete(name)),
        /model\.safetensors: tensor .*quant_state.*belongs to .*, which is missing/,
        name,
      );
      assert.match(await withTensors(nf4, cut(name)), /asks for (?:F32|U8) with/, name);
    }
    // Without the state the codes are numbers like any others.
    assert.match(
      await withTensors(nf4, (tensors) => tensors.delete(state)),
      /tensor model\.layers\.0\.self_attn\.q_proj\.weight\S*: /,
    );
  });

  test('a quant_state that is no JSON, lies, or says what cannot be', async () => {
    const name = /tensor model\.layers\.0\.self_attn\.q_proj\.weight\.quant_state\S*: /;
    const refused = async (
      change: (json: Record<string, unknown>) => unknown,
      message: RegExp,
    ): Promise<void> => {
      const said = await withState(change);
      assert.match(said, message);
      assert.match(said, /model\.safetensors: /);
    };
    await refused((json) => JSON.stringify(json).slice(0, -5), /valid JSON/);
    await refused(() => '[]', name);
    await refused((json) => ({ ...json, quant_type: 'fp4' }), /says quant_type "fp4"/);
    await refused(({ quant_type: _, ...json }) => json, /says quant_type missing/);
    for (const shape of [[], [0], [48.5, 48], [-48, -48], [48, 2 ** 60], 'x', undefined, [1, 48]])
      await refused((json) => ({ ...json, shape }), /unusable shape|asks for|has shape/);
    for (const blocksize of [0, -64, 1.5, 'x', null, 2 ** 40])
      await refused((json) => ({ ...json, blocksize }), /unusable blocksize|asks for/);
    if ('nested_offset' in (JSON.parse(stateText()) as object)) {
      for (const size of [0, 0.5, 'x', 1])
        await refused((json) => ({ ...json, nested_blocksize: size }), /unusable nested|asks for/);
      await refused((json) => ({ ...json, nested_offset: 'x' }), /unusable nested/);
      await refused(
        (json) => JSON.stringify(json).replace(/"nested_offset":[^,}]*/, '"nested_offset":1e999'),
        /no numbers/,
      );
    }
    assert.match(await withState(() => ' '.repeat(70_000)), /has 70000 bytes of JSON/);
  });
  const stateText = (): string =>
    Buffer.from(found(entriesOf(sharedPath(`${nf4}/model.safetensors`)), state).bytes).toString();

  test('a table that is not the format’s, and scales that are no numbers', async () => {
    const put = (name: string, value: number) => (all: Map<string, Entry>) => {
      const entry = found(all, name);
      entry.bytes = Buffer.from(entry.bytes);
      entry.bytes.set(new Uint8Array(Float32Array.of(value).buffer), 0);
    };
    assert.match(await withTensors(nf4, put(`${q}.quant_map`, 0.5)), /quant_map that is not nf4/);
    const all = entriesOf(sharedPath(`${nf4}/model.safetensors`));
    const scales = all.has(`${q}.nested_absmax`) ? `${q}.nested_absmax` : `${q}.absmax`;
    assert.match(
      await withTensors(nf4, put(scales, NaN)),
      /tensor model\.layers\.0\.self_attn\.q_proj\.weight: holds values that are no numbers/,
    );
  });

  test('int8 without its scales is no model of numbers up to 127', async () => {
    assert.equal(await withTensors(int8, () => undefined), 'accepted');
    const scales = q.replace(/weight$/, 'SCB');
    assert.match(
      await withTensors(int8, (all) => all.delete(scales)),
      /tensor model\.layers\.0\.self_attn\.q_proj\.weight: holds I8 values and nothing that says/,
    );
    assert.match(await withTensors(int8, cut(scales)), /SCB: is F32 with 63 values/);
    assert.match(
      await withTensors(int8, (all) => all.delete(q)),
      /SCB: belongs to no int8 matrix model\.layers\.0\.self_attn\.q_proj\.weight/,
    );
    assert.match(
      await withTensors(int8, (all) => {
        const entry = found(all, scales);
        entry.bytes = Buffer.from(entry.bytes);
        entry.bytes.set(nan, 0);
      }),
      /tensor model\.layers\.0\.self_attn\.q_proj\.weight: holds values that are no numbers/,
    );
  });
});
