// Plan -> events and a record: opens the run's folder, announces this coordinator, and lets it work.

import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism, cpus, platform, arch } from 'node:os';
import { join } from 'node:path';
import type { Diagnostic } from '../schemas/diagnostic.ts';
import type { RunEvent } from '../schemas/event.ts';
import type { RunRecord, RunStepRecord } from '../schemas/run-record.ts';
import { now } from './clock.ts';
import { Coordinator, type StopMode } from './coordinator.ts';
import { LocalExecutor } from './executors/local.ts';
import type { WorkerCommand } from './executors/worker-process.ts';
import type { InputEdge } from './experiment.ts';
import { Leases, livingRuns } from './lease.ts';
import { runtimeLabel } from './numerics.ts';
import type { Plan, PlanStep } from './plan.ts';
import type { Project } from './project.ts';
import { err, ok, type Result } from './result.ts';
import { createRun, RunLog } from './run-store.ts';
import { RunVoice } from './run-voice.ts';
import { storageFailure } from './storage-errors.ts';

export interface ExecuteOptions {
  /** Steps at once. Default: cores. */
  readonly jobs?: number;
  readonly onFailure: 'stop' | 'continue' | 'kill';
  /** How to start a worker process. */
  readonly worker: WorkerCommand;
  readonly mesaVersion: string;
  /** The experiment file as the user typed it. */
  readonly file: string;
  /** `--name`. */
  readonly name?: string;
}

export interface RunHandle {
  readonly run: string;
  /** Absolute path of runs/<id>. */
  readonly folder: string;
  readonly done: Promise<RunRecord>;
  /**
   * `checkpoint` asks running steps to save and stop within max(10 s, 1.5 of their own steps); `kill` ends them now.
   * May be called again, and only gets harder.
   */
  stop(mode: StopMode): void;
}

const showEdge = (edge: InputEdge): string =>
  edge.kind === 'step'
    ? `${edge.from}.${edge.output}`
    : `run:${edge.run}/${edge.step}${edge.output === null ? '' : `.${edge.output}`}`;

const stepRecord = ({ instance, planned }: PlanStep): RunStepRecord => ({
  step: instance.name,
  id: instance.id,
  uses: instance.uses,
  axes: instance.axes,
  params: instance.params,
  seed: instance.definition.usesSeed?.(instance.params) === true ? instance.seed : null,
  inputs: Object.fromEntries(
    Object.entries(instance.inputs).map(([port, edges]) => [port, edges.map(showEdge)]),
  ),
  state: 'not-started',
  planned: planned.status,
});

const initialRecord = (plan: Plan, options: ExecuteOptions, run: string): RunRecord => ({
  schemaVersion: 1,
  run,
  name: options.name ?? plan.experiment.name,
  file: options.file,
  mesaVersion: options.mesaVersion,
  startedAt: now(),
  durationMs: 0,
  status: 'killed',
  resolved: plan.experiment.resolved,
  origins: plan.experiment.origins,
  environment: {
    node: process.version,
    platform: platform(),
    arch: arch(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    threads: availableParallelism(),
    runtime: runtimeLabel(),
  },
  steps: plan.steps.map(stepRecord),
});

/**
 * Removes what attempts of dead runs left. Every folder whose run doesn't live counts, not only those of the runs that
 * are buried here: whoever buried the others may have been killed before it had tidied.
 */
const tidyAttempts = (project: Project, leases: Leases): Promise<unknown> => {
  // Listed first: a run is known as living before it makes a folder.
  const folders = existsSync(project.attemptsDir) ? readdirSync(project.attemptsDir) : [];
  leases.buryDead();
  const living = new Set(livingRuns(project.database, project.liveDir).map(({ run }) => run));
  return Promise.allSettled(
    folders
      .filter((run) => !living.has(run))
      .map((run) => rm(join(project.attemptsDir, run), { recursive: true, force: true })),
  );
};

/**
 * Starts a run. The error is the disk's: no run folder, no lock. `onEvent` is called for each event in order; what it
 * throws is not caught.
 */
export const executePlan = (
  plan: Plan,
  options: ExecuteOptions,
  onEvent: (event: RunEvent) => void,
): Result<RunHandle, Diagnostic> => {
  const { project } = plan.services;
  try {
    const run = createRun(project.runsDir);
    const leases = new Leases(project.database, project.liveDir, run);
    // While the run goes on: hundreds of folders may be left, and nobody waits for them to be gone.
    const tidying = tidyAttempts(project, leases);
    const initial = initialRecord(plan, options, run);
    let coordinator: Coordinator | null = null;
    const log = new RunLog(project.runsDir, initial, (error) => coordinator?.storageBroke(error));
    const working = new Coordinator(
      plan,
      {
        run,
        jobs: options.jobs ?? availableParallelism(),
        onFailure: options.onFailure,
        file: options.file,
        name: initial.name,
        mesaVersion: options.mesaVersion,
      },
      leases,
      new RunVoice(log, onEvent, project.checkpointsDir),
      new LocalExecutor({
        worker: options.worker,
        cwd: plan.experiment.root,
        started: (pid) => {
          leases.addWorker(pid);
        },
      }),
    );
    coordinator = working;
    return ok({
      run,
      folder: log.folder,
      done: working.work().finally(() => tidying),
      stop: (mode) => {
        working.stop(mode);
      },
    });
  } catch (error) {
    const failure = storageFailure(error, project.root);
    const message = `can't start a run: ${failure?.message ?? (error as Error).message}`;
    const hint = failure?.hint;
    return err({
      severity: 'error',
      code: 'E414',
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  }
};
