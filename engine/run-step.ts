// A planned step while its run goes on: the one mutable record of where it is. Only coordinator.ts changes it.

import { join } from 'node:path';
import type { Failure, StepResult } from '../schemas/event.ts';
import { hasProgress, loadCheckpoint } from './checkpoint-folder.ts';
import type { Outcome, RunningAttempt } from './executors/executor.ts';
import type { InstanceName, StepInstance } from './experiment.ts';
import type { KeyFields, StepKey } from './key.ts';
import { afterOf, type Plan, type PlanStep } from './plan.ts';
import type { ReadyStep } from './schedule.ts';

/** Guesses where there is no history; they order steps, nothing else. */
const GUESS_MS = { light: 1000, model: 60_000 } as const;

export type StepState =
  /** Something it waits for isn't done. */
  | 'waiting'
  /** Its inputs are known, and the bytes of an earlier result are being read. */
  | 'looking'
  | 'ready'
  /** Another run has its lease. */
  | 'held'
  | 'running'
  | 'done'
  | 'failed'
  | 'skipped'
  | 'interrupted';

export interface RunStep {
  readonly plan: PlanStep;
  readonly name: InstanceName;
  readonly instance: StepInstance;
  readonly follows: RunStep[];
  /** How many steps it waits for aren't done. */
  open: number;
  state: StepState;
  key: StepKey | null;
  fields: KeyFields | null;
  /** Why it has to run. */
  reason: string;
  /** Whether the bytes of an earlier result were read and found wanting: they aren't read twice. */
  looked: boolean;
  result: StepResult | null;
  /** Expected time to the end of everything that waits for it. */
  pathMs: number;
  attempts: number;
  attempt: RunningAttempt | null;
  /** Whether its process was ended by the coordinator. */
  killed: boolean;
  startedAt: number;
  /** When it last said how far it is, and how long that took: the length of one of its own steps. */
  progressAt: number;
  progressMs: number;
  /** The last lines of its log. */
  tail: string[];
  /** How far its last checkpoint is. */
  saved: string;
}

const expectedMs = (step: PlanStep): number =>
  step.planned.expectedMs ?? GUESS_MS[step.instance.definition.weight];

const makeStep = (plan: PlanStep): RunStep => ({
  plan,
  name: plan.instance.name,
  instance: plan.instance,
  follows: [],
  open: 0,
  state: 'waiting',
  key: plan.key,
  fields: plan.fields,
  reason: plan.planned.status.kind === 'stale' ? plan.planned.status.reason : '',
  looked: plan.damages.length > 0,
  result: null,
  pathMs: 0,
  attempts: 0,
  attempt: null,
  killed: false,
  startedAt: 0,
  progressAt: 0,
  progressMs: 0,
  tail: [],
  saved: '',
});

/** The steps of a run, linked: those that are selected, and fresh ones that only lend their results. */
export const makeSteps = (plan: Plan): ReadonlyMap<InstanceName, RunStep> => {
  const steps = new Map(
    plan.steps
      .filter((step) => step.selected || step.action !== null)
      .map((step) => [step.instance.name, makeStep(step)]),
  );
  for (const step of steps.values()) {
    for (const name of afterOf(step.instance)) {
      const other = steps.get(name);
      if (other === undefined) continue;
      other.follows.push(step);
      step.open += 1;
    }
  }
  for (const step of [...steps.values()].reverse()) {
    const own = step.plan.action === null ? expectedMs(step.plan) : 0;
    step.pathMs = own + step.follows.reduce((longest, other) => Math.max(longest, other.pathMs), 0);
  }
  return steps;
};

/** What a step asks of the machine. */
export const wantsOf = (step: RunStep): ReadyStep => {
  const { resources, definition } = step.instance;
  return {
    name: step.name,
    // A model step takes all cores there are, however many jobs: the scheduler cuts it to what there is.
    cpu: resources.cpu ?? (definition.weight === 'model' ? Infinity : 1),
    memoryBytes: resources.memoryBytes ?? step.plan.planned.expectedBytes ?? 0,
    gpu: resources.gpu,
    pathMs: step.pathMs,
    expectedMs: expectedMs(step.plan),
  };
};

export const failureOf = (
  step: RunStep,
  outcome: Exclude<Outcome, { readonly kind: 'ok' | 'interrupted' }>,
): Failure => {
  const logTail = [...step.tail];
  switch (outcome.kind) {
    case 'crashed':
      return { reason: 'crashed', signal: outcome.signal, exitCode: outcome.exitCode, logTail };
    case 'timeout':
      return { reason: 'timeout', timeoutMs: outcome.timeoutMs, logTail };
    case 'failed':
      return outcome.failure.reason === 'storage'
        ? outcome.failure
        : { ...outcome.failure, logTail };
  }
};

/** What the same command would go on from. */
export const keptOf = (step: RunStep, checkpointsDir: string): { readonly kept?: string } => {
  if (step.key === null) return {};
  const folder = join(checkpointsDir, step.key);
  if (!hasProgress(folder)) return {};
  const what = loadCheckpoint(folder) === null ? 'finished rows' : 'checkpoint';
  return { kept: step.saved === '' ? what : `${what} at ${step.saved}` };
};
