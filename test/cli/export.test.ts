// `mesa export` on a real run of a tiny model: every form, from the record's own lineage; the adapter that comes back
// through load-adapter merges to the same bytes; what can't be exported leaves nothing behind.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openCheckpoint } from '../../models/checkpoint/checkpoint.ts';
import { OpenFiles } from '../../models/checkpoint/file.ts';
import { readTensor } from '../../models/checkpoint/stored.ts';
import type { PredictionRow, ScoresDocument } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { Rig } from '../rig.ts';
import { projectRoot } from '../shared.ts';

const rig = new Rig();
for (const name of ['models/tiny', 'data/questions-test.jsonl'])
  cpSync(join(projectRoot, 'experiments', name), rig.path(name), { recursive: true });
after(() => rig.dispose());

const experiment = `
name: tiny | tuned
steps:
  base:
    uses: load-model
    with: { source: path, path: models/tiny }
  questions:
    uses: load-dataset
    with: { source: file, path: data/questions-test.jsonl, take: 8 }
  prompts:
    uses: format
    inputs: { rows: questions }
    with: { template: mcq-cloze }
  adapter:
    uses: lora-train
    inputs: { model: base, data: prompts }
    with: { r: 2, max_steps: 2, target_modules: [q_proj, down_proj], learning_rate: 0.01 }
  answers:
    uses: generate
    inputs: { model: base, adapter: adapter, prompts: prompts }
    with: { mode: choices }
  scores:
    uses: score
    inputs: { predictions: answers }
    with: { metrics: [accuracy], group_by: [subject], bootstrap: { n: 100 } }
`;

const exported = async (result: string, folder: string, ...more: string[]): Promise<string> => {
  const { code, stdout, stderr } = await rig.run(['export', result, folder, ...more]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    stdout.trim().split('\n').sort(),
    readdirSync(rig.path(folder))
      .map((name) => join(folder, name))
      .sort(),
  );
  return stderr;
};
const read = (...parts: string[]): string => readFileSync(rig.path(...parts), 'utf8');
const json = (...parts: string[]): JsonObject => JSON.parse(read(...parts)) as JsonObject;
const digest = (...parts: string[]): string =>
  createHash('sha256')
    .update(readFileSync(rig.path(...parts)))
    .digest('hex');

before(async () => {
  rig.write('x.yaml', experiment);
  const { code, stdout, stderr } = await rig.run(['run', 'x.yaml']);
  assert.equal(code, 0, stdout + stderr);
});

test('an adapter as a PEFT folder, and merged into the model it was trained on', async () => {
  await exported('last/adapter', 'peft', '--as', 'peft');
  assert.equal(json('peft', 'adapter_config.json')['peft_type'], 'LORA');
  const said = await exported('last/adapter', 'merged', '--as', 'hf');
  assert.match(said, /the adapter is merged into 10 matrices/);
  await exported('last/base', 'plain', '--as', 'hf');
  assert.deepEqual(json('merged', 'config.json')['model_type'], 'llama');

  const tensorsOf = (folder: string) => {
    const path = rig.path(folder, 'model.safetensors');
    const files = [{ name: 'model.safetensors', path }];
    return openCheckpoint(
      { format: 'safetensors', files, index: null },
      json(folder, 'config.json'),
    );
  };
  using files = new OpenFiles();
  const before = tensorsOf('plain');
  const changed = [...tensorsOf('merged')].filter(([name, tensor]) => {
    const old = before.get(name);
    assert.ok(old);
    return (
      Buffer.compare(
        Buffer.from(readTensor(tensor, files).buffer),
        Buffer.from(readTensor(old, files).buffer),
      ) !== 0
    );
  });
  assert.equal(changed.length, 10);
  assert.ok(changed.every(([name]) => /q_proj|down_proj/.test(name)));
});

