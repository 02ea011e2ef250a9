// The StepContext that a worker gives to `run`: where a step's files come from and go to, and how it is heard.
// It knows neither processes nor the cache; everything it needs is in the spec.

import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { GateRecord, Measurement } from '../schemas/event.ts';
import type { ReportBlock } from '../schemas/report-block.ts';
import {
  journalPath,
  loadCheckpoint,
  repairCheckpoints,
  saveCheckpoint,
} from './checkpoint-folder.ts';
import { monotonicMs } from './clock.ts';
import { asDigest, hashFile, isDigest, stampOf } from './digest.ts';
import { isSafeName } from './manifest.ts';
import { seenOf, type ProducedFile } from './object-store.ts';
import type { FromWorker, SpecInput, StepSpec } from './protocol.ts';
import type { InputArtifact, OutputArtifact, StepContext, StepProgress } from './step.ts';

/** What a step said and made besides the files in its folders. */
export interface Collected {
  /** By name. */
  readonly measurements: Map<string, Measurement>;
  readonly report: ReportBlock[];
  readonly gates: GateRecord[];
  /** By output. */
  readonly referenced: Map<string, ProducedFile[]>;
  /** Says the last progress that was held back. */
  flush(): void;
}

/** A progress line at most every 40 ms: screens draw ten times a second. */
const PROGRESS_MS = 40;

const inputArtifact = (input: SpecInput): InputArtifact => {
  const files = new Map(input.files.map((file) => [file.name, file]));
  const find = (name: string) => {
    const file = files.get(name);
    if (file === undefined) throw new Error(`input ${input.port} has no file ${name}`);
    return file;
  };
  return {
    kind: input.kind,
    digest: input.digest,
    label: input.label,
    names: [...files.keys()],
    file: (name) => find(name).path,
    sha256: (name) => find(name).digest,
  };
};

const outputFolder = (spec: StepSpec, name: string): string => {
  const folder = join(spec.folder, name);
  mkdirSync(folder, { recursive: true });
  return folder;
};

const reference = async (
  spec: StepSpec,
  name: string,
  path: string,
  sha256: string | undefined,
): Promise<ProducedFile> => {
  if (!isSafeName(name)) throw new Error(`not a name inside an artifact: ${name}`);
  if (sha256 !== undefined && !isDigest(sha256)) throw new Error(`not a SHA-256: ${sha256}`);
  const absolute = resolve(path);
  const stat = statSync(absolute, { bigint: true });
  const stamp = stampOf(stat);
  const base = { name, path: absolute, referenced: true, seen: seenOf(stat) };
  const known =
    sha256 ?? spec.known.find((file) => file.path === absolute && file.stamp === stamp)?.digest;
  if (known !== undefined)
    return { ...base, size: Number(stat.size), digest: asDigest(known), stamp };
  return { ...base, ...(await hashFile(absolute)) };
};

/** Makes the context of one attempt. `send` must not wait. */
export const makeContext = (
  spec: StepSpec,
  send: (message: FromWorker) => void,
  signal: AbortSignal,
): { readonly context: StepContext; readonly collected: Collected } => {
  const { attempt } = spec;
  const artifacts = (port: string): readonly InputArtifact[] =>
    spec.inputs.filter((input) => input.port === port).map(inputArtifact);
  let held: StepProgress | null = null;
  let saidAt = -Infinity;
  let last: StepProgress | null = null;
  const collected: Collected = {
    measurements: new Map(),
    report: [],
    gates: [],
    referenced: new Map(),
    flush: () => {
      if (held === null) return;
      send({ kind: 'progress', attempt, ...held });
      held = null;
    },
  };
  const outputs = new Map<string, OutputArtifact>();
  const makeOutput = (name: string): OutputArtifact => {
    if (!(name in spec.outputs)) throw new Error(`the step has no output ${name}`);
    return {
      folder: outputFolder(spec, name),
      reference: async (file, path, sha256) => {
        const produced = await reference(spec, file, path, sha256);
        collected.referenced.set(name, [...(collected.referenced.get(name) ?? []), produced]);
        return { size: produced.size, sha256: produced.digest };
      },
    };
  };
  let repaired = false;
  const checkpoints = (): string => {
    if (!repaired) repairCheckpoints(spec.checkpoint);
    repaired = true;
    return spec.checkpoint;
  };
  // Repaired before `run` where there is something to repair; a step that keeps nothing gets no folder.
  if (existsSync(spec.checkpoint) && readdirSync(spec.checkpoint).length > 0) checkpoints();
  const folder = (path: string): string => {
    mkdirSync(path, { recursive: true });
    return path;
  };
  const context: StepContext = {
    params: spec.params,
    input: (port) => {
      const [first] = artifacts(port);
      if (first === undefined) throw new Error(`input ${port} is absent`);
      return first;
    },
    optionalInput: (port) => artifacts(port)[0] ?? null,
    inputs: artifacts,
    output: (name) => {
      const output = outputs.get(name) ?? makeOutput(name);
      outputs.set(name, output);
      return output;
    },
    hub: spec.hub,
    seed: spec.seed,
    signal,
    threads: spec.threads,
    get scratch() {
      return folder(join(spec.folder, '.scratch'));
    },
    get derived() {
      return folder(spec.derived);
    },
    checkpoint: {
      load: () => loadCheckpoint(checkpoints()),
      save: async (save) => {
        await saveCheckpoint(checkpoints(), attempt, save);
        collected.flush();
        const note = last === null ? '' : `${last.unit} ${last.done}`;
        send({ kind: 'checkpoint', attempt, note });
      },
      get journal() {
        return journalPath(checkpoints());
      },
    },
    progress: (progress) => {
      last = held = progress;
      const at = monotonicMs();
      if (at - saidAt < PROGRESS_MS) return;
      saidAt = at;
      collected.flush();
    },
    measure: (name, value, unit) => void collected.measurements.set(name, { name, value, unit }),
    report: (block) => void collected.report.push(block),
    gate: (expression, holds) => void collected.gates.push({ expression, holds }),
    log: (text) => {
      send({ kind: 'log', attempt, level: 'info', text });
    },
    warn: (text) => {
      send({ kind: 'log', attempt, level: 'warning', text });
    },
  };
  return { context, collected };
};
