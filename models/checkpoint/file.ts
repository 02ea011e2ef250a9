// Reading byte ranges of files that may be damaged or huge: nothing is allocated that the file does not hold.
// It knows no format.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { FileRange } from '../weights.ts';
import { CheckpointError } from './error.ts';

export class BinaryFile {
  readonly path: string;
  readonly size: number;
  readonly #descriptor: number;

  constructor(path: string) {
    this.path = path;
    try {
      this.#descriptor = openSync(path, 'r');
    } catch (error) {
      throw new CheckpointError(path, `cannot be opened (${reason(error)})`);
    }
    const stat = fstatSync(this.#descriptor);
    if (!stat.isFile()) {
      closeSync(this.#descriptor);
      throw new CheckpointError(path, 'is not a file');
    }
    this.size = stat.size;
  }

  /** A copy of `length` bytes at `offset`, at the start of its own buffer (so that typed arrays may view it). */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size))
      throw new CheckpointError(
        this.path,
        `is truncated: ${length} bytes at ${offset} are needed, the file has ${this.size}`,
      );
    const bytes = new Uint8Array(length);
    this.readInto(offset, bytes);
    return bytes;
  }

  readInto(offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      // One call reads at most 2 GiB on Linux.
      const part = Math.min(bytes.length - done, 1 << 30);
      const count = readSync(this.#descriptor, bytes, done, part, offset + done);
      if (count === 0) throw new CheckpointError(this.path, 'became shorter while it was read');
      done += count;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Open files by path, closed together: for work that jumps between the shards of a checkpoint. */
export class OpenFiles {
  readonly #files = new Map<string, BinaryFile>();

  get(path: string): BinaryFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file = new BinaryFile(path);
    this.#files.set(path, file);
    return file;
  }

  read(range: FileRange): Uint8Array<ArrayBuffer> {
    return this.get(range.path).read(range.offset, range.bytes);
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }
}

export const readWholeFile = (path: string): Uint8Array<ArrayBuffer> => {
  using file = new BinaryFile(path);
  return file.read(0, file.size);
};

const reason = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);
