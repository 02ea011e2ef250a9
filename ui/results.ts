// What the result table is made from: the documents of a run's scores and comparisons, already read.
// The command line gathers them; nothing here knows where they lie.

import type { ComparisonDocument, ScoresDocument } from '../schemas/artifact.ts';
import type { Measurement } from '../schemas/event.ts';

export interface ScoresResult {
  /** Instance name. */
  readonly step: string;
  readonly document: ScoresDocument;
}

export interface ComparisonResult {
  readonly step: string;
  readonly document: ComparisonDocument;
  /** The scores that were compared, where they could be read: for ± and for chance levels. */
  readonly baseline: ScoresResult | null;
  /** By the label that `PairedComparison.candidate` names. */
  readonly candidates: readonly {
    readonly label: string | null;
    readonly step: string;
    readonly document: ScoresDocument | null;
  }[];
}

export interface Effort {
  readonly step: string;
  readonly durationMs: number;
  readonly measurements: readonly Measurement[];
  /** Taken in an earlier run, and shown as such. */
  readonly cached: boolean;
}

export interface RunResults {
  readonly comparisons: readonly ComparisonResult[];
  /** Scores that no comparison shows. */
  readonly scores: readonly ScoresResult[];
  readonly efforts: readonly Effort[];
}
