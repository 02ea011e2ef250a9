// Stopping: Ctrl-C once and twice, SIGTERM, and what a step that is asked to stop keeps.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { RunEvent } from '../../../schemas/event.ts';
import { Controller, fakeStepModule, Rig } from '../../rig.ts';
import { digests, Hand, states } from './support/hand.ts';

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

const write = (name: string, steps: Readonly<Record<string, object>>): string => {
  const lines = Object.entries(steps).map(
    ([id, body]) => `  ${id}: ${JSON.stringify({ uses: fakeStepModule, ...body })}`,
  );
  rig.write(`${name}.yaml`, `name: ${name}\nsteps:\n${lines.join('\n')}\n`);
  return `${name}.yaml`;
};
const has =
  (event: RunEvent['event']) =>
  (events: readonly RunEvent[]): boolean =>
    events.some((each) => each.event === event);

test('the first Ctrl-C asks running steps to stop, and the same command goes on from what they kept', async () => {
  const rows = 500;
  const file = write('once', {
    counting: { with: { text: 'counting', rows } },
    later: { inputs: { in: ['counting'] } },
  });
  const command = rig.start(['run', file, '--json']);
  assert.ok(await command.until(has('checkpoint-saved')));
  command.kill('SIGINT');
  const { code } = await command.done;
  assert.equal(code, 130);
  const stopping = command.events.find((event) => event.event === 'run-stopping');
  assert.ok(stopping?.event === 'run-stopping' && stopping.mode === 'checkpoint');
  assert.deepEqual(stopping.steps, ['counting']);
  const stopped = command.events.find((event) => event.event === 'step-interrupted');
  assert.ok(stopped?.event === 'step-interrupted');
  assert.match(stopped.kept ?? '', /^checkpoint at row \d+$/);
  const kept = Number(/\d+/.exec(stopped.kept ?? '')?.[0]);
  assert.equal(rig.record().status, 'interrupted');
  assert.deepEqual(states(rig.record()), { counting: 'interrupted', later: 'not-started' });
  await rig.alone();

  const again = rig.start(['run', file, '--json']);
  const ended = await again.done;
  assert.equal(ended.code, 0, ended.stderr);
  const started = again.events.find((event) => event.event === 'step-started');
  assert.ok(started?.event === 'step-started' && started.resumed);
  const first = again.events.find((event) => event.event === 'step-progress');
  assert.ok(first?.event === 'step-progress' && first.done > kept, 'rows are not counted twice');

  const hand = new Hand();
  const { record } = await hand.run({ counting: { params: { rows } } });
  assert.equal(rig.digests()['counting.out'], digests(record)['counting']);
  hand.dispose();
});

test('the second Ctrl-C ends what does not stop, at once', async () => {
  const file = write('twice', { stuck: { with: { text: 'stuck', act: 'block' } } });
  const command = rig.start(['run', file, '--json']);
  assert.ok(await command.until(has('step-started')));
  command.kill('SIGINT');
  assert.ok(await command.until(has('run-stopping')));
  command.kill('SIGINT');
  assert.equal((await command.done).code, 130);
  await rig.alone();
});

test('SIGTERM stops like Ctrl-C and exits 143', async () => {
  const file = write('term', { waiting: { with: { text: 'term', control: controller.path } } });
  const command = rig.start(['run', file, '--json']);
  await controller.started('term');
  command.kill('SIGTERM');
  assert.equal((await command.done).code, 143);
  assert.deepEqual(states(rig.record()), { waiting: 'interrupted' });
  await rig.alone();
});

test('a step that ends while it is asked to stop has ended: its result counts', async () => {
  const hand = new Hand();
  const plan = await hand.plan({
    ending: { params: { text: 'ending', control: controller.path } },
    never: { in: ['ending'] },
  });
  const handle = hand.start(plan);
  await controller.tell('ending', 'write');
  // The word is on its way; the stop comes after it.
  handle.stop('checkpoint');
  const record = await handle.done;
  assert.equal(record.status, 'interrupted');
  const state = states(record)['ending'];
  assert.ok(state === 'ran' || state === 'interrupted');
  if (state === 'ran')
    assert.equal(
      (await hand.plan({ ending: { params: { text: 'ending' } } })).steps[0]?.planned.status.kind,
      'fresh',
    );
  hand.dispose();
});

test('kill -9 of the coordinator takes its workers along, blocked or not, and leaves no lease that blocks', async () => {
  const steps = {
    blocked: { with: { text: 'blocked', act: 'block' } },
    hanging: { with: { text: 'hanging', act: 'hang' } },
  };
  const command = rig.start(['run', write('killed', steps), '--json']);
  assert.ok(
    await command.until(
      (events) => events.filter((event) => event.event === 'step-log').length === 2,
    ),
  );
  command.kill('SIGKILL');
  await command.done;
  await rig.alone();
  const killed = rig.record();
  assert.equal(killed.status, 'killed');
  assert.deepEqual(states(killed), { blocked: 'interrupted', hanging: 'interrupted' });
  const file = write('killed', {
    blocked: { with: { text: 'blocked' } },
    hanging: { with: { text: 'hanging' } },
  });
  const again = rig.start(['run', file, '--json']);
  assert.equal((await again.done).code, 0);
  assert.equal(
    again.events.some((event) => event.event === 'step-waiting'),
    false,
  );
  assert.deepEqual(readdirSync(rig.path('.mesa', 'attempts')), []);
});
