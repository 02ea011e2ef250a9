// The command table as a commander program. Parsing only: which command, with which arguments, is handed back.

import { Command, CommanderError, InvalidArgumentError, Option, type Argument } from 'commander';
import { commandTable, type CommandSpec, type OptionSpec } from './command-table.ts';
import type { GlobalOptions, OptionValues } from './context.ts';

export interface Invocation {
  readonly command: CommandSpec;
  readonly args: readonly string[];
  readonly options: OptionValues;
  readonly globals: GlobalOptions;
}

export type Parsed =
  | { readonly kind: 'command'; readonly invocation: Invocation }
  /** Help or the version was printed. */
  | { readonly kind: 'shown' }
  /** The message was printed. */
  | { readonly kind: 'wrong' };

const introduction = `mesa: experiments with language models, declared in YAML, computed once, compared with statistics

  mesa init                               a first experiment to start from
  mesa run experiments/quickstart.yaml    run it; again, and it comes from the cache
  mesa show last                          what came out

Run   run  plan  check  why  graph
Look  runs  show  compare  cat  export
Setup init  steps  lock  cache  doctor  completion

mesa <command> --help tells more; the tutorial is docs/tutorial.md
`;

const footer = `
Everywhere:
  -q, --quiet   -v, --verbose   --color auto|always|never   --cwd <folder>   -h, --help   --version

Environment:
  MESA_CACHE_DIR (default .mesa at the project root)  MESA_UI  NO_COLOR  FORCE_COLOR  CI

Exit codes:
  0 done   1 a step failed or a gate did not hold   2 wrong usage or file, nothing ran
  3 plan --exit-code: something would run   70 bug in MESA   130 interrupted   143 terminated
`;

const makeOption = (spec: OptionSpec): Option => {
  const option = new Option(spec.flags, spec.description);
  const type = spec.type ?? { kind: 'plain' };
  switch (type.kind) {
    case 'plain':
      return option;
    case 'choice':
      return option.choices(type.of);
    case 'integer':
      return option.argParser((text: string) => {
        const value = Number(text);
        if (!/^\d+$/.test(text) || value < type.min || !Number.isSafeInteger(value))
          throw new InvalidArgumentError(`Expected a whole number from ${type.min}.`);
        return value;
      });
    case 'list':
      return option.argParser((text: string, before: readonly string[] | undefined) => [
        ...(before ?? []),
        text,
      ]);
  }
};

const addGlobalOptions = (command: Command): Command =>
  command
    .addOption(new Option('-q, --quiet', 'only results and failures').helpGroup('Everywhere:'))
    .addOption(new Option('-v, --verbose', 'say more').helpGroup('Everywhere:'))
    .addOption(
      new Option('--color <when>', 'paint the output')
        .choices(['auto', 'always', 'never'])
        .helpGroup('Everywhere:'),
    )
    .addOption(new Option('--cwd <folder>', 'as if started there').helpGroup('Everywhere:'));

const argumentTerm = (argument: Argument): string => {
  const name = argument.name() + (argument.variadic ? '...' : '');
  return argument.required ? `<${name}>` : `[${name}]`;
};

/** `--force` takes a step only as `--force=STEP`; the word after a bare `--force` is the file. */
const bareForce = (argv: readonly string[]): string[] =>
  argv.map((arg) => (arg === '--force' ? '--force=*' : arg));

/** `help rnu` is a mistake to be told of, as `rnu` is; commander would show the whole help. */
const helpOfUnknown = (argv: string[]): string[] => {
  const [first, second] = argv;
  const known = second === undefined || commandTable.some(({ name }) => name === second);
  return first === 'help' && !known ? argv.slice(1) : argv;
};

const readGlobals = (options: OptionValues): GlobalOptions => {
  const { color, cwd } = options;
  return {
    quiet: options['quiet'] === true,
    verbose: options['verbose'] === true,
    color: color === 'always' || color === 'never' ? color : 'auto',
    cwd: typeof cwd === 'string' ? cwd : undefined,
  };
};

/** Global flags may stand before or after the command; commander keeps the two apart. */
const merged = (parent: OptionValues, own: OptionValues): OptionValues => ({ ...parent, ...own });

const addCommand = (
  program: Command,
  spec: CommandSpec,
  chosen: (invocation: Invocation) => void,
): void => {
  const command = program.command(`${spec.name} ${spec.args ?? ''}`.trim(), {
    hidden: spec.hidden ?? false,
  });
  command.description(spec.summary).helpGroup(spec.group).configureHelp({});
  for (const option of spec.options) command.addOption(makeOption(option));
  addGlobalOptions(command);
  if (spec.examples !== undefined)
    command.addHelpText('after', `\nExamples:\n${spec.examples.map((e) => `  ${e}\n`).join('')}`);
  command.action(() => {
    const options = merged(program.opts(), command.opts());
    const args = command.processedArgs.flatMap((arg: unknown) =>
      Array.isArray(arg)
        ? arg.filter((a) => typeof a === 'string')
        : typeof arg === 'string'
          ? [arg]
          : [],
    );
    chosen({ command: spec, args, options, globals: readGlobals(options) });
  });
};

/** Reads the command line. What it prints (help, the version, what is wrong) goes to the given writers. */
export const parseArguments = (
  argv: readonly string[],
  io: {
    readonly version: () => string;
    readonly out: (text: string) => void;
    readonly err: (text: string) => void;
  },
): Parsed => {
  if (argv.length === 0) {
    io.out(introduction);
    return { kind: 'shown' };
  }
  let invocation: Invocation | undefined;
  const program = new Command('mesa')
    .description(
      'Experiments with language models: declared in YAML, computed once, compared with statistics.',
    )
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .configureHelp({
      // Few and the same for all commands: the footer has them in one line.
      visibleOptions: () => [],
      subcommandTerm: (command) =>
        `${command.name()} ${command.registeredArguments.map((argument) => argumentTerm(argument)).join(' ')}`.trim(),
    })
    .addHelpText('after', footer)
    .commandsGroup('Set up:')
    .helpCommand('help [command]', 'help for a command')
    .showHelpAfterError('(mesa --help lists commands and options)');
  program.helpOption('-h, --help', 'this help');
  addGlobalOptions(program);
  program.option('--version', 'the version of MESA');
  for (const spec of commandTable)
    addCommand(program, spec, (chosen) => {
      invocation = chosen;
    });
  if (argv.length === 1 && argv[0] === '--version') {
    io.out(`${io.version()}\n`);
    return { kind: 'shown' };
  }
  try {
    program.parse(helpOfUnknown(bareForce(argv)), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { kind: error.exitCode === 0 ? 'shown' : 'wrong' };
  }
  return invocation === undefined ? { kind: 'wrong' } : { kind: 'command', invocation };
};
