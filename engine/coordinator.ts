// One run: which step is where, and what happens next. It alone writes to the cache and says events.
//
//   waiting ──inputs known──► hit? ──yes──────────────────────────────► done
//                              │no                                       ▲
//                              ▼          lease held by another run      │
//                            ready ──start──► running ──result──► taken in
//                              ▲                 │
//                              └───── retry ─────┴──► failed, interrupted ──► what follows is skipped

import { existsSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Failure, RunEvent, StepResult } from '../schemas/event.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { acceptAll, type Accepted, type Arrived } from './accept.ts';
import type { Action } from './action-cache.ts';
import { hasProgress, loadCheckpoint } from './checkpoint-folder.ts';
import { monotonicMs, now } from './clock.ts';
import { write } from './database.ts';
import type { Outcome, RunningAttempt } from './executors/executor.ts';
import { LocalExecutor } from './executors/local.ts';
import type { ExecuteOptions } from './execute.ts';
import type { InstanceName, StepInstance } from './experiment.ts';
import { stepKey, type KeyFields, type StepKey } from './key.ts';
import type { Leases } from './lease.ts';
import { keyFieldsOf, type Found } from './lookup.ts';
import type { ArtifactDigest } from './manifest.ts';
import { afterOf, type Plan, type PlanStep } from './plan.ts';
import { recordOf } from './record.ts';
import type { RunLog } from './run-store.ts';
import { schedule, type ReadyStep } from './schedule.ts';
import { makeSpec } from './spec.ts';
import { storageFailure } from './storage-errors.ts';

export type StopMode = 'checkpoint' | 'kill';

/** How long a step has to save itself after the first Ctrl-C, unless one of its own steps takes longer. */
const STOP_MS = 10_000;
/** How often the lease of a step that another run computes is looked at: one indexed row. */
const LEASE_POLL_MS = 50;
/** Lines of a step's log that a failure carries. */
const LOG_TAIL = 20;
/** Guesses where there is no history; they order steps, nothing else. */
const GUESS_MS = { light: 1000, model: 60_000 } as const;

type State =
  | 'waiting'
  | 'looking'
  | 'ready'
  | 'held'
  | 'running'
  | 'done'
  | 'failed'
  | 'skipped'
  | 'interrupted';

interface Step {
  readonly plan: PlanStep;
  readonly name: InstanceName;
  readonly instance: StepInstance;
  readonly before: Step[];
  readonly follows: Step[];
  /** Steps it waits for that aren't done. */
  open: number;
  state: State;
  key: StepKey | null;
  fields: KeyFields | null;
  reason: string;
  result: StepResult | null;
  pathMs: number;
  attempts: number;
  attempt: RunningAttempt | null;
  startedAt: number;
  /** Monotonic time of the last two words of progress: how long one of its steps takes. */
  progressAt: number;
  progressMs: number;
  tail: string[];
  note: string;
}

const expectedMs = (step: PlanStep): number =>
  step.planned.expectedMs ?? GUESS_MS[step.instance.definition.weight];

export class Coordinator {
  readonly #plan: Plan;
  readonly #options: ExecuteOptions & { readonly run: string; readonly jobs: number };
  readonly #leases: Leases;
  readonly #log: RunLog;
  readonly #onEvent: (event: RunEvent) => void;
  readonly #executor: LocalExecutor;
  readonly #steps = new Map<InstanceName, Step>();
  /** Longest path first. */
  readonly #ready: Step[] = [];
  readonly #running = new Set<Step>();
  readonly #held = new Set<Step>();
  readonly #said: RunEvent[] = [];
  #arrived: { readonly step: Step; readonly arrived: Arrived }[] = [];
  #looking = 0;
  #pumping = false;
  #stopMode: StopMode | null = null;
  #halted = false;
  #broken = false;
  #sequence = 0;
  #pollTimer: NodeJS.Timeout | undefined;
  #finish: (() => void) | null = null;
  #fail: ((error: unknown) => void) | null = null;
  readonly #removals: Promise<void>[] = [];

