// `mesa run` and the commands around it, on the real binary: exit codes, streams, what is said, signals.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { RunEvent } from '../../schemas/event.ts';
import { ended, experiment, fakeStep, mesa, said, start, temporaryProject } from './mesa.ts';

const chain = experiment({
  first: { with: 'text: one' },
  second: { in: 'first', with: 'text: two' },
});

const withoutTimes = (text: string): string =>
  text
    .replaceAll(/^\d\d:\d\d:\d\d/gm, 'hh:mm:ss')
    .replaceAll(/\b\d+\.\ds\b/g, 'T')
    .replaceAll(/\b[0-9a-f]{7}\b {2}\(.*\)$/gm, 'KEY  (WHY)')
    .replaceAll(/\b[a-z][0-9][a-z][a-z0-9]\b/g, 'RUN')
    .replaceAll(/ +$/gm, '');

test('progress goes to stderr in stable columns, and the second run comes from the cache', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  const first = await mesa(['run', 'x.yaml'], { cwd });
  assert.equal(first.code, 0, first.stderr);
  assert.equal(first.stdout, '');
  assert.equal(
    withoutTimes(first.stderr),
    [
      'hh:mm:ss  run     RUN  x.yaml  2 steps: 0 cached, 2 to run',
      'hh:mm:ss  first   started  KEY  (WHY)',
      'hh:mm:ss  first   done     T     wrote one',
      'hh:mm:ss  second  started  KEY  (WHY)',
      'hh:mm:ss  second  done     T     wrote two',
      'hh:mm:ss  run     done     T  2 ran, 0 cached, 0 failed',
      '',
      'next  mesa show RUN',
      '',
    ].join('\n'),
  );
  const second = await mesa(['run', 'x.yaml'], { cwd });
  assert.equal(second.code, 0);
  assert.match(second.stderr, /2 steps: 2 cached, 0 to run/);
  assert.match(second.stderr, /0 ran, 2 cached, 0 failed/);
});

test('--json: every line of stdout is an event, and nothing else is said', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  const { code, stdout, stderr } = await mesa(['run', 'x.yaml', '--json'], { cwd });
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent);
  assert.equal(events[0]?.event, 'run-started');
  assert.equal(events.at(-1)?.event, 'run-finished');
  assert.equal(events.filter(({ event }) => event === 'step-finished').length, 2);
});

test('-q says nothing of a run that goes well', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  assert.deepEqual(await mesa(['run', 'x.yaml', '-q'], { cwd }), {
    code: 0,
    stdout: '',
    stderr: '',
  });
});

test('a failed step exits 1 and leaves its block: reason, log, hint, what did not start', async (context) => {
  const text = experiment({
    good: { with: 'text: fine' },
    bad: { in: 'good', with: 'text: broken, act: fail' },
    after: { in: 'bad' },
  });
  const cwd = temporaryProject(context, { 'x.yaml': text });
  const { code, stderr } = await mesa(['run', 'x.yaml'], { cwd });
  assert.equal(code, 1);
  const block = withoutTimes(stderr).split('\n\n');
  assert.equal(
    block[1],
    [
      '✘ bad failed after T',
      '  E599 broken failed as told',
      '  last lines of the log (all of it: mesa show RUN/bad --log)',
      '    broken does fail',
      '  try:    tell it otherwise',
      '  1 step not started: after',
    ].join('\n'),
  );
  assert.match(stderr, /next {2}mesa show \w+\/bad --log/);
  const log = await mesa(['show', 'last/bad', '--log'], { cwd });
  assert.equal(log.stdout, 'broken does fail\n');
});

test('a gate that does not hold exits 1, also when everything is cached', async (context) => {
  const cwd = temporaryProject(context, {
    'x.yaml': experiment({ judged: { with: 'text: x, gate: false' } }),
  });
  for (const cached of [0, 1]) {
    const { code, stderr } = await mesa(['run', 'x.yaml'], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`gate failed .*${cached} cached, 0 failed`));
  }
});

