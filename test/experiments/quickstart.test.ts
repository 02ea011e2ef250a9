// The quickstart, with the real command line in a project of its own: it ends, says that fine-tuning helped, comes from
// the cache the second time, and after a change runs what depends on it alone. And: every experiment file checks clean.

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ComparisonDocument, ScoresDocument } from '../../schemas/artifact.ts';
import { Rig } from '../rig.ts';
import { projectRoot } from '../shared.ts';

const rig = new Rig();
cpSync(join(projectRoot, 'experiments'), rig.path('experiments'), { recursive: true });
after(() => rig.dispose());

const FILE = 'experiments/quickstart.yaml';

const document = async <Document>(step: string, name: string): Promise<Document> => {
  const folder = `out-${step}`;
  const { code, stderr } = await rig.run(['export', `last/${step}`, folder]);
  assert.equal(code, 0, stderr);
  return JSON.parse(readFileSync(rig.path(folder, name), 'utf8')) as Document;
};

/** Step -> how it ended. */
const ends = (): Record<string, string> =>
  Object.fromEntries(rig.record().steps.map(({ step, state }) => [step, state]));

test('every experiment in the project checks clean', async () => {
  const files = readdirSync(rig.path('experiments'))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => `experiments/${name}`);
  const { code, stdout, stderr } = await rig.run(['check', ...files]);
  assert.equal(code, 0, stdout + stderr);
});

test('the first run ends with a difference that excludes zero', async () => {
  const { code, stdout, stderr } = await rig.run(['run', FILE]);
  assert.equal(code, 0, stdout + stderr);
  const { comparisons } = await document<ComparisonDocument>('verdict', 'comparison.json');
  const accuracy = comparisons.find(({ metric }) => metric === 'accuracy');
  assert.ok(accuracy !== undefined && accuracy.n >= 200);
  assert.equal(accuracy.verdict, 'better');
  assert.ok(accuracy.ci95[0] > 0.1, String(accuracy.ci95));
  assert.ok((accuracy.p ?? 1) < 0.001);
  const { groups } = await document<ScoresDocument>('tuned-scores', 'scores.json');
  // Drugs never named before, told by the endings of their names. Chance is 0.25.
  assert.ok((groups['subject']?.['drug classes']?.['accuracy']?.value ?? 0) > 0.85);
});

test('the second run computes nothing', async () => {
  const { code } = await rig.run(['run', FILE]);
  assert.equal(code, 0);
  assert.deepEqual([...new Set(Object.values(ends()))], ['cached']);
});

test('another r runs what depends on it, and nothing else', async () => {
  const { code } = await rig.run([
    'run',
    FILE,
    '--set',
    'steps.adapter.with.r=4',
    '--set',
    'steps.adapter.with.max_steps=3',
  ]);
  assert.equal(code, 0);
  const ran = Object.entries(ends()).flatMap(([step, end]) => (end === 'cached' ? [] : [step]));
  assert.deepEqual(ran.toSorted(), ['adapter', 'tuned-answers', 'tuned-scores', 'verdict']);
});
