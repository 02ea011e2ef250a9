// What every command gets: where it runs, whom it speaks to, and the settings that flags and environment decide.
// Precedence everywhere: flag, then environment, then file, then default.

import path from 'node:path';
import { makeTheme } from '../ui/theme.ts';
import type { Output } from '../ui/output.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';

export interface GlobalOptions {
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: 'auto' | 'always' | 'never';
  readonly cwd: string | undefined;
}

export interface CliContext {
  /** Absolute. */
  readonly cwd: string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** Results: what a pipe wants. */
  readonly stdout: Output;
  /** Progress, diagnostics, hints: what a person wants. */
  readonly stderr: Output;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Whether bin/mesa.js stands between the terminal and this process (cli/interrupts.ts). */
  readonly launched: boolean;
  /** Ends the process without waiting for anything: the second Ctrl-C. */
  exitNow(code: ExitCode): never;
  /** Wrong usage: says so on stderr and is the exit code. */
  usage(message: string, hint?: string): ExitCode;
}

export type OptionValues = Readonly<Record<string, unknown>>;
export type CommandAction = (
  context: CliContext,
  args: readonly string[],
  options: OptionValues,
) => Promise<ExitCode>;

/** Whether a stream is painted: `--color`, then NO_COLOR, then FORCE_COLOR, then what the stream is. */
export const wantsColour = (
  isTty: boolean,
  choice: GlobalOptions['color'],
  env: Readonly<NodeJS.ProcessEnv>,
): boolean => {
  if (choice !== 'auto') return choice === 'always';
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false;
  const force = env['FORCE_COLOR'];
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return isTty && env['TERM'] !== 'dumb';
};

const outputOf = (
  stream: NodeJS.WriteStream,
  choice: GlobalOptions['color'],
  env: Readonly<NodeJS.ProcessEnv>,
): Output => ({
  write: (text) => void stream.write(text),
  isTty: stream.isTTY,
  columns: () => (stream.isTTY ? stream.columns : null),
  theme: makeTheme(wantsColour(stream.isTTY, choice, env)),
});

export const makeContext = (
  globals: GlobalOptions,
  own: Pick<CliContext, 'launched' | 'exitNow'>,
): CliContext => {
  const { env } = process;
  const stdout = outputOf(process.stdout, globals.color, env);
  const stderr = outputOf(process.stderr, globals.color, env);
  return {
    ...own,
    cwd: path.resolve(globals.cwd ?? '.'),
    env,
    stdout,
    stderr,
    quiet: globals.quiet,
    verbose: globals.verbose,
    usage: (message, hint) => {
      stderr.write(`${stderr.theme.failed('error:')} ${message}\n`);
      if (hint !== undefined) stderr.write(`  ${hint}\n`);
      return exitCodes.usage;
    },
  };
};

/** Options as commander leaves them are unknown; these read one of the expected type. */
export const textOption = (options: OptionValues, name: string): string | undefined => {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
};
export const flagOption = (options: OptionValues, name: string): boolean => options[name] === true;
export const listOption = (options: OptionValues, name: string): readonly string[] => {
  const value = options[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
};
export const numberOption = (options: OptionValues, name: string): number | undefined => {
  const value = options[name];
  return typeof value === 'number' ? value : undefined;
};
