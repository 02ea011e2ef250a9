// The checked experiment: what analysis makes of the documents, and the only thing a plan is made from.
// Every reference is resolved, the matrix is expanded, each edge is of the right kind, and there is no cycle.

import type { ArtifactKind } from '../schemas/artifact.ts';
import type { Diagnostic, Location } from '../schemas/diagnostic.ts';
import type { Json, JsonObject } from '../schemas/json.ts';
import type { StepDefinition } from './step.ts';

/** `adapter[r=8,train_on=all]`, or `adapter` for a step without axes. */
export type InstanceName = string & { readonly __brand: 'InstanceName' };

export type InputEdge =
  | {
      readonly kind: 'step';
      readonly from: InstanceName;
      readonly output: string;
      readonly artifact: ArtifactKind;
      /** Label of a gathered edge (`r=8`), null for a plain one. */
      readonly label: string | null;
    }
  /** `run:k7q2/scores`: a result of an earlier run, looked up when planned. */
  | {
      readonly kind: 'run';
      readonly run: string;
      readonly step: string;
      readonly output: string | null;
      readonly label: string | null;
      readonly location: Location;
    };

export interface StepInstance {
  readonly name: InstanceName;
  readonly id: string;
  readonly uses: string;
  readonly definition: StepDefinition;
  /** Step types of the user's own: absolute path of the module, else null. */
  readonly plugin: string | null;
  readonly axes: Readonly<Record<string, Json>>;
  /** References resolved, defaults filled, paths absolute, checked against the schema. */
  readonly params: JsonObject;
  readonly inputs: Readonly<Record<string, readonly InputEdge[]>>;
  /** Order without data. */
  readonly needs: readonly InstanceName[];
  readonly outputs: Readonly<Record<string, ArtifactKind>>;
  readonly seed: number;
  readonly resources: {
    readonly cpu: number | null;
    readonly memoryBytes: number | null;
    readonly gpu: number;
  };
  readonly timeoutMs: number | null;
  readonly retry: number;
  readonly cache: boolean;
  readonly executor: 'local' | 'slurm';
  /** Where the step's id stands. */
  readonly location: Location;
}

export interface Experiment {
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  /** Project root (design.md 2). */
  readonly root: string;
  readonly seed: number;
  /** Topological order; of steps that could go in either order, that of the file. */
  readonly instances: readonly StepInstance[];
  readonly byName: ReadonlyMap<InstanceName, StepInstance>;
  readonly resolved: JsonObject;
  /** JSON pointer -> where the value came from, for values that the file itself doesn't hold. */
  readonly origins: Readonly<Record<string, string>>;
  readonly warnings: readonly Diagnostic[];
}
