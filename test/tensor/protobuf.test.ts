// The wire formats, against the examples of https://protobuf.dev/programming-guides/encoding/.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtobufWriter } from '../../tensor/protobuf.ts';

const hex = (write: (writer: ProtobufWriter) => void): string => {
  const writer = new ProtobufWriter();
  write(writer);
  return Buffer.from(writer.finish()).toString('hex');
};

test('fields are written as the specification shows', () => {
  assert.equal(
    hex((w) => w.int(1, 150)),
    '089601',
  );
  assert.equal(
    hex((w) => w.string(2, 'testing')),
    '120774657374696e67',
  );
  assert.equal(
    hex((w) => w.message(3, (inner) => inner.int(1, 150))),
    '1a03089601',
  );
  assert.equal(
    hex((w) => w.float(4, 1)),
    '250000803f',
  );
});

test('integers of any size, and negative ones as int64', () => {
  assert.equal(
    hex((w) => w.int(1, 2 ** 31 - 1)),
    '08ffffffff07',
  );
  for (const value of [2 ** 40, 2n ** 40n])
    assert.equal(
      hex((w) => w.int(1, value)),
      '08808080808020',
    );
  assert.equal(
    hex((w) => w.int(1, -1)),
    `08${'ff'.repeat(9)}01`,
  );
});

test('a message longer than what was reserved for it keeps its length and what follows', () => {
  const long = new Uint8Array(5000).fill(7);
  const text = hex((w) => w.message(1, (inner) => inner.bytes(2, long)).int(3, 1));
  assert.ok(text.startsWith('0a8b27128827') && text.endsWith('071801'));
  assert.equal(text.length, 2 * (6 + 5000 + 2));
});

test('a fraction is no integer', () => {
  for (const value of [0.5, 2 ** 31 + 0.5, NaN, Infinity])
    assert.throws(() => hex((w) => w.int(1, value)), RangeError);
});
