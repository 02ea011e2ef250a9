// The live screen's reducer: whatever events come, in whatever order, its numbers hold together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RunEvent } from '../../schemas/event.ts';
import { counts, initialState, liveSteps, reduce, reduceAll } from '../../ui/tui/state.ts';
import { recorded } from './recorded.ts';

const events = recorded('lora-fails');
const [started] = events;
const total = started?.event === 'run-started' ? started.steps.length : 0;

const sum = (tally: object): number =>
  Object.values<number>({ ...tally }).reduce((all, one) => all + one, 0);

/** The start first, as the engine says it; after it anything in any order, repeated or missing. */
const anyOrder = fc
  .array(fc.nat({ max: events.length - 1 }), { maxLength: 300 })
  .map((picks) =>
    [events[0], ...picks.map((i) => events[i])].filter((e): e is RunEvent => e !== undefined),
  );

test('every step is in exactly one state, whatever comes', () => {
  fc.assert(
    fc.property(anyOrder, (said) => {
      const state = reduceAll(initialState, said);
      assert.equal(sum(counts(state)), total);
      const settled = state.settled.filter(({ kind }) => kind === 'step').length;
      assert.equal(settled + liveSteps(state).length, total);
    }),
  );
});

test('a line that went to the scrollback never changes and never comes twice', () => {
  fc.assert(
    fc.property(anyOrder, (said) => {
      let state = initialState;
      for (const event of said) {
        const next = reduce(state, event);
        assert.deepEqual(next.settled.slice(0, state.settled.length), state.settled);
        state = next;
      }
      const names = state.settled.flatMap((item) =>
        item.kind === 'step' ? [item.view.plan.step] : [],
      );
      assert.equal(new Set(names).size, names.length);
    }),
  );
});

test('a burst at once is the same as its events one by one', () => {
  fc.assert(
    fc.property(anyOrder, fc.nat({ max: 300 }), (said, cut) => {
      const whole = reduceAll(reduceAll(initialState, said.slice(0, cut)), said.slice(cut));
      assert.deepEqual(whole, said.reduce(reduce, initialState));
    }),
  );
});

test('the state that was is left alone', () => {
  const before = reduceAll(initialState, events.slice(0, 20));
  const copy = structuredClone(before);
  reduceAll(before, events.slice(20));
  assert.deepEqual(before, copy);
});

test('the recorded run ends as it was recorded', () => {
  const state = reduceAll(initialState, events);
  assert.deepEqual(counts(state), {
    cached: 4,
    ran: 4,
    running: 0,
    waiting: 0,
    failed: 1,
    skipped: 2,
  });
  const failed = state.steps.get('adapter[r=16]');
  assert.equal(failed?.note, 'checkpoint at step 20');
  assert.equal(liveSteps(state).length, 0);
});

test('many cached steps are counted, not listed', () => {
  assert.ok(started?.event === 'run-started');
  const [step] = started.steps;
  const cached = events.find(({ event }) => event === 'step-cached');
  assert.ok(step !== undefined && cached?.event === 'step-cached');
  const many = Array.from({ length: 1000 }, (_, i) => ({ ...step, step: `s${i}` }));
  const state = reduceAll(initialState, [
    { ...started, steps: many },
    ...many.map((each) => ({ ...cached, step: each.step })),
  ]);
  assert.deepEqual(state.settled, [{ kind: 'cached', count: 1000 }]);
});
