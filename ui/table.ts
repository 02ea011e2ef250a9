// Aligned columns of text: widths are those a terminal shows (±, CJK, colour codes), not string lengths.

import stringWidth from 'string-width';
import type { Theme } from './theme.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** May be left out, last ones first, where the line would not fit. */
  readonly optional?: boolean;
}

export const pad = (text: string, width: number, align: 'left' | 'right' = 'left'): string => {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return align === 'left' ? text + space : space + text;
};

/** Cuts to `width` columns, the last of them an ellipsis. Expects text without colour codes. */
export const truncate = (text: string, width: number): string => {
  if (stringWidth(text) <= width) return text;
  if (width <= 0) return '';
  let result = '';
  let used = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const next = stringWidth(segment);
    if (used + next > width - 1) break;
    result += segment;
    used += next;
  }
  return `${result}…`;
};

/** Lines of at most `width` columns, broken at spaces; a word that is wider is cut. */
export const wrapWords = (text: string, width: number): string[] => {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (stringWidth(longer) <= width) line = longer;
    else {
      if (line !== '') lines.push(line);
      line = truncate(word, width);
    }
  }
  return line === '' ? lines : [...lines, line];
};

export interface TableOptions {
  readonly theme: Theme;
  /** null: as wide as it needs. */
  readonly width: number | null;
}

const gap = '  ';

const fit = (widths: readonly number[], columns: readonly Column[], width: number | null) => {
  const shown = new Set(columns.keys());
  if (width === null) return shown;
  const total = (): number => [...shown].reduce((sum, i) => sum + (widths[i] ?? 0) + gap.length, 0);
  for (let i = columns.length - 1; i >= 0 && total() - gap.length > width; i -= 1) {
    if (columns[i]?.optional === true) shown.delete(i);
  }
  return shown;
};

/** Lines without trailing spaces. Columns marked optional go where `width` doesn't hold all of them. */
export const table = (
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: { readonly width?: number | null; readonly head?: (text: string) => string } = {},
): string[] => {
  const titled = columns.some((column) => column.title !== '');
  const widths = columns.map((column, i) =>
    Math.max(stringWidth(column.title), ...rows.map((row) => stringWidth(row[i] ?? ''))),
  );
  const shown = fit(widths, columns, options.width ?? null);
  const line = (cells: readonly string[], paint: (text: string) => string): string => {
    const parts = columns.flatMap((column, i) =>
      shown.has(i) ? [pad(cells[i] ?? '', widths[i] ?? 0, column.align)] : [],
    );
    return paint(parts.join(gap).trimEnd());
  };
  const head = titled
    ? [
        line(
          columns.map((column) => column.title),
          options.head ?? ((text) => text),
        ),
      ]
    : [];
  return [...head, ...rows.map((row) => line(row, (text) => text))];
};

/** Without the columns that are empty in every row. */
export const compact = (columns: readonly Column[], rows: readonly (readonly string[])[]) => {
  const used = columns.map((_, i) => rows.some((row) => (row[i] ?? '') !== ''));
  const keep = <T>(items: readonly T[]): T[] => items.filter((_, i) => used[i] === true);
  return { columns: keep(columns), rows: rows.map(keep) };
};

/** Whether every line has room. */
export const fits = (lines: readonly string[], width: number | null): boolean =>
  width === null || lines.every((line) => stringWidth(line) <= width);
