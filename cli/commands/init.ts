// `mesa init [folder]`: the quickstart with its data and model, the schema for editors, and what git should not hold.
// Never overwrites: a file that is there stays as it is, and is said to be.

import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { CommandAction } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { packageRoot } from '../package-root.ts';
import { program } from '../typed-command.ts';
import { experimentSchemaFile } from './schema.ts';

const experiment = 'experiments/quickstart.yaml';
const schema = 'experiments/experiment.schema.json';

const editorSettings = {
  'yaml.schemas': { [`./${schema}`]: ['experiments/*.yaml', 'experiments/*.yml'] },
};

interface NewFile {
  /** Relative to the new project. */
  readonly name: string;
  write(to: string): void;
}

/** The modeline names the schema as it lies in MESA's own folder; here it lies beside the experiment. */
const withOwnSchema = (text: string): string =>
  text.replace(
    /^# yaml-language-server: .*$/m,
    '# yaml-language-server: $schema=experiment.schema.json',
  );

const text = (name: string, content: string): NewFile => ({
  name,
  write: (to) => writeFileSync(to, content, { flag: 'wx' }),
});

const copy = (name: string, from: string): NewFile => ({
  name,
  write: (to) => copyFileSync(from, to),
});

/** Files beside the quickstart that it reads: its data and its model. */
const companions = (): NewFile[] => {
  const cwd = path.join(packageRoot, 'experiments');
  return globSync(['data/questions-*', 'models/tiny/**'], { cwd })
    .sort()
    .filter((name) => statSync(path.join(cwd, name)).isFile())
    .map((name) => copy(path.join('experiments', name), path.join(cwd, name)));
};

const newFiles = (): NewFile[] => [
  text(experiment, withOwnSchema(readFileSync(path.join(packageRoot, experiment), 'utf8'))),
  ...companions(),
  copy(schema, experimentSchemaFile),
  text('.vscode/settings.json', `${JSON.stringify(editorSettings, null, 2)}\n`),
  text('.gitignore', '.mesa/\nruns/\n'),
];

export const execute: CommandAction = async (context, [folder = '.']) => {
  const { stdout, stderr } = context;
  const root = path.resolve(context.cwd, folder);
  for (const file of newFiles()) {
    const to = path.join(root, file.name);
    const shown = path.join(folder, file.name);
    if (existsSync(to)) {
      stderr.write(`${stderr.theme.dim(`kept     ${shown} (it was there)`)}\n`);
      if (file.name === '.gitignore')
        stderr.write(`${stderr.theme.dim('         it should hold .mesa/ and runs/')}\n`);
      continue;
    }
    mkdirSync(path.dirname(to), { recursive: true });
    file.write(to);
    stdout.write(`${shown}\n`);
  }
  // Marks the root of the project, wherever in it a command is typed.
  mkdirSync(path.join(root, '.mesa'), { recursive: true });
  const there = folder === '.' ? '' : `cd ${folder} && `;
  stderr.write(
    `\n${stderr.theme.dim('next')}  ${there}${program(context.env)} run ${experiment}\n`,
  );
  return exitCodes.ok;
};
