// An experiment whose model and questions lie on a hub: pinned, downloaded, cached, run without a network, and moved when
// asked to. The hub is one on loopback; the model is the tiny one of experiments/.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { startHub, type FakeHub } from '../hub/server.ts';
import { projectRoot } from '../shared.ts';
import { mesa, temporaryProject, type Ended } from './mesa.ts';

const modelFolder = path.join(projectRoot, 'experiments/models/tiny');
const modelFiles = Object.fromEntries(
  readdirSync(modelFolder).map((name) => [name, readFileSync(path.join(modelFolder, name))]),
);
const questions = readFileSync(path.join(projectRoot, 'experiments/data/questions-test.jsonl'));

const experiment = `name: from-the-hub
steps:
  base:
    uses: load-model
    with: { source: hub, id: org/tiny }
  rows:
    uses: load-dataset
    with: { mix: [{ source: hub, id: org/questions, split: test }], take: 4 }
  prompts:
    uses: format
    inputs: { rows: rows }
    with: { template: mcq-cloze }
  answers:
    uses: generate
    inputs: { model: base, prompts: prompts }
    with: { mode: choices }
`;

interface Rig {
  readonly server: FakeHub;
  readonly cwd: string;
  readonly run: (...args: string[]) => Promise<Ended>;
  readonly offline: (...args: string[]) => Promise<Ended>;
}

const rig = async (context: TestContext): Promise<Rig> => {
  const server = await startHub(context, [
    // What no step needs must not be downloaded: another format of the weights, a picture.
    {
      type: 'model',
      id: 'org/tiny',
      branches: { main: { ...modelFiles, 'pytorch_model.bin': 'the same', 'plot.png': 'x' } },
    },
    {
      type: 'dataset',
      id: 'org/questions',
      branches: {
        main: {
          'README.md':
            '---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: held-out.jsonl\n---\n',
          'held-out.jsonl': questions,
        },
      },
    },
  ]);
  const cwd = temporaryProject(context, { 'x.yaml': experiment });
  const home = path.join(cwd, 'hf');
  mkdirSync(home);
  writeFileSync(path.join(home, 'token'), 'hf_secretsecretsecret');
  const env = { HF_HOME: home, HF_ENDPOINT: server.endpoint };
  return {
    server,
    cwd,
    run: (...args) => mesa(args, { cwd, env }),
    offline: (...args) => mesa(args, { cwd, env: { ...env, HF_HUB_OFFLINE: '1' } }),
  };
};

const ran = ({ stderr }: Ended): string =>
  /\d+ ran[^\n]*|\d+ cached[^\n]*/u.exec(stderr)?.[0] ?? stderr;

test('pinned, downloaded and run; then from the cache, without a network', async (context) => {
  const { server, cwd, run, offline } = await rig(context);
  const refused = await run('run', 'x.yaml', '--locked');
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /mesa\.lock\.json has no entry for the model org\/tiny at main/u);
  assert.deepEqual(server.seen, []);

  const first = await run('run', 'x.yaml');
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /pinned the model org\/tiny at main to [0-9a-f]{12}/u);
  assert.deepEqual(server.asked(/pytorch_model|plot\.png/u), []);
  const lock = readFileSync(path.join(cwd, 'mesa.lock.json'), 'utf8');
  assert.ok(lock.includes(server.commit('org/tiny')));
  const rows = await run('cat', 'last/rows');
  assert.equal(rows.stdout.trim().split('\n').length, 4);

  // What counts is the content: the commit's own name is the same request to the cache.
  const named = experiment.replace(
    'id: org/tiny',
    `id: org/tiny, revision: ${server.commit('org/tiny')}`,
  );
  writeFileSync(path.join(cwd, 'named.yaml'), named);
  assert.match((await run('run', 'named.yaml', '--json')).stdout, /"ran":0,"cached":4/u);

  // The same without a network.
  server.seen.length = 0;
  const second = await offline('run', 'x.yaml', '--locked', '--json');
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stdout, /"ran":0,"cached":4/u, ran(second));
  assert.deepEqual(server.seen, []);
  const everything = `${lock}${first.stdout}${first.stderr}${readdirSync(path.join(cwd, 'runs'))
    .map((id) => readFileSync(path.join(cwd, 'runs', id, 'events.jsonl'), 'utf8'))
    .join('')}`;
  assert.doesNotMatch(everything, /hf_secret/u);
});