test('the adapter comes back through load-adapter and merges to the same bytes', async () => {
  if (!existsSync(rig.path('peft'))) await exported('last/adapter', 'peft', '--as', 'peft');
  if (!existsSync(rig.path('merged'))) await exported('last/adapter', 'merged', '--as', 'hf');
  rig.write(
    'again.yaml',
    'name: again\nsteps:\n  adapter:\n    uses: load-adapter\n    with: { source: path, path: peft }\n',
  );
  const first = rig.record().run;
  const run = await rig.run(['run', 'again.yaml']);
  assert.equal(run.code, 0, run.stderr);
  const lost = await rig.run(['export', 'last/adapter', 'lost', '--as', 'hf']);
  assert.equal(lost.code, 2);
  assert.match(lost.stderr, /doesn't say which model it belongs to[\s\S]*--base RUN\/STEP/);
  assert.ok(!existsSync(rig.path('lost')));
  await exported('last/adapter', 'again', '--as', 'hf', '--base', `${first}/base`);
  assert.equal(digest('again', 'model.safetensors'), digest('merged', 'model.safetensors'));
  const wrong = await rig.run([
    'export',
    'last/adapter',
    'lost',
    '--as',
    'hf',
    '--base',
    `${first}/scores`,
  ]);
  assert.match(wrong.stderr, /is a scores, not a model/);
});

const scoresRun = (): string => {
  const found = readdirSync(rig.path('runs')).find((id) => {
    const record = json('runs', id, 'record.json');
    return record['name'] === 'tiny | tuned';
  });
  assert.ok(found);
  return found;
};

test('scores as lm-evaluation-harness writes them', async () => {
  const id = scoresRun();
  await exported(`${id}/scores`, 'lm', '--as', 'lm-eval');
  const [results = '', samples = ''] = readdirSync(rig.path('lm')).sort();
  assert.match(results, /^results_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d+\.json$/);
  const document = json('lm', results);
  await exported(`${id}/scores`, 'own');
  const { metrics } = JSON.parse(read('own', 'scores.json')) as ScoresDocument;
  const own = (document['results'] as Record<string, JsonObject>)['scores'];
  assert.equal(own?.['acc,none'], metrics['accuracy']?.value);
  assert.equal(own?.['acc_stderr,none'], metrics['accuracy']?.stderr);
  assert.deepEqual(document['n-shot'], { scores: 0, ...(document['n-shot'] as JsonObject) });
  assert.deepEqual(document['n-samples'], { scores: { original: 8, effective: 8 } });
  assert.equal(document['model_name'], 'tiny + adapter');

  const rows = read('lm', samples)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as JsonObject);
  assert.equal(rows.length, 8);
  const accuracy = rows.reduce((sum, row) => sum + Number(row['acc']), 0) / 8;
  assert.equal(accuracy, metrics['accuracy']?.value);
  await exported(`${id}/answers`, 'rows');
  const predictions = read('rows', 'rows.jsonl').trim().split('\n');
  for (const [index, row] of rows.entries()) {
    const prediction = JSON.parse(predictions[index] ?? '') as PredictionRow;
    const sums = (row['filtered_resps'] as string[][]).map(([sum]) => Number(sum));
    const best = prediction.choices?.[sums.indexOf(Math.max(...sums))];
    assert.equal(best?.label, prediction.prediction);
    assert.equal(prediction.choices?.[Number(row['target'])]?.label, prediction.answer);
  }
  await exported(`${id}/answers`, 'lm-answers', '--as', 'lm-eval');
  assert.equal(
    digest('lm-answers', results),
    digest('lm', results),
    'predictions know their scores',
  );
});

test('a model card says what the record says, and nothing of where files lie', async () => {
  const id = scoresRun();
  await exported(`${id}/adapter`, 'card', '--as', 'model-card');
  const card = read('card', 'README.md');
  assert.match(card, /^---\nlibrary_name: peft\n/);
  assert.match(card, /^# tiny \\\| tuned: adapter$/m);
  assert.match(card, /\| questions \| questions-test\.jsonl \|  \| 8 \|/);
  assert.match(card, /\| learning\\_rate \| 0\.01 \|/);
  assert.match(card, /\| scores \| accuracy \| [\d.]+ \| [\d.]+ to [\d.]+ \| 8 \|/);
  assert.ok(!card.includes(rig.path('')), 'no path of this machine');
});

test('what a result can’t be leaves nothing behind', async () => {
  const id = scoresRun();
  for (const [result, form, message] of [
    ['base', 'peft', /a model is no adapter/],
    ['scores', 'hf', /a scores is no model/],
    ['questions', 'lm-eval', /a dataset holds no evaluation/],
    ['scores', 'model-card', /neither model nor adapter/],
  ] as const) {
    const { code, stderr } = await rig.run(['export', `${id}/${result}`, 'none', '--as', form]);
    assert.equal(code, 2, form);
    assert.match(stderr, message);
    assert.ok(!existsSync(rig.path('none')));
  }
});
