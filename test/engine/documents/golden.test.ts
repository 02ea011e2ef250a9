// A folder in test/golden is a test: experiment.yaml in, exactly expected.txt out (UPDATE_GOLDEN=1 writes it).
// request.json, where there is one, holds what the command line would add.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { analyzeExperiment } from '../../../engine/analyze.ts';
import { diagnosticCodes } from '../../../engine/diagnostic-codes.ts';
import { diagnosticsText } from '../../../ui/squiggle.ts';
import { fakeRegistry } from './fake-steps.ts';

const projectRoot = (): string => {
  const here = join(import.meta.dirname, '../../..');
  return existsSync(join(here, 'test/golden')) ? here : join(here, '..');
};
const folder = join(projectRoot(), 'test/golden');

interface Request {
  readonly file?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly seed?: string;
  readonly overrides?: readonly (readonly [string, string])[];
}

const readRequest = (path: string): Request =>
  existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Request) : {};

const textFor = (name: string): string => {
  const cwd = join(folder, name);
  const request = readRequest(join(cwd, 'request.json'));
  const result = analyzeExperiment({
    file: join(cwd, request.file ?? 'experiment.yaml'),
    cwd,
    registry: fakeRegistry,
    plugins: new Map(),
    env: request.env ?? {},
    seed: request.seed,
    overrides: (request.overrides ?? []).map(([path, value]) => ({ path, value, origin: '--set' })),
  });
  return result.ok
    ? `ok\n${diagnosticsText(result.value.warnings)}`
    : diagnosticsText(result.error, undefined, 'Nothing ran.');
};

const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

for (const name of names) {
  test(`golden diagnostics: ${name}`, () => {
    const expected = join(folder, name, 'expected.txt');
    const text = textFor(name);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(expected, text);
    assert.equal(text, readFileSync(expected, 'utf8'));
  });
}

test('every code that analysis can give stands in a golden file', () => {
  const all = names
    .map((name) => readFileSync(join(folder, name, 'expected.txt'), 'utf8'))
    .join('\n');
  // Too large to be kept as a file.
  const elsewhere = new Set(['E111']);
  const codes = Object.keys(diagnosticCodes).filter((code) => !elsewhere.has(code));
  assert.deepEqual(
    codes.filter((code) => !all.includes(`  ${code}  `)),
    [],
  );
});
