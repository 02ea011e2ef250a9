// What would run, and why: one row per step, for `mesa plan` and `mesa run --dry-run`.

import type { PlannedStep } from '../schemas/event.ts';
import { planSummary } from './describe.ts';
import { bytes, duration, shortKey } from './format.ts';
import { table, truncate } from './table.ts';
import type { Theme } from './theme.ts';

const reasonOf = ({ status }: PlannedStep): string => {
  switch (status.kind) {
    case 'fresh':
      return '';
    case 'stale':
      return status.reason;
    case 'depends':
      return `depends on ${status.on.join(', ')}`;
  }
};

const statusOf = ({ status }: PlannedStep, theme: Theme): string => {
  switch (status.kind) {
    case 'fresh':
      return theme.cached('✔ fresh');
    case 'stale':
      return theme.running('▶ runs');
    case 'depends':
      return theme.dim('· depends');
  }
};

/** Sum of what is known of the steps that are not fresh; null where nothing is. */
const expectedTotal = (steps: readonly PlannedStep[]): number | null => {
  const known = steps.flatMap(({ status, expectedMs }) =>
    status.kind === 'fresh' || expectedMs === null ? [] : [expectedMs],
  );
  return known.length === 0 ? null : known.reduce((sum, ms) => sum + ms, 0);
};

export const planTable = (
  steps: readonly PlannedStep[],
  theme: Theme,
  width: number | null,
): string[] => {
  const names = Math.max(4, ...steps.map(({ step }) => step.length));
  // The reason is what people come for: it is cut only where a terminal's line would break.
  const room = width === null ? Infinity : Math.max(20, width - names - 2 - 11 - 9 - 20);
  const rows = steps.map((step) => [
    theme.bold(step.step),
    statusOf(step, theme),
    step.status.kind === 'depends' ? '—' : shortKey(step.status.key),
    truncate(reasonOf(step), room),
    step.expectedMs === null || step.status.kind === 'fresh' ? '' : duration(step.expectedMs),
    step.expectedBytes === null || step.status.kind === 'fresh' ? '' : bytes(step.expectedBytes),
  ]);
  const shown = table(
    [
      { title: 'step' },
      { title: 'status' },
      { title: 'key', optional: true },
      { title: 'reason' },
      { title: 'expected', align: 'right', optional: true },
      { title: 'memory', align: 'right', optional: true },
    ],
    rows,
    { width, head: theme.dim },
  );
  const total = expectedTotal(steps);
  const about = total === null ? '' : `, about ${duration(total)} of work (from earlier runs)`;
  return [...shown, '', `${planSummary(steps)}${about}`];
};
