// One run: which step is where, and what happens next. It alone writes to the cache.
//
//   waiting ──inputs known──► hit? ──yes──────────────────────────────► done
//                              │no                                       ▲
//                              ▼          lease held by another run      │
//                            ready ──start──► running ──result──► taken in
//                              ▲                 │
//                              └───── retry ─────┴──► failed, interrupted ──► what follows is skipped

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Failure, StepResult } from '../schemas/event.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { acceptAll, type Accepted, type Arrived } from './accept.ts';
import type { Action } from './action-cache.ts';
import { hasProgress } from './checkpoint-folder.ts';
import { claimAll, type Claim } from './claim.ts';
import { monotonicMs } from './clock.ts';
import { write } from './database.ts';
import type { Executor, Outcome } from './executors/executor.ts';
import type { InstanceName } from './experiment.ts';
import { stepKey } from './key.ts';
import type { Leases } from './lease.ts';
import { keyFieldsOf, type Found } from './lookup.ts';
import type { ArtifactDigest } from './manifest.ts';
import type { Plan } from './plan.ts';
import type { Project } from './project.ts';
import { failureOf, keptOf, makeSteps, wantsOf, type RunStep, type StepState } from './run-step.ts';
import type { RunVoice } from './run-voice.ts';
import { schedule } from './schedule.ts';
import { makeSpec } from './spec.ts';
import { storageFailure } from './storage-errors.ts';

export type StopMode = 'checkpoint' | 'kill';

/** How long a step has to save itself after the first Ctrl-C, unless one of its own steps takes longer. */
const STOP_MS = 10_000;
/** How often the lease of a step that another run computes is looked at: one indexed row. */
const LEASE_POLL_MS = 50;
/** How many of the most urgent ready steps a decision looks at. */
const SCHEDULE_DEPTH = 512;

export interface CoordinatorOptions {
  readonly run: string;
  readonly jobs: number;
  readonly onFailure: 'stop' | 'continue' | 'kill';
  readonly file: string;
  readonly name: string;
  readonly mesaVersion: string;
}

export class Coordinator {
  readonly #plan: Plan;
  readonly #project: Project;
  readonly #options: CoordinatorOptions;
  readonly #leases: Leases;
  readonly #voice: RunVoice;
  readonly #executor: Executor;
  readonly #steps: ReadonlyMap<InstanceName, RunStep>;
  /** Longest path first. */
  readonly #ready: RunStep[] = [];
  readonly #running = new Set<RunStep>();
  readonly #held = new Set<RunStep>();
  /** Keys of checkpoints that lay there when the run began. */
  readonly #checkpoints: ReadonlySet<string>;
  #arrived: { readonly step: RunStep; readonly arrived: Arrived }[] = [];
  #looking = 0;
  #pumping = false;
  #stopMode: StopMode | null = null;
  /** Nothing new starts. */
  #halted = false;
  /** The disk let the run down. */
  #broken = false;
  #sequence = 0;
  #pollTimer: NodeJS.Timeout | undefined;
  readonly #removals: Promise<void>[] = [];
  readonly #over = Promise.withResolvers<undefined>();

  constructor(
    plan: Plan,
    options: CoordinatorOptions,
    leases: Leases,
    voice: RunVoice,
    executor: Executor,
  ) {
    this.#plan = plan;
    this.#project = plan.services.project;
    this.#options = options;
    this.#leases = leases;
    this.#voice = voice;
    this.#executor = executor;
    this.#steps = makeSteps(plan);
    const { checkpointsDir } = this.#project;
    this.#checkpoints = new Set(existsSync(checkpointsDir) ? readdirSync(checkpointsDir) : []);
  }

  /** Runs to the end. Rejects where MESA itself is broken; no worker outlives the run then either. */
  async work(): Promise<RunRecord> {
    try {
      const startedAt = monotonicMs();
      this.#begin();
      await this.#over.promise;
      return await this.#end(startedAt);
    } finally {
      this.#executor.close();
    }
  }

