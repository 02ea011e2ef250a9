// Golden models with something in them changed, and what load-model says of them.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StepError } from '../../engine/step.ts';
import {
  readSafetensorsHeader,
  writeSafetensors,
  type SafetensorsDtype,
} from '../../models/checkpoint/safetensors.ts';
import { loadModel } from '../../steps/load-model/step.ts';
import { copyOf, temporaryFolder } from '../models/files.ts';
import { sharedPath } from '../shared.ts';
import { runStep } from './context.ts';

/** What load-model says of a path; 'accepted' where it takes it. */
export const failure = async (path: string): Promise<string> => {
  try {
    (await runStep(loadModel, { params: { source: 'path', path } })).dispose();
  } catch (error) {
    assert.ok(error instanceof StepError, error instanceof Error ? error.stack : String(error));
    return error.message;
  }
  return 'accepted';
};

export interface Entry {
  dtype: SafetensorsDtype;
  shape: readonly number[];
  bytes: Uint8Array;
}
export const entriesOf = (path: string): Map<string, Entry> => {
  const file = readFileSync(path);
  const { tensors } = readSafetensorsHeader(path);
  return new Map(
    [...tensors].map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, bytes: file.subarray(data.offset, data.offset + data.bytes) },
    ]),
  );
};
export const writeEntries = (path: string, entries: ReadonlyMap<string, Entry>): void =>
  writeSafetensors(
    path,
    [...entries].map(([name, { dtype, shape, bytes }]) => ({
      name,
      dtype,
      shape,
      chunks: () => [bytes],
    })),
    { format: 'pt' },
  );

/** What load-model says of a golden safetensors model with its tensors changed. */
export const withTensors = async (
  golden: string,
  change: (entries: Map<string, Entry>) => void,
): Promise<string> => {
  using folder = temporaryFolder();
  folder.write('config.json', readFileSync(sharedPath(`${golden}/config.json`)));
  const entries = entriesOf(sharedPath(`${golden}/model.safetensors`));
  change(entries);
  writeEntries(join(folder.path, 'model.safetensors'), entries);
  return await failure(folder.path);
};

/** What load-model says of a golden model with the bytes of one file changed. */
export const withBytes = async (
  golden: string,
  name: string,
  change: (bytes: Buffer) => Buffer,
): Promise<string> => {
  using folder = copyOf(golden);
  const path = folder.write(name, change(readFileSync(join(folder.path, name))));
  const message = await failure(golden.endsWith('gguf') ? path : folder.path);
  if (message !== 'accepted') assert.ok(message.includes(name), message);
  return message;
};
export const changedAt =
  (at: number, value: Uint8Array) =>
  (bytes: Buffer): Buffer => {
    bytes.set(value, at);
    return bytes;
  };
export const replaced =
  (from: string, to: string) =>
  (bytes: Buffer): Buffer => {
    assert.equal(from.length, to.length);
    const at = bytes.indexOf(from, 0, 'latin1');
    assert.ok(at >= 0, from);
    bytes.write(to, at, 'latin1');
    return bytes;
  };
export const nan = new Uint8Array(Float32Array.of(NaN).buffer);
