// From names to results: `RUN/STEP[.OUTPUT]` to a record and an artifact, and an artifact to its files and documents.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEdge } from '../engine/edges.ts';
import { findRoot } from '../engine/find-root.ts';
import type { ArtifactDigest } from '../engine/manifest.ts';
import type { Project } from '../engine/project.ts';
import { err, ok, type Result } from '../engine/result.ts';
import { readRun, runIds } from '../engine/run-store.ts';
import { didYouMean } from '../engine/suggest.ts';
import type { ComparisonDocument, ScoresDocument } from '../schemas/artifact.ts';
import type { OutputRecord } from '../schemas/event.ts';
import type { RunRecord, RunStepRecord } from '../schemas/run-record.ts';
import type { CliContext } from './context.ts';
import { openCache } from './experiment.ts';

/** Why there is no such thing, and what to do. */
export interface Missing {
  readonly message: string;
  readonly hint?: string;
}

/**
 * Where the runs of the working directory are: its project root; or, where nothing marks a root, the folder of the
 * experiments, which is then the root of their runs.
 */
const rootHere = (cwd: string): string | null => {
  const candidates = [findRoot(path.join(cwd, 'experiment.yaml')), path.join(cwd, 'experiments')];
  const having = (name: string): string | undefined =>
    candidates.find((root) => existsSync(path.join(root, name)));
  return having('runs') ?? having('.mesa') ?? null;
};

/** The project around the working directory, for commands that name no file. Makes nothing where there is none. */
export const openProjectHere = (context: CliContext): Result<Project, Missing> => {
  const root = rootHere(context.cwd);
  if (root === null)
    return err({
      message: `nothing was run in ${context.cwd} yet`,
      hint: 'mesa run FILE makes the first run; --cwd names another folder',
    });
  const opened = openCache(context, root);
  if (opened.ok) return opened;
  const [first] = opened.error;
  return err({
    message: first?.message ?? 'the cache cannot be opened',
    ...(first?.hint === undefined ? {} : { hint: first.hint }),
  });
};

export const findRun = (project: Project, name: string): Result<RunRecord, Missing> => {
  const record = readRun(project.runsDir, name);
  if (record !== null) return ok(record);
  const ids = runIds(project.runsDir);
  if (ids.length === 0)
    return err({
      message: `there are no runs in ${project.runsDir}`,
      hint: 'mesa run FILE makes one',
    });
  return err({
    message: `there is no run "${name}"`,
    hint:
      didYouMean(name, ids) ?? `the newest are ${ids.slice(0, 5).join(', ')}; "last" is the newest`,
  });
};

export interface ResultName {
  readonly run: string;
  readonly step: string | null;
  readonly output: string | null;
}

/** `k7q2`, `last/adapter[r=8]`, `last/adapter@r=8`, `last/questions.test`. */
export const parseResultName = (text: string): ResultName | null => {
  if (!text.includes('/')) return { run: text, step: null, output: null };
  // Values hold dots (`@lr=1.0e-3`): where an output begins is decided when the steps are known.
  const typed = /^([^/]+)\/([^@[\]]+)@(.+)$/.exec(text);
  if (typed !== null) {
    const [, run = '', id = '', axes = ''] = typed;
    return { run, step: `${id}[${axes}]`, output: null };
  }
  const edge = parseEdge(`run:${text}`);
  return edge?.kind === 'run' ? { run: edge.run, step: edge.step, output: edge.output } : null;
};

export interface FoundStep {
  readonly record: RunRecord;
  readonly step: RunStepRecord;
  /** The output that was named, if one was. */
  readonly outputName: string | null;
}

