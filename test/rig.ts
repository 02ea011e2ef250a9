// A temporary project, and the real command line run in it: started, watched, interrupted and killed. It knows nothing of
// what an experiment does; steps that a test controls are in engine/execution/support.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { readRun } from '../engine/run-store.ts';
import type { RunEvent } from '../schemas/event.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { projectRoot } from './shared.ts';

/** From dist/ the installed command; from the sources the command line's main module, whose types Node strips. */
const compiled = import.meta.filename.endsWith('.js');
const mesa = compiled ? join(projectRoot, 'bin', 'mesa.js') : join(projectRoot, 'cli', 'main.ts');

/** Module of the controllable steps, to be named by `uses`. */
export const fakeStepModule = join(
  import.meta.dirname,
  `engine/execution/support/fake-step${compiled ? '.js' : '.ts'}`,
);

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running command. */
export class Command {
  readonly child: ChildProcess;
  readonly done: Promise<Ended>;
  readonly events: RunEvent[] = [];
  readonly #watchers = new Set<() => void>();
  #over = false;

  constructor(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>) {
    const child = spawn(process.execPath, [mesa, ...args], {
      cwd,
      env: { ...process.env, CI: '1', NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.child = child;
    const text = { stdout: '', stderr: '' };
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text.stderr += chunk;
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      text.stdout += `${line}\n`;
      if (line.startsWith('{"event"') || line.startsWith('{"at"'))
        this.events.push(JSON.parse(line) as RunEvent);
      this.#wake();
    });
    this.done = once(child, 'close').then((ended) => {
      const [code, signal] = ended as [number | null, NodeJS.Signals | null];
      this.#over = true;
      this.#wake();
      return { code, signal, ...text };
    });
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resolves when the condition holds, true, or when the command ends first, false. Needs `--json`. */
  async until(condition: (events: readonly RunEvent[]) => boolean): Promise<boolean> {
    while (!condition(this.events)) {
      if (this.#over) return false;
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
    return true;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
};

export class Rig {
  /** Real path, so that it is what /proc says. */
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'mesa-rig-')));
  readonly commands: Command[] = [];

  constructor() {
    mkdirSync(join(this.root, '.mesa'));
  }

  path(...parts: readonly string[]): string {
    return join(this.root, ...parts);
  }

  write(name: string, text: string | Uint8Array): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
    const command = new Command(args, this.root, env);
    this.commands.push(command);
    return command;
  }

  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return this.start(args, env).done;
  }

  /** The record of a run, by default the newest. */
  record(run = 'last'): RunRecord {
    const record = readRun(this.path('runs'), run);
    assert.ok(record !== null, `no run ${run}`);
    return record;
  }

  /** step.output -> digest of its artifact, over all runs. Two digests of one output are an error. */
  digests(record = this.record()): Readonly<Record<string, string>> {
    return Object.fromEntries(
      record.steps.flatMap((step) =>
        (step.result?.outputs ?? []).map((output) => [
          `${step.step}.${output.name}`,
          output.digest,
        ]),
      ),
    );
  }

  /** Processes that work in this project's folder, whoever their parent is. */
  processes(): readonly number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          const dead = readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
          return !dead && readlinkSync(`/proc/${pid}/cwd`) === this.root;
        } catch {
          return false;
        }
      });
  }

  /** Waits until no process works here any more; fails when one stays. */
  async alone(): Promise<void> {
    for (const end = performance.now() + 10_000; this.processes().length > 0;) {
      assert.ok(performance.now() < end, `processes stay: ${this.processes().join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async dispose(): Promise<void> {
    for (const pid of this.processes()) kill(pid);
    await Promise.all(this.commands.map((command) => command.done));
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A socket at which controllable steps report, and wait for a word. */
export class Controller {
  readonly path: string;
  readonly #server: Server;
  readonly #waiting = new Map<string, Socket>();
  #watchers: (() => void)[] = [];

  private constructor(path: string, server: Server) {
    this.path = path;
    this.#server = server;
    server.on('connection', (socket) => {
      socket.on('error', () => undefined);
      const lines = createInterface({ input: socket });
      // A step that is killed resets its connection.
      lines.on('error', () => undefined);
      lines.once('line', (line) => {
        const { started } = JSON.parse(line) as { started: string };
        this.#waiting.set(started, socket);
        socket.once('close', () => {
          if (this.#waiting.get(started) === socket) this.#waiting.delete(started);
        });
        for (const wake of this.#watchers.splice(0)) wake();
      });
    });
  }

  static async open(path: string): Promise<Controller> {
    const server = createServer();
    server.listen(path);
    await once(server, 'listening');
    return new Controller(path, server);
  }

  /** Resolves when the step with this text runs. */
  async started(text: string): Promise<void> {
    while (!this.#waiting.has(text))
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve);
      });
  }

  /** Tells a step what to do: `write`, `fail`, `crash`... */
  async tell(text: string, act: string): Promise<void> {
    await this.started(text);
    this.#waiting.get(text)?.write(`${act}\n`);
    this.#waiting.delete(text);
  }

  close(): void {
    for (const socket of this.#waiting.values()) socket.destroy();
    this.#server.close();
  }
}

/** mulberry32: random moments that a failing test can repeat. */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

export type Victim = 'coordinator' | 'worker' | 'group';

const childrenOf = (pid: number): readonly number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
};

/**
 * Runs an experiment again and again, killing its coordinator, a worker or everything at a random moment, at most
 * `kills` times, and then to its end. Returns what was killed.
 */
export const killUntilDone = async (
  rig: Rig,
  file: string,
  kills: number,
  random: () => number,
  args: readonly string[] = [],
): Promise<readonly Victim[]> => {
  const killed: Victim[] = [];
  for (;;) {
    const command = rig.start(['run', file, '--json', ...args]);
    if (killed.length < kills) {
      // Some kills fall before the first event, most in the middle of steps.
      const count = Math.floor(random() * 24);
      const going = await command.until((events) => events.length >= count);
      // And not only at the moments at which something is said.
      for (let turns = Math.floor(random() * 40); turns > 0; turns -= 1)
        await new Promise((resolve) => setImmediate(resolve));
      const choice = random();
      const workers = childrenOf(command.pid);
      const victim: Victim =
        choice < 0.4 ? 'coordinator' : choice < 0.7 && workers.length > 0 ? 'worker' : 'group';
      if (going && command.child.exitCode === null) {
        killed.push(victim);
        if (victim === 'worker') kill(workers[Math.floor(random() * workers.length)] ?? 0);
        else kill(command.pid);
        if (victim === 'group') for (const pid of workers) kill(pid);
      }
    }
    const { code, stderr } = await command.done;
    if (code === 0) return killed;
    // What the command line calls a bug is one.
    assert.notEqual(code, 70, stderr);
    assert.notEqual(code, 2, stderr);
  }
};
