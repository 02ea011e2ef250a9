// The process: reads the command line, runs one command, and ends with its exit code. The only file that ends it.

import { setFlagsFromString } from 'node:v8';
import { crashReport } from './crash.ts';
import { makeContext } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { mesaVersion } from './package-root.ts';
import { parseArguments } from './program.ts';

// A plan of 10,000 steps in 170 MB instead of 420 (bench/engine-runs.ts): V8 would let the young generation grow to
// 128 MB, for which this process has no use.
setFlagsFromString('--semi-space-growth-factor=1');

let command = '';

/** The reader went away (`mesa runs | head`): end silently, as other tools do. */
const onStreamError = (error: NodeJS.ErrnoException): void => {
  process.exit(error.code === 'EPIPE' ? exitCodes.closedPipe : exitCodes.bug);
};

const onBug = (error: unknown): void => {
  process.stderr.write(crashReport(error, command));
  process.exit(exitCodes.bug);
};

/**
 * Started by bin/mesa.js on another Node: if that process is killed outright, no signal arrives here. Then nobody waits
 * for this run any more; ending at once is safe, since the cache is only ever changed atomically.
 */
const endWithLauncher = (): void => {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(exitCodes.terminated);
  }, 500).unref();
};

/** Pipes may still hold output: end when it is out. */
const endWhenWritten = (code: ExitCode): void => {
  process.stdout.write('', () => {
    process.stderr.write('', () => process.exit(code));
  });
};

const main = async (): Promise<ExitCode> => {
  const launched = process.env['MESA_LAUNCHER'] === String(process.ppid);
  delete process.env['MESA_LAUNCHER'];
  const parsed = parseArguments(process.argv.slice(2), {
    version: mesaVersion,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
  if (parsed.kind === 'shown') return exitCodes.ok;
  if (parsed.kind === 'wrong') return exitCodes.usage;
  const { invocation } = parsed;
  command = invocation.command.name;
  if (launched) endWithLauncher();
  const { execute } = await invocation.command.load();
  const context = makeContext(invocation.globals, {
    launched,
    exitNow: (code) => process.exit(code),
  });
  return execute(context, invocation.args, invocation.options);
};

process.stdout.on('error', onStreamError);
process.stderr.on('error', onStreamError);
process.on('uncaughtException', onBug);
process.on('unhandledRejection', onBug);
main().then(endWhenWritten, onBug);
