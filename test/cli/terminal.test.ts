// The live screen in a real terminal (tmux): what stands on it while a run goes on, when it is interrupted once and
// twice, when the terminal changes its size, and what stays when it is over.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { binary, cleanEnv, experiment, temporaryProject } from './mesa.ts';

const hasTmux = spawnSync('tmux', ['-V']).status === 0;
const skip = hasTmux ? false : 'tmux is not installed';

interface Terminal {
  keys(...keys: string[]): void;
  resize(columns: number, rows: number): void;
  /** What is on the screen; with the scrollback above it. */
  text(): string;
  /** The same with its colours, as escape sequences. */
  painted(): string;
  /** The screen, as soon as it shows `wanted`. */
  shows(wanted: string | RegExp): Promise<string>;
}

/** A shell in a terminal of its own; it goes away with the test. */
const openTerminal = (test: TestContext, cwd: string, columns: number, rows: number): Terminal => {
  const socket = `mesa-test-${process.pid}-${test.name.length}-${Math.floor(performance.now())}`;
  const tmux = (...args: string[]): string =>
    execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...args], {
      cwd,
      env: cleanEnv({ TERM: 'xterm-256color', PS1: '$ ' }),
      encoding: 'utf8',
    });
  tmux('new-session', '-d', '-s', 't', '-x', String(columns), '-y', String(rows), 'sh');
  test.after(() => spawnSync('tmux', ['-L', socket, 'kill-server']));
  const text = (): string => tmux('capture-pane', '-p', '-J', '-t', 't', '-S', '-500');
  return {
    keys: (...keys) => void tmux('send-keys', '-t', 't', ...keys),
    resize: (width, height) =>
      void tmux('resize-window', '-t', 't', '-x', String(width), '-y', String(height)),
    text,
    painted: () => tmux('capture-pane', '-p', '-e', '-t', 't'),
    shows: async (wanted) => {
      for (;;) {
        const now = text();
        if (typeof wanted === 'string' ? now.includes(wanted) : wanted.test(now)) return now;
        if (test.signal.aborted) throw new Error(`never on the screen: ${String(wanted)}\n${now}`);
        await wait(50);
      }
    },
  };
};

const run = (flags = ''): string =>
  `${process.execPath} ${binary} run x.yaml ${flags}; echo ended=$?`;

const counting = experiment({
  quick: { with: 'text: fast' },
  slow: { in: 'quick', with: 'text: x, rows: 100000000' },
  last: { in: 'slow' },
});
const options = { skip, timeout: 60_000 };

test(
  'Ctrl-C once: it says at once what it does, keeps the checkpoint, and exits 130',
  options,
  async (context) => {
    const terminal = openTerminal(
      context,
      temporaryProject(context, { 'x.yaml': counting }),
      100,
      30,
    );
    terminal.keys(run(), 'Enter');
    const screen = await terminal.shows(/▶ slow +row \d/);
    assert.match(screen, /✔ quick +ran/);
    assert.match(screen, /· last +waiting on slow/);
    assert.match(screen, /\^C stop/);
    terminal.keys('C-c');
    const after = await terminal.shows('ended=130');
    assert.match(after, /■ slow +stopped .*kept: /);
    assert.match(after, /next {2}mesa run x\.yaml/);
    // The live part is gone: no frame, no keys.
    assert.doesNotMatch(after, /\^C stop|╰/);
  },
);

test(
  'Ctrl-C twice ends what does not stop, and the terminal is as it was',
  options,
  async (context) => {
    const hanging = experiment({ slow: { with: 'text: x, act: hang' } });
    const terminal = openTerminal(
      context,
      temporaryProject(context, { 'x.yaml': hanging }),
      100,
      30,
    );
    terminal.keys(run(), 'Enter');
    await terminal.shows('▶ slow');
    await terminal.shows('^C stop');
    terminal.keys('C-c');
    await terminal.shows('Ctrl-C again to stop now');
    terminal.keys('C-c');
    await terminal.shows('ended=130');
    terminal.keys('echo is-$((40+2))', 'Enter');
    await terminal.shows('is-42');
  },
);

test('a narrower and a wider terminal: nothing is left behind', options, async (context) => {
  // A step that says nothing: a frame drawn between the terminal's resize and its signal can't be told from outside.
  const silent = experiment({
    quick: { with: 'text: fast' },
    slow: { in: 'quick', with: 'text: x, act: hang' },
    last: { in: 'slow' },
  });
  const cwd = temporaryProject(context, { 'x.yaml': silent });
  const terminal = openTerminal(context, cwd, 110, 30);
  terminal.keys(run(), 'Enter');
  await terminal.shows('╭');
  terminal.resize(70, 24);
  await terminal.shows(/[^ ] +\? help {2}\^C stop\n*$/);
  terminal.resize(100, 30);
  await terminal.shows('↑↓ step');
  terminal.keys('C-c');
  await terminal.shows('Ctrl-C again to stop now');
  terminal.keys('C-c');
  const after = await terminal.shows('ended=130');
  assert.doesNotMatch(after, /╭|╰|\^C stop/);
});

test(
  'what stays in the scrollback is the log: steps once each, then how it ended',
  options,
  async (context) => {
    const steps = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`s${i}`, { with: `text: t${i}` }]),
    );
    const terminal = openTerminal(
      context,
      temporaryProject(context, { 'x.yaml': experiment(steps) }),
      90,
      14,
    );
    terminal.keys(run(), 'Enter');
    const after = await terminal.shows('ended=0');
    for (let i = 0; i < 12; i += 1)
      assert.equal(after.match(new RegExp(`^✔ s${i} +ran .*wrote t${i}$`, 'gm'))?.length, 1, after);
    assert.match(after, /done .* {2}12 ran, 0 cached, 0 failed/);
    terminal.keys('clear', 'Enter', run(), 'Enter');
    await terminal.shows(/0 ran, 12 cached, 0 failed/);
  },
);

const colour = /\u001b\[[0-9;]*3[0-9]m/;

test('colours on the live screen, and none with NO_COLOR', options, async (context) => {
  const cwd = temporaryProject(context, { 'x.yaml': counting });
  for (const [setting, expected] of [
    ['', true],
    ['NO_COLOR=1 ', false],
  ] as const) {
    const terminal = openTerminal(context, cwd, 100, 30);
    terminal.keys(setting + run(), 'Enter');
    await terminal.shows(/▶ slow +row \d/);
    assert.equal(colour.test(terminal.painted()), expected);
    terminal.keys('C-c');
    await terminal.shows('ended=130');
  }
});

test('CI and TERM=dumb mean plain lines', options, async (context) => {
  const terminal = openTerminal(
    context,
    temporaryProject(context, { 'x.yaml': experiment({ a: {} }) }),
    100,
    30,
  );
  terminal.keys(`CI=1 ${run()}`, 'Enter');
  assert.match(await terminal.shows('ended=0'), /\d\d:\d\d:\d\d {2}run +done/);
  terminal.keys('clear', 'Enter', `TERM=dumb ${run('--force')}`, 'Enter');
  assert.match(await terminal.shows(/1 ran, 0 cached/), /\d\d:\d\d:\d\d {2}run +done/);
});
