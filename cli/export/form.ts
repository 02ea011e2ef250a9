// What the forms of `mesa export` share: what is exported, where to, and how what was written is told.

import type { Project } from '../../engine/project.ts';
import type { Result } from '../../engine/result.ts';
import type { FoundArtifact, Missing } from '../results.ts';

export interface ExportRequest {
  readonly project: Project;
  /** As typed: `last/adapter`. */
  readonly name: string;
  readonly found: FoundArtifact;
  /** Exists and is empty. */
  readonly folder: string;
  /** `--base`, for adapters whose model the record doesn't know. */
  readonly base: string | undefined;
}

export interface Exported {
  /** Relative to the folder. */
  readonly files: readonly string[];
  /** What a person should know about the result. */
  readonly notes: readonly string[];
}

export type Exporter = (request: ExportRequest) => Promise<Result<Exported, Missing>>;
