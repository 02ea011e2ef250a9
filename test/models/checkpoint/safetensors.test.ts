// safetensors: what is written is read back, and a header that lies is an error that names the file, never more.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { CheckpointError } from '../../../models/checkpoint/error.ts';
import { OpenFiles } from '../../../models/checkpoint/file.ts';
import {
  readSafetensorsHeader,
  safetensorsDtypes,
  writeSafetensors,
  type SafetensorsDtype,
} from '../../../models/checkpoint/safetensors.ts';
import { temporaryFolder } from '../files.ts';

const fileOf = (header: unknown, dataBytes: number): Buffer => {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]);
};

const dtypes = Object.keys(safetensorsDtypes) as SafetensorsDtype[];

test('what is written is read back, byte for byte', () => {
  const tensor = fc
    .record({
      name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    })
    .filter(({ name }) => name !== '__metadata__' && name.isWellFormed());
  const files = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 });
  fc.assert(
    fc.property(files, fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
      using folder = temporaryFolder();
      const path = `${folder.path}/x.safetensors`;
      const content = new Map(
        tensors.map(({ name, dtype, shape }, index) => {
          const bytes = shape.reduce((a, b) => a * b, 1) * safetensorsDtypes[dtype];
          return [name, Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + index) & 255)];
        }),
      );
      const clean = Object.fromEntries(
        Object.entries(metadata).filter(
          ([key, value]) => key.isWellFormed() && value.isWellFormed(),
        ),
      );
      writeSafetensors(
        path,
        tensors.map((each) => ({
          ...each,
          *chunks() {
            const bytes = content.get(each.name) ?? new Uint8Array();
            yield bytes.subarray(0, bytes.length >> 1);
            yield bytes.subarray(bytes.length >> 1);
          },
        })),
        clean,
      );
      const read = readSafetensorsHeader(path);
      assert.deepEqual({ ...read.metadata }, { ...clean });
      assert.equal(read.tensors.size, tensors.length);
      using open = new OpenFiles();
      for (const { name, dtype, shape } of tensors) {
        const found = read.tensors.get(name);
        assert.equal(found?.dtype, dtype);
        assert.deepEqual(found.shape, shape);
        assert.deepEqual(open.read(found.data), content.get(name));
        // Every value lies at a multiple of its size.
        assert.equal(found.data.offset % safetensorsDtypes[dtype], 0);
      }
    }),
    { numRuns: 60 },
  );
});

const good = { a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] } };
const damaged: readonly (readonly [what: string, file: Buffer, message: RegExp])[] = [
  ['an empty file', Buffer.alloc(0), /has 0 bytes/],
  ['a header longer than the file', fileOf(good, 24).fill(255, 0, 7), /says its header has/],
  ['a truncated file', fileOf(good, 23), /tensor a: .*truncated/],
  ['bytes after the last tensor', fileOf(good, 25), /1 bytes after its last tensor/],
  ['a header that is no JSON', fileOf('{"a":', 0), /valid JSON/],
  ['a header that is a list', fileOf([], 0), /no JSON object/],
  ['an unknown dtype', fileOf({ a: { ...good.a, dtype: 'F31' } }, 24), /tensor a: .*dtype "F31"/],
  ['a negative size', fileOf({ a: { ...good.a, shape: [-2, -3] } }, 24), /tensor a: .*shape/],
  ['a fractional size', fileOf({ a: { ...good.a, shape: [1.5, 4] } }, 24), /tensor a: .*shape/],
  ['a shape that does not fit', fileOf({ a: { ...good.a, shape: [2, 4] } }, 24), /needs 32 bytes/],
  [
    'a shape whose product overflows',
    fileOf({ a: { ...good.a, shape: [2 ** 40, 2 ** 40] } }, 24),
    /tensor a: needs/,
  ],
  [
    'offsets that run backwards',
    fileOf({ a: { ...good.a, data_offsets: [24, 0] } }, 24),
    /tensor a/,
  ],
  [
    'offsets behind the end',
    fileOf({ a: { ...good.a, data_offsets: [1e15, 1e15 + 24] } }, 24),
    /tensor a: .*truncated or damaged/,
  ],
  [
    'overlapping tensors',
    fileOf({ ...good, b: { ...good.a, data_offsets: [20, 44] } }, 44),
    /tensor b: overlaps a/,
  ],
  [
    'a hole between tensors',
    fileOf({ ...good, b: { ...good.a, data_offsets: [28, 52] } }, 52),
    /tensor b: .*no holes/,
  ],
];
for (const [what, bytes, message] of damaged)
  test(`${what} is an error that names file and tensor`, () => {
    using folder = temporaryFolder();
    const path = folder.write('bad.safetensors', bytes);
    assert.throws(
      () => readSafetensorsHeader(path),
      (error: unknown) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, message);
        assert.ok(error.message.startsWith(path));
        return true;
      },
    );
  });

test('no damage to a header does worse than an error that names the file', () => {
  using folder = temporaryFolder();
  const path = `${folder.path}/x.safetensors`;
  writeSafetensors(
    path,
    ['F32', 'U8', 'BF16'].map((dtype, i) => ({
      name: `layer.${i}.weight`,
      dtype: dtype as SafetensorsDtype,
      shape: [3, 4],
      chunks: () => [new Uint8Array(12 * safetensorsDtypes[dtype as SafetensorsDtype])],
    })),
    { format: 'pt' },
  );
  const original = readFileSync(path);
  const edits = fc.array(fc.record({ at: fc.nat(original.length - 1), byte: fc.nat(255) }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(edits, fc.nat(original.length), (changes, length) => {
      const bytes = Buffer.from(original);
      for (const { at, byte } of changes) bytes[at] = byte;
      const file = folder.write('mutated.safetensors', bytes.subarray(0, length));
      try {
        const read = readSafetensorsHeader(file);
        for (const { data } of read.tensors.values())
          assert.ok(data.offset >= 8 && data.offset + data.bytes <= length);
      } catch (error) {
        assert.ok(error instanceof CheckpointError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
