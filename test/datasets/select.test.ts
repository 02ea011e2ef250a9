// Identity, filters, orders, samples, splits, mixtures, duplicates, contamination.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseColumns, writtenRow } from '../../datasets/columns.ts';
import { contaminated } from '../../datasets/contamination.ts';
import { dedupeRows } from '../../datasets/dedupe.ts';
import { checkCondition, compileCondition } from '../../datasets/filter.ts';
import { identify, itemOf } from '../../datasets/identity.ts';
import { loadSource, type Source } from '../../datasets/load.ts';
import { mixRows } from '../../datasets/mix.ts';
import { apportion, METHODS } from '../../datasets/order.ts';
import type { Row, SourceRow, Value } from '../../datasets/row.ts';
import { sampleRows, shuffleRows } from '../../datasets/sample.ts';
import { splitRows } from '../../datasets/split.ts';
import { pythonRandom } from '../../random/python.ts';

const rowsOf = (n: number): Row[] =>
  identify(
    Array.from({ length: n }, (_, index) => ({ n: index, third: index % 3 })),
    { name: 'set', idColumn: undefined },
  );
const ids = (rows: readonly Row[] | undefined): string[] => (rows ?? []).map(({ id }) => id);
const numbers = (rows: readonly Row[] | undefined): (Value | undefined)[] =>
  (rows ?? []).map(({ source }) => source['n']);

test('ids: the column `id`, a named one, or numbers; duplicates name both rows', () => {
  const named = { name: 'set', idColumn: undefined };
  assert.deepEqual(ids(identify([{ id: 7 }, { id: '8' }], named)), ['7', '8']);
  assert.deepEqual(ids(identify([{ q: 'a' }, { q: 'b' }], named)), ['set:0', 'set:1']);
  assert.deepEqual(ids(identify([{ id: 1 }, { id: 1 }], { name: 'set', idColumn: null })), [
    'set:0',
    'set:1',
  ]);
  assert.deepEqual(ids(identify([{ a: { b: 'x' } }], { name: 'set', idColumn: 'a.b' })), ['x']);
  assert.throws(
    () => identify([{ id: 1 }, { id: '2' }, { id: '1' }], named),
    /rows 0 and 2 of set both have id "1"/,
  );
  assert.throws(() => identify([{ id: 2 ** 53 }], named), /no exact integer/);
  assert.throws(() => identify([{ id: 1 }, { x: 1 }], named), /holds no id but nothing/);
});

test('item: question and answer decide, nothing else', () => {
  const row = { id: 1, question: 'q', options: { A: 'x', B: 'y' }, answer_idx: 'A', subject: 's' };
  assert.match(itemOf(row), /^[0-9a-f]{16}$/);
  assert.equal(itemOf(row), itemOf({ ...row, id: 2, subject: 't' }));
  assert.equal(itemOf(row), itemOf({ ...row, options: { B: 'y', A: 'x' } }));
  for (const other of [{ question: 'r' }, { options: { A: 'y', B: 'x' } }, { answer_idx: 'B' }]) {
    assert.notEqual(itemOf(row), itemOf({ ...row, ...other }));
  }
  assert.notEqual(itemOf({ a: 1 }), itemOf({ a: 2 }));
});

