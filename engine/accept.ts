// A worker's result -> the cache: objects first, then the rows, in one transaction for all results at hand.

import type { OutputRecord, Provenance, StepResult } from '../schemas/event.ts';
import { now } from './clock.ts';
import { write } from './database.ts';
import type { StepInstance } from './experiment.ts';
import type { KeyFields, StepKey } from './key.ts';
import type { Leases } from './lease.ts';
import { makeManifest, type Manifest } from './manifest.ts';
import { numericsClass } from './numerics.ts';
import type { Project } from './project.ts';
import type { AttemptResult } from './protocol.ts';

export interface Arrived {
  readonly instance: StepInstance;
  readonly key: StepKey;
  readonly fields: KeyFields;
  readonly result: Extract<AttemptResult, { readonly kind: 'ok' }>;
  readonly durationMs: number;
}

export type Accepted =
  | {
      readonly kind: 'accepted';
      readonly result: StepResult;
      /** First file that differs from an earlier result of the same key and numerics class. */
      readonly changed: string | null;
    }
  | { readonly kind: 'refused'; readonly error: unknown };

const firstChange = (
  project: Project,
  before: StepResult,
  after: ReadonlyMap<string, Manifest>,
): string | null => {
  for (const output of before.outputs) {
    const manifest = after.get(output.name);
    if (manifest === undefined || manifest.digest === output.digest) continue;
    const old = project.objects.manifest(output.digest as Manifest['digest']);
    const known = new Map(old?.files.map((file) => [file.name, file.digest]));
    const file = manifest.files.find((each) => known.get(each.name) !== each.digest);
    return `${output.name}/${file?.name ?? ''}`;
  }
  return null;
};

const acceptOne = (project: Project, leases: Leases, run: string, arrived: Arrived): Accepted => {
  const { instance, key, fields, result } = arrived;
  const manifests = new Map<string, Manifest>();
  const outputs: OutputRecord[] = [];
  for (const { name, kind, files } of result.outputs) {
    const manifest = makeManifest(files);
    project.objects.ingest(manifest, files);
    manifests.set(name, manifest);
    outputs.push({ name, kind, digest: manifest.digest, bytes: manifest.bytes });
  }
  const ownProcess = instance.definition.weight === 'model';
  const peak = { name: 'peak_memory', value: result.peakBytes, unit: 'bytes' };
  const stepResult: StepResult = {
    key,
    outputs,
    measurements: ownProcess ? [...result.measurements, peak] : result.measurements,
    report: result.report,
    gates: result.gates,
  };
  const made: Provenance = {
    run,
    finishedAt: new Date(now()).toISOString(),
    durationMs: arrived.durationMs,
    numericsClass: numericsClass(fields.numerics),
  };
  const before = project.actions.get(key, made.numericsClass, true);
  project.actions.put({
    key,
    fields,
    result: stepResult,
    made,
    peakBytes: ownProcess ? result.peakBytes : null,
    id: instance.id,
    step: instance.name,
  });
  leases.release(key);
  const changed = before === null ? null : firstChange(project, before.result, manifests);
  return { kind: 'accepted', result: stepResult, changed };
};

/**
 * Takes results in. A result whose files can't be taken in is refused and the others stand; where the transaction
 * itself fails (disk full), all are refused.
 */
export const acceptAll = (
  project: Project,
  leases: Leases,
  run: string,
  arrivals: readonly Arrived[],
): readonly Accepted[] => {
  try {
    return write(project.database, () =>
      arrivals.map((arrived): Accepted => {
        try {
          return acceptOne(project, leases, run, arrived);
        } catch (error) {
          // An error of SQLite leaves the transaction in doubt: all or nothing.
          if ((error as NodeJS.ErrnoException).code?.startsWith('SQLITE_') === true) throw error;
          return { kind: 'refused', error };
        }
      }),
    );
  } catch (error) {
    return arrivals.map(() => ({ kind: 'refused', error }));
  }
};
