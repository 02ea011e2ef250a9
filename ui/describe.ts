// Events in words: the phrases that the plain lines, the live screen and the tables share.

import type { PlannedStep, RunEvent, StepResult } from '../schemas/event.ts';
import { bytes, exponent, fixed, general, integer } from './format.ts';

type Progress = Extract<RunEvent, { readonly event: 'step-progress' }>;

interface ValueStyle {
  readonly label: string;
  readonly show: (value: number) => string;
}

/** Values that training and generation report; anything else is shown under its own name. */
const known: Readonly<Record<string, ValueStyle>> = {
  loss: { label: 'loss', show: (v) => fixed(v, 3) },
  eval_loss: { label: 'val', show: (v) => fixed(v, 3) },
  grad_norm: { label: 'grad', show: (v) => fixed(v, 2) },
  learning_rate: { label: 'lr', show: (v) => exponent(v) },
  tokens_per_second: { label: 'tok/s', show: integer },
  rss_bytes: { label: 'rss', show: bytes },
};

export const valueText = (name: string, value: number): string => {
  const style = known[name];
  return style === undefined
    ? `${name.replaceAll('_', ' ')} ${general(value)}`
    : `${style.label} ${style.show(value)}`;
};

/** "step 20/800", "rows 12", or the note where nothing is counted. */
export const progressText = (progress: {
  readonly unit: string;
  readonly done: number;
  readonly total: number | null;
  readonly note?: string;
}): string => {
  const amount = progress.unit === 'bytes' ? bytes : integer;
  if (progress.total === null && progress.done === 0 && progress.note !== undefined)
    return progress.note;
  const of = progress.total === null ? '' : `/${amount(progress.total)}`;
  return `${progress.unit} ${amount(progress.done)}${of}`;
};

export const progressValues = (values: Progress['values']): string[] =>
  Object.entries(values ?? {}).map(([name, value]) => valueText(name, value));

/** The one line that a step wants to be remembered by. */
export const headline = (result: StepResult): string => {
  const blocks = result.report.flatMap((block) => (block.kind === 'headline' ? [block.text] : []));
  return blocks.join('  ');
};

export const outputBytes = (result: StepResult): number =>
  result.outputs.reduce((sum, output) => sum + output.bytes, 0);

/** "6 steps: 2 cached, 1 to run, 3 depend on what runs". */
export const planSummary = (steps: readonly PlannedStep[]): string => {
  const tally = { fresh: 0, stale: 0, depends: 0 };
  for (const step of steps) tally[step.status.kind] += 1;
  const parts = [
    `${integer(tally.fresh)} cached`,
    `${integer(tally.stale + tally.depends)} to run`,
  ];
  return `${integer(steps.length)} ${steps.length === 1 ? 'step' : 'steps'}: ${parts.join(', ')}`;
};

export const runTally = (
  finished: Extract<RunEvent, { readonly event: 'run-finished' }>,
): string => {
  const parts = [
    `${integer(finished.ran)} ran`,
    `${integer(finished.cached)} cached`,
    `${integer(finished.failed)} failed`,
  ];
  if (finished.skipped > 0) parts.push(`${integer(finished.skipped)} not started`);
  return parts.join(', ');
};

/** Status of a finished run in one word. */
export const statusWord = (
  status: Extract<RunEvent, { readonly event: 'run-finished' }>['status'] | 'killed',
): string => {
  switch (status) {
    case 'ok':
      return 'done';
    case 'failed':
      return 'failed';
    case 'gate-failed':
      return 'gate failed';
    case 'interrupted':
      return 'stopped';
    case 'killed':
      return 'killed';
  }
};