const CONDITIONS: readonly (readonly [Value, SourceRow, boolean])[] = [
  [{ a: 1 }, { a: 1 }, true],
  [{ a: 1 }, { a: '1' }, true],
  [{ a: '1' }, { a: 1 }, false],
  [{ a: null }, {}, true],
  [{ a: { ne: 1 } }, {}, true],
  [{ a: { in: ['x', 'y'] } }, { a: 'y' }, true],
  [{ a: { not_in: ['x', 'y'] } }, { a: 'y' }, false],
  [{ a: { gt: 2, lte: 5 } }, { a: 5 }, true],
  [{ a: { gt: 2, lte: 5 } }, { a: 2 }, false],
  [{ a: { lt: 10 } }, { a: '9.5' }, true],
  [{ a: { lt: 10 } }, { a: 'nine' }, false],
  [{ a: { lt: 10 } }, { a: null }, false],
  [{ a: { gte: 'b' } }, { a: 'c' }, true],
  [{ a: { length: 3 } }, { a: 'äöü' }, true],
  [{ a: { length: { gt: 1 } } }, { a: ['x'] }, false],
  [{ a: { matches: '^(?:no|except)\\b' } }, { a: 'no way' }, true],
  [{ a: { matches: 'x' } }, { a: 3 }, false],
  [{ a: { exists: true } }, { a: '' }, false],
  [{ a: { exists: false } }, {}, true],
  [{ 'a.b': 1 }, { a: { b: 1 } }, true],
  [{ 'a.b': 1 }, { 'a.b': 1 }, true],
  [{ a: [1, 2] }, { a: [1, 2] }, true],
  [{ a: 1, b: 2 }, { a: 1, b: 3 }, false],
  [[{ a: 1 }, { b: 3 }], { a: 1, b: 3 }, true],
  [{ or: [{ a: 2 }, { b: 3 }] }, { a: 1, b: 3 }, true],
  [{ and: [{ a: 2 }, { b: 3 }] }, { a: 1, b: 3 }, false],
  [{ not: { a: 1 } }, { a: 1 }, false],
];

test('conditions', () => {
  for (const [condition, row, holds] of CONDITIONS) {
    assert.equal(compileCondition(condition)(row), holds, JSON.stringify([condition, row]));
  }
});

test('what is no condition is named with its place', () => {
  const problem = (condition: Value): string => {
    const found = checkCondition(condition)[0];
    return `${found?.pointer ?? ''} ${found?.message ?? ''}`;
  };
  assert.match(problem({ or: [{ a: { eqq: 1 } }] }), /^\/or\/0\/a\/eqq unknown test eqq/);
  assert.match(problem({ 'a/b': { matches: '(' } }), /^\/a~1b\/matches is no regular expression/);
  assert.match(problem({ a: { in: 3 } }), /^\/a\/in must be a list/);
  assert.match(problem({ a: { constructor: 3 } }), /unknown test constructor/);
});

test('apportion: exact sum, proportional, never above the size', () => {
  const sizes = fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(sizes, fc.double({ min: 0, max: 1, noNaN: true }), (parts, share) => {
      const all = parts.reduce((sum, size) => sum + size, 0);
      const total = Math.floor(share * all);
      const shares = apportion(parts, total);
      assert.equal(
        shares.reduce((sum, size) => sum + size, 0),
        total,
      );
      for (const [index, size] of parts.entries()) {
        const got = shares[index] ?? NaN;
        assert.ok(got >= 0 && got <= size && Math.abs(got - (size * total) / Math.max(all, 1)) < 1);
      }
    }),
  );
});

test('shuffles are permutations, samples are subsets, both by their seed alone', () => {
  const method = fc.constantFrom(...METHODS);
  fc.assert(
    fc.property(
      method,
      fc.nat({ max: 2 ** 31 }),
      fc.integer({ min: 1, max: 60 }),
      (how, seed, n) => {
        const rows = rowsOf(n);
        const shuffled = shuffleRows(rows, { seed, method: how });
        assert.deepEqual(ids(shuffled).toSorted(), ids(rows).toSorted());
        const options = { n: Math.ceil(n / 2), seed, method: how, replacement: false };
        const sample = sampleRows(rows, options);
        assert.equal(new Set(ids(sample)).size, Math.ceil(n / 2));
        assert.deepEqual(sampleRows(rows, options), sample);
      },
    ),
    { numRuns: 60 },
  );
});

test("Python's sample, as published subsets are made", () => {
  const rows = rowsOf(2816);
  const sample = sampleRows(rows, { n: 500, seed: 42, method: 'python', replacement: false });
  // random.Random(42).sample(range(2816), 500)[:5] in CPython 3.11
  assert.deepEqual(numbers(sample).slice(0, 5), [2619, 456, 102, 1126, 1003]);
});

