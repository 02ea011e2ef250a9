// kill -9 at random moments: the same command goes on, nothing is left over, and the artifacts are those of a run that
// nobody disturbed.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { openProject } from '../../../engine/project.ts';
import { verifyCache } from '../../../engine/verify-cache.ts';
import { fakeStepModule, killUntilDone, Rig, seeded } from '../../rig.ts';
import { unwrap } from './support/hand.ts';

const KILLS = 50;

const step = (id: string, inputs: readonly string[], rows: number): string =>
  [
    `  ${id}:`,
    `    uses: ${fakeStepModule}`,
    ...(inputs.length > 0 ? [`    inputs: { in: [${inputs.join(', ')}] }`] : []),
    `    with: { text: ${id}, rows: ${rows} }`,
  ].join('\n');

const experiment = `name: killed
steps:
${step('one', [], 60)}
${step('two', ['one'], 150)}
${step('three', ['one'], 80)}
${step('four', ['two', 'three'], 200)}
${step('five', ['two'], 0)}
${step('six', ['four', 'five'], 100)}
`;

test(`${KILLS} kills at random moments end in the same artifacts`, async (t) => {
  const calm = new Rig();
  calm.write('e.yaml', experiment);
  const undisturbed = await calm.run(['run', 'e.yaml', '--json']);
  assert.equal(undisturbed.code, 0, undisturbed.stderr);
  const expected = calm.digests();
  assert.equal(Object.keys(expected).length, 6);
  await calm.dispose();

  const seed = Number(process.env['MESA_TEST_SEED'] ?? 1);
  const random = seeded(seed);
  const counts = { coordinator: 0, worker: 0, group: 0 };
  for (let left = KILLS; left > 0;) {
    const rig = new Rig();
    rig.write('e.yaml', experiment);
    const killed = await killUntilDone(rig, 'e.yaml', left, random);
    left -= killed.length;
    for (const victim of killed) counts[victim] += 1;
    assert.deepEqual(rig.digests(), expected, `seed ${seed}`);
    await rig.alone();
    const project = unwrap(openProject({ root: rig.root }));
    assert.deepEqual((await verifyCache(project)).damaged, []);
    for (const table of ['leases', 'workers', 'coordinators'])
      assert.deepEqual(
        project.database.prepare(`SELECT * FROM ${table}`).all(),
        [],
        `${table} after all runs ended`,
      );
    project.close();
    assert.deepEqual(readdirSync(rig.path('.mesa', 'attempts')), []);
    assert.deepEqual(
      existsSync(rig.path('.mesa', 'checkpoints'))
        ? readdirSync(rig.path('.mesa', 'checkpoints'))
        : [],
      [],
    );
    await rig.dispose();
  }
  t.diagnostic(
    `killed ${counts.coordinator} coordinators, ${counts.worker} workers, ${counts.group} groups (seed ${seed})`,
  );
});
