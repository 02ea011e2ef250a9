// The public interface of a step type: what built-in steps and plugins implement, and all they may use of the engine.
// It knows nothing of caches, processes or plans.

import type { ArtifactKind } from '../schemas/artifact.ts';
import type { JsonObject, JsonSchema } from '../schemas/json.ts';
import type { ReportBlock } from '../schemas/report-block.ts';

/** Milliseconds since an arbitrary origin, monotonic. For measurements and progress; never for what is written. */
export { monotonicMs } from './clock.ts';

export interface InputPort {
  /** Kinds the port takes; more than one where a step reads several (score: predictions or dataset). */
  readonly kind: ArtifactKind | readonly ArtifactKind[];
  /** Takes an ordered list of artifacts (`x[*]`, or a YAML list). */
  readonly many?: boolean;
  readonly optional?: boolean;
}

/**
 * Files that a step takes from a repository of a hub. They are pinned in mesa.lock.json before anything is planned, so
 * that the key knows their content without a download; the step gets them as `context.hub`.
 */
export interface HubRequest {
  readonly type: 'model' | 'dataset';
  readonly id: string;
  /** As asked for: a branch, a tag or a commit. */
  readonly revision: string;
  /** Which of the repository's files, where steps may take different ones (a split, a GGUF's name); else empty. */
  readonly part: string;
  /** Paths of the files that are needed, or the revision that has them instead. What can't be is a StepError. */
  select(repository: HubRepository): Promise<readonly string[] | { readonly instead: string }>;
}

export interface HubRepository {
  /** Of all its files. */
  readonly paths: readonly string[];
  /** The text of a small file. */
  read(path: string): Promise<string>;
}

/** What a request was pinned to. */
export interface HubFiles {
  readonly type: 'model' | 'dataset';
  readonly id: string;
  /** A commit. */
  readonly revision: string;
  readonly part?: string;
  readonly files: readonly {
    readonly path: string;
    readonly size: number;
    readonly sha256: string;
  }[];
}

/** What a step type has to say about parameters. */
export interface Complaint {
  /** JSON pointer of the parameter; '' for none. */
  readonly pointer: string;
  readonly message: string;
  readonly hint?: string;
  /** The experiment runs all the same (default: it doesn't). For what has no effect with the other parameters. */
  readonly warning?: boolean;
}

export interface StepDefinition {
  /** The `uses` name. */
  readonly name: string;
  /** Raised by the author whenever the same inputs and parameters may give other bytes. Part of every key. */
  readonly version: number;
  /** One line, for `mesa steps`. */
  readonly summary: string;
  /**
   * JSON Schema (draft-07, an object) of `with`. Defaults are filled from it. Extra annotations on a property:
   * - `x-mesa-effect: "none"`: no effect on bytes, left out of the key;
   * - `x-mesa-path: "file" | "folder" | "any" | "glob"`: a path (or list of paths) relative to the YAML file;
   *   the key holds name and digest of what it points to, not the path.
   */
  readonly params: JsonSchema;
  readonly inputs: Readonly<Record<string, InputPort>>;
  /** Output names and kinds; the first is the one an edge without `.name` means. `rows`/`model`/... by convention. */
  outputs(params: JsonObject): Readonly<Record<string, ArtifactKind>>;
  /** Whether the seed changes the bytes (default: no). Where it doesn't, the key has none. */
  usesSeed?(params: JsonObject): boolean;
  /** Whether the same key gives the same bytes (default: yes). Otherwise results are observations (design.md 3). */
  deterministic?(params: JsonObject): boolean;
  /** The compute device the step uses, `auto` already resolved by it; null where no numerics are involved (default). */
  device?(params: JsonObject): string | null;
  /** What the step takes from a hub with these parameters (default: nothing). Not for plugins. */
  hub?(params: JsonObject): readonly HubRequest[];
  /**
   * Further checks that a schema can't express. `inputs`: the ports that are given, for those that only some
   * parameters need (plugins aren't told).
   */
  check?(params: JsonObject, inputs?: readonly string[]): readonly Complaint[];
  /** `light` steps share warm workers; a `model` step gets a process and, unless it says less, all cores. */
  readonly weight: 'light' | 'model';
  run(context: StepContext): Promise<void>;
}