test('sampling with replacement numbers the copies of a row', () => {
  const sample = sampleRows(rowsOf(3), { n: 50, seed: 1, method: 'mesa', replacement: true });
  assert.equal(new Set(ids(sample)).size, 50);
  const copies = ids(sample).filter((id) => id.startsWith('set:1~'));
  assert.deepEqual(
    copies,
    copies.map((_, index) => `set:1~${String(index)}`),
  );
});

test('a stratified sample keeps the proportions; too large a sample is an error', () => {
  const sample = sampleRows(rowsOf(90), {
    n: 30,
    seed: 3,
    method: 'mesa',
    stratifyBy: 'third',
    replacement: false,
  });
  for (const value of [0, 1, 2]) {
    assert.equal(sample.filter(({ source }) => source['third'] === value).length, 10);
  }
  assert.throws(
    () => sampleRows(rowsOf(3), { n: 4, seed: 0, method: 'mesa', replacement: false }),
    /cannot sample 4 rows: there are 3/,
  );
});

test('splits are disjoint and of the sizes asked for', () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 20 }),
    fc.double({ min: 0.01, max: 0.3, noNaN: true }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 70, max: 120 }),
      size,
      size,
      fc.constantFrom('plain', 'stratified', 'rest'),
      (n, a, b, kind) => {
        const rows = rowsOf(n);
        const splits = splitRows(rows, {
          sizes: kind === 'rest' ? { a, b, c: 'rest' } : { a, b },
          stratifyBy: kind === 'stratified' ? 'third' : undefined,
        });
        const all = [...splits.values()].flatMap(ids);
        assert.equal(new Set(all).size, all.length);
        const count = (amount: number): number =>
          amount < 1 ? Math.floor(amount * n + 1e-9) : amount;
        assert.equal(splits.get('a')?.length, count(a));
        assert.equal(splits.get('b')?.length, count(b));
        if (kind === 'rest') assert.equal(all.length, n);
        for (const part of splits.values()) {
          const order = numbers(part).map(Number);
          assert.deepEqual(
            order,
            order.toSorted((x, y) => x - y),
          );
        }
      },
    ),
  );
});

test('shares that make a whole leave no row out', () => {
  const splits = splitRows(rowsOf(11), { sizes: { a: 0.5, b: 0.3, c: 0.2 } });
  assert.deepEqual(
    [...splits.values()].map((rows) => rows.length),
    [5, 3, 3],
  );
  assert.throws(
    () => splitRows(rowsOf(5), { sizes: { a: 4, b: 2 } }),
    /ask for 6 rows, but there are 5/,
  );
});

test('group_by keeps groups together', () => {
  const rows = identify(
    Array.from({ length: 40 }, (_, index) => ({ patient: index % 7 })),
    { name: 'set', idColumn: null },
  );
  const splits = splitRows(rows, { sizes: { a: 20, b: 20 }, groupBy: 'patient' });
  const patients = [...splits.values()].map(
    (part) => new Set(part.map(({ source }) => source['patient'])),
  );
  for (const patient of patients[0] ?? []) assert.ok(!patients[1]?.has(patient));
  assert.ok((splits.get('a')?.length ?? 0) > 12);
});

test('mixtures: by count, by weight, prefixed', () => {
  const one = identify([{ q: 1 }, { q: 2 }, { q: 3 }, { q: 4 }], { name: 'x', idColumn: null });
  const two = identify([{ q: 5 }, { q: 6 }], { name: 'y', idColumn: null });
  assert.deepEqual(
    ids(
      mixRows([
        { name: 'one', rows: one, n: 1 },
        { name: 'two', rows: two },
      ]),
    ),
    ['one/x:0', 'two/y:0', 'two/y:1'],
  );
  const weighted = mixRows([
    { name: 'one', rows: one, weight: 1 },
    { name: 'two', rows: two, weight: 1 },
  ]);
  assert.equal(weighted.length, 4);
  assert.throws(
    () => mixRows([{ name: 'one', rows: one, n: 5 }]),
    /asks for 5 rows of one, which has 4/,
  );
  assert.throws(
    () =>
      mixRows([
        { name: 'a', rows: one },
        { name: 'a', rows: two },
      ]),
    /both|two sources/,
  );
});

