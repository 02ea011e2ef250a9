// Comma- and tab-separated values as RFC 4180 says: fields in double quotes may hold separators, line breaks and
// doubled quotes. Every value is a text, as it stands. Line numbers in errors are those where a record begins.

import { basename } from 'node:path';
import { DataError } from '../error.ts';
import type { SourceRow } from '../row.ts';
import { decode, readBytes } from './text.ts';

/** `true`: the first record names the columns; `false`: they are `column1`, `column2`...; or their names. */
export type Header = boolean | readonly string[];

interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
}

/** Splits a text into records; `fail` is called for what is no CSV, with the line. */
export const parseRecords = function* (
  text: string,
  separator: string,
  fail: (line: number, message: string) => never,
): Generator<CsvRecord> {
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const recordLine = line;
    const fields: string[] = [];
    for (;;) {
      let field: string;
      if (text[at] === '"') {
        let value = '';
        let from = at + 1;
        for (;;) {
          const quote = text.indexOf('"', from);
          if (quote === -1) fail(recordLine, 'a quoted field is never closed');
          value += text.slice(from, quote);
          at = quote + 1;
          if (text[at] !== '"') break;
          value += '"';
          from = at + 1;
        }
        for (const character of value) if (character === '\n') line += 1;
        field = value;
        const next = text[at];
        if (next !== undefined && next !== separator && next !== '\n' && next !== '\r') {
          fail(line, `${JSON.stringify(next)} after the closing quote of a field`);
        }
      } else {
        const from = at;
        while (at < text.length) {
          const character = text[at];
          if (character === separator || character === '\n') break;
          if (character === '\r' && text[at + 1] === '\n') break;
          at += 1;
        }
        field = text.slice(from, at);
      }
      fields.push(field);
      if (text[at] !== separator) break;
      at += 1;
    }
    if (text[at] === '\r') at += 1;
    if (text[at] === '\n') at += 1;
    line += 1;
    yield { line: recordLine, fields };
  }
};

export const readCsv = (path: string, separator: string, header: Header = true): SourceRow[] => {
  const fail = (line: number, message: string): never => {
    throw new DataError('E541', `${basename(path)}:${String(line)}: ${message}`);
  };
  const records = parseRecords(decode(readBytes(path), path, 1), separator, fail);
  let names: readonly string[] | null = Array.isArray(header) ? (header as string[]) : null;
  const rows: SourceRow[] = [];
  for (const { line, fields } of records) {
    if (fields.length === 1 && fields[0] === '' && names?.length !== 1) continue;
    if (names === null) {
      names = fields.map((field, index) =>
        header === true && field !== '' ? field : `column${String(index + 1)}`,
      );
      const twice = names.find((name, index) => names?.indexOf(name) !== index);
      if (twice !== undefined) fail(line, `two columns are named ${JSON.stringify(twice)}`);
      if (header === true) continue;
    }
    if (fields.length !== names.length) {
      fail(line, `${String(fields.length)} fields, but there are ${String(names.length)} columns`);
    }
    rows.push(Object.fromEntries(names.map((name, index) => [name, fields[index] ?? ''])));
  }
  return rows;
};
