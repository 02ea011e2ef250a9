// Temporary folders and golden tensors for the tests of checkpoints.

import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode, isEncoding } from '../../models/checkpoint/encoding.ts';
import { OpenFiles } from '../../models/checkpoint/file.ts';
import { readSafetensorsHeader } from '../../models/checkpoint/safetensors.ts';
import { countOf } from '../../models/checkpoint/stored.ts';
import { sharedPath } from '../shared.ts';

export interface TemporaryFolder extends Disposable {
  readonly path: string;
  write(name: string, bytes: Uint8Array | string): string;
}

export const temporaryFolder = (): TemporaryFolder => {
  const path = mkdtempSync(join(tmpdir(), 'mesa-models-'));
  return {
    path,
    write: (name, bytes) => {
      const file = join(path, name);
      writeFileSync(file, bytes);
      return file;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
};

/** The files of a golden folder (links would do, were they not changed). */
export const copyOf = (golden: string): TemporaryFolder => {
  const folder = temporaryFolder();
  const from = sharedPath(golden);
  for (const entry of readdirSync(from, { withFileTypes: true }))
    if (entry.isFile()) copyFileSync(join(from, entry.name), join(folder.path, entry.name));
  return folder;
};

export interface GoldenTensors {
  readonly names: readonly string[];
  bytes(name: string): Uint8Array;
  /** Any number type, as float32. */
  values(name: string): Float32Array;
  shape(name: string): readonly number[];
}

export const goldenTensors = (path: string): GoldenTensors => {
  const { tensors } = readSafetensorsHeader(path);
  const find = (name: string) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`${path} has no ${name}`);
    return tensor;
  };
  const bytes = (name: string): Uint8Array => {
    using files = new OpenFiles();
    return files.read(find(name).data);
  };
  return {
    names: [...tensors.keys()],
    bytes,
    shape: (name) => find(name).shape,
    values: (name) => {
      const { dtype, shape } = find(name);
      if (!isEncoding(dtype)) throw new Error(`${name} is ${dtype}`);
      return decode(dtype, bytes(name), countOf(shape));
    },
  };
};

/** Compares every bit, and tells where they differ first. */
export const firstDifference = (
  actual: ArrayBufferView,
  expected: ArrayBufferView,
): string | null => {
  const a = Buffer.from(actual.buffer, actual.byteOffset, actual.byteLength);
  const b = Buffer.from(expected.buffer, expected.byteOffset, expected.byteLength);
  if (a.length !== b.length) return `${a.length} bytes instead of ${b.length}`;
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 ? null : `byte ${at} is ${a[at] ?? ''} instead of ${b[at] ?? ''}`;
};