export interface InputArtifact {
  readonly kind: ArtifactKind;
  /** SHA-256 of the artifact's manifest: its identity. */
  readonly digest: string;
  /** Matrix label of a gathered input (`r=8`), else null. */
  readonly label: string | null;
  /** Relative names of the artifact's files, sorted. */
  readonly names: readonly string[];
  /** Absolute path of one file, to be read only. The bytes may lie in the object store or where the user keeps them. */
  file(name: string): string;
  /** SHA-256 (hex) of one file. */
  sha256(name: string): string;
}

export interface OutputArtifact {
  /** The folder to write files into. Complete when `run` returns. */
  readonly folder: string;
  /**
   * Makes an existing file part of the artifact without copying it (weights). Its digest and size identify it;
   * where it lies does not. `sha256` may be left out: it is then computed, or taken from what is known of the file.
   */
  reference(
    name: string,
    path: string,
    sha256?: string,
  ): Promise<{ readonly size: number; readonly sha256: string }>;
}

export interface StepProgress {
  /** What is being done, as a short word: `step`, `rows`, `tokens`, `bytes`. */
  readonly unit: string;
  readonly done: number;
  readonly total: number | null;
  /** Numbers worth watching: `loss`, `grad_norm`, `learning_rate`, `tokens_per_second`. */
  readonly values?: Readonly<Record<string, number>>;
  /** A few words where numbers don't say it ("loading weights"). */
  readonly note?: string;
}

export interface StepContext {
  /** Validated, defaults filled. Paths are absolute. */
  readonly params: JsonObject;
  /** The artifact of a port that takes one; throws if it is absent. */
  input(port: string): InputArtifact;
  optionalInput(port: string): InputArtifact | null;
  /** The artifacts of a port that takes many, in the order of the experiment file. */
  inputs(port: string): readonly InputArtifact[];
  output(name: string): OutputArtifact;
  /** What `hub` of the definition asked for, in its order. */
  readonly hub: readonly HubFiles[];
  /** The step's seed. Randomness comes from counter-based generators keyed by it (random/). */
  readonly seed: number;
  /** Aborted when the step shall checkpoint and stop; `run` then throws `signal.reason`. */
  readonly signal: AbortSignal;
  /** How many threads the step may use. */
  readonly threads: number;
  /** A folder for temporary files; gone after the attempt. */
  readonly scratch: string;
  /**
   * A folder shared by all steps of the cache for files derived from content alone (a checkpoint repacked for the
   * runtime). Named by digest and layout version, made under a temporary name and renamed; may be deleted any time.
   */
  readonly derived: string;
  readonly checkpoint: {
    /** Folder of the newest complete checkpoint of this very key, or null. */
    load(): string | null;
    /** Calls `write` with an empty folder; the folder replaces the former checkpoint only when all of it is on disk. */
    save(write: (folder: string) => void | Promise<void>): Promise<void>;
    /**
     * Path of a journal file kept across attempts of this key (append-only rows for generate and score).
     * Cut back to the last complete line before `run` is called.
     */
    readonly journal: string;
  };
  progress(progress: StepProgress): void;
  /**
   * A measurement (time, tokens/s, bytes): recorded with the run, never in artifacts or keys. Of several with one name
   * the last counts.
   */
  measure(name: string, value: number, unit: string): void;
  /** What a person should see of the result. A pure function of the artifact: shown again on a cache hit. */
  report(block: ReportBlock): void;
  /** A gate: false makes the run exit 1 although the step is finished and cached. */
  gate(expression: string, holds: boolean): void;
  log(text: string): void;
  warn(text: string): void;
}

/** A failure that the step foresaw: shown to the user as it is, without a stack trace. */
export class StepError extends Error {
  override readonly name = 'StepError';
  /** `E5xx`. */
  readonly code: string;
  readonly hint: string | undefined;
  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** Identity function that checks the definition's type. */
export const defineStep = (definition: StepDefinition): StepDefinition => definition;

/** How the engine finds step types without knowing any by name. */
export interface StepRegistry {
  get(name: string): StepDefinition | undefined;
  readonly names: readonly string[];
}
