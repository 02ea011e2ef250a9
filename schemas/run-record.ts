// runs/<id>/record.json: enough to show and compare the run later, without the cache.
// Written when the run ends, and made again from events.jsonl where a run was killed.

import type { Failure, PlannedStep, Provenance, StepResult } from './event.ts';
import type { Json, JsonObject } from './json.ts';

export interface RunStepRecord {
  readonly step: string;
  readonly id: string;
  readonly uses: string;
  readonly axes: Readonly<Record<string, Json>>;
  readonly params: JsonObject;
  readonly seed: number | null;
  /** port -> `step.output` instance names, in order. */
  readonly inputs: Readonly<Record<string, readonly string[]>>;
  readonly state: 'cached' | 'ran' | 'failed' | 'skipped' | 'interrupted' | 'not-started';
  readonly planned: PlannedStep['status'];
  readonly result?: StepResult;
  readonly made?: Provenance;
  readonly failure?: Failure;
  readonly startedAt?: number;
  readonly durationMs?: number;
}

export interface RunRecord {
  readonly schemaVersion: 1;
  readonly run: string;
  readonly name: string;
  readonly file: string;
  readonly mesaVersion: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly status: 'ok' | 'failed' | 'gate-failed' | 'interrupted' | 'killed';
  /** The experiment after `extends`, `--set` and references. */
  readonly resolved: JsonObject;
  /** Where values came from that the file didn't say: `{ "/seed": "--seed" }`. */
  readonly origins: Readonly<Record<string, string>>;
  readonly environment: {
    readonly node: string;
    readonly platform: string;
    readonly arch: string;
    readonly cpu: string;
    readonly threads: number;
    readonly runtime: string;
  };
  readonly steps: readonly RunStepRecord[];
}
