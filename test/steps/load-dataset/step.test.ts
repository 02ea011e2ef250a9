// load-dataset as a step: its outputs, documents, checks and messages.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StepError } from '../../../engine/step.ts';
import type { DatasetDocument, DatasetRow } from '../../../schemas/artifact.ts';
import type { JsonObject } from '../../../schemas/json.ts';
import { loadDataset } from '../../../steps/load-dataset/step.ts';
import { documentOf, rowsOf } from '../artifacts.ts';
import { runStep } from '../context.ts';
import { scratchFolder } from '../../scratch.ts';

const folder = scratchFolder('load');
const write = (name: string, rows: readonly JsonObject[]): string => {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
};
const numbered = (n: number, from = 0): JsonObject[] =>
  Array.from({ length: n }, (_, index) => ({
    question: `q${String(from + index)}`,
    half: index % 2,
  }));

test('without splits one output, rows; the document says where they are from and what was dropped', async () => {
  const path = write('some.jsonl', numbered(10));
  const run = await runStep(loadDataset, {
    params: { source: 'path', path, where: { half: 1 }, rename: { question: 'q' } },
  });
  const output = run.output('rows', 'dataset');
  assert.deepEqual(output.names, ['dataset.json', 'rows.jsonl']);
  assert.deepEqual(
    rowsOf<DatasetRow>(output).map(({ id, q }) => [id, q]),
    ['1', '3', '5', '7', '9'].map((n) => [`some:${n}`, `q${n}`]),
  );
  assert.deepEqual(documentOf<DatasetDocument>(output, 'dataset.json'), {
    columns: ['id', 'item', 'q', 'half'],
    count: 5,
    source: { kind: 'file', files: [{ name: 'some.jsonl', rows: 10 }] },
    dropped: [{ reason: 'where', count: 5 }],
  });
  assert.deepEqual(run.reports, [{ kind: 'headline', text: '5 rows, 5 dropped (where)' }]);
});

test('splits are outputs, in the order of the file; the bytes depend on content and parameters alone', async () => {
  const params = { sample: { n: 8, method: 'python', seed: 42 }, splits: { train: 5, test: 3 } };
  assert.deepEqual(loadDataset.outputs(params), { train: 'dataset', test: 'dataset' });
  const load = async (place: string): Promise<string[]> => {
    const path = write(`${place}/same.jsonl`, numbered(20));
    const run = await runStep(loadDataset, { params: { path, ...params }, seed: place.length });
    return ['train', 'test'].flatMap((name) => {
      const output = run.output(name, 'dataset');
      return output.names.map((file) => output.sha256(file));
    });
  };
  assert.deepEqual(await load('here'), await load('elsewhere'));
});

test('globs, several files, and mixtures', async () => {
  write('glob/b.jsonl', numbered(2, 2));
  write('glob/a.jsonl', numbered(2));
  const run = await runStep(loadDataset, { params: { path: join(folder, 'glob/*.jsonl') } });
  assert.deepEqual(
    rowsOf<DatasetRow>(run.output('rows', 'dataset')).map(({ id }) => id),
    ['a:0', 'a:1', 'b:0', 'b:1'],
  );
  const mixed = await runStep(loadDataset, {
    params: {
      mix: [
        { path: join(folder, 'glob/a.jsonl'), n: 1, rename: { question: 'text' } },
        { rows: [{ text: 'x' }], name: 'own' },
      ],
      shuffle: {},
    },
  });
  assert.deepEqual(
    rowsOf<DatasetRow>(mixed.output('rows', 'dataset'))
      .map(({ id, text }) => `${id} ${text as string}`)
      .toSorted(),
    ['a/a:0 q0', 'own/inline:0 x'],
  );
});

test('contamination against another dataset is reported, and dropped where asked', async () => {
  const text = 'a sentence of more than enough words to be an n-gram of thirteen words in a row';
  const against = (
    await runStep(loadDataset, { params: { rows: [{ question: `So ${text}.` }] } })
  ).output('rows', 'dataset');
  const rows = [{ question: text }, { question: 'free' }];
  const load = (contamination: JsonObject): ReturnType<typeof runStep> =>
    runStep(loadDataset, { params: { rows, contamination }, inputs: { against } });
  const reported = await load({});
  assert.match(reported.warnings.join(), /1 rows share text/);
  assert.equal(rowsOf(reported.output('rows', 'dataset')).length, 2);
  const dropped = await load({ drop: true });
  assert.equal(rowsOf(dropped.output('rows', 'dataset')).length, 1);
  assert.deepEqual(
    documentOf<DatasetDocument>(dropped.output('rows', 'dataset'), 'dataset.json').dropped,
    [{ reason: 'contaminated', count: 1 }],
  );
});

test('failures are foreseen ones', async () => {
  const fails = (params: JsonObject, message: RegExp): Promise<void> =>
    assert.rejects(runStep(loadDataset, { params }), (error) => {
      assert.ok(error instanceof StepError, String(error));
      assert.match(error.message, message);
      return true;
    });
  await fails({ path: join(folder, 'none.jsonl') }, /there is no file/);
  await fails({ rows: [{ a: 1 }], where: { a: 2 } }, /the dataset has no rows/);
  await fails({ rows: [{ a: 1 }], splits: { x: 1, y: 'rest' } }, /split y has no rows/);
  await fails({ rows: [{ a: 1 }], contamination: {} }, /input `against`, which is missing/);
});

test('a dataset of the hub that is not on this machine, without a network', async (context) => {
  const before = { ...process.env };
  context.after(() => (process.env = before));
  Object.assign(process.env, { HF_HOME: folder, HF_HUB_OFFLINE: '1' });
  const files = [{ path: 'train.csv', size: 1, sha256: '0'.repeat(64) }];
  const hub = [{ type: 'dataset', id: 'a/b', revision: '0'.repeat(40), files }] as const;
  await assert.rejects(
    runStep(loadDataset, { params: { source: 'hub', id: 'a/b' }, hub }),
    (error) => {
      assert.ok(error instanceof StepError, String(error));
      assert.equal(error.code, 'E596');
      assert.match(error.message, /train\.csv of the dataset a\/b at 000000000000 is not in/);
      return true;
    },
  );
});

test('checks before a run', () => {
  const messages = (params: JsonObject): string[] =>
    (loadDataset.check?.(params) ?? []).map(({ pointer, message }) => `${pointer} ${message}`);
  assert.deepEqual(messages({ path: 'x.jsonl', splits: { train: 0.5, test: 'rest' } }), []);
  const wrong: readonly (readonly [JsonObject, RegExp])[] = [
    [{}, /where do the rows come from/],
    [{ source: 'file' }, /needs `path`/],
    [{ path: 'x', where: { a: { matches: '(' } } }, /^\/where\/a\/matches/],
    [{ path: 'x', sample: { n: 2.5 } }, /^\/sample\/n/],
    [{ path: 'x', sample: { n: 2, method: 'python', stratify_by: 'a' } }, /^\/sample\/stratify_by/],
    [{ path: 'x', splits: { Train: 2 } }, /^\/splits\/Train/],
    [{ path: 'x', splits: { group_by: 'a' } }, /names no split/],
    [{ path: 'x', mix: [{ path: 'y' }] }, /^\/path goes into/],
    [{ mix: [{ path: 'y', n: 1, weight: 2 }] }, /n or weight/],
  ];
  for (const [params, message] of wrong) assert.match(messages(params).join('; '), message);
});
