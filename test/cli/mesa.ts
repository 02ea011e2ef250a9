// Runs the real binary in a temporary project, with a controllable step type, and hands back what a user would see.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { projectRoot } from '../shared.ts';

export const binary = path.join(projectRoot, 'bin', 'mesa.js');
/** A step that writes text, fails, counts, or waits, as its parameters say. */
export const fakeStep = path.join(projectRoot, 'test/engine/execution/support/fake-step.ts');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
}

/** Nothing of the developer's own settings, and no colours, so that a golden is a golden anywhere. */
export const cleanEnv = (own: RunOptions['env'] = {}): NodeJS.ProcessEnv => {
  const { PATH, HOME, TMPDIR, SystemRoot } = process.env;
  return { PATH, HOME, TMPDIR, SystemRoot, TZ: 'UTC', LC_ALL: 'C.UTF-8', ...own };
};

export const start = (args: readonly string[], options: RunOptions = {}): ChildProcess =>
  spawn(process.execPath, [binary, ...args], {
    cwd: options.cwd ?? projectRoot,
    env: cleanEnv(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  });

export const ended = (child: ChildProcess): Promise<Ended> =>
  new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });

export const mesa = (args: readonly string[], options: RunOptions = {}): Promise<Ended> => {
  const child = start(args, options);
  child.stdin?.end(options.input ?? '');
  return ended(child);
};

/** Resolves with the output so far once stdout or stderr holds `wanted`. */
export const said = (child: ChildProcess, wanted: string | RegExp): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const look = (chunk: Buffer): void => {
      text += chunk.toString('utf8');
      if (typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text)) resolve(text);
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.on('close', () => reject(new Error(`ended without ${String(wanted)}:\n${text}`)));
  });

/** A folder that is its own project root and goes away with the test. */
export const temporaryProject = (
  test: TestContext,
  files: Readonly<Record<string, string>> = {},
): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mesa-cli-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(path.join(folder, '.mesa'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
};

/** Steps of the fake type: `{ a: 'text: x' }` -> an experiment. Each may name its inputs. */
export const experiment = (
  steps: Readonly<Record<string, { readonly with?: string; readonly in?: string }>>,
): string =>
  [
    'name: fake',
    'steps:',
    ...Object.entries(steps).flatMap(([id, step]) => [
      `  ${id}:`,
      `    uses: ${fakeStep}`,
      ...(step.in === undefined ? [] : [`    inputs: { in: ${step.in} }`]),
      ...(step.with === undefined ? [] : [`    with: { ${step.with} }`]),
    ]),
    '',
  ].join('\n');
