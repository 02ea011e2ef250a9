// Parquet as pyarrow writes it, in every codec (parquet/make.py): the same rows from each file, to the value.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readParquet } from '../../datasets/read/parquet.ts';
import { projectRoot } from '../shared.ts';

const folder = join(projectRoot, 'test/datasets/parquet');
const files = readdirSync(folder).filter((name) => name.endsWith('.parquet'));

const expected = Array.from({ length: 10 }, (_, i) => ({
  id: i,
  question: ['Which drug?', 'Ärztin – 患者 🩺', '', null][i % 4],
  // What a double can't hold keeps its digits.
  large: [9007199254740991, '9007199254740993', '-4611686018427387904', null][i % 4],
  choices: [['a', 'b'], [], null, ['c', null]][i % 4],
  answers:
    i % 4 === 0 ? null : { text: Array.from({ length: i % 3 }, () => 'yes'), label: i % 2 === 0 },
  score: [0.5, null, null, -0.25][i % 4],
  when: '2024-02-29T12:30:00.250Z',
  day: '2024-02-29',
  raw: Buffer.from([0, 255, i]).toString('base64'),
  dose: 12.5,
}));

for (const name of files) {
  test(`every value of ${name}`, async () => {
    const rows = await readParquet(join(folder, name));
    assert.deepEqual(rows, expected);
    assert.deepEqual(Object.keys(rows[0] ?? {}), Object.keys(expected[0] ?? {}));
  });
}

test('all codecs are there', () => assert.equal(files.length, 7));

test('cut short, or not Parquet at all: an error that names the file', async (context) => {
  const scratch = mkdtempSync(join(tmpdir(), 'mesa-parquet-'));
  context.after(() => rmSync(scratch, { recursive: true }));
  const whole = readFileSync(join(folder, 'zstd.parquet'));
  const path = join(scratch, 'bad.parquet');
  for (const content of [Buffer.from('id,text\n'), Buffer.alloc(0), whole.subarray(0, 4000)]) {
    writeFileSync(path, content);
    await assert.rejects(readParquet(path), /bad\.parquet: no readable Parquet/u);
  }
  await assert.rejects(readParquet(join(scratch, 'none.parquet')), /there is no file/u);
});
