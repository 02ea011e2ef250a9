// Recorded runs for tests of the screens: events as they were said, and texts that must come out of them exactly.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import assert from 'node:assert/strict';
import type { RunEvent } from '../../schemas/event.ts';
import { projectRoot } from '../shared.ts';

const fixtures = path.join(projectRoot, 'test/ui/fixtures');

export const recorded = (name: string): RunEvent[] =>
  readFileSync(path.join(fixtures, `${name}.jsonl`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent);

/** Compares with a committed text. `UPDATE_GOLDEN=1` writes it instead: look at the difference before committing. */
export const golden = (name: string, actual: string): void => {
  const file = path.join(fixtures, name);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, actual);
  assert.equal(actual, readFileSync(file, 'utf8'));
};
