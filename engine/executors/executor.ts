// What every executor is to the coordinator. `local` starts processes here; a cluster submits spec.json and polls.

import type { AttemptResult, FromWorker, StepSpec } from '../protocol.ts';

export type Outcome =
  | AttemptResult
  | { readonly kind: 'crashed'; readonly signal: string | null; readonly exitCode: number | null }
  | { readonly kind: 'timeout'; readonly timeoutMs: number };

export interface AttemptRequest {
  readonly spec: StepSpec;
  readonly weight: 'light' | 'model';
  readonly timeoutMs: number | null;
}

export interface RunningAttempt {
  /** Asks the step to checkpoint and stop. */
  stop(): void;
  /** Ends it and everything it started, now. */
  kill(): void;
}

export type AttemptMessage = Exclude<FromWorker, { readonly kind: 'result' | 'described' }>;

export interface AttemptListener {
  message(message: AttemptMessage): void;
  /** Text that reached a standard stream past the step's own log (native libraries, a crash). */
  output(text: string): void;
  /** Called once. */
  done(outcome: Outcome): void;
}

export interface Executor {
  start(request: AttemptRequest, listener: AttemptListener): RunningAttempt;
  /** Ends idle workers, and kills the others. */
  close(): void;
}