  #begin(): void {
    const { onFailure: _, ...options } = this.#options;
    const steps = [...this.#steps.values()];
    const planned = steps.map((step) => step.plan.planned);
    this.#voice.say({ event: 'run-started', schemaVersion: 1, ...options, steps: planned });
    for (const step of steps) this.#voice.damages(step, step.plan.damages);
    this.#guard(() => {
      this.#project.actions.markUsed(steps.flatMap((step) => step.plan.action?.key ?? []));
      for (const step of steps) if (step.open === 0 && step.state === 'waiting') this.#settle(step);
    });
    this.#pumpSoon();
  }

  async #end(startedAt: number): Promise<RunRecord> {
    const steps = [...this.#steps.values()];
    const count = (state: StepState): number => steps.filter((step) => step.state === state).length;
    const cached = this.#voice.count('step-cached');
    const failed = count('failed');
    const gateFailed = steps.some((step) => step.result?.gates.some((gate) => !gate.holds));
    const bad = failed > 0 || this.#broken ? 'failed' : gateFailed ? 'gate-failed' : 'ok';
    await Promise.all(this.#removals);
    const attempts = join(this.#project.attemptsDir, this.#options.run);
    rmSync(attempts, { recursive: true, force: true });
    this.#voice.say({
      event: 'run-finished',
      status: this.#stopMode === null ? bad : 'interrupted',
      ran: count('done') - cached,
      cached,
      failed,
      // All that never ran, also what nobody came to when the run stopped.
      skipped: steps.length - count('done') - failed - count('interrupted'),
      durationMs: monotonicMs() - startedAt,
    });
    const record = this.#voice.close();
    this.#guard(() => {
      this.#leases.close();
    });
    return record;
  }

  /** Everything that a process, a timer or a promise starts goes through here, so that a full disk ends the run in order. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const { cacheDir } = this.#project;
      if (storageFailure(error, cacheDir) === null) this.#over.reject(error);
      else this.storageBroke(error, cacheDir);
    }
  }

  /** Digest of an input from what was planned or has been made since. */
  #inputDigest(step: RunStep, port: string, index: number): ArtifactDigest | null {
    const edge = step.instance.inputs[port]?.[index];
    if (edge?.kind !== 'step') return step.plan.external.get(`${port}.${index}`) ?? null;
    const outputs = this.#steps.get(edge.from)?.result?.outputs ?? [];
    const output = outputs.find((each) => each.name === edge.output);
    return (output?.digest ?? null) as ArtifactDigest | null;
  }

  /** All that a step waits for is done: it is fresh, or it has to run. */
  #settle(step: RunStep): void {
    const { action, forced } = step.plan;
    if (action !== null) {
      this.#cached(step, action);
      return;
    }
    if (this.#halted) return;
    if (step.key !== null) {
      // Planned with known inputs: the answer stands.
      this.#makeReady(step);
      return;
    }
    const { services, paths, lookup } = this.#plan;
    const digestOf = (port: string, index: number): ArtifactDigest | null =>
      this.#inputDigest(step, port, index);
    step.fields = keyFieldsOf(step.instance, services.codeOf, paths, digestOf);
    if (step.fields === null) throw new Error(`an input of ${step.name} isn't known`);
    step.key = stepKey(step.fields);
    if (forced) {
      step.reason = '--force';
      this.#makeReady(step);
      return;
    }
    const found = lookup.findNow(step.instance, step.fields, step.key);
    if (found === null) this.#look(step);
    else this.#found(step, found);
  }

  /** Reads the bytes of an earlier result. */
  #look(step: RunStep): void {
    const { instance, fields, key } = step;
    if (fields === null || key === null) throw new Error(`${step.name} has no key`);
    step.state = 'looking';
    this.#looking += 1;
    void this.#plan.lookup.find(instance, fields, key).then(
      (found) => {
        this.#looking -= 1;
        this.#guard(() => {
          this.#found(step, found);
        });
        this.#pumpSoon();
      },
      (error: unknown) => {
        this.#over.reject(error);
      },
    );
  }

  #found(step: RunStep, found: Found): void {
    step.looked = step.state === 'looking';
    if (found.kind === 'hit') {
      this.#cached(step, found.action);
      return;
    }
    this.#voice.damages(step, found.damages);
    step.reason = found.reason;
    this.#makeReady(step);
  }

  #makeReady(step: RunStep): void {
    step.state = 'ready';
    const at = this.#ready.findIndex((other) => other.pathMs < step.pathMs);
    this.#ready.splice(at < 0 ? this.#ready.length : at, 0, step);
  }

  #cached(step: RunStep, action: Action): void {
    const { result, made } = action;
    step.key = action.key;
    if (made.acceptedCode !== undefined) {
      // From now on it stands under its own key, and says which code made it.
      write(this.#project.database, () => {
        this.#project.actions.put({ ...action, id: step.instance.id, step: step.name });
      });
    }
    // A kill between taking the result in and this leaves the checkpoint of a finished step.
    if (this.#checkpoints.has(action.key) && !this.#leases.isTaken(action.key))
      this.#dropCheckpoint(step);
    this.#voice.say({ event: 'step-cached', step: step.name, result, made });
    this.#done(step, result);
  }

  #done(step: RunStep, result: StepResult): void {
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
      const idle = this.#running.size === 0 && this.#looking === 0 && this.#arrived.length === 0;
      const nothingLeft = this.#halted || (this.#ready.length === 0 && this.#held.size === 0);
      if (!idle || !nothingLeft || this.#isPumping()) return;
      clearTimeout(this.#pollTimer);
      this.#over.resolve(undefined);
    });
  }

  /** A call, since the flag may have been raised by what was just done. */
  #isPumping(): boolean {
    return this.#pumping;
  }

  #start(): void {
    if (this.#ready.length === 0) return;
    const { jobs } = this.#options;
    const cpu = Math.max(jobs, availableParallelism());
    const at = monotonicMs();
    const running = [...this.#running].map((step) => {
      const wants = wantsOf(step);
      const left = wants.expectedMs - (at - step.startedAt);
      return { ...wants, remainingMs: Math.max(wants.expectedMs / 10, left) };
    });
    // Two steps with one key are one piece of work: the second takes the first one's result.
    const keys = new Set([...this.#running].map((step) => step.key));
    const ready = this.#ready.slice(0, SCHEDULE_DEPTH).filter(({ key }) => {
      const first = !keys.has(key);
      keys.add(key);
      return first;
    });
    const limits = { cpu, memoryBytes: totalmem(), gpu: 1, jobs };
    const names = new Set(schedule(ready.map(wantsOf), running, limits));
    if (names.size === 0) return;
    this.#claim(ready.filter((step) => names.has(step.name)));
    if (this.#ready.length > 0 && this.#running.size < jobs) this.#pumpSoon();
  }

  #claim(steps: readonly RunStep[]): void {
    for (const [step, claim] of claimAll(this.#plan, this.#leases, steps)) {
      const at = this.#ready.indexOf(step);
      if (at >= 0) this.#ready.splice(at, 1);
      this.#claimed(step, claim);
    }
  }

  #claimed(step: RunStep, claim: Claim): void {
    const wasHeld = this.#held.delete(step);
    switch (claim.kind) {
      case 'run':
        this.#run(step);
        break;
      case 'done':
        this.#cached(step, claim.action);
        break;
      case 'look':
        this.#look(step);
        break;
      case 'held': {
        step.state = 'held';
        this.#held.add(step);
        const { name, key } = step;
        if (!wasHeld && key !== null)
          this.#voice.say({ event: 'step-waiting', step: name, key, holder: claim.run });
        this.#poll();
      }
    }
  }

  #poll(): void {
    clearTimeout(this.#pollTimer);
    this.#pollTimer = setTimeout(() => {
      if (this.#halted) return;
      this.#guard(() => {
        for (const [step, claim] of claimAll(this.#plan, this.#leases, [...this.#held])) {
          if (claim.kind !== 'run') {
            this.#claimed(step, claim);
            continue;
          }
          // Free: when it starts is for the scheduler to say.
          this.#held.delete(step);
          this.#release(step);
          this.#makeReady(step);
        }
      });
      this.#pumpSoon();
    }, LEASE_POLL_MS);
  }

  #run(step: RunStep): void {
    const { key, instance, name, reason } = step;
    if (key === null) throw new Error(`${name} has no key`);
    step.state = 'running';
    step.attempts += 1;
    step.startedAt = step.progressAt = monotonicMs();
    step.progressMs = 0;
    step.tail = [];
    this.#running.add(step);
    const resumed = hasProgress(join(this.#project.checkpointsDir, key));
    const { attempts } = step;
    this.#voice.say({ event: 'step-started', step: name, key, attempt: attempts, reason, resumed });
    this.#sequence += 1;
    const attempt = join(this.#options.run, String(this.#sequence));
    const digestOf = (port: string, index: number): ArtifactDigest | null =>
      this.#inputDigest(step, port, index);
    const spec = makeSpec(this.#plan, instance, key, digestOf, attempt);
    const request = { spec, weight: instance.definition.weight, timeoutMs: instance.timeoutMs };
    step.attempt = this.#executor.start(request, {
      message: (message) => {
        this.#voice.message(step, message);
      },
      output: (text) => {
        this.#voice.line(step, text);
      },
      done: (outcome) => {
        this.#guard(() => {
          this.#finished(step, outcome);
        });
        this.#pumpSoon();
      },
    });
  }

  #finished(step: RunStep, outcome: Outcome): void {
    const { key, fields, instance } = step;
    if (key === null || fields === null) throw new Error(`${step.name} has no key`);
    step.attempt = null;
    const durationMs = monotonicMs() - step.startedAt;
    if (outcome.kind === 'ok') {
      this.#arrived.push({ step, arrived: { instance, key, fields, result: outcome, durationMs } });
      return;
    }
    this.#running.delete(step);
    if (outcome.kind === 'interrupted' || (step.killed && outcome.kind === 'crashed'))
      this.#interrupted(step, durationMs);
    else this.#failed(step, failureOf(step, outcome), durationMs);
  }

  #release(step: RunStep): void {
    const { key } = step;
    if (key === null) return;
    write(this.#project.database, () => {
      this.#leases.release(key);
    });
  }

  #interrupted(step: RunStep, durationMs: number): void {
    step.state = 'interrupted';
    const kept = keptOf(step, this.#project.checkpointsDir);
    this.#voice.say({ event: 'step-interrupted', step: step.name, durationMs, ...kept });
    this.#release(step);
  }

  #failed(step: RunStep, failure: Failure, durationMs: number): void {
    const { name, attempts, instance } = step;
    const willRetry = !this.#halted && failure.reason !== 'storage' && attempts <= instance.retry;
    const kept = keptOf(step, this.#project.checkpointsDir);
    this.#voice.say({ event: 'step-failed', step: name, failure, durationMs, willRetry, ...kept });
    if (willRetry) {
      step.reason = `attempt ${attempts} failed`;
      this.#makeReady(step);
      return;
    }
    step.state = 'failed';
    this.#skip(step, name);
    const { onFailure } = this.#options;
    if (onFailure !== 'continue') this.#halt();
    if (onFailure === 'kill') for (const other of this.#running) this.#kill(other);
    this.#release(step);
  }

  #skip(step: RunStep, because: string): void {
    for (const other of step.follows) {
      if (other.state !== 'waiting') continue;
      other.state = 'skipped';
      this.#voice.say({ event: 'step-skipped', step: other.name, because });
      this.#skip(other, because);
    }
  }

  #halt(): void {
    this.#halted = true;
    clearTimeout(this.#pollTimer);
  }

  /** Takes in all results that are here, in one transaction. */
  #takeIn(): void {
    const batch = this.#arrived;
    if (batch.length === 0) return;
    this.#arrived = [];
    const results = batch.map(({ arrived }) => arrived);
    const accepted = acceptAll(this.#project, this.#leases, this.#options.run, results);
    for (const [index, { step, arrived }] of batch.entries()) {
      this.#running.delete(step);
      const answer = accepted[index];
      if (answer !== undefined) this.#answer(step, arrived.durationMs, answer);
    }
  }

  #answer(step: RunStep, durationMs: number, answer: Accepted): void {
    const { cacheDir } = this.#project;
    const { definition, params } = step.instance;
    if (answer.kind === 'refused') {
      const { error } = answer;
      const message = error instanceof Error ? error.message : String(error);
      const refused: Failure = { reason: 'error', code: 'E501', message, logTail: [...step.tail] };
      this.#failed(step, storageFailure(error, cacheDir) ?? refused, durationMs);
      return;
    }
    this.#dropCheckpoint(step);
    const { result } = answer;
    // An observation may differ each time; that is why the first one stands.
    const changed = definition.deterministic?.(params) === false ? null : answer.changed;
    if (changed !== null) this.#voice.changedOutput(step, changed);
    const extra = changed === null ? {} : { changedOutput: changed };
    this.#voice.say({ event: 'step-finished', step: step.name, result, durationMs, ...extra });
    this.#done(step, result);
  }

  #dropCheckpoint({ key }: RunStep): void {
    if (key === null) return;
    const folder = join(this.#project.checkpointsDir, key);
    if (existsSync(folder)) this.#removals.push(rm(folder, { recursive: true, force: true }));
  }

  #kill(step: RunStep): void {
    step.killed = true;
    step.attempt?.kill();
  }

  /** May be called again, and only gets harder. */
  stop(mode: StopMode): void {
    if (this.#stopMode === 'kill' || this.#stopMode === mode) return;
    this.#stopMode = mode;
    this.#halt();
    const running = [...this.#running];
    this.#voice.say({ event: 'run-stopping', mode, steps: running.map((step) => step.name) });
    for (const step of running) {
      const { attempt } = step;
      if (mode === 'kill') {
        this.#kill(step);
        continue;
      }
      attempt?.stop();
      const patience = Math.max(STOP_MS, 1.5 * step.progressMs);
      setTimeout(() => {
        if (step.attempt === attempt) this.#kill(step);
      }, patience).unref();
    }
    this.#pumpSoon();
  }

  /** Files can't be written: what is finished stays in the cache, nothing new starts. */
  storageBroke(error: unknown, folder?: string): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#halt();
    this.#voice.storage(error, folder);
    this.#pumpSoon();
  }
}
