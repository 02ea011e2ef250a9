// Reading a file forwards in windows of a megabyte, never past its end: for headers whose lengths may lie.

import { CheckpointError } from './error.ts';
import type { BinaryFile } from './file.ts';

/** Vocabularies hold bytes that are no UTF-8: they become replacement characters, as in llama.cpp's own readers. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

export class Cursor {
  readonly file: BinaryFile;
  /** Nothing is read from here on. */
  readonly end: number;
  position: number;
  #window = new Uint8Array(0);
  #windowStart = 0;

  constructor(file: BinaryFile, start = 0, end = file.size) {
    this.file = file;
    this.position = start;
    this.end = end;
  }

  get left(): number {
    return this.end - this.position;
  }

  /** The next `length` bytes; a view that holds until the next call. */
  take(length: number, what: string): DataView {
    if (length > this.left)
      throw new CheckpointError(
        this.file.path,
        `is truncated or damaged: ${what} needs ${length} bytes, ${this.left} are left`,
      );
    const start = this.position - this.#windowStart;
    if (start < 0 || start + length > this.#window.length) {
      const size = Math.min(Math.max(length, 1 << 20), this.left);
      this.#window = this.file.read(this.position, size);
      this.#windowStart = this.position;
    }
    const at = this.position - this.#windowStart;
    this.position += length;
    return new DataView(this.#window.buffer, this.#window.byteOffset + at, length);
  }

  u8(what: string): number {
    return this.take(1, what).getUint8(0);
  }

  u32(what: string): number {
    return this.take(4, what).getUint32(0, true);
  }

  /** A count or length: must be small enough for what follows to fit, at `bytesEach` at least. */
  size(what: string, bytesEach: number): number {
    const value = Number(this.take(8, what).getBigUint64(0, true));
    if (value * bytesEach > this.left)
      throw new CheckpointError(
        this.file.path,
        `is truncated or damaged: ${what} is ${value}, more than the file can hold`,
      );
    return value;
  }

  text(length: number, what: string): string {
    return utf8.decode(this.take(length, what));
  }

  /** A string after its 64-bit length. */
  string(what: string): string {
    return this.text(this.size(`length of ${what}`, 1), what);
  }
}