const findStep = (record: RunRecord, name: string): Result<RunStepRecord, Missing> => {
  const exact = record.steps.find(({ step }) => step === name);
  if (exact !== undefined) return ok(exact);
  const ofId = record.steps.filter(({ id }) => id === name);
  const [only] = ofId;
  if (only !== undefined && ofId.length === 1) return ok(only);
  if (ofId.length > 1)
    return err({
      message: `"${name}" is ${ofId.length} steps of run ${record.run}`,
      hint: `one of ${ofId.map(({ step }) => step).join(', ')}`,
    });
  const id = name.replace(/\[.*$/, '');
  const siblings = record.steps.filter((step) => step.id === id);
  const names = (siblings.length > 0 ? siblings : record.steps).map(({ step }) => step);
  return err({
    message: `run ${record.run} has no step "${name}"`,
    hint: didYouMean(name, names) ?? `its steps are ${names.slice(0, 12).join(', ')}`,
  });
};

export const findRunStep = (
  project: Project,
  name: ResultName & { readonly step: string },
): Result<FoundStep, Missing> => {
  const record = findRun(project, name.run);
  if (!record.ok) return record;
  const step = findStep(record.value, name.step);
  if (step.ok) return ok({ record: record.value, step: step.value, outputName: name.output });
  const [, instance, output] = /^(.*)\.([A-Za-z0-9_-]+)\]$/.exec(name.step) ?? [];
  const shorter = instance === undefined ? null : findStep(record.value, `${instance}]`);
  return shorter?.ok === true
    ? ok({ record: record.value, step: shorter.value, outputName: output ?? null })
    : step;
};

const findOutput = (step: RunStepRecord, name: string | null): Result<OutputRecord, Missing> => {
  const outputs = step.result?.outputs ?? [];
  const [first] = outputs;
  if (first === undefined)
    return err({ message: `${step.step} has no result: it is ${step.state}` });
  const found = name === null ? first : outputs.find((output) => output.name === name);
  if (found !== undefined) return ok(found);
  const names = outputs.map((output) => output.name);
  return err({
    message: `${step.step} has no output "${name ?? ''}"`,
    hint: didYouMean(name ?? '', names) ?? `its outputs are ${names.join(', ')}`,
  });
};

/** An artifact whose files are there, unchanged. */
export interface OpenArtifact {
  readonly kind: string;
  readonly digest: string;
  readonly names: readonly string[];
  /** Absolute path. */
  file(name: string): string;
}

export const openArtifact = async (
  project: Project,
  output: OutputRecord,
): Promise<Result<OpenArtifact, Missing>> => {
  const digest = output.digest as ArtifactDigest;
  const [damage] = await project.objects.verify(digest);
  if (damage !== undefined)
    return err({
      message: `this result is no longer in the cache: ${damage.message}`,
      hint: 'run the experiment again; it is made anew',
    });
  const files = project.objects.manifest(digest)?.files ?? [];
  const paths = new Map(files.map((file) => [file.name, project.objects.locate(file.digest)]));
  return ok({
    kind: output.kind,
    digest,
    names: [...paths.keys()],
    file: (name) => {
      const found = paths.get(name);
      if (found === undefined || found === null)
        throw new Error(`artifact ${digest} has no file ${name}`);
      return found;
    },
  });
};

export interface FoundArtifact extends FoundStep {
  readonly output: OutputRecord;
  readonly artifact: OpenArtifact;
}

/** `RUN/STEP[.OUTPUT]` with its files. */
export const findArtifact = async (
  project: Project,
  text: string,
): Promise<Result<FoundArtifact, Missing>> => {
  const name = parseResultName(text);
  if (name === null || name.step === null)
    return err({
      message: `"${text}" names no result`,
      hint: 'results are RUN/STEP or RUN/STEP.OUTPUT, such as last/answers',
    });
  const found = findRunStep(project, { ...name, step: name.step });
  if (!found.ok) return found;
  const output = findOutput(found.value.step, found.value.outputName);
  if (!output.ok) return output;
  const artifact = await openArtifact(project, output.value);
  return artifact.ok
    ? ok({ ...found.value, output: output.value, artifact: artifact.value })
    : artifact;
};

/** The JSON documents that commands read, by file name. */
interface Documents {
  'scores.json': ScoresDocument;
  'comparison.json': ComparisonDocument;
}

/** Written by MESA and verified by digest, so its shape is what its name says. Null where there is none. */
export const readDocument = <Name extends keyof Documents>(
  artifact: OpenArtifact,
  name: Name,
): Documents[Name] | null =>
  artifact.names.includes(name)
    ? (JSON.parse(readFileSync(artifact.file(name), 'utf8')) as Documents[Name])
    : null;

/** The document of an output of a record, where it is still in the cache. */
export const documentOf = async <Name extends keyof Documents>(
  project: Project,
  output: OutputRecord | undefined,
  name: Name,
): Promise<Documents[Name] | null> => {
  if (output === undefined) return null;
  const artifact = await openArtifact(project, output);
  return artifact.ok ? readDocument(artifact.value, name) : null;
};
