// One worker process as the coordinator sees it: lines in, lines out, and its end. It leads a process group of its own,
// so that Ctrl-C in the terminal reaches the coordinator alone and a kill takes along whatever the step started.

import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { FromWorker, ToWorker } from '../protocol.ts';
import { memoryTunables } from './malloc.ts';

export interface WorkerCommand {
  /** Executable and arguments that start a worker: node and the module. */
  readonly command: string;
  readonly args: readonly string[];
}

export interface WorkerListener {
  message(message: FromWorker): void;
  output(text: string): void;
  exit(exitCode: number | null, signal: string | null): void;
}

/** Calls `each` for every complete line; the last, incomplete one too at the end. */
export const splitLines = (stream: Readable, each: (line: string) => void): void => {
  let pending = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) each(line);
  });
  stream.on('end', () => {
    if (pending !== '') each(pending);
  });
};

export const workerEnvironment = (): NodeJS.ProcessEnv => ({ ...memoryTunables(), ...process.env });

export class WorkerProcess {
  listener: WorkerListener | null = null;
  readonly #child: ChildProcess;
  #over = false;

  constructor(worker: WorkerCommand, cwd: string) {
    const child = spawn(worker.command, worker.args, {
      cwd,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      detached: true,
      env: workerEnvironment(),
    });
    this.#child = child;
    // Writing to a worker that has just died is no error of its own: its exit says everything.
    child.stdin.on('error', () => undefined);
    for (const stream of [child.stdout, child.stderr])
      splitLines(stream, (line) => this.listener?.output(line));
    splitLines(child.stdio[3] as Readable, (line) => {
      this.listener?.message(JSON.parse(line) as FromWorker);
    });
    // What it started must not outlive it, nor hold its streams open.
    child.on('exit', () => {
      this.kill();
    });
    const end = (exitCode: number | null, signal: string | null): void => {
      if (this.#over) return;
      this.#over = true;
      this.listener?.exit(exitCode, signal);
    };
    child.on('close', end);
    child.on('error', (error) => {
      this.listener?.output(`can't start a worker: ${error.message}`);
      end(null, null);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get over(): boolean {
    return this.#over;
  }

  send(message: ToWorker): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** The whole process group. */
  kill(): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // Nobody of the group is left.
    }
  }
}
