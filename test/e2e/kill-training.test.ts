// kill -9 of coordinators, workers and groups while a model is trained and evaluated: the artifacts, the adapter's
// weights among them, are those of a run that nobody disturbed.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { killUntilDone, Rig, seeded } from '../rig.ts';
import { projectRoot } from '../shared.ts';

const KILLS = 50;
const experiments = join(projectRoot, 'experiments');

const experiment = `name: killed-training
seed: 7
steps:
  base:
    uses: load-model
    with: { source: path, path: ${experiments}/models/tiny }
  train:
    uses: load-dataset
    with: { source: file, path: ${experiments}/data/questions-train.jsonl, take: 120 }
  test:
    uses: load-dataset
    with: { source: file, path: ${experiments}/data/questions-test.jsonl, take: 40 }
  train-set:
    uses: format
    inputs: { rows: train }
    with: { template: mcq-cloze }
  test-set:
    uses: format
    inputs: { rows: test }
    with: { template: mcq-cloze }
  adapter:
    uses: lora-train
    inputs: { model: base, data: train-set }
    with:
      r: 8
      lora_dropout: 0.1
      learning_rate: 1.0e-3
      num_train_epochs: 4
      gradient_accumulation_steps: 2
      max_length: 64
      save_steps: 1
  choices:
    uses: generate
    inputs: { model: base, adapter: adapter, prompts: test-set }
    with: { mode: choices }
  texts:
    uses: generate
    inputs: { model: base, adapter: adapter, prompts: test-set }
    with: { max_new_tokens: 8, temperature: 0.8 }
  scores:
    uses: score
    inputs: { predictions: [choices, texts] }
    with: { metrics: [accuracy, token_f1] }
`;

test(`${KILLS} kills in a run that trains end in the same artifacts`, async (t) => {
  const calm = new Rig();
  calm.write('e.yaml', experiment);
  const undisturbed = await calm.run(['run', 'e.yaml', '--json']);
  assert.equal(undisturbed.code, 0, undisturbed.stderr);
  const expected = calm.digests();
  assert.equal(Object.keys(expected).length, 9);
  await calm.dispose();

  const seed = Number(process.env['MESA_TEST_SEED'] ?? 1);
  const random = seeded(seed);
  const counts = { coordinator: 0, worker: 0, group: 0 };
  let resumed = 0;
  for (let left = KILLS; left > 0;) {
    const rig = new Rig();
    rig.write('e.yaml', experiment);
    const killed = await killUntilDone(rig, 'e.yaml', left, random);
    left -= killed.length;
    for (const victim of killed) counts[victim] += 1;
    assert.deepEqual(rig.digests(), expected, `seed ${seed}`);
    resumed += rig.commands.filter(({ events }) =>
      events.some((event) => event.event === 'step-started' && event.resumed),
    ).length;
    await rig.alone();
    await rig.dispose();
  }
  assert.ok(resumed > 0, 'no attempt went on from a checkpoint: the kills missed the training');
  t.diagnostic(
    `killed ${counts.coordinator} coordinators, ${counts.worker} workers, ${counts.group} groups; ${resumed} attempts went on from a checkpoint (seed ${seed})`,
  );
});
