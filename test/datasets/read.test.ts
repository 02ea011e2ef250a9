// Readers: what they take, and what they say about what they don't.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { DataError } from '../../datasets/error.ts';
import { formatOf, readFile, readTextFile, type FileFormat } from '../../datasets/read/file.ts';
import type { SourceRow } from '../../datasets/row.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../shared.ts';
import { scratchFolder } from '../scratch.ts';

const folder = scratchFolder('read');
const write = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const readText = (path: string, header: boolean | string[]): SourceRow[] =>
  readTextFile(path, formatOf(path) as Exclude<FileFormat, 'parquet'>, header);
const read = (
  name: string,
  content: string | Uint8Array,
  header: boolean | string[] = true,
): SourceRow[] => readText(write(name, content), header);
const failure = (
  name: string,
  content: string | Uint8Array,
  header: boolean | string[] = true,
): string => {
  try {
    read(name, content, header);
  } catch (cause) {
    assert.ok(cause instanceof DataError, String(cause));
    return cause.message;
  }
  return assert.fail('was read');
};

test('JSONL: BOM, CRLF, blank lines, U+2028 and a last line without its end', () => {
  assert.deepEqual(read('a.jsonl', '\ufeff{"a":1}\r\n\n{"a":"x\u2028y"}\n{"a":null}'), [
    { a: 1 },
    { a: 'x\u2028y' },
    { a: null },
  ]);
});

test('JSONL: errors name file and line', () => {
  assert.match(failure('b.jsonl', '{"a":1}\n\n{"a":}\n'), /^b\.jsonl:3: no JSON: /);
  assert.match(
    failure('b.jsonl', '{"a":1}\n[1]\n'),
    /^b\.jsonl:2: a row must be a JSON object, not a list/,
  );
  const latin = Uint8Array.from([...Buffer.from('{"a":1}\n{"a":"'), 0xe9, ...Buffer.from('"}\n')]);
  assert.match(failure('b.jsonl', latin), /^b\.jsonl:2: not UTF-8/);
  assert.match(failure('c.jsonl', Uint8Array.from([0xff, 0xfe, 0x7b, 0])), /UTF-16/);
});

test('JSON: a list, an object of rows in the order of the file, an object with one list', () => {
  assert.deepEqual(read('a.json', '[{"a":1},{"b":2}]'), [{ a: 1 }, { b: 2 }]);
  // JSON.parse would put 2 before 10, and both before x.
  const keyed = '{"x": {"q": "a {\\" b"}, "10": {"q": "[:"}, "2": {"q": {"3": 1, "x": 2}}}';
  assert.deepEqual(read('b.json', keyed), [
    { key: 'x', q: 'a {" b' },
    { key: '10', q: '[:' },
    { key: '2', q: { '3': 1, x: 2 } },
  ]);
  assert.deepEqual(read('c.json', '{"version":"1","data":[{"a":1}]}'), [{ a: 1 }]);
  assert.match(failure('d.json', '{"a":1}'), /no rows found/);
  assert.match(failure('d.json', '[{"a":1},3]'), /element 1 is no JSON object/);
});

test('CSV: quotes, line breaks, separators, doubled quotes, names', () => {
  assert.deepEqual(read('a.csv', 'id,text\r\n1,"a, ""b""\nc"\r\n\r\n2,plain "q" here\r\n'), [
    { id: '1', text: 'a, "b"\nc' },
    { id: '2', text: 'plain "q" here' },
  ]);
  assert.deepEqual(read('b.tsv', 'a\tb\n1\t\n'), [{ a: '1', b: '' }]);
  assert.deepEqual(read('c.csv', ',x\n0,1\n'), [{ column1: '0', x: '1' }]);
  assert.deepEqual(read('d.csv', '1,2\n', false), [{ column1: '1', column2: '2' }]);
  assert.deepEqual(read('e.csv', '1,2\n', ['p', 'q']), [{ p: '1', q: '2' }]);
});

test('CSV: errors name the line where the record begins', () => {
  assert.equal(
    failure('f.csv', 'a,b\n"x\ny",1\n1,2,3\n'),
    'f.csv:4: 3 fields, but there are 2 columns',
  );
  assert.equal(failure('f.csv', 'a,b\n1,2\n"x\ny\n'), 'f.csv:3: a quoted field is never closed');
  assert.equal(
    failure('f.csv', 'a,b\n"x"y,2\n'),
    'f.csv:2: "y" after the closing quote of a field',
  );
  assert.equal(failure('f.csv', 'a,a\n1,2\n'), 'f.csv:1: two columns are named "a"');
});

test('CSV: what is written as RFC 4180 says is read as it was', () => {
  const field = fc.string({
    unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', ' ', 'é', '\t', '😀'),
  });
  const table = fc.integer({ min: 2, max: 4 }).chain((width) =>
    fc.array(fc.array(field, { minLength: width, maxLength: width }), {
      minLength: 1,
      maxLength: 8,
    }),
  );
  fc.assert(
    fc.property(table, fc.constantFrom('\n', '\r\n'), (rows, end) => {
      const quoted = (value: string): string =>
        /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
      const text = rows.map((row) => row.map(quoted).join(',') + end).join('');
      const names = (rows[0] ?? []).map((_, index) => `c${String(index)}`);
      const expected = rows.map((row) =>
        Object.fromEntries(names.map((name, index) => [name, row[index]])),
      );
      assert.deepEqual(read('property.csv', text, names), expected);
    }),
  );
});

test('unknown ending, missing file', async () => {
  assert.match(failure('a.data', ''), /can't be told from its name/);
  for (const name of ['none.jsonl', 'none.parquet'])
    await assert.rejects(readFile(join(folder, name), 'auto', true), /there is no file/);
});

test(
  'real files are read whole',
  {
    skip: skipUnlessShared(
      'data/mmlu-medical',
      'data/pubmedqa',
      'data/mts-dialog',
      'data/medsafetybench',
    ),
  },
  () => {
    const rows = (path: string, header: boolean | string[] = true): SourceRow[] =>
      readText(sharedPath(path), header);
    assert.equal(rows('data/medmcqa/validation-2816.jsonl').length, 2816);
    assert.equal(rows('data/medqa/test.jsonl').length, 1273);
    const pubmedqa = rows('data/pubmedqa/ori_pqal.json');
    assert.equal(pubmedqa.length, 1000);
    assert.equal(pubmedqa[0]?.['key'], '21645374');
    assert.equal(
      Object.keys(readSharedJson<object>('data/pubmedqa/test_ground_truth.json')).length,
      500,
    );
    const anatomy = rows('data/mmlu-medical/test/anatomy_test.csv', [
      'question',
      'A',
      'B',
      'C',
      'D',
      'answer',
    ]);
    assert.equal(anatomy.length, 135);
    assert.equal(rows('data/mts-dialog/Main-Dataset/MTS-Dialog-TrainingSet.csv').length, 1201);
    const safety = rows(
      'data/medsafetybench/datasets/test/gpt4/med_safety_demonstrations_category_1.csv',
    );
    assert.deepEqual(Object.keys(safety[0] ?? {}), [
      'column1',
      'harmful_medical_request',
      'safe_response',
    ]);
  },
);
