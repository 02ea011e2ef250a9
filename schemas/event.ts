// Everything a run says: one union, appended to runs/<id>/events.jsonl and consumed by screens, records and reports.
// Additive changes only; `schemaVersion` in the first event changes otherwise.

import type { ArtifactKind } from './artifact.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { Json } from './json.ts';
import type { ReportBlock } from './report-block.ts';

export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

export interface OutputRecord {
  readonly name: string;
  readonly kind: ArtifactKind;
  /** SHA-256 of the artifact's manifest. */
  readonly digest: string;
  readonly bytes: number;
}

export interface GateRecord {
  readonly expression: string;
  readonly holds: boolean;
}

/** Where and when a cached result was made. */
export interface Provenance {
  readonly run: string;
  /** ISO 8601, UTC. */
  readonly finishedAt: string;
  readonly durationMs: number;
  /** Numerics class: runtime, device, architecture; null for steps without numerics. */
  readonly numericsClass: string | null;
  /** The code it was made with, where `--accept code` took it for a step whose code has changed since. */
  readonly acceptedCode?: string;
}

export interface StepResult {
  readonly key: string;
  readonly outputs: readonly OutputRecord[];
  readonly measurements: readonly Measurement[];
  readonly report: readonly ReportBlock[];
  readonly gates: readonly GateRecord[];
}

export type PlannedStatus =
  | { readonly kind: 'fresh'; readonly key: string }
  | { readonly kind: 'stale'; readonly key: string; readonly reason: string }
  | { readonly kind: 'depends'; readonly on: readonly string[] };

export interface PlannedStep {
  /** Instance name: `adapter[r=8,train_on=all]`. */
  readonly step: string;
  /** The step's id in the file: `adapter`. */
  readonly id: string;
  readonly uses: string;
  readonly axes: Readonly<Record<string, Json>>;
  /** Instance names this one waits for. */
  readonly after: readonly string[];
  readonly status: PlannedStatus;
  readonly expectedMs: number | null;
  readonly expectedBytes: number | null;
}

export type Failure =
  | {
      readonly reason: 'error';
      readonly code: string;
      readonly message: string;
      readonly hint?: string;
      readonly logTail: readonly string[];
    }
  | {
      readonly reason: 'crashed';
      readonly signal: string | null;
      readonly exitCode: number | null;
      readonly logTail: readonly string[];
    }
  | { readonly reason: 'timeout'; readonly timeoutMs: number; readonly logTail: readonly string[] }
  | { readonly reason: 'storage'; readonly message: string; readonly hint?: string };

interface At {
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export type RunEvent = At &
  (
    | {
        readonly event: 'run-started';
        readonly schemaVersion: 1;
        readonly run: string;
        readonly name: string;
        /** As typed by the user, relative to the working directory. */
        readonly file: string;
        readonly mesaVersion: string;
        readonly jobs: number;
        readonly steps: readonly PlannedStep[];
      }
    | {
        readonly event: 'step-cached';
        readonly step: string;
        readonly result: StepResult;
        readonly made: Provenance;
      }
    | {
        readonly event: 'step-started';
        readonly step: string;
        readonly key: string;
        readonly attempt: number;
        readonly reason: string;
        readonly resumed: boolean;
      }
    | {
        readonly event: 'step-progress';
        readonly step: string;
        readonly unit: string;
        readonly done: number;
        readonly total: number | null;
        readonly values?: Readonly<Record<string, number>>;
        readonly note?: string;
      }
    | {
        readonly event: 'step-log';
        readonly step: string;
        readonly level: 'info' | 'warning';
        readonly text: string;
      }
    | {
        readonly event: 'step-waiting';
        readonly step: string;
        readonly key: string;
        readonly holder: string;
      }
    | { readonly event: 'checkpoint-saved'; readonly step: string; readonly note: string }
    | {
        readonly event: 'step-finished';
        readonly step: string;
        readonly result: StepResult;
        readonly durationMs: number;
        readonly changedOutput?: string;
      }
    | {
        readonly event: 'step-failed';
        readonly step: string;
        readonly failure: Failure;
        readonly durationMs: number;
        readonly willRetry: boolean;
        readonly kept?: string;
      }
    | { readonly event: 'step-skipped'; readonly step: string; readonly because: string }
    | {
        readonly event: 'step-interrupted';
        readonly step: string;
        readonly durationMs: number;
        readonly kept?: string;
      }
    | {
        readonly event: 'cache-damaged';
        readonly step: string;
        readonly object: string;
        readonly message: string;
      }
    | { readonly event: 'warning'; readonly diagnostic: Diagnostic }
    | {
        readonly event: 'run-stopping';
        readonly mode: 'checkpoint' | 'kill';
        readonly steps: readonly string[];
      }
    | {
        readonly event: 'run-finished';
        readonly status: 'ok' | 'failed' | 'gate-failed' | 'interrupted';
        readonly ran: number;
        readonly cached: number;
        readonly failed: number;
        readonly skipped: number;
        readonly durationMs: number;
      }
  );

export type EventOf<Name extends RunEvent['event']> = Extract<RunEvent, { readonly event: Name }>;
