// Collects what is wrong while analysis goes on, each problem once, and gives it back in the order of the file.

import type { Diagnostic } from '../schemas/diagnostic.ts';
import type { DiagnosticCode } from './diagnostic-codes.ts';
import { locate, type Place } from './source.ts';

export interface Extra {
  readonly hint?: string | undefined;
  readonly related?: readonly { readonly message: string; readonly place: Place }[];
}

interface Problem {
  readonly code: DiagnosticCode;
  readonly place: Place;
  readonly message: string;
  readonly extra: Extra;
}

const toDiagnostic = ({ code, place, message, extra }: Problem): Diagnostic => ({
  severity: code.startsWith('W') ? 'warning' : 'error',
  code,
  message,
  location: locate(place),
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
  add(code: DiagnosticCode, place: Place, message: string, extra: Extra = {}): void {
    const key = `${code} ${place.source.order}:${place.start}-${place.end} ${message}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#list.push({ code, place, message, extra });
    if (!code.startsWith('W')) this.#errors += 1;
  }

  get hasErrors(): boolean {
    return this.#errors > 0;
  }

  get errorCount(): number {
    return this.#errors;
  }

  get count(): number {
    return this.#list.length;
  }

  inFileOrder(): readonly Diagnostic[] {
    return this.#list
      .toSorted(
        (a, b) => a.place.source.order - b.place.source.order || a.place.start - b.place.start,
      )
      .map(toDiagnostic);
  }
}
