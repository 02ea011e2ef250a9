// An artifact of a run, ready to be read: for cat, export, show and compare.

import type { ArtifactKind } from '../schemas/artifact.ts';
import type { ArtifactDigest } from './manifest.ts';
import { artifactOfRun } from './plan.ts';
import type { Project } from './project.ts';
import { err, ok, type Result } from './result.ts';
import { readRun } from './run-store.ts';

export interface StoredArtifact {
  readonly kind: ArtifactKind;
  readonly digest: ArtifactDigest;
  /** Verified files, by name. */
  readonly files: readonly {
    readonly name: string;
    readonly size: number;
    readonly path: string;
  }[];
}

/** `run` may be `last`; `output` null is the step's first. The error says what is missing. */
export const readArtifact = async (
  project: Project,
  run: string,
  step: string,
  output: string | null,
): Promise<Result<StoredArtifact, string>> => {
  const digest = await artifactOfRun(project, run, step, output);
  if (!digest.ok) return digest;
  const outputs = readRun(project.runsDir, run)?.steps.find((each) => each.step === step)?.result
    ?.outputs;
  const kind = outputs?.find((each) => each.digest === digest.value)?.kind;
  const manifest = project.objects.manifest(digest.value);
  if (kind === undefined || manifest === null)
    return err(`${run}/${step} is no longer in the cache`);
  const files = manifest.files.map(({ name, size, digest: content }) => {
    const path = project.objects.locate(content);
    if (path === null) throw new Error(`${name} was not verified`);
    return { name, size, path };
  });
  return ok({ kind, digest: digest.value, files });
};
