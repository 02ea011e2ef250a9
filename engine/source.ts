// A text that a user wrote (a file, or one argument of the command line) and places in it.
// Places are offsets until somebody has to see them: lines and columns cost time that a valid file need not pay.

import type { Location, Position } from '../schemas/diagnostic.ts';

export interface Source {
  readonly kind: 'file' | 'command-line' | 'environment';
  /** Absolute path of a file; the working directory's otherwise. */
  readonly path: string;
  /** How the path is shown. */
  readonly shown: string;
  /** What relative paths written here are relative to. */
  readonly folder: string;
  readonly text: string;
  /** Position among the files of one experiment: the file itself, its parents, the command line. */
  readonly order: number;
}

/** Offsets in UTF-16 code units, `end` exclusive. */
export interface Place {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
}

const lineStartsOf = new WeakMap<Source, readonly number[]>();

const lineStarts = (source: Source): readonly number[] => {
  const known = lineStartsOf.get(source);
  if (known !== undefined) return known;
  const starts = [0];
  for (let at = source.text.indexOf('\n'); at !== -1; at = source.text.indexOf('\n', at + 1)) {
    starts.push(at + 1);
  }
  lineStartsOf.set(source, starts);
  return starts;
};

const lineIndex = (starts: readonly number[], offset: number): number => {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
};

const position = (starts: readonly number[], offset: number): Position => {
  const line = lineIndex(starts, offset);
  return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 };
};

/** `user:password@` of a URL must not reach a screen or a log, not even in the line that is complained about. */
const withoutUserInfo = (line: string): string =>
  line.replace(
    /([a-z][a-z0-9+.-]*:\/\/)([^/?#@\s"']+)@/giu,
    (_, scheme: string, secret: string) => `${scheme}${'*'.repeat(secret.length)}@`,
  );

export const lineOf = (place: Place): number =>
  lineIndex(lineStarts(place.source), Math.min(place.start, place.source.text.length)) + 1;

export const locate = (place: Place): Location => {
  const { text, shown } = place.source;
  const starts = lineStarts(place.source);
  const from = Math.min(place.start, text.length);
  // A block collection ends where the next key begins; the blank between is nothing to point at.
  let to = Math.min(Math.max(place.end, from), text.length);
  while (to > from && /\s/u.test(text[to - 1] ?? '')) to -= 1;
  const start = position(starts, from);
  const lineStart = starts[start.line - 1] ?? 0;
  const lineEnd = text.indexOf('\n', lineStart);
  const line = text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd).replace(/\r$/u, '');
  return { file: shown, start, end: position(starts, to), sourceLine: withoutUserInfo(line) };
};
