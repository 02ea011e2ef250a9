// GGUF: metadata and tensors as gguf-py reads them, values to the bit, and no header that can do harm.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { openCheckpoint } from '../../../models/checkpoint/checkpoint.ts';
import { CheckpointError } from '../../../models/checkpoint/error.ts';
import { configFromGguf } from '../../../models/checkpoint/gguf-config.ts';
import { readGgufHeader } from '../../../models/checkpoint/gguf.ts';
import { openWeights, type WeightMode } from '../../../models/checkpoint/layout.ts';
import { OpenFiles } from '../../../models/checkpoint/file.ts';
import { packRows, packedForms, unpackRows } from '../../../models/quantize/packed.ts';
import { blockFormats, type BlockFormatName } from '../../../models/quantize/blocks.ts';
import { decode } from '../../../models/checkpoint/encoding.ts';
import type { Weight } from '../../../models/weights.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { firstDifference, goldenTensors, temporaryFolder } from '../files.ts';

const smollm2 = 'models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf';
const skipSmollm2 = skipUnlessShared(smollm2, 'goldens/smollm2/gguf.json');
interface Golden {
  readonly file: { readonly gguf_version: number };
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly arrays: Readonly<Record<string, { length: number; first: unknown[]; last: unknown[] }>>;
  readonly tensors: readonly {
    readonly hf: string;
    readonly shape: readonly number[];
    readonly type: string;
    readonly sha256_of_fp32_little_endian: string;
  }[];
  readonly hf_config: Readonly<Record<string, unknown>>;
}

const sha256 = (values: ArrayBufferView): string =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');

/** What a kernel multiplies with, from the bytes that it would map. */
const valuesOf = (weight: Weight | undefined): Float32Array => {
  using files = new OpenFiles();
  const floats = (range: Weight['data']): Float32Array =>
    new Float32Array(files.read(range).buffer);
  if (weight?.kind === 'float') return floats(weight.data);
  assert.ok(weight?.kind === 'blocks');
  const { data, scales, offsets, zeroPoints } = weight;
  return unpackRows(
    weight,
    {
      data: files.read(data),
      scales: floats(scales),
      offsets: offsets && floats(offsets),
      zeroPoints: zeroPoints && files.read(zeroPoints),
    },
    ...weight.shape,
  );
};

test(
  'SmolLM2: metadata and config are what gguf-py and transformers read',
  { skip: skipSmollm2 },
  () => {
    const golden = readSharedJson<Golden>('goldens/smollm2/gguf.json');
    const gguf = readGgufHeader(sharedPath(smollm2));
    assert.equal(gguf.version, golden.file.gguf_version);
    for (const [key, value] of Object.entries(golden.metadata))
      assert.deepEqual(gguf.metadata.get(key), value, key);
    for (const [key, { length, first, last }] of Object.entries(golden.arrays)) {
      const value = [...(gguf.metadata.get(key) as Iterable<unknown>)];
      assert.equal(value.length, length);
      assert.deepEqual(value.slice(0, first.length), first);
      assert.deepEqual(value.slice(-last.length), last);
    }
    const config = configFromGguf(gguf);
    for (const [key, value] of Object.entries(golden.hf_config))
      if (key in config) assert.deepEqual(config[key], value, key);
  },
);

test('SmolLM2: every tensor has the bits of gguf-py, read or packed', { skip: skipSmollm2 }, () => {
  using folder = temporaryFolder();
  const golden = readSharedJson<Golden>('goldens/smollm2/gguf.json');
  const path = sharedPath(smollm2);
  const config = configFromGguf(readGgufHeader(path));
  const tensors = openCheckpoint(
    { format: 'gguf', files: [{ name: 'x.gguf', path }], index: null },
    config,
  );
  assert.equal(tensors.size, golden.tensors.length);
  const weights = openWeights({ tensors, aliases: new Map(), digests: [] }, 'packed', folder.path);
  for (const { hf, shape, type, sha256_of_fp32_little_endian: expected } of golden.tensors) {
    assert.equal(sha256(weights.read(hf)), expected, hf);
    const weight = weights.get(hf);
    assert.deepEqual(weight?.shape, shape);
    assert.equal(weight.kind, type === 'F32' ? 'float' : 'blocks');
    assert.equal(sha256(valuesOf(weight)), expected, `${hf} packed`);
  }
});

