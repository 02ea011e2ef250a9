// The two experiments that take minutes: the quickstart's model made again (one epoch of eight), and the SmolLM2 recipe
// with few rows on a model and questions that lie beside the project.

import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type {
  ComparisonDocument,
  ScoresDocument,
  TrainingDocument,
} from '../../schemas/artifact.ts';
import { Rig } from '../rig.ts';
import { projectRoot, sharedPath, skipUnlessShared } from '../shared.ts';

const rig = new Rig();
cpSync(join(projectRoot, 'experiments'), rig.path('experiments'), { recursive: true });
after(() => rig.dispose());

const run = async (file: string, settings: Readonly<Record<string, string>>): Promise<void> => {
  const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const { code, stdout, stderr } = await rig.run(['run', file, ...set]);
  assert.equal(code, 0, stdout + stderr);
};

const document = async <Document>(result: string, name: string): Promise<Document> => {
  const folder = result.replace('/', '-');
  const { code, stderr } = await rig.run(['export', result, folder]);
  assert.equal(code, 0, stderr);
  return JSON.parse(readFileSync(rig.path(folder, name), 'utf8')) as Document;
};

test('pretrain-tiny: a model that was random learns the text', async () => {
  await run('experiments/pretrain-tiny.yaml', { 'vars.epochs': '1' });
  const { log } = await document<TrainingDocument>('last/model', 'training.json');
  // ln 1024 = 6.93 is the loss of a model that knows nothing.
  assert.ok((log[0]?.loss ?? 0) > 6.5 && (log.at(-1)?.loss ?? 9) < 3.3);
  const { metrics } = await document<ScoresDocument>('last/scores', 'scores.json');
  assert.ok((metrics['perplexity']?.value ?? Infinity) < 25);
});

const MODEL = 'models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf';
const DATA = 'data/medmcqa/validation-2816.jsonl';

test(
  'smollm2-medmcqa: the recipe ends with a comparison',
  { skip: skipUnlessShared(MODEL, DATA) },
  async () => {
    await run('experiments/smollm2-medmcqa.yaml', {
      'vars.model': `{source: path, path: "${sharedPath(MODEL)}"}`,
      'vars.data': `{source: file, path: "${sharedPath(DATA)}"}`,
      'vars.rows': '16',
      'vars.train': '10',
      'vars.test': '6',
      'vars.epochs': '1',
    });
    const { comparisons } = await document<ComparisonDocument>('last/verdict', 'comparison.json');
    assert.deepEqual(
      comparisons.map(({ metric, n }) => [metric, n]),
      [
        ['exact_match', 6],
        ['partial_match', 6],
        ['option_accuracy', 6],
      ],
    );
  },
);
