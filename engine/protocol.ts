// What a coordinator and a worker say to each other: JSON lines, the worker's standard input one way, its file
// descriptor 3 the other. The same StepSpec and AttemptResult are files (spec.json, result.json) on a cluster.

import type { ArtifactKind } from '../schemas/artifact.ts';
import type { Failure, GateRecord, Measurement } from '../schemas/event.ts';
import type { Json, JsonObject, JsonSchema } from '../schemas/json.ts';
import type { ReportBlock } from '../schemas/report-block.ts';
import type { ContentDigest, Stamp } from './digest.ts';
import type { ProducedFile } from './object-store.ts';
import type { Complaint, HubFiles, InputPort } from './step.ts';

export interface SpecInput {
  readonly port: string;
  readonly kind: ArtifactKind;
  readonly digest: ContentDigest;
  readonly label: string | null;
  readonly files: readonly {
    readonly name: string;
    readonly path: string;
    readonly digest: ContentDigest;
  }[];
}

/** Everything an attempt needs to know. */
export interface StepSpec {
  readonly schemaVersion: 1;
  /** Unique in the cache: late words of a former attempt are not taken for this one's. */
  readonly attempt: string;
  readonly step: string;
  readonly uses: string;
  /** Absolute path of a plugin's module, else null. */
  readonly plugin: string | null;
  readonly params: JsonObject;
  readonly seed: number;
  readonly threads: number;
  readonly inputs: readonly SpecInput[];
  /** What the lock holds for the step's requests to a hub, in their order. */
  readonly hub: readonly HubFiles[];
  readonly outputs: Readonly<Record<string, ArtifactKind>>;
  /** The attempt's own folder; all that it writes but checkpoints. */
  readonly folder: string;
  readonly checkpoint: string;
  readonly derived: string;
  /** Files whose digest is known as long as they have this stamp. */
  readonly known: readonly {
    readonly path: string;
    readonly stamp: Stamp;
    readonly digest: ContentDigest;
  }[];
}

export interface ProducedOutput {
  readonly name: string;
  readonly kind: ArtifactKind;
  readonly files: readonly ProducedFile[];
}

export type AttemptResult =
  | {
      readonly kind: 'ok';
      readonly outputs: readonly ProducedOutput[];
      readonly measurements: readonly Measurement[];
      readonly report: readonly ReportBlock[];
      readonly gates: readonly GateRecord[];
      /** Peak resident memory of the process; it means the step only where the process ran nothing else. */
      readonly peakBytes: number;
    }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'interrupted' };

/** The description of a plugin: what of its definition is data. */
export interface PluginDescription {
  readonly name: string;
  readonly version: number;
  readonly summary: string;
  readonly params: JsonSchema;
  readonly inputs: Readonly<Record<string, InputPort>>;
  readonly weight: 'light' | 'model';
}
/** What of a plugin's definition depends on parameters. */
export interface PluginAnswers {
  readonly outputs: Readonly<Record<string, ArtifactKind>>;
  readonly usesSeed: boolean;
  readonly deterministic: boolean;
  readonly device: string | null;
  readonly check: readonly Complaint[];
}

export type ToWorker =
  | { readonly kind: 'run'; readonly spec: StepSpec }
  | { readonly kind: 'stop'; readonly attempt: string }
  /** Answered with PluginDescription, or with PluginAnswers where parameters are given. */
  | {
      readonly kind: 'describe';
      readonly id: number;
      readonly module: string;
      readonly params: JsonObject | null;
    };

export type FromWorker =
  | {
      readonly kind: 'progress';
      readonly attempt: string;
      readonly unit: string;
      readonly done: number;
      readonly total: number | null;
      readonly values?: Readonly<Record<string, number>>;
      readonly note?: string;
    }
  | {
      readonly kind: 'log';
      readonly attempt: string;
      readonly level: 'info' | 'warning';
      readonly text: string;
    }
  | { readonly kind: 'checkpoint'; readonly attempt: string; readonly note: string }
  | { readonly kind: 'result'; readonly attempt: string; readonly result: AttemptResult }
  | {
      readonly kind: 'described';
      readonly id: number;
      readonly answer: Json;
      readonly error: string | null;
    };
