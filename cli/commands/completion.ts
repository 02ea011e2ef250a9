// Completion scripts for bash, zsh and fish, made from the command table. The scripts complete commands, flags and
// fixed words by themselves; experiments are files, and run ids are the folders of runs/.

import { commandTable, type CommandSpec, type OptionSpec } from '../command-table.ts';
import type { CommandAction } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';

const globalFlags = ['--quiet', '--verbose', '--color', '--cwd', '--help'];

const longFlag = (option: OptionSpec): string => /--[a-z-]+/.exec(option.flags)?.[0] ?? '';
const visible = commandTable.filter((command) => command.hidden !== true);
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

const wordsFor = (command: CommandSpec): string => {
  const { completes } = command;
  if (completes === undefined) return '';
  if (completes === 'experiment') return '$(ls experiments/*.yaml *.yaml 2>/dev/null)';
  if (completes === 'run') return 'last $(ls runs 2>/dev/null)';
  if (completes === 'step-type') return '$(mesa steps --names 2>/dev/null)';
  return completes.join(' ');
};

/** Commands whose arguments are paths, besides the words that are offered. */
const withFiles = (): string =>
  visible
    .filter(
      ({ completes, args }) => completes === 'experiment' || args?.includes('folder') === true,
    )
    .map(({ name }) => name)
    .join('|');

const bash = (): string => {
  const cases = visible.map((command) => {
    const flags = [...command.options.map(longFlag), ...globalFlags].join(' ');
    return `    ${command.name}) flags="${flags}"; words="${wordsFor(command)}" ;;`;
  });
  const choices = visible.flatMap((command) =>
    command.options.flatMap((option) =>
      option.type?.kind === 'choice'
        ? [
            `    ${command.name}:${longFlag(option)}) COMPREPLY=($(compgen -W "${option.type.of.join(' ')}" -- "$cur")); return ;;`,
          ]
        : [],
    ),
  );
  return `# mesa completion bash > /etc/bash_completion.d/mesa, or: source <(mesa completion bash)
_mesa() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command="" word flags="" words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) command="$word"; break ;; esac
  done
  case "$command:$prev" in
${choices.join('\n')}
  esac
  case "$command" in
    "") words="${[...visible.map(({ name }) => name), 'help'].join(' ')}"; flags="${globalFlags.join(' ')} --version" ;;
${cases.join('\n')}
  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *)
      COMPREPLY=($(compgen -W "$words" -- "$cur"))
      case "$command" in ${withFiles()}) COMPREPLY+=($(compgen -f -- "$cur")) ;; esac ;;
  esac
}
complete -o filenames -F _mesa mesa
`;
};

const zshOption = (option: OptionSpec): string => {
  const flag = longFlag(option);
  const description = option.description.replaceAll(/[[\]:']/g, ' ');
  const repeat = option.type?.kind === 'list' ? '*' : '';
  if (!/[<[]/.test(option.flags)) return `'${repeat}${flag}[${description}]'`;
  const values = option.type?.kind === 'choice' ? `(${option.type.of.join(' ')})` : '';
  const form = option.flags.includes('[') ? '=-' : '';
  return `'${repeat}${flag}${form}[${description}]:value:${values}'`;
};

const zshArgument = (command: CommandSpec): string => {
  const { completes } = command;
  if (completes === undefined) return '';
  if (completes === 'experiment') return `'*:experiment:_files -g "*.yaml"'`;
  if (completes === 'run') return `'*:run:(last $(ls runs 2>/dev/null))'`;
  if (completes === 'step-type') return `'*:step type:($(mesa steps --names 2>/dev/null))'`;
  return `'*:what:(${completes.join(' ')})'`;
};

const zsh = (): string => {
  const commands = visible.map(
    ({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(':', ' -')}`)}`,
  );
  const cases = visible.map((command) => {
    const parts = [...command.options.map(zshOption), zshArgument(command)].filter((p) => p !== '');
    return `    ${command.name}) _arguments -s ${parts.join(' ')} ;;`;
  });
  return `#compdef mesa
# mesa completion zsh > "\${fpath[1]}/_mesa"
_mesa() {
  local -a commands
  commands=(
${commands.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command="\${words[2]}"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join('\n')}
  esac
}
compdef _mesa mesa
`;
};

const fish = (): string => {
  const lines = [
    '# mesa completion fish > ~/.config/fish/completions/mesa.fish',
    'complete -c mesa -f',
  ];
  for (const command of visible) {
    lines.push(
      `complete -c mesa -n __fish_use_subcommand -a ${command.name} -d ${quoted(command.summary)}`,
    );
    const when = `-n '__fish_seen_subcommand_from ${command.name}'`;
    const words =
      command.completes === 'experiment'
        ? '(__fish_complete_suffix .yaml)'
        : wordsFor(command).replace('$(', '(');
    if (words !== '') lines.push(`complete -c mesa ${when} -a ${quoted(words)}`);
    for (const option of command.options) {
      const values =
        option.type?.kind === 'choice' ? ` -x -a ${quoted(option.type.of.join(' '))}` : '';
      lines.push(
        `complete -c mesa ${when} -l ${longFlag(option).slice(2)}${values} -d ${quoted(option.description)}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
};

export const execute: CommandAction = async (context, [shell]) => {
  switch (shell) {
    case 'bash':
      context.stdout.write(bash());
      return exitCodes.ok;
    case 'zsh':
      context.stdout.write(zsh());
      return exitCodes.ok;
    case 'fish':
      context.stdout.write(fish());
      return exitCodes.ok;
    default:
      return context.usage(`no completion for "${shell ?? ''}"`, 'bash, zsh and fish are there');
  }
};
