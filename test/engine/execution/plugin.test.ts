// Plugins: what identifies their code, how they are described without running in this process, and how they run.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { moduleClosure, specifiersOf } from '../../../engine/module-closure.ts';
import { Rig } from '../../rig.ts';

let folder: string;
before(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'mesa-plugin-')));
});
after(() => {
  rmSync(folder, { recursive: true });
});
const put = (name: string, text: string): string => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
};

test('specifiers of every form, types left out', () => {
  const text = `
    import a, { b as c } from './a.ts';
    import './side-effect.js';
    import type { T } from './only-types.ts';
    export type { U } from './more-types.ts';
    export * from "./star.ts";
    import {
      long,
    } from './several-lines.ts';
    const lazy = () => import('./lazy.ts');
    const old = require('./old.cjs');
    const table = new URL('./table.json', import.meta.url);
    import pkg from '@scope/pkg/deep.js';
    import { readFileSync } from 'node:fs';
    await import(\`./\${name}.ts\`);
  `;
  assert.deepEqual(specifiersOf(text), [
    './a.ts',
    './lazy.ts',
    './old.cjs',
    './several-lines.ts',
    './side-effect.js',
    './star.ts',
    './table.json',
    '@scope/pkg/deep.js',
    'node:fs',
  ]);
});

test('the closure changes with any module or package version in it, and with nothing else', () => {
  const options = { excluded: (path: string) => path.includes('/outside/'), base: folder };
  put('outside/engine.ts', 'export const x = 1;');
  put('node_modules/dep/package.json', '{"version":"1.0.0"}');
  put('lib.ts', `import { y } from './outside/engine.ts'; import './main.ts'; export const z = y;`);
  put('data.json', '{}');
  const main = put(
    'main.ts',
    `import { z } from './lib.ts'; import dep from 'dep/sub'; new URL('./data.json', import.meta.url);`,
  );
  const digest = (): string => moduleClosure(main, options).digest;
  const first = digest();
  const closure = moduleClosure(main, options);
  assert.deepEqual(closure.packages, ['dep@1.0.0']);
  assert.deepEqual(
    closure.files.map((path) => path.slice(folder.length + 1)),
    ['main.ts', 'data.json', 'lib.ts'],
  );
  put('outside/engine.ts', 'export const x = 2;');
  put('unrelated.ts', '');
  assert.equal(digest(), first);
  put('data.json', '{"a":1}');
  const second = digest();
  assert.notEqual(second, first);
  put('node_modules/dep/package.json', '{"version":"1.0.1"}');
  assert.notEqual(digest(), second);
  put('data.json', '{}');
  put('node_modules/dep/package.json', '{"version":"1.0.0"}');
  assert.equal(digest(), first);
});

const plugin = (text: string, extra = ''): string => `
${extra}
interface Context { params: { text: string }; output(name: string): { folder: string }; inputs(port: string): { file(name: string): string }[] }
import { writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suffix } from './suffix.ts';
export const step = {
  name: 'shout', version: 1, summary: 'shouts', weight: 'light',
  params: { type: 'object', additionalProperties: false, required: ['text'], properties: { text: { type: 'string' }, seeded: { type: 'boolean', default: false } } },
  inputs: { in: { kind: ['x-text'], many: true, optional: true } },
  outputs: () => ({ out: 'x-text' }),
  usesSeed: (params: { seeded: boolean }) => params.seeded,
  async run(context: Context) {
    console.log('printed by ${text}');
    const before = context.inputs('in').map((input) => readFileSync(input.file('text'), 'utf8')).join('');
    writeFileSync(join(context.output('out').folder, 'text'), before + context.params.text.toUpperCase() + suffix);
  },
};
`;

test('a plugin runs, is cached, and runs again when a module of it changes', async () => {
  const rig = new Rig();
  rig.write('shout.ts', plugin('v1'));
  rig.write('suffix.ts', `export const suffix = '!';`);
  rig.write(
    'e.yaml',
    'name: e\nsteps:\n  a: { uses: ./shout.ts, with: { text: hi } }\n  b: { uses: ./shout.ts, inputs: { in: a }, with: { text: ho } }\n',
  );
  const first = await rig.run(['run', 'e.yaml', '--json']);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /printed by v1/);
  const { stdout } = await rig.run(['export', 'last/b', 'exported']);
  assert.ok(stdout !== '');
  assert.equal(readFileSync(rig.path('exported', 'text'), 'utf8'), 'HI!HO!');
  const second = await rig.run(['run', 'e.yaml', '--json']);
  assert.deepEqual(
    rig.record().steps.map((step) => step.state),
    ['cached', 'cached'],
    second.stderr,
  );
  rig.write('suffix.ts', `export const suffix = '?';`);
  await rig.run(['run', 'e.yaml', '--json']);
  assert.deepEqual(
    rig.record().steps.map((step) => step.state),
    ['ran', 'ran'],
  );
  const [planned] = rig.record().steps;
  assert.ok(planned?.planned.kind === 'stale');
  assert.match(planned.planned.reason, /^code plugin:/);
  await rig.dispose();
});

test('a plugin that cannot be read is a diagnostic at its place', async () => {
  const rig = new Rig();
  rig.write('broken.ts', 'export const step = {{{');
  rig.write('nothing.ts', 'export const other = 1;');
  rig.write('exits.ts', 'process.exit(3);');
  for (const name of ['broken', 'nothing', 'exits']) {
    rig.write('e.yaml', `name: e\nsteps:\n  a: { uses: ./${name}.ts }\n`);
    const ended = await rig.run(['check', 'e.yaml']);
    assert.equal(ended.code, 2, ended.stderr);
    assert.match(ended.stderr + ended.stdout, /e\.yaml:3:\d+ .*E228/);
  }
  await rig.dispose();
});
