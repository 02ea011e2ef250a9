// Collects what is wrong while analysis goes on, each problem once, and gives it back in the order of the file.

import type { Diagnostic, Location } from '../schemas/diagnostic.ts';
import type { DiagnosticCode } from './diagnostic-codes.ts';
import { locate, type Place } from './source.ts';

export interface Extra {
  readonly hint?: string | undefined;
  readonly related?: readonly { readonly message: string; readonly place: Place }[];
  /** A part of the line that must not be shown. */
  readonly secret?: Place;
}

const locateWithout = (place: Place, secret: Place | undefined): Location => {
  const location = locate(place);
  if (secret === undefined) return location;
  const { start, end, sourceLine } = locate(secret);
  if (start.line !== location.start.line) return location;
  const to = end.line === start.line ? end.column - 1 : sourceLine.length;
  const masked =
    sourceLine.slice(0, start.column - 1) +
    '*'.repeat(to - start.column + 1) +
    sourceLine.slice(to);
  return { ...location, sourceLine: masked };
};

interface Problem {
  readonly code: DiagnosticCode;
  /** Null for what has no place in a text, such as a file that isn't there. */
  readonly place: Place | null;
  readonly message: string;
  readonly extra: Extra;
}

const orderOf = (problem: Problem): number => problem.place?.source.order ?? -1;

const toDiagnostic = ({ code, place, message, extra }: Problem): Diagnostic => ({
  severity: code.startsWith('W') ? 'warning' : 'error',
  code,
  message,
  ...(place === null ? {} : { location: locateWithout(place, extra.secret) }),
  ...(extra.hint === undefined ? {} : { hint: extra.hint }),
  ...(extra.related === undefined || extra.related.length === 0
    ? {}
    : { related: extra.related.map((r) => ({ message: r.message, location: locate(r.place) })) }),
});

export class Problems {
  readonly #seen = new Set<string>();
  readonly #list: Problem[] = [];
  #errors = 0;

  /** Instances of one step share their source: a problem met again at the same place is the same problem. */
  add(code: DiagnosticCode, place: Place | null, message: string, extra: Extra = {}): void {
    const key = `${code} ${place === null ? '' : `${place.source.order}:${place.start}-${place.end}`} ${message}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#list.push({ code, place, message, extra });
    if (!code.startsWith('W')) this.#errors += 1;
  }

  get hasErrors(): boolean {
    return this.#errors > 0;
  }

  has(code: DiagnosticCode): boolean {
    return this.#list.some((problem) => problem.code === code);
  }

  get errorCount(): number {
    return this.#errors;
  }

  get count(): number {
    return this.#list.length;
  }

  inFileOrder(): readonly Diagnostic[] {
    return this.#list
      .toSorted((a, b) => orderOf(a) - orderOf(b) || (a.place?.start ?? 0) - (b.place?.start ?? 0))
      .map(toDiagnostic);
  }
}
