// PyTorch's checkpoints: the same weights as the safetensors beside them, and pickles that want more than data refused.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { openCheckpoint } from '../../../models/checkpoint/checkpoint.ts';
import { CheckpointError } from '../../../models/checkpoint/error.ts';
import { OpenFiles } from '../../../models/checkpoint/file.ts';
import { locateModel } from '../../../models/checkpoint/locate.ts';
import { readTensor } from '../../../models/checkpoint/stored.ts';
import { readTorchFile } from '../../../models/checkpoint/torch.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { firstDifference, goldenTensors, temporaryFolder } from '../files.ts';
import { global, text, tuple } from '../torch-file.ts';

const root = 'goldens/architectures/biogpt';
const skip = skipUnlessShared(root);

for (const form of ['pickle', 'pickle-legacy', 'pickle-sharded'])
  test(`${form}: the weights of the safetensors file`, { skip }, () => {
    const { tensors } = locateModel(sharedPath(`${root}/${form}`));
    const golden = goldenTensors(sharedPath(`${root}/model.safetensors`));
    assert.deepEqual([...tensors.keys()].sort(), [...golden.names].sort());
    using files = new OpenFiles();
    for (const [name, tensor] of tensors) {
      assert.deepEqual(tensor.shape, golden.shape(name));
      assert.equal(firstDifference(readTensor(tensor, files), golden.values(name)), null, name);
    }
  });

/** A pickle of the older stream: magic, version, system, then `state`, keys and storages. */
const legacy = (state: Buffer, storage: Buffer): Buffer => {
  const magic = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
  const version = Buffer.from('80024de9032e', 'hex');
  const system = Buffer.concat([
    Buffer.from('80027d', 'hex'),
    text('little_endian'),
    Buffer.from('88732e', 'hex'),
  ]);
  const keys = Buffer.concat([Buffer.from('80025d', 'hex'), text('0'), Buffer.from('612e', 'hex')]);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(storage.length / 4));
  return Buffer.concat([magic, version, system, state, keys, size, storage]);
};
const int = (value: number): Buffer => Buffer.from([0x4b, value]);
const tensor = (offset: number, shape: number[], strides: number[], values = 12): Buffer =>
  Buffer.concat([
    global('torch._utils._rebuild_tensor_v2'),
    tuple(
      tuple(text('storage'), global('torch.FloatStorage'), text('0'), text('cpu'), int(values)),
      Buffer.from('Q'),
      int(offset),
      tuple(...shape.map(int)),
      tuple(...strides.map(int)),
      Buffer.from([0x89]),
      Buffer.concat([global('collections.OrderedDict'), Buffer.from(')R')]),
    ),
    Buffer.from('R'),
  ]);
const stateDict = (name: string, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from('80027d', 'hex'), text(name), value, Buffer.from('732e', 'hex')]);
const storage = Buffer.from(Float32Array.from({ length: 12 }, (_, i) => i).buffer);

test('views: transposed, strided and offset tensors are put in order', () => {
  const cases: readonly (readonly [offset: number, shape: number[], strides: number[]])[] = [
    [0, [3, 4], [4, 1]],
    [0, [4, 3], [1, 4]],
    [2, [2, 3], [1, 2]],
    [1, [2, 2], [6, 2]],
    [3, [4], [2]],
    [5, [2, 3], [0, 1]],
  ];
  for (const [offset, shape, strides] of cases) {
    using folder = temporaryFolder();
    const path = folder.write(
      'pytorch_model.bin',
      legacy(stateDict('w', tensor(offset, shape, strides)), storage),
    );
    const tensors = openCheckpoint(
      { format: 'torch', files: [{ name: 'pytorch_model.bin', path }], index: null },
      { model_type: 'llama' },
    );
    const found = tensors.get('w');
    assert.ok(found);
    using files = new OpenFiles();
    const [rows = 1, columns] = shape.length === 1 ? [1, shape[0]] : shape;
    const expected = Array.from({ length: rows * (columns ?? 1) }, (_, i) => {
      const row = Math.floor(i / (columns ?? 1));
      const column = i % (columns ?? 1);
      const [a = 0, b = 0] = shape.length === 1 ? [0, strides[0]] : strides;
      return offset + row * a + column * b;
    });
    assert.deepEqual([...readTensor(found, files)], expected);
  }
});

const call = (name: string, ...args: Buffer[]): Buffer =>
  Buffer.concat([global(name), tuple(...args), Buffer.from('R')]);
const hostile: readonly (readonly [what: string, value: Buffer, message: RegExp])[] = [
  ['os.system', call('os.system', text('touch /tmp/x')), /names os\.system, which is not allowed/],
  ['builtins.eval', call('builtins.eval', text('1')), /names builtins\.eval/],
  [
    'a function of torch outside the list',
    call('torch.storage._load_from_bytes', text('')),
    /names torch\.storage\._load_from_bytes/,
  ],
  ['a storage called', call('torch.FloatStorage', int(3)), /calls torch\.FloatStorage/],
  ['an object made by its class', Buffer.from(')\x81', 'latin1'), /opcode 0x81/],
  ['a tensor behind its storage', tensor(4, [3, 4], [4, 1]), /reaches beyond its storage/],
  ['a stride that leaves it', tensor(0, [2, 2], [200, 1]), /reaches beyond its storage/],
  ['a view of more values than its storage', tensor(0, [200, 200], [0, 0]), /beyond its storage/],
  ['a storage of another size', tensor(0, [2], [1], 13), /13|promised|says/],
  ['a reference to nothing', Buffer.from([0x68, 99]), /unknown memo/],
];
for (const [what, value, message] of hostile)
  test(`a pickle with ${what} is refused`, () => {
    using folder = temporaryFolder();
    const path = folder.write('pytorch_model.bin', legacy(stateDict('w', value), storage));
    assert.throws(
      () => readTorchFile(path),
      (error: unknown) => {
        assert.ok(error instanceof CheckpointError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
  });

for (const form of ['pickle', 'pickle-legacy'])
  test(`${form}: no damage does worse than an error that names the file`, { skip }, () => {
    using folder = temporaryFolder();
    const original = readFileSync(sharedPath(`${root}/${form}/pytorch_model.bin`));
    // The pickle lies at the start; a zip's directory at the end.
    const place = fc.oneof(
      fc.nat(5200),
      fc.integer({ min: original.length - 6000, max: original.length - 1 }),
    );
    const edits = fc.array(fc.record({ at: place, byte: fc.nat(255) }), {
      minLength: 1,
      maxLength: 4,
    });
    const size = fc.oneof(fc.constant(original.length), fc.nat(original.length));
    fc.assert(
      fc.property(edits, size, (changes, length) => {
        const bytes = Buffer.from(original.subarray(0, length));
        for (const { at, byte } of changes) if (at < length) bytes[at] = byte;
        const path = folder.write('x.bin', bytes);
        try {
          for (const { data } of readTorchFile(path).values())
            assert.ok(data.offset >= 0 && data.offset + data.bytes <= length);
        } catch (error) {
          assert.ok(error instanceof CheckpointError, String(error));
        }
      }),
      { numRuns: 400 },
    );
  });
