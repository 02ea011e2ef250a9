// One attempt at one step, on the worker's side: run it, then name every byte it wrote. The step boundary: the one
// place where a throw becomes a failed step.

import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Failure } from '../schemas/event.ts';
import { digestOf, hashFile, stampOf } from './digest.ts';
import { seenOf, type ProducedFile } from './object-store.ts';
import type { AttemptResult, FromWorker, ProducedOutput, StepSpec } from './protocol.ts';
import { makeContext } from './step-context.ts';
import { StepError, type StepDefinition } from './step.ts';
import { storageFailure } from './storage-errors.ts';

/** Files up to this size are hashed in one read; larger ones are streamed. */
const SMALL = 1 << 20;

const listFiles = (folder: string, prefix: string): readonly string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const name = `${prefix}${entry.name}`;
    if (entry.isDirectory()) return listFiles(join(folder, entry.name), `${name}/`);
    if (!entry.isFile()) throw new Error(`${name} is neither a file nor a folder`);
    return [name];
  });

/** Read-only, on disk, and hashed, in this order: what is named is what a power cut leaves. */
const seal = async (folder: string, name: string): Promise<ProducedFile> => {
  const path = join(folder, name);
  chmodSync(path, 0o444);
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
    const stat = fstatSync(file, { bigint: true });
    const base = { name, path, referenced: false, stamp: stampOf(stat), seen: seenOf(stat) };
    if (stat.size <= SMALL) {
      const content = readFileSync(file);
      return { ...base, size: content.length, digest: digestOf(content) };
    }
    const { digest, size } = await hashFile(path);
    return { ...base, size, digest };
  } finally {
    closeSync(file);
  }
};

const seals = async (folder: string): Promise<readonly ProducedFile[]> => {
  const files: ProducedFile[] = [];
  if (existsSync(folder))
    for (const name of listFiles(folder, '')) files.push(await seal(folder, name));
  return files;
};

/** The log's tail is added by the coordinator, which keeps the log. */
const failureOf = (error: unknown, spec: StepSpec, log: (text: string) => void): Failure => {
  if (error instanceof StepError || (error instanceof Error && error.name === 'StepError')) {
    const { code, message, hint } = error as StepError;
    return { reason: 'error', code, message, ...(hint === undefined ? {} : { hint }), logTail: [] };
  }
  const storage =
    storageFailure(error, spec.folder) ??
    storageFailure(error, spec.checkpoint) ??
    storageFailure(error, spec.derived);
  if (storage !== null) return storage;
  const thrown = error instanceof Error ? error : new Error(String(error));
  log(thrown.stack ?? thrown.message);
  return { reason: 'error', code: 'E500', message: thrown.message, logTail: [] };
};

const isInterrupt = (error: unknown, signal: AbortSignal): boolean =>
  signal.aborted &&
  (error === signal.reason || (error instanceof Error && error.name === 'AbortError'));

/** Never throws. */
export const runAttempt = async (
  spec: StepSpec,
  definition: () => Promise<StepDefinition>,
  send: (message: FromWorker) => void,
  signal: AbortSignal,
): Promise<AttemptResult> => {
  try {
    signal.throwIfAborted();
    const { context, collected } = makeContext(spec, send, signal);
    await (await definition()).run(context);
    collected.flush();
    const outputs: ProducedOutput[] = [];
    for (const [name, kind] of Object.entries(spec.outputs)) {
      const written = await seals(join(spec.folder, name));
      const files = [...written, ...(collected.referenced.get(name) ?? [])];
      if (files.length === 0) throw new Error(`the step wrote nothing to its output ${name}`);
      outputs.push({ name, kind, files });
    }
    const { measurements, report, gates } = collected;
    const peakBytes = process.resourceUsage().maxRSS * 1024;
    return {
      kind: 'ok',
      outputs,
      measurements: [...measurements.values()],
      report,
      gates,
      peakBytes,
    };
  } catch (error) {
    if (isInterrupt(error, signal)) return { kind: 'interrupted' };
    const log = (text: string): void => {
      send({ kind: 'log', attempt: spec.attempt, level: 'info', text });
    };
    return { kind: 'failed', failure: failureOf(error, spec, log) };
  }
};
