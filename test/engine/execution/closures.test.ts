// The keys of built-in steps: `type@version` stands for the recorded modules, and for those alone.

import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { builtClosures, changedClosures, currentClosures } from '../../../engine/closures.ts';
import { codeIdentity, RECORDED, type RecordedClosures } from '../../../engine/code-digest.ts';
import { openDatabase } from '../../../engine/database.ts';
import type { StepInstance } from '../../../engine/experiment.ts';
import type { StepRegistry } from '../../../engine/step.ts';
import { registry as builtin } from '../../../steps/index.ts';
import { projectRoot } from '../../shared.ts';
import { step as fake } from './support/fake-step.ts';

test('the closure of every built-in step is recorded for its version', () => {
  const path = join(projectRoot, RECORDED);
  assert.ok(existsSync(path), `${RECORDED} is missing: npm run closures`);
  const recorded = JSON.parse(readFileSync(path, 'utf8')) as RecordedClosures;
  assert.deepEqual(changedClosures(recorded, currentClosures(projectRoot, builtin)), []);
});

test('plain while recorded, raw when changed, and the compiled form stands for its source', () => {
  const root = mkdtempSync(join(tmpdir(), 'mesa-code-'));
  const put = (name: string, text: string): void => {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    // Changes within one tick of the clock must be seen as well; the stamp has the inode's ctime.
    utimesSync(path, 1, 1);
  };
  put('steps/shout/step.ts', `import '../../lib/loud.ts';`);
  put('lib/loud.ts', 'export const loud: number = 1;');
  put('dist/steps/shout/step.js', `import '../../lib/loud.js';`);
  put('dist/lib/loud.js', 'export const loud = 1;');
  const registry: StepRegistry = { names: ['shout'], get: () => ({ ...fake, name: 'shout' }) };
  const instance = {
    plugin: null,
    uses: 'shout',
    definition: registry.get('shout'),
  } as unknown as StepInstance;
  const database = openDatabase(join(root, 'c.sqlite'));
  const source = { packageRoot: root, codeRoot: root };
  const compiled = { packageRoot: root, codeRoot: join(root, 'dist') };
  const record = (): void => {
    put(RECORDED, JSON.stringify(currentClosures(root, registry)));
    put('dist/steps/closures.built.json', JSON.stringify(builtClosures(compiled, registry)));
  };
  const code = (layout: typeof source): string => codeIdentity(layout, database)(instance);

  assert.match(code(source), /^shout@1\+[0-9a-f]{64}$/, 'nothing is recorded yet');
  record();
  assert.equal(code(source), 'shout@1');
  assert.equal(code(compiled), 'shout@1');
  put('lib/loud.ts', 'export const loud: number = 2;');
  assert.match(code(source), /^shout@1\+/);
  assert.equal(code(compiled), 'shout@1', 'what runs is still the old build');
  assert.deepEqual(
    changedClosures(
      JSON.parse(readFileSync(join(root, RECORDED), 'utf8')) as RecordedClosures,
      currentClosures(root, registry),
    ),
    [
      'the modules of shout changed: raise its version where it writes other bytes',
      'then record them: npm run closures',
    ],
  );
  put('dist/lib/loud.js', 'export const loud = 2;');
  assert.match(code(compiled), /^shout@1\+/, 'compiled without --built: its own digest counts');
  record();
  assert.equal(code(compiled), 'shout@1');
  database.close();
  rmSync(root, { recursive: true });
});
