// The scheduler: never more than there is, always an end, longest path first, and passing only where nobody is delayed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  schedule,
  type Capacity,
  type ReadyStep,
  type RunningStep,
} from '../../../engine/schedule.ts';

const GB = 2 ** 30;
const capacity: Capacity = { cpu: 4, memoryBytes: 16 * GB, gpu: 1, jobs: 4 };
const step = (name: string, wanted: Partial<ReadyStep> = {}): ReadyStep => ({
  name,
  cpu: 1,
  memoryBytes: 0,
  gpu: 0,
  pathMs: 1000,
  expectedMs: 1000,
  ...wanted,
});

interface Task extends ReadyStep {
  readonly after: readonly number[];
}
const tasks = fc
  .array(
    fc.record({
      cpu: fc.oneof(fc.integer({ min: 0, max: 8 }), fc.constant(Infinity)),
      memoryBytes: fc.integer({ min: 0, max: 20 }).map((gb) => gb * GB),
      gpu: fc.integer({ min: 0, max: 2 }),
      expectedMs: fc.integer({ min: 1, max: 10_000 }),
      after: fc.array(fc.nat(20), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 20 },
  )
  .map((list) =>
    list.map((task, at): Task => ({
      ...task,
      name: String(at),
      pathMs: task.expectedMs,
      after: [...new Set(task.after.filter((other) => other < at))],
    })),
  );

test('any DAG finishes, in order, and never uses more than there is', () => {
  fc.assert(
    fc.property(tasks, fc.integer({ min: 1, max: 5 }), (all, jobs) => {
      const limits = { ...capacity, jobs };
      const done = new Set<string>();
      const running: { task: Task; endsAt: number }[] = [];
      let clock = 0;
      const used = (pick: (task: Task) => number, limit: number): number =>
        running.reduce((sum, { task }) => sum + Math.min(pick(task), limit), 0);
      while (done.size < all.length) {
        const busy = new Set(running.map(({ task }) => task.name));
        const ready = all
          .filter(
            (task) =>
              !done.has(task.name) &&
              !busy.has(task.name) &&
              task.after.every((at) => done.has(String(at))),
          )
          .toSorted((a, b) => b.pathMs - a.pathMs);
        const now: RunningStep[] = running.map(({ task, endsAt }) => ({
          ...task,
          remainingMs: endsAt - clock,
        }));
        for (const name of schedule(ready, now, limits)) {
          const task = ready.find((each) => each.name === name);
          assert.ok(task !== undefined, 'only ready steps are started');
          running.push({ task, endsAt: clock + task.expectedMs });
        }
        assert.ok(running.length > 0, 'something always runs while something is left');
        assert.ok(running.length <= jobs);
        assert.ok(used((task) => task.cpu, limits.cpu) <= limits.cpu);
        assert.ok(used((task) => task.memoryBytes, limits.memoryBytes) <= limits.memoryBytes);
        assert.ok(used((task) => task.gpu, limits.gpu) <= limits.gpu);
        running.sort((a, b) => a.endsAt - b.endsAt);
        const next = running.shift();
        assert.ok(next !== undefined);
        clock = next.endsAt;
        done.add(next.task.name);
      }
    }),
    { numRuns: 300 },
  );
});

test('the longest expected path goes first', () => {
  const ready = [
    step('long', { pathMs: 9000 }),
    step('middle', { pathMs: 5000 }),
    step('short', { pathMs: 10 }),
  ];
  assert.deepEqual(schedule(ready, [], { ...capacity, jobs: 2 }), ['long', 'middle']);
});

test('a small step passes a blocked one only where that does not delay it', () => {
  const running: RunningStep[] = [{ cpu: 3, memoryBytes: 0, gpu: 0, remainingMs: 5000 }];
  const blocked = step('model', { cpu: Infinity, pathMs: 60_000, expectedMs: 60_000 });
  assert.deepEqual(schedule([blocked, step('quick', { expectedMs: 4000 })], running, capacity), [
    'quick',
  ]);
  assert.deepEqual(schedule([blocked, step('slow', { expectedMs: 6000 })], running, capacity), []);
});

test('what fits beside the blocked step when it starts may pass however long it takes', () => {
  const running: RunningStep[] = [{ cpu: 3, memoryBytes: 0, gpu: 0, remainingMs: 5000 }];
  const blocked = step('model', { cpu: 3, pathMs: 60_000 });
  assert.deepEqual(schedule([blocked, step('slow', { expectedMs: 1e9 })], running, capacity), [
    'slow',
  ]);
});

test('a step that wants more than there is runs alone', () => {
  const huge = step('huge', { memoryBytes: 99 * GB, pathMs: 5000 });
  assert.deepEqual(schedule([huge], [], capacity), ['huge']);
  assert.deepEqual(
    schedule([huge], [{ cpu: 1, memoryBytes: GB, gpu: 0, remainingMs: 1 }], capacity),
    [],
  );
});
