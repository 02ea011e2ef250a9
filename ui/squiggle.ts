// Diagnostics as text: path:line:column first (terminals make it clickable), the message, the source line, a squiggle
// under what is meant, the hint. Knows diagnostics only; SARIF and GitHub's form are made elsewhere.

import stringWidth from 'string-width';
import type { Diagnostic, Location } from '../schemas/diagnostic.ts';
import { makeTheme, type Theme } from './theme.ts';

const indent = '      ';
const lineWidth = 110;
const plain = makeTheme(false);

/** What a terminal must not be told by a file: control characters, one column each so that places stay true. */
const harmless = (text: string): string =>
  text
    .replaceAll('\t', ' ')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu, '·');

interface Excerpt {
  readonly line: string;
  readonly before: number;
  readonly width: number;
}

/** The source line without its indentation, cut around the place where it is long. */
const excerpt = ({ sourceLine, start, end }: Location): Excerpt => {
  const line = harmless(sourceLine);
  const from = Math.min(start.column - 1, line.length);
  const to =
    end.line === start.line ? Math.min(end.column - 1, line.length) : line.trimEnd().length;
  const blank = Math.min(line.length - line.trimStart().length, from);
  const room = lineWidth - indent.length;
  const left =
    to - blank <= room - 10 ? blank : Math.max(blank, Math.min(from - 20, to - room + 10));
  const cutLeft = left > blank ? '…' : '';
  const whole = line.slice(left).trimEnd();
  const shown = whole.length > room ? `${whole.slice(0, room - 1)}…` : whole;
  const before = cutLeft.length + stringWidth(line.slice(left, from));
  const width = Math.max(1, stringWidth(line.slice(from, Math.max(to, from))));
  return { line: cutLeft + shown, before, width: Math.min(width, Math.max(1, room - before)) };
};

const marked = (
  location: Location,
  note: string | undefined,
  paint: Theme['bold'],
  theme: Theme,
): string[] => {
  const { line, before, width } = excerpt(location);
  if (line === '') return note === undefined ? [] : [indent + harmless(note)];
  const squiggle = ' '.repeat(before) + paint('~'.repeat(width));
  if (note === undefined) return [indent + line, indent + squiggle];
  const text = harmless(note);
  const fits = indent.length + before + width + 2 + stringWidth(text) <= lineWidth;
  if (fits) return [indent + line, `${indent}${squiggle}  ${theme.bold(text)}`];
  return [indent + line, indent + squiggle, indent + theme.bold(text)];
};

/** `path:line:column`, or what was typed on the command line. */
export const placeText = (location: Location): string =>
  location.file === 'command line'
    ? location.file
    : `${harmless(location.file)}:${location.start.line}:${location.start.column}`;

/** One diagnostic as lines. `width` aligns the places of several. */
export const diagnosticLines = (
  diagnostic: Diagnostic,
  theme: Theme = plain,
  width = 0,
): string[] => {
  const { severity, code, message, location, hint, related } = diagnostic;
  const paint = severity === 'error' ? theme.failed : theme.warning;
  const head = `${paint(severity)}  ${code}  ${harmless(message)}`;
  if (location === undefined)
    return [head, ...(hint === undefined ? [] : [indent + theme.bold(harmless(hint))])];
  const place = placeText(location);
  const lines = [`${theme.bold(place)}${' '.repeat(Math.max(0, width - place.length) + 2)}${head}`];
  lines.push(...marked(location, hint, paint, theme));
  for (const other of related ?? []) {
    lines.push(
      `  ${placeText(other.location)}`,
      ...marked(other.location, other.message, paint, theme),
    );
  }
  return lines;
};

const counted = (count: number, word: string): string =>
  `${count} ${word}${count === 1 ? '' : 's'}`;

/** "2 errors, 1 warning"; empty for none. */
export const countDiagnostics = (diagnostics: readonly Diagnostic[]): string => {
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error').length;
  const warnings = diagnostics.length - errors;
  return [
    errors > 0 ? counted(errors, 'error') : '',
    warnings > 0 ? counted(warnings, 'warning') : '',
  ]
    .filter((part) => part !== '')
    .join(', ');
};

/** Where the parameters of the step types that were complained about are explained. */
const furtherReading = (diagnostics: readonly Diagnostic[]): string => {
  const types = new Set(
    diagnostics.flatMap(({ message }) => /for step type ([\w-]+)$/u.exec(message)?.[1] ?? []),
  );
  const [type] = types;
  return types.size === 1 && type !== undefined
    ? `   Parameters of ${type}: mesa steps ${type}`
    : '';
};

/** All diagnostics, and a last line with their number. `ending` says what became of it: "Nothing ran." */
export const diagnosticsText = (
  diagnostics: readonly Diagnostic[],
  theme: Theme = plain,
  ending = '',
): string => {
  if (diagnostics.length === 0) return '';
  const places = diagnostics.flatMap(({ location }) =>
    location === undefined ? [] : [placeText(location).length],
  );
  const width = Math.min(60, Math.max(0, ...places));
  const blocks = diagnostics.flatMap((diagnostic) => diagnosticLines(diagnostic, theme, width));
  const last = `${countDiagnostics(diagnostics)}.${ending === '' ? '' : ` ${ending}`}${furtherReading(diagnostics)}`;
  return `${[...blocks, '', last].join('\n')}\n`;
};