const tiny = 'goldens/quantization/gguf';
const skipTiny = skipUnlessShared(tiny, 'goldens/quantization/llama');
for (const type of ['f32', 'f16', 'q8_0', 'q4_0'])
  test(
    `llama-${type}.gguf: rows put back, in every mode the same values`,
    { skip: skipTiny },
    () => {
      using folder = temporaryFolder();
      const path = sharedPath(`${tiny}/llama-${type}.gguf`);
      const config = configFromGguf(readGgufHeader(path));
      const tensors = openCheckpoint(
        { format: 'gguf', files: [{ name: 'x.gguf', path }], index: null },
        config,
      );
      const original = goldenTensors(sharedPath('goldens/quantization/llama/model.safetensors'));
      assert.deepEqual([...tensors.keys()].sort(), [...original.names].sort());
      for (const mode of ['float32', 'packed', 'stored'] satisfies WeightMode[]) {
        const weights = openWeights(
          { tensors, aliases: new Map(), digests: [] },
          mode,
          folder.path,
        );
        for (const name of weights.names) {
          const values = weights.read(name);
          const expected = original.values(name);
          // Q4_0 has steps of an eighth of a block's largest value, half of it the error; others are finer.
          const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
          const tolerance = { f32: 0, f16: 2e-3, q8_0: 5e-3, q4_0: 0.13 }[type] ?? 0;
          for (const [i, value] of values.entries())
            assert.ok(Math.abs(value - (expected[i] ?? 0)) <= tolerance * largest, `${name} ${i}`);
          const weight = weights.get(name);
          if (weight?.kind === 'float' && weight.dtype !== 'float32') continue;
          assert.equal(firstDifference(valuesOf(weight), values), null, `${name} ${mode}`);
        }
      }
    },
  );

const blocksPath = 'goldens/quantization/gguf-blocks.safetensors';
const skipBlocks = skipUnlessShared(blocksPath);
for (const format of Object.keys(blockFormats) as BlockFormatName[])
  test(
    `${format} decodes to ggml's bits, directly and packed for the runtime`,
    { skip: skipBlocks },
    () => {
      const golden = goldenTensors(sharedPath(blocksPath));
      const bytes = golden.bytes(`${format}.bytes`);
      const expected = golden.values(`${format}.values`);
      assert.equal(firstDifference(decode(format, bytes, expected.length), expected), null);
      const [rows = 0, columns = 0] = golden.shape(`${format}.values`);
      const packed = packRows(format, bytes, rows, columns);
      const unpacked = unpackRows(packedForms[format], packed, rows, columns);
      // -0 and 0 are the same weight.
      assert.deepEqual(
        unpacked.map((x) => x + 0),
        expected.map((x) => x + 0),
      );
    },
  );

test(
  'no damage to a header does worse than an error that names the file',
  { skip: skipTiny },
  () => {
    using folder = temporaryFolder();
    const original = readFileSync(sharedPath(`${tiny}/llama-q4_0.gguf`));
    const header = 3000;
    const edits = fc.array(fc.record({ at: fc.nat(header), byte: fc.nat(255) }), {
      minLength: 1,
      maxLength: 5,
    });
    const length = fc.oneof(fc.constant(original.length), fc.nat(original.length));
    fc.assert(
      fc.property(edits, length, (changes, size) => {
        const bytes = Buffer.from(original.subarray(0, size));
        for (const { at, byte } of changes) if (at < size) bytes[at] = byte;
        const path = folder.write('mutated.gguf', bytes);
        try {
          const gguf = readGgufHeader(path);
          for (const { data } of gguf.tensors.values())
            assert.ok(data.offset >= 0 && data.offset + data.bytes <= size);
          openCheckpoint(
            { format: 'gguf', files: [{ name: 'x.gguf', path }], index: null },
            configFromGguf(gguf),
          );
        } catch (error) {
          assert.ok(error instanceof CheckpointError, String(error));
          assert.ok(error.message.startsWith(path));
        }
      }),
      { numRuns: 500 },
    );
  },
);
