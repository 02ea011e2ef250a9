// Events -> record: a fold, so that a run which was killed has the same record up to there as one that ended.

import type { RunEvent } from '../schemas/event.ts';
import type { RunRecord, RunStepRecord } from '../schemas/run-record.ts';
import { unreachable } from './result.ts';

type Change = Partial<RunStepRecord>;

const changeOf = (
  event: RunEvent,
  started: number | undefined,
): readonly [string, Change] | null => {
  switch (event.event) {
    case 'step-cached':
      return [event.step, { state: 'cached', result: event.result, made: event.made }];
    case 'step-started':
      return [event.step, { startedAt: started ?? event.at }];
    case 'step-finished':
      return [event.step, { state: 'ran', result: event.result, durationMs: event.durationMs }];
    case 'step-failed': {
      const { failure, durationMs } = event;
      return [event.step, event.willRetry ? {} : { state: 'failed', failure, durationMs }];
    }
    case 'step-skipped':
      return [event.step, { state: 'skipped' }];
    case 'step-interrupted':
      return [event.step, { state: 'interrupted', durationMs: event.durationMs }];
    case 'run-started':
    case 'run-stopping':
    case 'run-finished':
    case 'step-progress':
    case 'step-log':
    case 'step-waiting':
    case 'checkpoint-saved':
    case 'cache-damaged':
    case 'warning':
      return null;
    default:
      return unreachable(event);
  }
};

/** `initial` is the record as the run began: every step not started, status killed. */
export const recordOf = (initial: RunRecord, events: readonly RunEvent[]): RunRecord => {
  const steps = new Map(initial.steps.map((step) => [step.step, step]));
  let { status, durationMs } = initial;
  for (const event of events) {
    durationMs = Math.max(durationMs, event.at - initial.startedAt);
    if (event.event === 'run-finished') ({ status, durationMs } = event);
    const name = 'step' in event ? event.step : undefined;
    const step = name === undefined ? undefined : steps.get(name);
    const change = changeOf(event, step?.startedAt);
    if (step !== undefined && change !== null) steps.set(step.step, { ...step, ...change[1] });
  }
  // What was running when the run was killed.
  const settled = [...steps.values()].map((step): RunStepRecord =>
    step.startedAt !== undefined && step.state === 'not-started'
      ? { ...step, state: 'interrupted' }
      : step,
  );
  return { ...initial, status, durationMs, steps: settled };
};
