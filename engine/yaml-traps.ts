// Two things that read well and are not YAML: an unquoted `${...}` and a `[...]` after a name inside `{ }` or `[ ]`.
// Found by their text once the parser has complained, and written over with characters that mean nothing to YAML, of
// the same length, so that everything else in the file is still analysed, at its true place.

export interface Trap {
  readonly kind: 'reference' | 'selector';
  /** Of the whole plain scalar, as it should have been quoted. */
  readonly start: number;
  readonly end: number;
}

export interface Repair {
  readonly text: string;
  readonly traps: readonly Trap[];
}

/** Where a quoted scalar that begins at `at` ends. */
const afterQuoted = (text: string, at: number): number => {
  const quote = text[at];
  for (let i = at + 1; i < text.length; i += 1) {
    if (text[i] === '\\' && quote === '"') i += 1;
    else if (text[i] === quote) {
      if (quote === "'" && text[i + 1] === "'") i += 1;
      else return i + 1;
    }
  }
  return text.length;
};

/** End of `${...}` or `[...]` at `at`, within its line; -1 where it isn't closed. */
const afterBracket = (text: string, at: number, open: string, close: string): number => {
  let depth = 0;
  for (let i = at; i < text.length && text[i] !== '\n'; i += 1) {
    if (text[i] === open) depth += 1;
    else if (text[i] === close) {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  return -1;
};

interface Plain {
  readonly end: number;
  readonly kind: Trap['kind'] | null;
}

/** A plain scalar of a flow collection, read on through the brackets it should not have had. */
const plainInFlow = (text: string, start: number): Plain => {
  let kind: Trap['kind'] | null = null;
  let i = start;
  while (i < text.length) {
    const char = text[i] ?? '';
    if (char === '$' && text[i + 1] === '{') {
      const end = afterBracket(text, i + 1, '{', '}');
      if (end === -1) return { end: i + 1, kind };
      kind ??= 'reference';
      i = end;
    } else if (char === '[' && i > start && /[\w.-]/u.test(text[i - 1] ?? '')) {
      const end = afterBracket(text, i, '[', ']');
      if (end === -1) return { end: i, kind };
      kind ??= 'selector';
      i = end;
    } else if (',[]{}\n'.includes(char)) break;
    else if (char === ':' && /[\s,[\]{}]/u.test(text[i + 1] ?? ' ')) break;
    else if (char === '#' && /\s/u.test(text[i - 1] ?? '')) break;
    else i += 1;
  }
  while (i > start && /\s/u.test(text[i - 1] ?? '')) i -= 1;
  return { end: Math.max(i, start + 1), kind };
};

const mask = (scalar: string): string => scalar.replaceAll(/[{}[\]*=,:#&!|>%@`"' ]/gu, '_');

/** Finds the traps of a text that does not parse. */
export const repairTraps = (text: string): Repair => {
  const traps: Trap[] = [];
  let repaired = '';
  let copied = 0;
  let depth = 0;
  let atTokenStart = true;
  for (let i = 0; i < text.length;) {
    const char = text[i] ?? '';
    const before = text[i - 1] ?? '\n';
    if (char === '#' && /\s/u.test(before)) {
      const end = text.indexOf('\n', i);
      i = end === -1 ? text.length : end;
    } else if ((char === '"' || char === "'") && atTokenStart) {
      i = afterQuoted(text, i);
      atTokenStart = false;
    } else if ((char === '{' || char === '[') && (depth > 0 || atTokenStart)) {
      depth += 1;
      i += 1;
      atTokenStart = true;
    } else if ((char === '}' || char === ']') && depth > 0) {
      depth -= 1;
      i += 1;
      atTokenStart = false;
    } else if (/[\s,:?-]/u.test(char) && (depth === 0 || char !== '-')) {
      // In block context a value begins after `: `, `- ` or at the start of a line.
      if (char === '\n' || (depth > 0 && char === ',')) atTokenStart = true;
      else if ((char === ':' || char === '-' || char === '?') && /\s/u.test(text[i + 1] ?? ' ')) {
        atTokenStart = true;
      } else if (!/\s/u.test(char)) atTokenStart = false;
      i += 1;
    } else if (depth === 0) {
      atTokenStart = false;
      i += 1;
    } else {
      const { end, kind } = plainInFlow(text, i);
      if (kind !== null) {
        traps.push({ kind, start: i, end });
        repaired += text.slice(copied, i) + mask(text.slice(i, end));
        copied = end;
      }
      i = end;
      atTokenStart = false;
    }
  }
  return { text: repaired + text.slice(copied), traps };
};
