// Plans and runs through real workers: what is fresh, what runs, what a failure does, and what the record says.

import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { readArtifact } from '../../../engine/artifact.ts';
import { explainStep } from '../../../engine/why.ts';
import { readEvents, readRun, logPath } from '../../../engine/run-store.ts';
import type { RunEvent } from '../../../schemas/event.ts';
import { heavy, step as fake } from './support/fake-step.ts';
import {
  digests,
  Hand,
  name,
  states,
  unwrap,
  type Finished,
  type HandStep,
} from './support/hand.ts';

let hand: Hand;
before(() => {
  hand = new Hand();
});
after(() => {
  hand.dispose();
});

const statusOf = async (
  steps: Readonly<Record<string, HandStep>>,
  step: string,
): Promise<string> => {
  const status = (await hand.plan(steps)).byName.get(name(step))?.planned.status;
  if (status?.kind === 'depends') return `depends ${status.on.join(' ')}`;
  return status?.kind === 'stale' ? `stale: ${status.reason}` : (status?.kind ?? 'absent');
};
const eventsOf = <E extends RunEvent['event']>(
  finished: Finished,
  event: E,
): readonly Extract<RunEvent, { event: E }>[] =>
  finished.events.filter((each): each is Extract<RunEvent, { event: E }> => each.event === event);
const textOf = async (finished: Finished, step: string): Promise<string> => {
  const artifact = unwrap(await readArtifact(hand.project, finished.record.run, step, null));
  return readFileSync(artifact.files.find((file) => file.name === 'text')?.path ?? '', 'utf8');
};

describe('planning', () => {
  test('fresh, stale with the reason, depends', async () => {
    const steps = (text: string): Record<string, HandStep> => ({
      'plan-a': { params: { text } },
      'plan-b': { in: ['plan-a'] },
    });
    assert.equal(await statusOf(steps('x'), 'plan-a'), 'stale: never run');
    assert.equal(await statusOf(steps('x'), 'plan-b'), 'depends plan-a');
    await hand.run(steps('x'));
    assert.equal(await statusOf(steps('x'), 'plan-a'), 'fresh');
    assert.equal(await statusOf(steps('x'), 'plan-b'), 'fresh');
    assert.equal(await statusOf(steps('y'), 'plan-a'), 'stale: text x → y');
    const plan = await hand.plan(steps('y'));
    const why = explainStep(plan, name('plan-a'));
    assert.deepEqual(
      why?.differences.map(({ field }) => field),
      ['params.text'],
    );
    assert.ok(
      (plan.byName.get(name('plan-b'))?.planned.expectedMs ?? 0) > 0,
      'the estimate comes from history',
    );
  });

  test('what a step took on none of the same inputs is no estimate', async () => {
    const one = { 'estimate-one': { params: { text: 'estimate 1' } } };
    const two = { 'estimate-two': { params: { text: 'estimate 2' } } };
    await hand.run({ ...one, estimated: { in: ['estimate-one'] } });
    await hand.run(two);
    const expected = async (steps: Readonly<Record<string, HandStep>>) =>
      (await hand.plan(steps)).byName.get(name('estimated'))?.planned.expectedMs;
    assert.equal(await expected({ ...two, estimated: { in: ['estimate-two'] } }), null);
    const both = { ...one, ...two, estimated: { in: ['estimate-one', 'estimate-two'] } };
    assert.ok(((await expected(both)) ?? 0) > 0);
  });

  test('a renamed step keeps its result; a parameter without effect does not matter', async () => {
    await hand.run({ original: { params: { text: 'renamed' } } });
    assert.equal(await statusOf({ renamed: { params: { text: 'renamed' } } }, 'renamed'), 'fresh');
    assert.equal(
      await statusOf({ other: { params: { text: 'renamed', attempts: '/dev/null' } } }, 'other'),
      'fresh',
    );
  });

  test('the seed counts only where it is used', async () => {
    const steps = (seed: number, seeded: boolean): Record<string, HandStep> => ({
      seed: { seed, params: { seeded } },
    });
    await hand.run(steps(1, false));
    await hand.run(steps(1, true));
    assert.equal(await statusOf(steps(2, false), 'seed'), 'fresh');
    assert.equal(await statusOf(steps(2, true), 'seed'), 'stale: seed 1 → 2');
  });

  test('a file counts by name and content, and a missing one is an error', async () => {
    const file = hand.path('data.txt');
    writeFileSync(file, 'one');
    const steps = { 'file-step': { params: { file } } };
    await hand.run(steps);
    assert.equal(await statusOf(steps, 'file-step'), 'fresh');
    writeFileSync(file, 'two');
    assert.equal(await statusOf(steps, 'file-step'), 'stale: file data.txt changed');
    writeFileSync(file, 'one');
    assert.equal(await statusOf(steps, 'file-step'), 'fresh');
    await assert.rejects(
      hand.plan({ gone: { params: { file: hand.path('no.txt') } } }),
      /E401.*no\.txt does not exist/s,
    );
  });

  test('what a selection leaves out has to be in the cache', async () => {
    const steps = { 'sel-a': {}, 'sel-b': { in: ['sel-a'] } };
    const options = { selected: new Set([name('sel-b')]) };
    await assert.rejects(hand.plan(steps, options), /E403.*sel-b needs sel-a/s);
    await hand.run({ 'sel-a': {} });
    const { record } = await hand.run(steps, options);
    assert.equal(record.status, 'ok');
    assert.equal(states(record)['sel-b'], 'ran');
  });

  test('results of earlier runs are inputs', async () => {
    const first = await hand.run({ source: { params: { text: 'from before' } } });
    const second = await hand.run({ taker: { in: [`run:${first.record.run}/source`] } });
    assert.equal(await textOf(second, 'taker'), 'taker<from before>');
    await assert.rejects(
      hand.plan({ bad: { in: ['run:zzzz/source'] } }),
      /E402.*there is no run zzzz/s,
    );
    await assert.rejects(
      hand.plan({ bad: { in: [`run:${first.record.run}/nope`] } }),
      /has no step nope/,
    );
  });
});

