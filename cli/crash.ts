// A throw that nobody expected is a bug in MESA: its stack goes to a file, and the screen says how to report it.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { mesaVersion } from './package-root.ts';

/** What is put on the screen. The file holds no arguments or environment: they may hold secrets. */
export const crashReport = (error: unknown, command: string): string => {
  const stack = error instanceof Error ? (error.stack ?? error.message) : inspect(error);
  const cause = error instanceof Error && error.cause !== undefined ? inspect(error.cause) : '';
  const body = [
    `mesa ${mesaVersion()}, Node ${process.version}, ${process.platform} ${process.arch}`,
    `command: ${command}`,
    stack,
    ...(cause === '' ? [] : [`cause: ${cause}`]),
    '',
  ].join('\n');
  const first = error instanceof Error ? `${error.name}: ${error.message}` : stack;
  let where: string;
  try {
    where = path.join(mkdtempSync(path.join(tmpdir(), 'mesa-crash-')), 'crash.txt');
    writeFileSync(where, body);
  } catch {
    return `\nmesa: this is a bug in MESA, not in your experiment.\n${body}`;
  }
  return (
    `\nmesa: this is a bug in MESA, not in your experiment: ${first}\n` +
    `  the stack trace is in ${where}\n` +
    '  please report it with that file and the output of "mesa doctor"; what was computed stays in the cache\n'
  );
};
