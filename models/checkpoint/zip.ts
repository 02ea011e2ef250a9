// Where the files of a zip archive lie, for archives whose entries are stored uncompressed (PyTorch's): names to byte
// ranges. Reads the directory at the end, with the 64-bit extension; it unpacks nothing.
// Format: PKWARE APPNOTE 6.3, sections 4.3 and 4.5.3.

import type { FileRange } from '../weights.ts';
import { CheckpointError } from './error.ts';
import type { BinaryFile } from './file.ts';

const signatures = { local: 0x04034b50, directory: 0x02014b50, end: 0x06054b50, end64: 0x06064b50 };
const endBytes = 22;
const maxCommentBytes = 65_535;
const unset32 = 0xffffffff;

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly entries: number;
}

export const readZipDirectory = (file: BinaryFile): ReadonlyMap<string, FileRange> => {
  const fail = (message: string): never => {
    throw new CheckpointError(file.path, `is a damaged zip archive: ${message}`);
  };
  const { offset, size, entries } = findDirectory(file, fail);
  if (offset + size > file.size) fail('its directory lies outside');
  // Every entry takes at least 46 bytes.
  if (entries * 46 > size) fail('its directory has fewer entries than it says');
  const bytes = file.read(offset, size);
  const view = new DataView(bytes.buffer);
  const found = new Map<string, FileRange>();
  let at = 0;
  for (let i = 0; i < entries; i++) {
    if (at + 46 > size || view.getUint32(at, true) !== signatures.directory)
      fail('its directory is broken');
    const method = view.getUint16(at + 10, true);
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const commentBytes = view.getUint16(at + 32, true);
    const next = at + 46 + nameBytes + extraBytes + commentBytes;
    if (next > size) fail('its directory is broken');
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameBytes));
    const extra = bytes.subarray(at + 46 + nameBytes, at + 46 + nameBytes + extraBytes);
    const entry = wideValues(
      {
        size: view.getUint32(at + 24, true),
        compressed: view.getUint32(at + 20, true),
        header: view.getUint32(at + 42, true),
      },
      extra,
    );
    if (method !== 0 || entry.size !== entry.compressed)
      fail(`${name} is compressed, which PyTorch never does`);
    if (found.has(name)) fail(`${name} is in it twice`);
    found.set(name, locate(file, name, entry.header, entry.size, fail));
    at = next;
  }
  checkOverlaps(found, fail);
  return found;
};

/** Storages of their own: what two tensors share lies in one entry. */
const checkOverlaps = (found: ReadonlyMap<string, FileRange>, fail: Fail): void => {
  const filled = [...found].filter(([, { bytes }]) => bytes > 0);
  filled.sort(([, a], [, b]) => a.offset - b.offset);
  for (const [i, [name, { offset }]] of filled.entries()) {
    const [before, range] = filled[i - 1] ?? ['', { offset: 0, bytes: 0 }];
    if (range.offset + range.bytes > offset) fail(`${name} overlaps ${before}`);
  }
};

type Fail = (message: string) => never;

const findDirectory = (file: BinaryFile, fail: Fail): Directory => {
  const tail = Math.min(file.size, endBytes + maxCommentBytes);
  if (tail < endBytes) return fail('it is too short');
  const start = file.size - tail;
  const bytes = file.read(start, tail);
  const view = new DataView(bytes.buffer);
  let at = tail - endBytes;
  while (at >= 0 && view.getUint32(at, true) !== signatures.end) at--;
  if (at < 0) return fail('it has no end, so it is truncated');
  const directory = {
    entries: view.getUint16(at + 10, true),
    size: view.getUint32(at + 12, true),
    offset: view.getUint32(at + 16, true),
  };
  const wide = directory.entries === 0xffff || directory.offset === unset32;
  if (!wide) return directory;
  // The locator of the 64-bit end lies before the end.
  if (at < 20) return fail('its 64-bit end is missing');
  const position = Number(view.getBigUint64(at - 20 + 8, true));
  if (position + 56 > file.size) return fail('its 64-bit end lies outside');
  const end = new DataView(file.read(position, 56).buffer);
  if (end.getUint32(0, true) !== signatures.end64) return fail('its 64-bit end is missing');
  return {
    entries: Number(end.getBigUint64(32, true)),
    size: Number(end.getBigUint64(40, true)),
    offset: Number(end.getBigUint64(48, true)),
  };
};

interface Sizes {
  size: number;
  compressed: number;
  header: number;
}

/** Values that don't fit 32 bits are in the extra field 1, in this order, each only where it is needed. */
const wideValues = (sizes: Sizes, extra: Uint8Array): Sizes => {
  const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  for (let at = 0; at + 4 <= extra.length;) {
    const id = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    if (id === 1) {
      let position = at + 4;
      const result = { ...sizes };
      for (const key of ['size', 'compressed', 'header'] as const) {
        if (sizes[key] !== unset32 || position + 8 > extra.length) continue;
        result[key] = Number(view.getBigUint64(position, true));
        position += 8;
      }
      return result;
    }
    at += 4 + length;
  }
  return sizes;
};

const locate = (
  file: BinaryFile,
  name: string,
  header: number,
  bytes: number,
  fail: Fail,
): FileRange => {
  if (header + 30 > file.size) return fail(`${name} lies outside`);
  const view = new DataView(file.read(header, 30).buffer);
  if (view.getUint32(0, true) !== signatures.local) return fail(`${name} has no header`);
  const offset = header + 30 + view.getUint16(26, true) + view.getUint16(28, true);
  if (offset + bytes > file.size) return fail(`${name} lies outside`);
  return { path: file.path, offset, bytes };
};
