// Two coordinators on one cache: each piece of work is done once, and the second takes over from a dead first.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Leases } from '../../../engine/lease.ts';
import { asKey } from '../../../engine/key.ts';
import { write } from '../../../engine/database.ts';
import { Controller, fakeStepModule, Rig } from '../../rig.ts';
import { Hand, states } from './support/hand.ts';

let rig: Rig;
let controller: Controller;
before(async () => {
  rig = new Rig();
  controller = await Controller.open(rig.path('control.sock'));
});
after(async () => {
  controller.close();
  await rig.dispose();
});

const experiment = (name: string, ids: readonly string[], params: object): string => {
  const steps = ids.map((id, at) => {
    const inputs = at === 0 ? {} : { inputs: { in: [ids[at - 1]] } };
    return `  ${id}: ${JSON.stringify({ uses: fakeStepModule, ...inputs, with: { text: id, ...params } })}`;
  });
  rig.write(`${name}.yaml`, `name: ${name}\nsteps:\n${steps.join('\n')}\n`);
  return `${name}.yaml`;
};

test('the second run waits for the first, and takes its result', async () => {
  const attempts = rig.path('attempts-a.txt');
  const file = experiment('shared', ['held'], { control: controller.path, attempts });
  const first = rig.start(['run', file, '--json']);
  await controller.started('held');
  const second = rig.start(['run', file, '--json']);
  assert.ok(await second.until((events) => events.some((event) => event.event === 'step-waiting')));
  await controller.tell('held', 'write');
  assert.deepEqual([(await first.done).code, (await second.done).code], [0, 0]);
  assert.equal(readFileSync(attempts, 'utf8'), 'held\n');
  assert.ok(second.events.some((event) => event.event === 'step-cached'));
  const waiting = second.events.find((event) => event.event === 'step-waiting');
  const started = first.events.find((event) => event.event === 'run-started');
  assert.ok(waiting?.event === 'step-waiting' && started?.event === 'run-started');
  assert.equal(waiting.holder, started.run);
});

test('when the first is killed, the second does the work', async () => {
  const attempts = rig.path('attempts-b.txt');
  const file = experiment('taken-over', ['orphan'], { control: controller.path, attempts });
  const first = rig.start(['run', file, '--json']);
  await controller.started('orphan');
  const second = rig.start(['run', file, '--json']);
  assert.ok(await second.until((events) => events.some((event) => event.event === 'step-waiting')));
  first.kill('SIGKILL');
  await first.done;
  assert.ok(await second.until((events) => events.some((event) => event.event === 'step-started')));
  // The first one's worker said that it started too; it is gone, and the word goes to the one that lives.
  for (let over = false; !over;) {
    await controller.tell('orphan', 'write');
    over = await Promise.race([
      second.done.then(() => true),
      new Promise<boolean>((resolve) => setTimeout(resolve, 50, false)),
    ]);
    if (!over && second.events.some((event) => event.event === 'step-finished')) break;
  }
  assert.equal((await second.done).code, 0);
  assert.equal(readFileSync(attempts, 'utf8'), 'orphan\norphan\n');
});

test('when the first fails, the second tries itself', async () => {
  const file = experiment('failing', ['unlucky'], { control: controller.path });
  const first = rig.start(['run', file, '--json']);
  await controller.started('unlucky');
  const second = rig.start(['run', file, '--json']);
  assert.ok(await second.until((events) => events.some((event) => event.event === 'step-waiting')));
  await controller.tell('unlucky', 'fail');
  assert.equal((await first.done).code, 1);
  await controller.tell('unlucky', 'write');
  assert.equal((await second.done).code, 0);
});

test('two runs of many steps at once do each of them once', async () => {
  const attempts = rig.path('attempts-c.txt');
  const ids = Array.from({ length: 30 }, (_, at) => `s${at}`);
  const steps = ids.map((id, at) => {
    const inputs = at < 3 ? {} : { inputs: { in: [ids[at - 3]] } };
    return `  ${id}: ${JSON.stringify({ uses: fakeStepModule, ...inputs, with: { text: id, attempts } })}`;
  });
  rig.write('many.yaml', `name: many\nsteps:\n${steps.join('\n')}\n`);
  const both = await Promise.all([
    rig.run(['run', 'many.yaml', '--json']),
    rig.run(['run', 'many.yaml', '--json']),
  ]);
  assert.deepEqual(
    both.map(({ code }) => code),
    [0, 0],
  );
  const done = readFileSync(attempts, 'utf8').trim().split('\n').sort();
  assert.deepEqual(done, ids.toSorted());
});

test('a lease is exclusive while its coordinator lives, and free the moment it ends', () => {
  const hand = new Hand();
  const { database, liveDir } = hand.project;
  const acquire = (leases: Leases, key: string) =>
    write(database, () => leases.acquire(asKey(key)));
  const [one, two] = [new Leases(database, liveDir, 'run1'), new Leases(database, liveDir, 'run2')];
  assert.deepEqual(acquire(one, 'k'), { kind: 'taken' });
  assert.deepEqual(acquire(one, 'k'), { kind: 'taken' }, 'one’s own lease is no obstacle');
  assert.deepEqual(acquire(two, 'k'), { kind: 'held', run: 'run1' });
  assert.deepEqual(two.buryDead(), []);
  write(database, () => one.release(asKey('k')));
  assert.deepEqual(acquire(two, 'k'), { kind: 'taken' });
  two.close();
  assert.deepEqual(acquire(one, 'k'), { kind: 'taken' });
  one.close();
  hand.dispose();
});

test('a retry keeps its lease; a run that ended has none', async () => {
  const hand = new Hand();
  const { record } = await hand.run({ flaky: { params: { act: 'fail' }, retry: 1 } });
  assert.deepEqual(states(record), { flaky: 'failed' });
  assert.deepEqual(hand.project.database.prepare('SELECT * FROM leases').all(), []);
  hand.dispose();
});
