// bin/mesa.js on a Node that is too old: it starts the one from node_modules and is transparent for arguments, streams,
// exit codes and signals. Needs an old Node on the machine, and says so where there is none.

import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { binary, cleanEnv, ended, experiment, said, temporaryProject } from './mesa.ts';

const isOld = (file: string): boolean => {
  if (!existsSync(file)) return false;
  const version = execFileSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < 22 || (major === 22 && minor < 18);
};

const old = ['/usr/bin/node', '/usr/local/bin/node'].find(isOld);
const skip = old === undefined ? 'no Node older than 22.18 in /usr/bin or /usr/local/bin' : false;

const launch = (args: readonly string[], cwd: string): ChildProcess =>
  spawn(old ?? '', [binary, ...args], { cwd, env: cleanEnv(), stdio: ['pipe', 'pipe', 'pipe'] });

const counting = experiment({ slow: { with: 'text: x, rows: 100000000' } });

test('exit codes and streams pass through', { skip }, async (context) => {
  const cwd = temporaryProject(context);
  assert.match((await ended(launch(['--version'], cwd))).stdout, /^\d+\.\d+\.\d+\n$/);
  const wrong = await ended(launch(['rum'], cwd));
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /Did you mean run\?/);
});

test('an interrupt of the launcher alone stops the run once', { skip }, async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': counting });
  const child = launch(['run', 'x.yaml', '--json'], cwd);
  const finished = ended(child);
  await said(child, '"checkpoint-saved"');
  child.kill('SIGINT');
  const { code, stdout } = await finished;
  assert.equal(code, 130);
  assert.match(stdout, /"mode":"checkpoint"/);
  assert.doesNotMatch(stdout, /"mode":"kill"/);
});

test(
  'an interrupt of the whole group, as Ctrl-C in a terminal, counts once',
  { skip },
  async (context) => {
    const cwd = temporaryProject(context, { 'x.yaml': counting });
    const child = spawn(old ?? '', [binary, 'run', 'x.yaml', '--json'], {
      cwd,
      env: cleanEnv(),
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const finished = ended(child);
    await said(child, '"checkpoint-saved"');
    process.kill(-(child.pid ?? 0), 'SIGINT');
    const { code, stdout } = await finished;
    assert.equal(code, 130);
    assert.match(stdout, /"mode":"checkpoint"/);
    assert.doesNotMatch(stdout, /"mode":"kill"/);
  },
);

test(
  'SIGTERM passes through, and a killed launcher leaves nothing running',
  { skip },
  async (context) => {
    const cwd = temporaryProject(context, { 'x.yaml': counting });
    const child = launch(['run', 'x.yaml', '--json'], cwd);
    const finished = ended(child);
    await said(child, '"checkpoint-saved"');
    child.kill('SIGTERM');
    assert.equal((await finished).code, 143);
    const second = launch(['run', 'x.yaml', '--json'], cwd);
    await said(second, '"step-progress"');
    // `close` comes when the streams are closed: when the process behind the launcher is gone too.
    const closed = ended(second);
    second.kill('SIGKILL');
    await closed;
  },
);
