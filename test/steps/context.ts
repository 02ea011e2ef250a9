// A StepContext on plain folders, to run one step's code without an engine. Records what the step reports.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type {
  InputArtifact,
  StepContext,
  StepDefinition,
  StepProgress,
} from '../../engine/step.ts';
import type { ArtifactKind } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import type { ReportBlock } from '../../schemas/report-block.ts';
import { scratchFolder } from '../scratch.ts';

const sha256 = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');

/** An artifact that lies in a folder. `referenced`: further files by name that lie elsewhere. */
export const folderArtifact = (
  kind: ArtifactKind,
  folder: string,
  referenced: Readonly<Record<string, string>> = {},
  label: string | null = null,
): InputArtifact => {
  const own = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  const paths = new Map(own.map((name) => [name, join(folder, name)]));
  for (const [name, path] of Object.entries(referenced)) paths.set(name, path);
  const names = [...paths.keys()].sort();
  const file = (name: string): string => {
    const path = paths.get(name);
    if (path === undefined) throw new Error(`no file ${name} among ${names.join(', ')}`);
    return path;
  };
  const digest = createHash('sha256');
  for (const name of names) digest.update(`${name}\0${sha256(file(name))}\0`);
  return {
    kind,
    digest: digest.digest('hex'),
    label,
    names,
    file,
    sha256: (name) => sha256(file(name)),
  };
};

export interface StepRun {
  readonly context: StepContext;
  /** Root of everything the run wrote; outputs are in `outputs/<name>`. */
  readonly root: string;
  readonly reports: ReportBlock[];
  readonly gates: { readonly expression: string; readonly holds: boolean }[];
  readonly measurements: Map<string, number>;
  readonly warnings: string[];
  readonly logs: string[];
  readonly progress: StepProgress[];
  /** The output as an input for the next step. */
  output(name: string, kind: ArtifactKind, label?: string | null): InputArtifact;
  dispose(): void;
}

export interface StepRunOptions {
  readonly params?: JsonObject;
  readonly inputs?: Readonly<Record<string, InputArtifact | readonly InputArtifact[]>>;
  /** What the lock holds for the step's requests to a hub. */
  readonly hub?: StepContext['hub'];
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Keeps checkpoints and the journal of an earlier run: what a resumed attempt finds. */
  readonly resume?: StepRun;
  /** A folder for derived files that other runs use too. */
  readonly derived?: string;
  readonly onProgress?: (progress: StepProgress) => void;
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fills defaults of a parameter schema, objects within objects too. */
export const withDefaults = (schema: JsonObject, params: JsonObject): JsonObject => {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const filled: Record<string, JsonObject[string]> = { ...params };
  for (const [name, property] of Object.entries(properties)) {
    if (!isObject(property)) continue;
    const value = filled[name] ?? property['default'];
    if (value === undefined) continue;
    filled[name] = isObject(value) ? withDefaults(property, value) : value;
  }
  return filled;
};

export const prepareStep = (step: StepDefinition, options: StepRunOptions = {}): StepRun => {
  const root = scratchFolder('step');
  const kept = options.resume?.root ?? root;
  const folderOf = (base: string, ...parts: string[]): string => {
    const folder = join(base, ...parts);
    mkdirSync(folder, { recursive: true });
    return folder;
  };
  const references = new Map<string, Record<string, string>>();
  const inputs = options.inputs ?? {};
  const listOf = (port: string): readonly InputArtifact[] => {
    const value = inputs[port];
    if (value === undefined) return [];
    return Array.isArray(value) ? (value as readonly InputArtifact[]) : [value as InputArtifact];
  };
  const one = (port: string): InputArtifact | null => listOf(port)[0] ?? null;
  const run: Omit<StepRun, 'context'> = {
    root,
    reports: [],
    gates: [],
    measurements: new Map(),
    warnings: [],
    logs: [],
    progress: [],
    output: (name, kind, label = null) =>
      folderArtifact(kind, folderOf(root, 'outputs', name), references.get(name) ?? {}, label),
    dispose: () => rmSync(root, { recursive: true, force: true }),
  };
  const context: StepContext = {
    params: withDefaults(step.params, options.params ?? {}),
    input: (port) => {
      const artifact = one(port);
      if (artifact === null) throw new Error(`no input ${port}`);
      return artifact;
    },
    optionalInput: one,
    inputs: listOf,
    output: (name) => ({
      folder: folderOf(root, 'outputs', name),
      reference: async (file, path, digest) => {
        references.set(name, { ...references.get(name), [file]: path });
        return { size: statSync(path).size, sha256: digest ?? sha256(path) };
      },
    }),
    hub: options.hub ?? [],
    seed: options.seed ?? 42,
    signal: options.signal ?? new AbortController().signal,
    threads: 2,
    scratch: folderOf(root, 'scratch'),
    derived: options.derived ?? folderOf(kept, 'derived'),
    checkpoint: {
      load: () => {
        const path = join(kept, 'checkpoint');
        return readdirSync(kept).includes('checkpoint') ? path : null;
      },
      save: async (write) => {
        const next = folderOf(kept, 'checkpoint.next');
        await write(next);
        rmSync(join(kept, 'checkpoint'), { recursive: true, force: true });
        renameSync(next, join(kept, 'checkpoint'));
      },
      journal: join(kept, 'journal.jsonl'),
    },
    progress: (progress) => {
      run.progress.push(progress);
      options.onProgress?.(progress);
    },
    measure: (name, value) => void run.measurements.set(name, value),
    report: (block) => void run.reports.push(block),
    gate: (expression, holds) => void run.gates.push({ expression, holds }),
    log: (text) => void run.logs.push(text),
    warn: (text) => void run.warnings.push(text),
  };
  return { ...run, context };
};

/** Runs the step to its end. */
export const runStep = async (
  step: StepDefinition,
  options: StepRunOptions = {},
): Promise<StepRun> => {
  const prepared = prepareStep(step, options);
  await step.run(prepared.context);
  return prepared;
};
