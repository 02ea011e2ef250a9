// File bytes -> text and lines. UTF-8 only: what isn't UTF-8 is an error at its place, never a replacement character.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { DataError } from '../error.ts';

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const NEWLINE = 0x0a;
const RETURN = 0x0d;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface Line {
  /** 1-based. */
  readonly number: number;
  readonly text: string;
}

export const readBytes = (path: string): Buffer => {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new DataError(
      'E540',
      code === 'ENOENT' ? `there is no file ${path}` : `cannot read ${path}: ${String(cause)}`,
    );
  }
  if (bytes[0] === 0xff && bytes[1] === 0xfe) {
    throw new DataError('E541', `${basename(path)} is UTF-16`, 'Save it as UTF-8.');
  }
  return bytes.subarray(0, 3).equals(BOM) ? bytes.subarray(3) : bytes;
};

/** Decodes bytes that begin at line `line` of the file. */
export const decode = (bytes: Uint8Array, path: string, line: number): string => {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new DataError(
      'E541',
      `${basename(path)}:${String(line)}: not UTF-8`,
      'Convert the file, for example with `iconv -f latin1 -t utf-8`.',
    );
  }
};

/** Lines end with LF or CRLF, and with nothing else: U+2028 may stand inside JSON. A last empty line is none. */
export const linesOf = function* (path: string): Generator<Line> {
  const bytes = readBytes(path);
  let start = 0;
  let number = 1;
  while (start < bytes.length) {
    const found = bytes.indexOf(NEWLINE, start);
    const next = found === -1 ? bytes.length : found;
    const end = next > start && bytes[next - 1] === RETURN ? next - 1 : next;
    yield { number, text: decode(bytes.subarray(start, end), path, number) };
    start = next + 1;
    number += 1;
  }
};
