// `mesa doctor`: what is well and what isn't, each with the fix. Made to be pasted into a bug report: no environment
// values, no file contents.

import { existsSync, statfsSync, accessSync, constants as access } from 'node:fs';
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { findRoot } from '../../engine/find-root.ts';
import { bytes } from '../../ui/format.ts';
import { flagOption, type CliContext, type CommandAction } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { openCache } from '../experiment.ts';
import { mesaVersion, packageRoot } from '../package-root.ts';

interface Finding {
  readonly what: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly text: string;
  readonly fix?: string;
}

const node = (): Finding => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const recent = major >= 24 || (major === 22 && minor >= 18);
  const text = `${process.versions.node} (${process.execPath})`;
  return recent
    ? { what: 'Node', state: 'ok', text }
    : {
        what: 'Node',
        state: 'failed',
        text,
        fix: 'Node 22.18 or 24; npm ci installs one beside MESA',
      };
};

const system = (): Finding => ({
  what: 'system',
  state: 'ok',
  text: `${platform()} ${release()} ${arch()}, ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`,
});

const threads = (): Finding => {
  const usable = availableParallelism();
  return { what: 'threads', state: 'ok', text: `${usable} of ${cpus().length}` };
};

const memory = (): Finding => {
  // Of a container's limit, where there is one.
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const available = Math.min(total, process.availableMemory() || freemem());
  const text = `${bytes(available)} free of ${bytes(total)}`;
  return available < 2e9
    ? {
        what: 'memory',
        state: 'warning',
        text,
        fix: 'a model of 135 million parameters trains in 3 GB; use a smaller or quantised one',
      }
    : { what: 'memory', state: 'ok', text };
};

/** Loading the runtime is the only proof that its binary fits this machine. */
const runtime = async (): Promise<Finding> => {
  const require = createRequire(import.meta.url);
  try {
    const { version } = require('onnxruntime-node/package.json') as { readonly version: string };
    const { availableDevices } = await import('../../tensor/session.ts');
    return {
      what: 'onnxruntime',
      state: 'ok',
      text: `${version}, providers ${availableDevices().join(', ')}`,
    };
  } catch (error) {
    const text = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    return {
      what: 'onnxruntime',
      state: 'failed',
      text,
      fix: 'npm ci; the package needs 64-bit Linux with glibc 2.28, Windows or macOS',
    };
  }
};

const build = (): Finding => {
  const main = path.join(packageRoot, 'dist', 'cli', 'main.js');
  return existsSync(main)
    ? { what: 'mesa', state: 'ok', text: `${mesaVersion()} in ${packageRoot}` }
    : { what: 'mesa', state: 'warning', text: `${mesaVersion()}, not built`, fix: 'npm run build' };
};

const disk = (folder: string): Finding => {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const text = `${bytes(free)} free at ${folder}`;
  return free < 2e9
    ? {
        what: 'disk',
        state: 'warning',
        text,
        fix: 'mesa cache gc, or MESA_CACHE_DIR on another disk',
      }
    : { what: 'disk', state: 'ok', text };
};

/** Looks at the cache where there is one; makes none. */
const cache = (context: CliContext, root: string): Finding => {
  const { MESA_CACHE_DIR } = context.env;
  const folder = path.resolve(root, MESA_CACHE_DIR ?? '.mesa');
  if (!existsSync(folder)) {
    try {
      accessSync(path.dirname(folder), access.W_OK);
      return { what: 'cache', state: 'ok', text: `none yet; the first run makes ${folder}` };
    } catch {
      return {
        what: 'cache',
        state: 'failed',
        text: `${path.dirname(folder)} can't be written to`,
        fix: 'set MESA_CACHE_DIR to a folder that can',
      };
    }
  }
  const opened = openCache(context, root);
  if (!opened.ok) {
    const [first] = opened.error;
    return {
      what: 'cache',
      state: 'failed',
      text: first?.message ?? 'cannot be opened',
      fix: first?.hint ?? '',
    };
  }
  const answer: unknown = opened.value.database.pragma('quick_check', { simple: true });
  opened.value.close();
  return answer === 'ok'
    ? { what: 'cache', state: 'ok', text: `${folder}, database sound` }
    : {
        what: 'cache',
        state: 'failed',
        text: `${folder}: ${String(answer)}`,
        fix: `move ${path.join(folder, 'cache.sqlite')} away; results are computed again`,
      };
};

export const execute: CommandAction = async (context, _args, options) => {
  const root = findRoot(path.join(context.cwd, 'experiment.yaml'));
  const findings = [
    build(),
    node(),
    system(),
    threads(),
    memory(),
    await runtime(),
    disk(root),
    cache(context, root),
  ];
  const { stdout } = context;
  const { theme } = stdout;
  if (flagOption(options, 'json')) stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
  else
    for (const { what, state, text, fix } of findings) {
      const mark =
        state === 'ok'
          ? theme.ok('✔')
          : state === 'warning'
            ? theme.warning('!')
            : theme.failed('✘');
      stdout.write(`${mark} ${what.padEnd(12)} ${text}\n`);
      if (fix !== undefined && fix !== '') stdout.write(`${' '.repeat(15)}${theme.bold(fix)}\n`);
    }
  return findings.some(({ state }) => state === 'failed') ? exitCodes.failed : exitCodes.ok;
};