test('an invalid file exits 2, shows all its problems, and leaves nothing behind', async (context) => {
  const cwd = temporaryProject(context, {
    'x.yaml':
      'steps:\n  a:\n    uses: lora-trian\n  b:\n    uses: score\n    inputs: { predictions: c }\n',
  });
  const { code, stdout, stderr } = await mesa(['run', 'x.yaml'], { cwd });
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /x\.yaml:3:11 .*error .*\n.*uses: lora-trian\n.*~~~~~~~~~~.*did you mean "lora-train"/,
  );
  assert.match(stderr, /2 errors\. Nothing ran\./);
  assert.ok(!existsSync(path.join(cwd, 'runs')));
});

test('plan says what would run and why; --exit-code tells scripts', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  const before = await mesa(['plan', 'x.yaml', '--exit-code'], { cwd });
  assert.equal(before.code, 3);
  assert.match(before.stdout, /first +▶ runs +[0-9a-f]{7} +never run/);
  assert.match(before.stdout, /second +· depends +— +depends on first/);
  await mesa(['run', 'x.yaml', '-q'], { cwd });
  const after = await mesa(['plan', 'x.yaml', '--exit-code'], { cwd });
  assert.equal(after.code, 0);
  const changed = await mesa(
    ['run', 'x.yaml', '--dry-run', '--set', 'steps.second.with.text=three'],
    { cwd },
  );
  assert.equal(changed.code, 0);
  assert.match(changed.stdout, /first +✔ fresh/);
  assert.match(changed.stdout, /second +▶ runs .*text two → three/);
  const why = await mesa(['why', 'x.yaml', 'second', '--set', 'steps.second.with.text=three'], {
    cwd,
  });
  assert.match(why.stdout, /≠ +params\.text +three +was two/);
});

test('--force takes a step only after an equals sign', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  await mesa(['run', 'x.yaml', '-q'], { cwd });
  const all = await mesa(['run', '--force', 'x.yaml'], { cwd });
  assert.match(all.stderr, /2 ran, 0 cached/);
  const one = await mesa(['run', 'x.yaml', '--force=second'], { cwd });
  assert.match(one.stderr, /1 ran, 1 cached/);
});

test('looking at runs: runs, show, cat, export, check, graph, cache', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  await mesa(['run', 'x.yaml', '-q'], { cwd });
  await mesa(['run', 'x.yaml', '-q', '--set', 'steps.second.with.text=deux'], { cwd });
  const runs = await mesa(['runs', '--json'], { cwd });
  const rows = JSON.parse(runs.stdout) as { readonly text: string; readonly status: string }[];
  assert.deepEqual(
    rows.map(({ text, status }) => [text, status]),
    [
      ['deux', 'done'],
      ['two', 'done'],
    ],
  );
  assert.match((await mesa(['show', 'last/second'], { cwd })).stdout, /text +deux/);
  assert.equal((await mesa(['cat', 'last/second', '--file', 'text'], { cwd })).stdout, 'deux<one>');
  const exported = await mesa(['export', 'last/second', 'out'], { cwd });
  assert.equal(exported.code, 0);
  assert.equal(readFileSync(path.join(cwd, 'out/text'), 'utf8'), 'deux<one>');
  assert.equal((await mesa(['export', 'last/second', 'out'], { cwd })).code, 2);
  assert.equal((await mesa(['export', 'last/second', 'peft', '--as', 'peft'], { cwd })).code, 2);
  assert.equal((await mesa(['check', 'x.yaml'], { cwd })).stdout, '✔ 1 file, no problems\n');
  assert.match((await mesa(['graph', 'x.yaml'], { cwd })).stdout, /^second .*\n└─ first /);
  assert.equal((await mesa(['cache', 'verify'], { cwd })).code, 0);
  assert.equal((await mesa(['cache', 'gc'], { cwd })).code, 2);
  assert.equal((await mesa(['cache', 'gc', '--yes', '--keep', '0'], { cwd })).code, 0);
  assert.match((await mesa(['plan', 'x.yaml'], { cwd })).stdout, /0 cached, 2 to run/);
});

