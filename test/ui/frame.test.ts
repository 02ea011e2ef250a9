// The live part of the screen: as wide and as high as the terminal allows, and never more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { makeTheme } from '../../ui/theme.ts';
import { frameOf, type View } from '../../ui/tui/frame.ts';
import { layoutFor, settledLine } from '../../ui/tui/lines.ts';
import type { PanelKind } from '../../ui/tui/panel.ts';
import { surplusLines } from '../../ui/tui/reflow.ts';
import { initialState, reduceAll } from '../../ui/tui/state.ts';
import { golden, recorded } from './recorded.ts';

const events = recorded('lora-fails');
const theme = makeTheme(false);
const panels: readonly PanelKind[] = ['progress', 'log', 'why', 'help'];

/** In the middle of training. */
const training = events.slice(
  0,
  events.findIndex(
    (event) =>
      event.event === 'step-progress' && event.step === 'adapter[r=8]' && event.done === 80,
  ) + 1,
);
const now = training.at(-1)?.at ?? 0;

const view = (columns: number, rows: number, more: Partial<View> = {}): View => ({
  columns,
  rows,
  now,
  theme,
  selected: null,
  panel: 'progress',
  ...more,
});

/** As it stands on a terminal: what is settled above, the frame below. */
const screen = (columns: number, rows: number): string => {
  const state = reduceAll(initialState, training);
  const layout = layoutFor(state.started?.steps ?? [], columns);
  const frame = frameOf(state, view(columns, rows));
  return [
    ...state.settled.map((item) => settledLine(item, { layout, theme, now })),
    ...frame.steps,
    ...frame.panel.map((line) => `│ ${line}`),
    frame.footer,
    '',
  ].join('\n');
};

for (const columns of [120, 90, 70, 50])
  test(`${columns} columns`, () => {
    golden(`lora-fails.${columns}.txt`, screen(columns, 30));
  });

test('no line is wider than the terminal, and the frame is lower than it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 30, max: 200 }),
      fc.integer({ min: 8, max: 60 }),
      fc.nat({ max: events.length }),
      fc.constantFrom(...panels),
      fc.constantFrom(null, 'adapter[r=16]', 'verdict', 'tuned-answers[r=16]'),
      (columns, rows, upTo, panel, selected) => {
        const state = reduceAll(initialState, events.slice(0, upTo));
        const frame = frameOf(state, view(columns, rows, { panel, selected }));
        const borders = frame.panel.length > 0 ? 2 : 0;
        const height = frame.steps.length + frame.panel.length + borders + 2;
        assert.ok(height < rows, `${height} lines of ${rows}`);
        assert.ok(stringWidth(frame.footer) <= columns, frame.footer);
        // Names are never cut: where a name alone fills the terminal, the line is left to be cut by the screen.
        if (columns < 60) return;
        for (const line of frame.steps) assert.ok(stringWidth(line) <= columns, line);
        for (const line of frame.panel) assert.ok(stringWidth(line) <= columns - 4, line);
      },
    ),
  );
});

test('running steps are always in sight, and what is hidden is counted', () => {
  assert.ok(events[0]?.event === 'run-started');
  const [step] = events[0].steps;
  assert.ok(step !== undefined);
  const many = Array.from({ length: 40 }, (_, i) => ({ ...step, step: `s${i}`, id: `s${i}` }));
  const starting = many.slice(0, 3).map((each) => ({
    event: 'step-started' as const,
    at: now,
    step: each.step,
    key: '0'.repeat(64),
    attempt: 1,
    reason: '',
    resumed: false,
  }));
  const state = reduceAll(initialState, [{ ...events[0], steps: many }, ...starting]);
  const { steps } = frameOf(state, view(100, 24));
  assert.deepEqual(
    steps.slice(0, 3).map((line) => line.slice(0, 4)),
    ['▶ s0', '▶ s1', '▶ s2'],
  );
  assert.equal(steps.at(-1), '+ 34 more steps');
  const { steps: moved } = frameOf(state, view(100, 24, { selected: 's30' }));
  assert.ok(moved.some((line) => line.startsWith('· s30')));
});

test('the surplus of a narrower terminal is what its lines wrap into', () => {
  const frame = { steps: ['x'.repeat(90), 'short'], panel: ['a', 'b'], footer: 'y'.repeat(100) };
  // 90 -> 2 lines, the box's four -> 2 each, 100 -> 2.
  assert.equal(surplusLines(frame, 100, 60), 6);
  assert.equal(surplusLines(frame, 100, 120), 0);
});
