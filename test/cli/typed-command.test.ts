// The command that a stopped run says to type again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { program, sameCommand } from '../../cli/typed-command.ts';

test('a stopped run is gone on with by the same command, options and all', () => {
  const args = ['run', 'x.yaml', '--set', 'vars.model={source: path, path: a b}', '--name', "it's"];
  assert.equal(
    sameCommand({}, args),
    String.raw`mesa run x.yaml --set 'vars.model={source: path, path: a b}' --name 'it'\''s'`,
  );
});

test('what npm started is typed with npx', () => {
  assert.equal(program({ npm_command: 'start' }), 'npx mesa');
  assert.equal(program({ npm_command: 'exec' }), 'npx mesa');
  assert.equal(program({ npm_command: 'run-script' }), 'mesa');
  assert.equal(program({}), 'mesa');
});
