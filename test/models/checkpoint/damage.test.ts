// Fuzz of whole models: whatever bytes or values change, a model opens or there is an error that names a file of it.
// What each damage is told as: test/steps/load-model-damage.test.ts.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { CheckpointError } from '../../../models/checkpoint/error.ts';
import { checkFinite } from '../../../models/checkpoint/finite.ts';
import { readGgufHeader } from '../../../models/checkpoint/gguf.ts';
import { locateModel } from '../../../models/checkpoint/locate.ts';
import { readSafetensorsHeader } from '../../../models/checkpoint/safetensors.ts';
import { readTorchFile } from '../../../models/checkpoint/torch.ts';
import { readZipDirectory } from '../../../models/checkpoint/zip.ts';
import { BinaryFile } from '../../../models/checkpoint/file.ts';
import { loadTokenizer } from '../../../models/tokenizer/load.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { copyOf, temporaryFolder } from '../files.ts';

/** Opens everything that load-model opens; anything but CheckpointError is a bug. */
const opens = (path: string, folder: string): boolean => {
  try {
    checkFinite(locateModel(path).tensors.values(), () => undefined);
    return true;
  } catch (error) {
    assert.ok(error instanceof CheckpointError, error instanceof Error ? error.stack : '');
    assert.ok(error.message.startsWith(folder), error.message);
    return false;
  }
};

/** Bytes set, runs of bytes copied elsewhere, 64-bit numbers written, the end cut off. */
const damage = (original: Buffer, interesting: number): fc.Arbitrary<Buffer> => {
  const place = fc.oneof(
    fc.nat(Math.min(interesting, original.length - 1)),
    fc.nat(original.length - 1),
  );
  const edit = fc.oneof(
    fc.record({ at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }) }),
    fc.record({
      at: place,
      bytes: fc
        .bigInt({ min: 0n, max: 2n ** 64n - 1n })
        .map((value) => new Uint8Array(BigUint64Array.of(value).buffer)),
    }),
    fc
      .record({ at: place, from: place, length: fc.integer({ min: 1, max: 64 }) })
      .map(({ at, from, length }) => ({ at, bytes: original.subarray(from, from + length) })),
  );
  return fc
    .record({
      edits: fc.array(edit, { maxLength: 4 }),
      length: fc.oneof(
        { weight: 4, arbitrary: fc.constant(original.length) },
        { weight: 1, arbitrary: fc.nat(original.length) },
      ),
    })
    .map(({ edits, length }) => {
      const copy = Buffer.from(original);
      for (const { at, bytes } of edits) copy.set(bytes.subarray(0, copy.length - at), at);
      return copy.subarray(0, length);
    });
};

for (const [golden, name, interesting] of [
  ['goldens/architectures/llama', 'model.safetensors', 3000],
  ['goldens/architectures/llama-sharded', 'model-00002-of-00003.safetensors', 1500],
  ['goldens/architectures/llama-sharded', 'model.safetensors.index.json', 3000],
  ['goldens/quantization/llama-nf4', 'model.safetensors', 12_000],
  ['goldens/quantization/llama-int8', 'model.safetensors', 5000],
  ['goldens/architectures/biogpt/pickle', 'pytorch_model.bin', 5200],
  ['goldens/architectures/biogpt/pickle-legacy', 'pytorch_model.bin', 5200],
  ['goldens/architectures/biogpt/pickle-sharded', 'pytorch_model.bin.index.json', 3000],
  ['goldens/quantization/gguf', 'llama-q8_0.gguf', 3000],
] as const)
  test(`damaged ${golden}/${name}`, { skip: skipUnlessShared(golden) }, () => {
    using folder = copyOf(golden);
    const original = readFileSync(sharedPath(`${golden}/${name}`));
    const isGguf = name.endsWith('.gguf');
    assert.ok(opens(isGguf ? join(folder.path, name) : folder.path, folder.path));
    fc.assert(
      fc.property(damage(original, interesting), (bytes) => {
        const path = folder.write(name, bytes);
        opens(isGguf ? path : folder.path, folder.path);
      }),
      { numRuns: 60 },
    );
  });

const nonsense = fc.oneof(
  fc.constantFrom(-1, 0, 0.5, 3, 1e9, 1e300, 2 ** 31, '', 'x', null, true, [], [1], {}, { a: 1 }),
  fc.double(),
  fc.integer(),
  fc.string(),
  fc.jsonValue(),
);