describe('running', () => {
  test('inputs arrive in order with their labels, and a second run takes all from the cache', async () => {
    const steps = { 'run-a': {}, 'run-b': {}, 'run-c': { in: ['x:run-b', 'y:run-a'] } };
    const first = await hand.run(steps);
    assert.deepEqual(states(first.record), { 'run-a': 'ran', 'run-b': 'ran', 'run-c': 'ran' });
    assert.equal(await textOf(first, 'run-c'), 'run-cx<run-b>y<run-a>');
    const second = await hand.run(steps);
    assert.deepEqual(states(second.record), {
      'run-a': 'cached',
      'run-b': 'cached',
      'run-c': 'cached',
    });
    assert.deepEqual(digests(second.record), digests(first.record));
    const [hit] = eventsOf(second, 'step-cached');
    assert.equal(hit?.made.run, first.record.run);
    assert.deepEqual(hit?.result.report, [{ kind: 'headline', text: 'wrote run-a' }]);
  });

  test('early cutoff: same bytes leave what follows fresh', async () => {
    const steps = (observe: boolean): Record<string, HandStep> => ({
      'cut-a': { params: { text: 'same', observe } },
      'cut-b': { in: ['cut-a'] },
    });
    await hand.run(steps(false));
    const { record } = await hand.run(steps(true));
    assert.deepEqual(states(record), { 'cut-a': 'ran', 'cut-b': 'cached' });
  });

  test('cache: false always runs, and what follows is still cut off early', async () => {
    const steps = { 'never-a': { cache: false }, 'never-b': { in: ['never-a'] } };
    await hand.run(steps);
    const { record, plan } = await hand.run(steps);
    assert.deepEqual(plan.steps[0]?.planned.status.kind, 'stale');
    assert.deepEqual(states(record), { 'never-a': 'ran', 'never-b': 'cached' });
  });

  test('--force runs again; other bytes in the same numerics class are a warning that names the file', async () => {
    const steps = { forced: { params: { act: 'random' } }, stable: {} };
    await hand.run(steps);
    const again = await hand.run(steps, { force: 'all' });
    assert.deepEqual(states(again.record), { forced: 'ran', stable: 'ran' });
    const [warning, ...more] = eventsOf(again, 'warning');
    assert.match(warning?.diagnostic.message ?? '', /forced gave other bytes .*out\/text/);
    assert.deepEqual(more, []);
    const changed = eventsOf(again, 'step-finished').filter(
      (event) => event.changedOutput !== undefined,
    );
    assert.deepEqual(
      changed.map(({ step }) => step),
      ['forced'],
    );
  });

  test('an observation stands until forced, and may then differ without a warning', async () => {
    const steps = { observed: { params: { act: 'random', observe: true } } };
    const first = await hand.run(steps);
    const second = await hand.run(steps);
    assert.deepEqual(digests(second.record), digests(first.record));
    const forced = await hand.run(steps, { force: new Set([name('observed')]) });
    assert.notDeepEqual(digests(forced.record), digests(first.record));
    assert.deepEqual(eventsOf(forced, 'warning'), []);
  });

  test('a gate that fails makes the run fail, also from the cache', async () => {
    const steps = { gated: { params: { gate: false } } };
    assert.equal((await hand.run(steps)).record.status, 'gate-failed');
    const again = await hand.run(steps);
    assert.deepEqual(states(again.record), { gated: 'cached' });
    assert.equal(again.record.status, 'gate-failed');
  });

  test('--accept code takes a result of other code, and says which', async () => {
    const version = (number: number): HandStep => ({ definition: { ...fake, version: number } });
    await hand.run({ accepted: version(1) });
    assert.equal(
      await statusOf({ accepted: version(2) }, 'accepted'),
      'stale: code fake@1 → fake@2',
    );
    const run = await hand.run({ accepted: version(2) }, { acceptCode: new Set(['accepted']) });
    assert.deepEqual(states(run.record), { accepted: 'cached' });
    assert.equal(run.record.steps[0]?.made?.acceptedCode, 'fake@1');
    assert.equal(
      await statusOf({ accepted: version(2) }, 'accepted'),
      'fresh',
      'once accepted, it stands',
    );
  });

  test('--strict-numerics takes no result of another numerics class', async () => {
    const steps = { numeric: { params: { device: 'cpu' } } };
    await hand.run(steps);
    hand.project.database
      .prepare("UPDATE actions SET numerics = 'onnxruntime 0.0.1 cpu' WHERE id = 'numeric'")
      .run();
    const loose = await hand.run(steps);
    assert.deepEqual(states(loose.record), { numeric: 'cached' });
    assert.equal(loose.record.steps[0]?.made?.numericsClass, 'onnxruntime 0.0.1 cpu');
    const strict = await hand.run(steps, { strictNumerics: true });
    assert.deepEqual(states(strict.record), { numeric: 'ran' });
  });

  test('referenced files are not copied, and what happens to them is noticed', async () => {
    const file = hand.path('weights.bin');
    writeFileSync(file, 'weights');
    const steps = { refer: { params: { file, refer: true } }, reader: { in: ['refer'] } };
    const first = await hand.run(steps);
    const artifact = unwrap(await readArtifact(hand.project, 'last', 'refer', null));
    assert.equal(artifact.files.find(({ name: each }) => each === 'big')?.path, file);
    assert.equal(await statusOf(steps, 'refer'), 'fresh');
    appendFileSync(file, '!');
    assert.equal(await statusOf(steps, 'refer'), 'stale: file weights.bin changed');
    const second = await hand.run(steps);
    assert.deepEqual(states(second.record), { refer: 'ran', reader: 'ran' });
    assert.notEqual(digests(second.record)['refer'], digests(first.record)['refer']);
  });

  test('two steps with one key are one piece of work', async () => {
    const attempts = hand.path('twins.txt');
    const twin = { params: { text: 'twin', attempts } };
    const { record } = await hand.run({ castor: twin, pollux: twin });
    assert.deepEqual(Object.values(states(record)).toSorted(), ['cached', 'ran']);
    assert.equal(readFileSync(attempts, 'utf8'), 'twin\n');
  });

  test('a plan says what an unfinished checkpoint is good for', async () => {
    const steps = (rows: number): Record<string, HandStep> => ({ halfway: { params: { rows } } });
    const handle = hand.start(await hand.plan(steps(5000)), {}, (event) => {
      if (event.event === 'checkpoint-saved') handle.stop('checkpoint');
    });
    assert.deepEqual(states(await handle.done), { halfway: 'interrupted' });
    assert.match(
      await statusOf(steps(5000), 'halfway'),
      /^stale: .*\(goes on from its checkpoint\)$/,
    );
    assert.match(
      await statusOf(steps(3), 'halfway'),
      /\(starts anew; the checkpoint of other settings is kept until \d{4}-\d\d-\d\d\)$/,
    );
  });

  test('of a measurement said several times the last is recorded', async () => {
    const { record } = await hand.run({ measured: { params: { text: 'measured' } } });
    assert.deepEqual(record.steps[0]?.result?.measurements, [
      { name: 'length', value: 8, unit: 'characters' },
    ]);
  });

  test('a model step has a process of its own, whose peak memory is measured', async () => {
    const { record } = await hand.run({ model: { definition: heavy, params: { text: 'heavy' } } });
    const peak = record.steps[0]?.result?.measurements.find((each) => each.name === 'peak_memory');
    assert.ok((peak?.value ?? 0) > 2 ** 24);
  });

  test('the record can be made again from the events', async () => {
    const { record } = await hand.run({
      'rec-a': {},
      'rec-b': { in: ['rec-a'], params: { act: 'fail' } },
      'rec-c': { in: ['rec-b'] },
    });
    const { runsDir } = hand.project;
    assert.deepEqual(readRun(runsDir, record.run), record);
    assert.deepEqual(readRun(runsDir, 'last'), record);
    const { recordOf } = await import('../../../engine/record.ts');
    const initial = JSON.parse(
      readFileSync(hand.path('runs', record.run, 'run.json'), 'utf8'),
    ) as typeof record;
    assert.deepEqual(recordOf(initial, readEvents(runsDir, record.run)), record);
    assert.equal(readRun(runsDir, '../x'), null);
  });
});