test('dedupe keeps the first; contamination finds shared words in a row', () => {
  const rows = identify(
    [
      { question: 'q', answer: 'a', n: 1 },
      { question: 'q', answer: 'a', n: 2 },
      { question: 'q', answer: 'b', n: 3 },
    ],
    { name: 'set', idColumn: null },
  );
  assert.deepEqual(numbers(dedupeRows(rows, null)), [1, 3]);
  assert.deepEqual(numbers(dedupeRows(rows, ['question'])), [1]);
  const long = 'one two three four five six seven eight nine ten eleven twelve thirteen';
  const texts = identify(
    [
      { text: `Well, ${long.toUpperCase()}!` },
      { text: long.replace('seven', '7') },
      { text: 'what is the meaning of nephritis' },
      { text: 'what is' },
    ],
    { name: 'set', idColumn: null },
  );
  const against = [
    { a: { b: [`${long} fourteen`] } },
    { a: 'What is the meaning of nephritis?' },
    { a: 'what is' },
  ];
  // The last one is shorter than half an n-gram: too little to say anything.
  assert.deepEqual([...contaminated(texts, against, 12)], ['set:0', 'set:2']);
  assert.deepEqual([...contaminated(texts, against, 13)], ['set:0']);
});

test('select and rename, nested columns, and the columns that identity takes', () => {
  const rows = identify(
    [{ id: 'a', data: { Question: 'q', Options: { A: 'x' } }, item: 'i', more: 1 }],
    {
      name: 'set',
      idColumn: undefined,
    },
  );
  const chosen = chooseColumns(rows, {
    select: ['question', 'more'],
    rename: { 'data.Question': 'question' },
  });
  assert.deepEqual(chosen[0]?.source, { more: 1, question: 'q' });
  assert.throws(() => chooseColumns(rows, { select: ['moree'] }), /did you mean "more"\?/);
  const written = writtenRow(rows[0] as Row);
  assert.equal(written['id'], 'a');
  assert.equal(written['source_item'], 'i');
  assert.equal(written['source_id'], undefined);
});

const inline = (rows: SourceRow[], more: Partial<Source> = {}): Source => ({
  origin: { kind: 'inline', rows },
  idColumn: undefined,
  ...more,
});

test('a row keeps its id through filter, shuffle, sample and take', async () => {
  const source = Array.from({ length: 30 }, (_, index) => ({ n: index }));
  const loaded = await loadSource(
    inline(source, {
      where: { n: { gte: 10 } },
      shuffle: { seed: 5, method: 'mesa' },
      sample: { n: 10, seed: 5, method: 'python', replacement: false },
      skip: 2,
      take: 5,
    }),
  );
  assert.equal(loaded.rows.length, 5);
  for (const row of loaded.rows)
    assert.equal(row.id, `inline:${String(row.source['n'] as number)}`);
  assert.deepEqual(loaded.dropped, [{ reason: 'where', count: 10 }]);
  await assert.rejects(loadSource(inline(source, { where: { m: 1 } })), /where names a column "m"/);
});

test('filters before the sample change what is sampled from, as in Python', async () => {
  const source = Array.from({ length: 100 }, (_, index) => ({ n: index }));
  const even = source.filter(({ n }) => n < 60);
  const loaded = await loadSource(
    inline(source, {
      where: { n: { lt: 60 } },
      sample: { n: 8, seed: 42, method: 'python', replacement: false },
    }),
  );
  assert.deepEqual(
    numbers(loaded.rows),
    pythonRandom(42)
      .sample(even, 8)
      .map(({ n }) => n),
  );
});
