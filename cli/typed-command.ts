// A command as it is to be typed, in the shell that this one was typed in.

/** Started by `npm start` or npx, `mesa` isn't among the commands that a shell finds. */
export const program = (env: Readonly<NodeJS.ProcessEnv>): string =>
  ['start', 'exec'].includes(env['npm_command'] ?? '') ? 'npx mesa' : 'mesa';

/** Quoted for POSIX shells where they would not leave it alone. */
const quoted = (argument: string): string =>
  /^[\w@%+=:,./-]+$/u.test(argument) ? argument : `'${argument.replaceAll("'", String.raw`'\''`)}'`;

/** The same command again, every option of it: with other options it would be another experiment. */
export const sameCommand = (
  env: Readonly<NodeJS.ProcessEnv>,
  args: readonly string[] = process.argv.slice(2),
): string => [program(env), ...args.map(quoted)].join(' ');