describe('failing', () => {
  test('a foreseen failure: code, hint, log; what follows is skipped', async () => {
    const failed = await hand.run({
      'f-a': { params: { act: 'fail' } },
      'f-b': { in: ['f-a'] },
      'f-c': { in: ['f-b'] },
    });
    assert.equal(failed.record.status, 'failed');
    assert.deepEqual(states(failed.record), {
      'f-a': 'failed',
      'f-b': 'skipped',
      'f-c': 'skipped',
    });
    assert.deepEqual(failed.record.steps[0]?.failure, {
      reason: 'error',
      code: 'E599',
      message: 'f-a failed as told',
      hint: 'tell it otherwise',
      logTail: ['f-a does fail'],
    });
    assert.equal(
      readFileSync(logPath(hand.project.runsDir, failed.record.run, 'f-a'), 'utf8'),
      'f-a does fail\n',
    );
  });

  test('a bug in a step: message and stack in the log', async () => {
    const { record } = await hand.run({ bug: { params: { act: 'throw' } } });
    const failure = record.steps[0]?.failure;
    assert.ok(failure?.reason === 'error');
    assert.equal(failure.code, 'E500');
    assert.match(failure.logTail.join('\n'), /TypeError: a bug\n.*fake-step/s);
  });

  test('crashes and exits are failures of the step, not of the run', async () => {
    const { record } = await hand.run(
      { crash: { params: { act: 'crash' } }, exit: { params: { act: 'exit' } }, fine: {} },
      { onFailure: 'continue', jobs: 1 },
    );
    assert.deepEqual(states(record), { crash: 'failed', exit: 'failed', fine: 'ran' });
    const [crash, exit] = record.steps.map((step) => step.failure);
    assert.deepEqual(crash, {
      reason: 'crashed',
      signal: 'SIGSEGV',
      exitCode: null,
      logTail: ['crash does crash'],
    });
    assert.deepEqual(exit, {
      reason: 'crashed',
      signal: null,
      exitCode: 7,
      logTail: ['exit does exit'],
    });
  });

  test('a timeout ends a step that hangs, and one that blocks its thread', async () => {
    const { record } = await hand.run(
      {
        hang: { params: { act: 'hang' }, timeoutMs: 300 },
        block: { params: { act: 'block' }, timeoutMs: 300 },
      },
      { onFailure: 'continue' },
    );
    for (const step of record.steps) assert.equal(step.failure?.reason, 'timeout');
  });

  test('retry starts again as often as asked', async () => {
    const attempts = hand.path('attempts.txt');
    const run = await hand.run({ again: { params: { act: 'fail', attempts }, retry: 2 } });
    assert.equal(readFileSync(attempts, 'utf8'), 'again\nagain\nagain\n');
    assert.deepEqual(
      eventsOf(run, 'step-failed').map((event) => event.willRetry),
      [true, true, false],
    );
    assert.deepEqual(
      eventsOf(run, 'step-started').map((event) => event.attempt),
      [1, 2, 3],
    );
  });

  test('--on-failure: stop starts nothing new, continue runs what does not depend on it', async () => {
    const steps = (tag: string): Record<string, HandStep> => ({
      [`${tag}-bad`]: { params: { act: 'fail' } },
      [`${tag}-next`]: { in: [`${tag}-bad`] },
      [`${tag}-other`]: { params: { text: tag } },
    });
    const stop = await hand.run(steps('stop'), { onFailure: 'stop', jobs: 1 });
    assert.deepEqual(Object.values(states(stop.record)), ['failed', 'skipped', 'not-started']);
    const go = await hand.run(steps('go'), { onFailure: 'continue', jobs: 1 });
    assert.deepEqual(Object.values(states(go.record)), ['failed', 'skipped', 'ran']);
    const kill = await hand.run(
      { 'k-hang': { params: { act: 'hang' } }, 'k-bad': { params: { act: 'fail' } } },
      { onFailure: 'kill', jobs: 2 },
    );
    assert.deepEqual(states(kill.record), { 'k-hang': 'interrupted', 'k-bad': 'failed' });
    assert.equal(kill.record.status, 'failed');
  });

  test('a step that writes nothing to an output has failed', async () => {
    const definition = { ...fake, outputs: () => ({ out: 'x-text', extra: 'x-text' }) as const };
    const { record } = await hand.run({ lazy: { definition } });
    const failure = record.steps[0]?.failure;
    assert.ok(
      failure?.reason === 'error' && failure.message.includes('nothing to its output extra'),
    );
  });

  test('attempt folders are gone after a run', async () => {
    const { record } = await hand.run({ tidy: {} });
    assert.equal(existsSync(hand.path('.mesa', 'attempts', record.run)), false);
  });
});