test('instances are named as the shell likes it, dots in values included', async (context) => {
  const text = `name: m\nmatrix: { lr: [0.5, 1.5] }\nsteps:\n  a:\n    uses: ${fakeStep}\n    with: { text: "\${matrix.lr}x" }\n`;
  const cwd = temporaryProject(context, { 'x.yaml': text });
  await mesa(['run', 'x.yaml', '-q'], { cwd });
  for (const name of ['last/a@lr=1.5', 'last/a[lr=1.5]', 'last/a@lr=1.5.out', 'last/a[lr=1.5].out'])
    assert.equal((await mesa(['cat', name, '--file', 'text'], { cwd })).stdout, '1.5x', name);
  const several = await mesa(['show', 'last/a'], { cwd });
  assert.equal(several.code, 2);
  assert.match(several.stderr, /one of a\[lr=0\.5\], a\[lr=1\.5\]/);
});

test('a result that is damaged on disk is found, dropped and made again', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  await mesa(['run', 'x.yaml', '-q'], { cwd });
  const objects = path.join(cwd, '.mesa/objects');
  const damaged = readdirSync(objects, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(objects, name))
    .find((file) => statSync(file).isFile() && readFileSync(file, 'utf8') === 'one');
  assert.ok(damaged !== undefined);
  chmodSync(damaged, 0o644);
  writeFileSync(damaged, 'eno');
  const verified = await mesa(['cache', 'verify'], { cwd });
  assert.equal(verified.code, 1);
  assert.match(verified.stdout, /1 damaged and dropped/);
  const again = await mesa(['run', 'x.yaml'], { cwd });
  assert.equal(again.code, 0);
  assert.match(again.stderr, /1 ran, 1 cached/);
  assert.equal((await mesa(['cat', 'last/first', '--file', 'text'], { cwd })).stdout, 'one');
});

test('a reader that goes away ends the command silently with 141', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  const child = start(['run', 'x.yaml', '--json'], { cwd });
  child.stdin?.end();
  child.stdout?.destroy();
  const { code, stderr } = await ended(child);
  assert.deepEqual({ code, stderr }, { code: 141, stderr: '' });
});

const hanging = experiment({ slow: { with: 'text: x, act: hang' } });
const counting = experiment({ slow: { with: 'text: x, rows: 100000000' } });

test('the first interrupt checkpoints and exits 130; the same command goes on', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': counting });
  const child = start(['run', 'x.yaml', '--ui', 'json'], { cwd });
  const finished = ended(child);
  await said(child, '"checkpoint-saved"');
  child.kill('SIGINT');
  const { code, stdout } = await finished;
  assert.equal(code, 130);
  assert.match(stdout, /"event":"run-stopping".*"mode":"checkpoint"/);
  assert.match(stdout, /"event":"step-interrupted"/);
  const again = start(['run', 'x.yaml', '--json'], { cwd });
  const rest = ended(again);
  const text = await said(again, '"step-started"');
  assert.match(text, /"resumed":true/);
  again.kill('SIGTERM');
  assert.equal((await rest).code, 143);
});

test('the second interrupt ends at once what does not stop', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': hanging });
  const child = start(['run', 'x.yaml'], { cwd });
  const finished = ended(child);
  await said(child, 'started');
  child.kill('SIGINT');
  await said(child, 'Ctrl-C again to stop now');
  child.kill('SIGINT');
  const { code, stderr } = await finished;
  assert.equal(code, 130);
  assert.match(stderr, /stopped/);
});

test('a bug in MESA exits 70 and says where its stack trace is', async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': chain });
  await mesa(['run', 'x.yaml', '-q'], { cwd });
  const runs = path.join(cwd, 'runs');
  const { stdout } = await mesa(['runs', '--json'], { cwd });
  const [{ run }] = JSON.parse(stdout) as [{ readonly run: string }];
  writeFileSync(path.join(runs, run, 'record.json'), '{');
  const { code, stderr } = await mesa(['show', run], { cwd, env: { TMPDIR: cwd } });
  assert.equal(code, 70);
  const file = /stack trace is in (.*)/.exec(stderr)?.[1] ?? '';
  assert.match(readFileSync(file, 'utf8'), /command: show\nSyntaxError/);
});
