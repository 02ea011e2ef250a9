#!/usr/bin/env node
// Starts the command line (dist/cli/main.js), on a Node that can run it: where the running one is too old, on the one
// that npm installed as the package `node`. Plain JavaScript that old Nodes can parse; knows nothing of MESA itself.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as module from 'node:module';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const main = path.join(root, 'dist', 'cli', 'main.js');

/** Types of plugins are stripped without a flag since 22.18; odd releases in between are at the end of their life. */
const isRecent = () => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major >= 24 || (major === 22 && minor >= 18);
};

/** node_modules' own Node, wherever npm put it (beside us, or hoisted above us). */
const bundledNode = () => {
  try {
    const manifest = module.createRequire(import.meta.url).resolve('node/package.json');
    const file = path.join(
      path.dirname(manifest),
      'bin',
      process.platform === 'win32' ? 'node.exe' : 'node',
    );
    return existsSync(file) ? file : null;
  } catch {
    return null;
  }
};

const refuse = (message) => {
  process.stderr.write(message);
  process.exit(2);
};

/**
 * Runs this file again on another Node. A Ctrl-C in the terminal reaches both processes, a `kill -INT` only this one,
 * and two interrupts mean "stop now": so an interrupt is handed on as another signal, and the command line takes the
 * larger of the two counts. If this process is killed outright, the other one sees its parent change and ends.
 */
const startAgain = (node) => {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, MESA_LAUNCHER: String(process.pid) },
  });
  if (process.platform !== 'win32') process.on('SIGINT', () => child.kill('SIGUSR2'));
  else process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => refuse(`mesa: cannot start ${node}: ${error.message}\n`));
  child.on('exit', (code, signal) => {
    if (code !== null) process.exit(code);
    process.exit(signal === 'SIGUSR2' ? 130 : 128 + (constants.signals[signal] ?? 0));
  });
};

const node = isRecent() ? null : bundledNode();
if (!isRecent() && node === null) {
  refuse(
    `mesa needs Node 22.18 or 24 and later; this is ${process.version}.\n` +
      `npm installs a fitting one beside MESA: run "npm ci" in ${root}\n`,
  );
} else if (node !== null && process.env.MESA_LAUNCHER === undefined) {
  startAgain(node);
} else if (!existsSync(main)) {
  refuse(`mesa is not built yet: run "npm run build" in ${root}\n`);
} else {
  module.enableCompileCache?.();
  await import(pathToFileURL(main).href);
}