test('a cache of its own is filled from the one on the machine, offline', async (context) => {
  const { cwd, run, offline } = await rig(context);
  assert.equal((await run('run', 'x.yaml', '--until', 'base')).code, 0);
  const dataset = 'hf/hub/datasets--org--questions';
  for (const name of ['mesa.lock.json', '.mesa', 'runs', dataset])
    rmSync(path.join(cwd, name), { recursive: true });
  mkdirSync(path.join(cwd, '.mesa'));
  const again = await offline('run', 'x.yaml', '--until', 'base');
  assert.equal(again.code, 2, again.stderr);
  assert.match(again.stderr, /the dataset org\/questions at main is not in/u);
  writeFileSync(path.join(cwd, 'y.yaml'), experiment.slice(0, experiment.indexOf('  rows:')));
  const model = await offline('run', 'y.yaml');
  assert.equal(model.code, 0, model.stderr);
});

test('a revision stays where it was pinned until it is moved', async (context) => {
  const { server, run } = await rig(context);
  assert.equal((await run('lock', 'x.yaml')).code, 0);
  const before = server.commit('org/questions');
  const lines = questions.toString('utf8').split('\n');
  server.push('org/questions', 'main', { 'test.jsonl': lines.slice(1).join('\n') });
  assert.equal((await run('run', 'x.yaml', '--until', 'rows')).code, 0);
  const pinned = await run('lock', 'x.yaml', '--json');
  assert.match(pinned.stdout, new RegExp(before, 'u'));
  const moved = await run('lock', 'x.yaml', '--update');
  assert.match(
    moved.stderr,
    /pinned the dataset org\/questions \(test\) at main to \w+, from \w+/u,
  );
  const plan = await run('plan', 'x.yaml');
  assert.match(plan.stdout, /rows.*org\/questions/u, plan.stdout);
});

test('gated, and misspelt: where it stands in the file, and what to do', async (context) => {
  const { server, cwd, run } = await rig(context);
  server.fault = ({ url }) =>
    url.includes('/resolve/')
      ? { kind: 'status', status: 403, headers: { 'x-error-code': 'GatedRepo' } }
      : null;
  const gated = await run('run', 'x.yaml');
  assert.equal(gated.code, 2);
  assert.match(gated.stderr, /x\.yaml:3:3 +error +E590 [^]*org\/tiny is gated[^]*HF_TOKEN/u);
  server.fault = () => null;
  writeFileSync(path.join(cwd, 'x.yaml'), experiment.replace('split: test', 'split: tset'));
  const wrong = await run('plan', 'x.yaml');
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /org\/questions has no split tset[^]*it has test/u);
});

test('a dataset that a script makes is read from the Parquet files of the hub', async (context) => {
  const table = readFileSync(path.join(projectRoot, 'test/datasets/parquet/snappy.parquet'));
  const server = await startHub(context, [
    {
      type: 'dataset',
      id: 'org/table',
      branches: {
        main: { 'table.py': 'print("never run")' },
        'refs/convert/parquet': {
          'pqa/train/0000.parquet': table,
          'pqa/train/0001.parquet': table,
          'other/test/0000.parquet': table,
        },
      },
    },
  ]);
  const load = `name: table
steps:
  rows:
    uses: load-dataset
    with: { source: hub, id: org/table, config: pqa, split: train, id_column: null, select: [question] }
`;
  const cwd = temporaryProject(context, { 'x.yaml': load });
  const env = { HF_HOME: path.join(cwd, 'hf'), HF_ENDPOINT: server.endpoint };
  const ended = await mesa(['run', 'x.yaml'], { cwd, env });
  assert.equal(ended.code, 0, ended.stderr);
  const { stdout } = await mesa(['cat', 'last/rows'], { cwd, env });
  const ids = stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { readonly id: string }).id);
  assert.equal(ids.length, 20);
  assert.deepEqual([ids[0], ids[19]], ['org/table/pqa/train:0', 'org/table/pqa/train:19']);
  assert.deepEqual(server.asked(/other|table\.py/u), []);
  // Where it lies is known without a download: LFS digests are the hub's.
  assert.equal(server.asked(/^GET store/u).length, 1, 'two files of one content are one download');
});