  constructor(
    plan: Plan,
    options: ExecuteOptions & { readonly run: string; readonly jobs: number },
    leases: Leases,
    log: RunLog,
    onEvent: (event: RunEvent) => void,
  ) {
    this.#plan = plan;
    this.#options = options;
    this.#leases = leases;
    this.#log = log;
    this.#onEvent = onEvent;
    this.#executor = new LocalExecutor({
      worker: options.worker,
      cwd: plan.experiment.root,
      started: (pid) => {
        leases.addWorker(pid);
      },
    });
    this.#makeSteps();
  }

  #makeSteps(): void {
    for (const plan of this.#plan.steps) {
      if (!plan.selected && plan.action === null) continue;
      const { instance, key, fields, planned } = plan;
      const reason = planned.status.kind === 'stale' ? planned.status.reason : '';
      this.#steps.set(instance.name, {
        plan,
        name: instance.name,
        instance,
        before: [],
        follows: [],
        open: 0,
        state: 'waiting',
        key,
        fields,
        reason,
        result: null,
        pathMs: 0,
        attempts: 0,
        attempt: null,
        startedAt: 0,
        progressAt: 0,
        progressMs: 0,
        tail: [],
        note: '',
      });
    }
    for (const step of this.#steps.values()) {
      for (const name of afterOf(step.instance)) {
        const other = this.#steps.get(name);
        if (other === undefined) continue;
        step.before.push(other);
        other.follows.push(step);
        step.open += 1;
      }
    }
    for (const step of [...this.#steps.values()].reverse()) {
      const own = step.plan.action === null ? expectedMs(step.plan) : 0;
      step.pathMs = own + Math.max(0, ...step.follows.map((other) => other.pathMs));
    }
  }

  #say(event: RunEvent): void {
    if (event.event !== 'step-progress' && event.event !== 'step-log') this.#said.push(event);
    this.#log.event(event);
    this.#onEvent(event);
  }

  /** Runs to the end. */
  async work(): Promise<RunRecord> {
    try {
      return await this.#work();
    } finally {
      // Also where MESA itself is broken: no worker outlives the run.
      this.#executor.close();
    }
  }

  async #work(): Promise<RunRecord> {
    const { run, file, mesaVersion, jobs } = this.#options;
    const startedAt = monotonicMs();
    const finished = new Promise<void>((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    const { name } = this.#log.initial;
    const steps = [...this.#steps.values()];
    this.#say({
      event: 'run-started',
      at: now(),
      schemaVersion: 1,
      run,
      name,
      file,
      mesaVersion,
      jobs,
      steps: steps.map((step) => step.plan.planned),
    });
    for (const step of steps)
      for (const damage of step.plan.damages)
        this.#say({
          event: 'cache-damaged',
          at: now(),
          step: step.name,
          object: damage.digest,
          message: damage.message,
        });
    this.#guard(() => {
      const used = steps.flatMap((step) => step.plan.action?.key ?? []);
      this.#plan.services.project.actions.markUsed(used);
      for (const step of steps) if (step.open === 0 && step.state === 'waiting') this.#settle(step);
    });
    this.#pumpSoon();
    await finished;
    return this.#end(startedAt);
  }

  /** Everything that a process, a timer or a promise starts goes through here, so that a full disk ends the run in order. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (storageFailure(error, this.#plan.services.project.cacheDir) === null) this.#fail?.(error);
      else this.#storageBroke(error, this.#plan.services.project.cacheDir);
    }
  }

  async #end(startedAt: number): Promise<RunRecord> {
    const steps = [...this.#steps.values()];
    const count = (state: State): number => steps.filter((step) => step.state === state).length;
    const cached = this.#said.filter((event) => event.event === 'step-cached').length;
    const gates = steps.flatMap((step) => step.result?.gates ?? []);
    const status =
      this.#stopMode !== null
        ? 'interrupted'
        : count('failed') > 0 || this.#broken
          ? 'failed'
          : gates.some((gate) => !gate.holds)
            ? 'gate-failed'
            : 'ok';
    const [ran, failed, skipped] = [count('done') - cached, count('failed'), count('skipped')];
    const durationMs = monotonicMs() - startedAt;
    await Promise.all(this.#removals);
    rmSync(join(this.#plan.services.project.attemptsDir, this.#options.run), {
      recursive: true,
      force: true,
    });
    this.#say({
      event: 'run-finished',
      at: now(),
      status,
      ran,
      cached,
      failed,
      skipped,
      durationMs,
    });
    const record = recordOf(this.#log.initial, this.#said);
    this.#log.close(record);
    this.#guard(() => {
      this.#leases.close();
    });
    return record;
  }

  /** Digest of an input from what was planned or has been made since. */
  #inputDigest(step: Step, port: string, index: number): ArtifactDigest | null {
    const edge = step.instance.inputs[port]?.[index];
    if (edge?.kind !== 'step') return step.plan.external.get(`${port}.${index}`) ?? null;
    const outputs = this.#steps.get(edge.from)?.result?.outputs;
    return (outputs?.find((output) => output.name === edge.output)?.digest ??
      null) as ArtifactDigest | null;
  }

  /** All that a step waits for is done: it is fresh, or it has to run. */
  #settle(step: Step): void {
    const { action, forced } = step.plan;
    if (action !== null) {
      this.#cached(step, action);
      return;
    }
    if (this.#halted) return;
    if (step.fields !== null && step.key !== null) {
      // Planned with known inputs: the answer stands.
      this.#makeReady(step);
      return;
    }
    const { services, paths, lookup } = this.#plan;
    const fields = keyFieldsOf(step.instance, services.codeOf, paths, (port, index) =>
      this.#inputDigest(step, port, index),
    );
    if (fields === null) throw new Error(`an input of ${step.name} isn't known`);
    const key = stepKey(fields);
    [step.fields, step.key] = [fields, key];
    if (forced) {
      step.reason = '--force';
      this.#makeReady(step);
      return;
    }
    const found = lookup.findNow(step.instance, fields, key);
    if (found !== null) {
      this.#found(step, found);
      return;
    }
    step.state = 'looking';
    this.#looking += 1;
    void lookup.find(step.instance, fields, key).then(
      (result) => {
        this.#looking -= 1;
        this.#guard(() => {
          this.#found(step, result);
        });
        this.#pumpSoon();
      },
      (error: unknown) => {
        this.#fail?.(error);
      },
    );
  }

  #found(step: Step, found: Found): void {
    if (found.kind === 'hit') {
      this.#cached(step, found.action);
      return;
    }
    for (const { digest, message } of found.damages)
      this.#say({ event: 'cache-damaged', at: now(), step: step.name, object: digest, message });
    step.reason = found.reason;
    this.#makeReady(step);
  }

  #makeReady(step: Step): void {
    step.state = 'ready';
    const at = this.#ready.findIndex((other) => other.pathMs < step.pathMs);
    if (at < 0) this.#ready.push(step);
    else this.#ready.splice(at, 0, step);
  }

  #cached(step: Step, action: Action): void {
    step.key = action.key;
    if (action.made.acceptedCode !== undefined) {
      // From now on it stands under its own key, and says which code made it.
      const { project } = this.#plan.services;
      write(project.database, () => {
        project.actions.put({ ...action, id: step.instance.id, step: step.name });
      });
    }
    this.#say({
      event: 'step-cached',
      at: now(),
      step: step.name,
      result: action.result,
      made: action.made,
    });
    this.#done(step, action.result);
  }

  #done(step: Step, result: StepResult): void {
    step.state = 'done';
    step.result = result;
    for (const other of step.follows) {
      other.open -= 1;
      if (other.open === 0 && other.state === 'waiting') this.#settle(other);
    }
  }

  /** Decides once for everything that happened in this turn of the event loop. */
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#guard(() => {
        this.#takeIn();
        if (!this.#halted) this.#start();
      });
      this.#finishIfOver();
    });
  }

  #finishIfOver(): void {
    const idle = this.#running.size === 0 && this.#looking === 0 && this.#arrived.length === 0;
    const over = this.#halted || (this.#ready.length === 0 && this.#held.size === 0);
    if (!idle || !over || this.#pumping) return;
    clearTimeout(this.#pollTimer);
    this.#finish?.();
  }

  #start(): void {
    if (this.#ready.length === 0) return;
    const capacity = {
      cpu: Math.max(this.#options.jobs, availableParallelism()),
      memoryBytes: totalmem(),
      gpu: 1,
      jobs: this.#options.jobs,
    };
    const resources = (step: Step): Omit<ReadyStep, 'name'> => ({
      // All there are, however many jobs: the scheduler cuts it to what there is.
      cpu:
        step.instance.resources.cpu ?? (step.instance.definition.weight === 'model' ? Infinity : 1),
      memoryBytes: step.instance.resources.memoryBytes ?? step.plan.planned.expectedBytes ?? 0,
      gpu: step.instance.resources.gpu,
      pathMs: step.pathMs,
      expectedMs: expectedMs(step.plan),
    });
    const at = monotonicMs();
    const running = [...this.#running].map((step) => {
      const wanted = resources(step);
      const remainingMs = Math.max(
        wanted.expectedMs / 10,
        wanted.expectedMs - (at - step.startedAt),
      );
      return { ...wanted, remainingMs };
    });
    const ready = this.#ready
      .slice(0, 512)
      .map((step) => ({ name: step.name, ...resources(step) }));
    const names = new Set(schedule(ready, running, capacity));
    if (names.size === 0) return;
    const chosen = this.#ready.filter((step) => names.has(step.name));
    this.#lease(chosen);
    if (this.#ready.length > 0 && this.#running.size < this.#options.jobs) this.#pumpSoon();
  }

  /** Takes the leases of steps in one transaction, with a last look whether another run has done the work since. */
  #lease(steps: readonly Step[]): void {
    const answers = write(this.#plan.services.project.database, () =>
      steps.map((step) => {
        if (step.key === null || step.fields === null) throw new Error(`${step.name} has no key`);
        const got = this.#leases.acquire(step.key);
        if (got.kind === 'held') return { step, got, found: null };
        if (step.plan.forced || !step.instance.cache || step.attempts > 0)
          return { step, got, found: null };
        const found = this.#plan.lookup.findNow(step.instance, step.fields, step.key);
        if (found?.kind === 'hit') this.#leases.release(step.key);
        return { step, got, found };
      }),
    );
    for (const { step, got, found } of answers) {
      const at = this.#ready.indexOf(step);
      if (at >= 0) this.#ready.splice(at, 1);
      const wasHeld = this.#held.delete(step);
      if (got.kind === 'held') {
        step.state = 'held';
        this.#held.add(step);
        if (!wasHeld && step.key !== null)
          this.#say({
            event: 'step-waiting',
            at: now(),
            step: step.name,
            key: step.key,
            holder: got.run,
          });
        this.#poll();
      } else if (found?.kind === 'hit') this.#cached(step, found.action);
      else this.#run(step);
    }
  }

  #poll(): void {
    clearTimeout(this.#pollTimer);
    this.#pollTimer = setTimeout(() => {
      if (this.#halted) return;
      this.#guard(() => {
        this.#lease([...this.#held]);
      });
      this.#pumpSoon();
    }, LEASE_POLL_MS);
  }

  #run(step: Step): void {
    const { key, instance } = step;
    if (key === null) throw new Error(`${step.name} has no key`);
    const { project } = this.#plan.services;
    step.state = 'running';
    step.attempts += 1;
    step.startedAt = step.progressAt = monotonicMs();
    step.progressMs = 0;
    step.tail = [];
    this.#running.add(step);
    const checkpoint = join(project.checkpointsDir, key);
    const resumed = hasProgress(checkpoint);
    this.#say({
      event: 'step-started',
      at: now(),
      step: step.name,
      key,
      attempt: step.attempts,
      reason: step.reason,
      resumed,
    });
    this.#sequence += 1;
    const attempt = join(this.#options.run, String(this.#sequence));
    const spec = makeSpec(
      this.#plan,
      instance,
      key,
      (port, index) => this.#inputDigest(step, port, index),
      attempt,
    );
    const { weight } = instance.definition;
    step.attempt = this.#executor.start(
      { spec, weight, timeoutMs: instance.timeoutMs },
      {
        message: (message) => {
          if (message.kind === 'progress') {
            const { unit, done, total, values, note } = message;
            const at = monotonicMs();
            [step.progressMs, step.progressAt] = [at - step.progressAt, at];
            const extra = {
              ...(values === undefined ? {} : { values }),
              ...(note === undefined ? {} : { note }),
            };
            this.#say({
              event: 'step-progress',
              at: now(),
              step: step.name,
              unit,
              done,
              total,
              ...extra,
            });
          } else if (message.kind === 'checkpoint') {
            step.note = message.note;
            this.#say({
              event: 'checkpoint-saved',
              at: now(),
              step: step.name,
              note: message.note,
            });
          } else {
            this.#logLine(step, message.text);
            this.#say({
              event: 'step-log',
              at: now(),
              step: step.name,
              level: message.level,
              text: message.text,
            });
          }
        },
        output: (text) => {
          this.#logLine(step, text);
        },
        done: (outcome) => {
          this.#guard(() => {
            this.#finished(step, outcome);
          });
          this.#pumpSoon();
        },
      },
    );
  }

  #logLine(step: Step, text: string): void {
    step.tail.push(...text.split('\n'));
    if (step.tail.length > LOG_TAIL) step.tail.splice(0, step.tail.length - LOG_TAIL);
    this.#log.log(step.name, text);
  }

  #finished(step: Step, outcome: Outcome): void {
    const { key, fields, instance } = step;
    if (key === null || fields === null) throw new Error(`${step.name} has no key`);
    step.attempt = null;
    const durationMs = monotonicMs() - step.startedAt;
    if (outcome.kind === 'ok') {
      this.#arrived.push({ step, arrived: { instance, key, fields, result: outcome, durationMs } });
      this.#pumpSoon();
      return;
    }
    this.#running.delete(step);
    const stopped =
      outcome.kind === 'interrupted' || (this.#stopMode !== null && outcome.kind === 'crashed');
    if (stopped || (this.#halted && outcome.kind === 'crashed'))
      this.#interrupted(step, durationMs);
    else this.#failed(step, this.#failureOf(step, outcome), durationMs);
    this.#pumpSoon();
  }

  #failureOf(step: Step, outcome: Exclude<Outcome, { kind: 'ok' | 'interrupted' }>): Failure {
    const logTail = [...step.tail];
    if (outcome.kind === 'crashed')
      return { reason: 'crashed', signal: outcome.signal, exitCode: outcome.exitCode, logTail };
    if (outcome.kind === 'timeout')
      return { reason: 'timeout', timeoutMs: outcome.timeoutMs, logTail };
    return outcome.failure.reason === 'storage' ? outcome.failure : { ...outcome.failure, logTail };
  }

  #kept(step: Step): { readonly kept?: string } {
    const folder = join(this.#plan.services.project.checkpointsDir, step.key ?? '');
    if (step.key === null || !hasProgress(folder)) return {};
    const what = loadCheckpoint(folder) === null ? 'finished rows' : 'checkpoint';
    return { kept: step.note === '' ? what : `${what} at ${step.note}` };
  }

  #release(step: Step): void {
    const { key } = step;
    if (key === null) return;
    write(this.#plan.services.project.database, () => {
      this.#leases.release(key);
    });
  }

  #interrupted(step: Step, durationMs: number): void {
    step.state = 'interrupted';
    this.#release(step);
    this.#say({
      event: 'step-interrupted',
      at: now(),
      step: step.name,
      durationMs,
      ...this.#kept(step),
    });
  }

  #failed(step: Step, failure: Failure, durationMs: number): void {
    const willRetry =
      !this.#halted && failure.reason !== 'storage' && step.attempts <= step.instance.retry;
    this.#say({
      event: 'step-failed',
      at: now(),
      step: step.name,
      failure,
      durationMs,
      willRetry,
      ...this.#kept(step),
    });
    if (willRetry) {
      step.reason = `attempt ${step.attempts} failed`;
      this.#makeReady(step);
      return;
    }
    step.state = 'failed';
    this.#release(step);
    this.#skip(step, step.name);
    const { onFailure } = this.#options;
    if (onFailure !== 'continue') this.#halt();
    if (onFailure === 'kill') for (const other of this.#running) other.attempt?.kill();
  }

  #skip(step: Step, because: string): void {
    for (const other of step.follows) {
      if (other.state !== 'waiting') continue;
      other.state = 'skipped';
      this.#say({ event: 'step-skipped', at: now(), step: other.name, because });
      this.#skip(other, because);
    }
  }

  /** Nothing new starts. */
  #halt(): void {
    this.#halted = true;
    clearTimeout(this.#pollTimer);
  }

  #takeIn(): void {
    const batch = this.#arrived;
    if (batch.length === 0) return;
    this.#arrived = [];
    const { project } = this.#plan.services;
    const accepted = acceptAll(
      project,
      this.#leases,
      this.#options.run,
      batch.map(({ arrived }) => arrived),
    );
    for (const [index, { step, arrived }] of batch.entries()) {
      this.#running.delete(step);
      const answer = accepted[index];
      if (answer !== undefined) this.#answer(step, arrived, answer);
    }
  }

  #answer(step: Step, { durationMs }: Arrived, answer: Accepted): void {
    const { project } = this.#plan.services;
    if (answer.kind === 'refused') {
      const { error } = answer;
      const message = error instanceof Error ? error.message : String(error);
      const failure: Failure = storageFailure(error, project.cacheDir) ?? {
        reason: 'error',
        code: 'E501',
        message,
        logTail: [...step.tail],
      };
      this.#failed(step, failure, durationMs);
      return;
    }
    if (step.key !== null) {
      const folder = join(project.checkpointsDir, step.key);
      if (existsSync(folder)) this.#removals.push(rm(folder, { recursive: true, force: true }));
    }
    const observation = step.instance.definition.deterministic?.(step.instance.params) === false;
    const changed = observation || answer.changed === null ? {} : { changedOutput: answer.changed };
    if (changed.changedOutput !== undefined) {
      const message = `${step.name} gave other bytes than before with the same key: ${changed.changedOutput}`;
      const hint = 'the step depends on something that its key does not hold';
      this.#say({
        event: 'warning',
        at: now(),
        diagnostic: {
          severity: 'warning',
          code: 'W501',
          message,
          location: step.instance.location,
          hint,
        },
      });
    }
    this.#say({
      event: 'step-finished',
      at: now(),
      step: step.name,
      result: answer.result,
      durationMs,
      ...changed,
    });
    this.#done(step, answer.result);
  }

  stop(mode: StopMode): void {
    if (this.#stopMode === 'kill' || this.#stopMode === mode) return;
    this.#stopMode = mode;
    this.#halt();
    const running = [...this.#running];
    this.#say({ event: 'run-stopping', at: now(), mode, steps: running.map((step) => step.name) });
    for (const step of running) {
      const { attempt } = step;
      if (mode === 'kill') {
        attempt?.kill();
        continue;
      }
      attempt?.stop();
      const timer = setTimeout(
        () => {
          if (step.attempt === attempt) attempt?.kill();
        },
        Math.max(STOP_MS, 1.5 * step.progressMs),
      );
      timer.unref();
    }
    this.#pumpSoon();
  }

  /** The run's own files can't be written: what is finished stays in the cache, nothing new starts. */
  logBroke(error: unknown): void {
    this.#storageBroke(error, this.#log.folder);
  }

  #storageBroke(error: unknown, folder: string): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#halt();
    const why = storageFailure(error, folder);
    const message = `can't write to ${folder}: ${why?.message ?? (error as Error).message}`;
    const hint = why?.hint === undefined ? {} : { hint: why.hint };
    // Not to the log, which may be what broke.
    this.#onEvent({
      event: 'warning',
      at: now(),
      diagnostic: { severity: 'error', code: 'E510', message, ...hint },
    });
    this.#pumpSoon();
  }
}
