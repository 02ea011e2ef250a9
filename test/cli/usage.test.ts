// What the command line says of itself and of mistakes: help, unknown words, exit code 2, streams.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandTable } from '../../cli/command-table.ts';
import { mesa, temporaryProject } from './mesa.ts';

test('mesa alone fits a dozen lines and names every visible command', async () => {
  const { code, stdout, stderr } = await mesa([]);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.ok(stdout.trimEnd().split('\n').length <= 12, stdout);
  for (const { name, hidden } of commandTable)
    assert.equal(new RegExp(`\\b${name}\\b`).test(stdout), hidden !== true, name);
});

test('help names commands, environment and exit codes on stdout', async () => {
  const { code, stdout, stderr } = await mesa(['--help']);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  for (const words of ['Run:', 'Look:', 'Set up:', 'MESA_CACHE_DIR', 'NO_COLOR', '143 terminated'])
    assert.ok(stdout.includes(words), words);
});

test('every command of the table has help and a module that can be loaded', async () => {
  for (const command of commandTable) {
    const { execute } = await command.load();
    assert.equal(typeof execute, 'function', command.name);
  }
  const { code, stdout } = await mesa(['run', '--help']);
  assert.equal(code, 0);
  for (const flag of [
    '--set',
    '--only',
    '--force',
    '--on-failure',
    '--strict-numerics',
    '--locked',
  ])
    assert.ok(stdout.includes(flag), flag);
});

const mistakes: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a misspelt command', ['rum', 'x.yaml'], /unknown command 'rum'\n\(Did you mean run\?\)/],
  [
    'a misspelt flag',
    ['run', 'x.yaml', '--foce'],
    /unknown option '--foce'\n\(Did you mean --force\?\)/,
  ],
  ['a missing argument', ['run'], /missing required argument 'file'/],
  ['too many arguments', ['plan', 'a.yaml', 'b.yaml'], /too many arguments/],
  [
    'a value that is none of the choices',
    ['run', 'x.yaml', '--ui', 'gui'],
    /Allowed choices are auto, tui/,
  ],
  ['a number that is none', ['run', 'x.yaml', '-j', 'many'], /whole number from 1/],
  ['a file that is not there', ['run', 'no-such.yaml'], /cannot read no-such\.yaml/],
  ['an unknown step type', ['steps', 'lora-trian'], /did you mean "lora-train"\?/],
  ['an unknown verb of cache', ['cache', 'clear'], /ls, verify, gc or path/],
  ['an unknown shell', ['completion', 'tcsh'], /bash, zsh and fish/],
];
for (const [what, args, expected] of mistakes)
  test(`${what} exits 2 and is explained on stderr`, async (context) => {
    const { code, stdout, stderr } = await mesa(args, { cwd: temporaryProject(context) });
    assert.equal(code, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, expected);
  });

test('a run that does not exist names those that do', async (context) => {
  const cwd = temporaryProject(context);
  const { code, stderr } = await mesa(['show', 'last'], { cwd });
  assert.equal(code, 2);
  assert.match(stderr, /there are no runs/);
});

test('colour: never in a pipe, always where it is forced, and a flag beats the environment', async () => {
  const escape = '\u001b[';
  const args = ['steps', 'generate'];
  assert.ok(!(await mesa(args)).stdout.includes(escape));
  assert.ok((await mesa(args, { env: { FORCE_COLOR: '1' } })).stdout.includes(escape));
  const both = { NO_COLOR: '1', FORCE_COLOR: '1' };
  assert.ok(!(await mesa(args, { env: both })).stdout.includes(escape));
  assert.ok((await mesa([...args, '--color', 'always'], { env: both })).stdout.includes(escape));
  assert.ok((await mesa(['--color', 'always', ...args], { env: both })).stdout.includes(escape));
});

test('completion scripts hold every visible command', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout } = await mesa(['completion', shell]);
    assert.equal(code, 0);
    for (const { name, hidden } of commandTable)
      if (hidden !== true) assert.ok(stdout.includes(name), `${shell}: ${name}`);
  }
});

test('schema prints the JSON Schema', async () => {
  const { code, stdout } = await mesa(['schema']);
  assert.equal(code, 0);
  const schema = JSON.parse(stdout) as { readonly properties: Readonly<Record<string, unknown>> };
  assert.ok('steps' in schema.properties);
});