for (const name of [
  'llama',
  'gpt2',
  'biogpt',
  'mixtral',
  'gemma2',
  'qwen2',
  'phi3',
  'llama-yarn',
]) {
  const golden = `goldens/architectures/${name}`;
  test(`${name}: any values in config.json`, { skip: skipUnlessShared(golden) }, () => {
    using folder = copyOf(golden);
    const path = join(folder.path, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    const nested = Object.keys(config).filter(
      (key) => typeof config[key] === 'object' && config[key] !== null,
    );
    const key = fc.constantFrom(...Object.keys(config));
    const changes = fc.dictionary(key, nonsense, { minKeys: 1, maxKeys: 3 });
    fc.assert(
      fc.property(
        changes,
        fc.dictionary(fc.constantFrom('rope_type', 'factor', 'rope_theta', 'x'), nonsense),
        (change, inner) => {
          const made: Record<string, unknown> = { ...config, ...change };
          for (const each of nested)
            if (!(each in change) && Object.keys(inner).length > 0)
              made[each] = { ...(config[each] as object), ...inner };
          folder.write('config.json', JSON.stringify(made));
          opens(folder.path, folder.path);
        },
      ),
      { numRuns: 60 },
    );
  });
}

const tokenizer = 'tokenizers/tiny/tiny_bpe_tokenizer.json';
test('any values in tokenizer.json', { skip: skipUnlessShared(tokenizer) }, async () => {
  using folder = temporaryFolder();
  const json = JSON.parse(readFileSync(sharedPath(tokenizer), 'utf8')) as Record<string, unknown>;
  const model = json['model'] as Record<string, unknown>;
  const changed = fc.oneof(
    fc.dictionary(fc.constantFrom(...Object.keys(json)), nonsense, { minKeys: 1, maxKeys: 2 }),
    fc
      .dictionary(fc.constantFrom(...Object.keys(model)), nonsense, { minKeys: 1, maxKeys: 2 })
      .map((change) => ({ model: { ...model, ...change } })),
  );
  await fc.assert(
    fc.asyncProperty(changed, async (change) => {
      const path = folder.write('tokenizer.json', JSON.stringify({ ...json, ...change }));
      try {
        await loadTokenizer({
          file: (name) => (name === 'tokenizer.json' ? path : undefined),
          modelType: 'llama',
          modelEos: undefined,
          chatTemplate: null,
        });
      } catch (error) {
        assert.ok(error instanceof CheckpointError, error instanceof Error ? error.stack : '');
        assert.ok(error.message.startsWith(path));
      }
    }),
    { numRuns: 60 },
  );
});

const fails = (work: () => unknown, message: RegExp): void =>
  assert.throws(work, (error) => {
    assert.ok(error instanceof CheckpointError, String(error));
    assert.match(error.message, message);
    return true;
  });

test('a header nested so deeply that printing it would overflow the stack', () => {
  using folder = temporaryFolder();
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  const header = Buffer.from(`{"a":{"dtype":${deep},"shape":[1],"data_offsets":[0,4]}}`);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  const path = folder.write('x.safetensors', Buffer.concat([prefix, header, Buffer.alloc(4)]));
  fails(() => readSafetensorsHeader(path), /tensor a: has the unknown dtype a list$/);
});

test('a GGUF tensor of no values and a billion experts', () => {
  using folder = temporaryFolder();
  const text = (value: string): Buffer => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(value.length));
    return Buffer.concat([length, Buffer.from(value)]);
  };
  const u32 = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
  const u64 = (...values: bigint[]): Buffer => Buffer.from(BigUint64Array.from(values).buffer);
  const path = folder.write(
    'x.gguf',
    Buffer.concat([
      Buffer.from('GGUF'),
      u32(3),
      u64(1n, 1n),
      text('general.architecture'),
      u32(8),
      text('llama'),
      text('blk.0.ffn_up_exps.weight'),
      u32(3),
      u64(32n, 0n, 1_000_000_000n),
      u32(0),
      u64(0n),
      Buffer.alloc(64),
    ]),
  );
  fails(
    () => readGgufHeader(path),
    /tensor blk\.0\.ffn_up_exps\.weight: has the unusable shape \[1000000000, 0, 32\]/,
  );
});

const zipped = 'goldens/architectures/biogpt/pickle/pytorch_model.bin';
test('a zip whose entries overlap', { skip: skipUnlessShared(zipped) }, () => {
  using folder = temporaryFolder();
  const bytes = readFileSync(sharedPath(zipped));
  const signature = Buffer.from([0x50, 0x4b, 1, 2]);
  const first = bytes.indexOf(signature);
  let last = first;
  for (let at = first; at >= 0; at = bytes.indexOf(signature, at + 1)) last = at;
  // Where the first entry's header lies, for the last one too.
  bytes.copy(bytes, last + 42, first + 42, first + 46);
  const path = folder.write('x.bin', bytes);
  const read = (): unknown => {
    using file = new BinaryFile(path);
    return readZipDirectory(file);
  };
  fails(read, /is a damaged zip archive: .* overlaps /);
  fails(() => readTorchFile(path), /is a damaged zip archive/);
});
