// `mesa export RUN/STEP[.OUTPUT] FOLDER`: the files of a result, as they are. An adapter is a PEFT folder already; a model
// of safetensors becomes an HF folder by its config.json, which model.json holds. A form that would need converting is
// refused, not faked.

import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { bytes, count } from '../../ui/format.ts';
import { textOption, type CommandAction } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { findArtifact, openProjectHere, type OpenArtifact } from '../results.ts';

/** null: the files are this form already. */
const unfit = (artifact: OpenArtifact, form: string): string | null => {
  const has = (name: string): boolean => artifact.names.includes(name);
  switch (form) {
    case 'peft':
      return has('adapter_config.json') && has('adapter_model.safetensors')
        ? null
        : `a ${artifact.kind} is no PEFT adapter`;
    case 'hf':
      return has('model.json') && artifact.names.some((name) => name.endsWith('.safetensors'))
        ? null
        : `a ${artifact.kind} without safetensors is no HF folder`;
    default:
      return null;
  }
};

/** config.json of a model, as model.json holds it, where the model has no file of that name. */
const configOf = (artifact: OpenArtifact): string | null => {
  if (artifact.names.includes('config.json')) return null;
  const { config } = JSON.parse(readFileSync(artifact.file('model.json'), 'utf8')) as {
    readonly config: object;
  };
  return `${JSON.stringify(config, null, 2)}\n`;
};

export const execute: CommandAction = async (context, [text = '', target = ''], options) => {
  const project = openProjectHere(context);
  if (!project.ok) return context.usage(project.error.message, project.error.hint);
  const found = await findArtifact(project.value, text);
  if (!found.ok) return context.usage(found.error.message, found.error.hint);
  const { artifact, output } = found.value;
  const form = textOption(options, 'as') ?? 'files';
  const reason = unfit(artifact, form);
  if (reason !== null)
    return context.usage(
      `${text} can't be exported as ${form}: ${reason}`,
      'leave --as out to get its files',
    );
  const folder = path.resolve(context.cwd, target);
  if (existsSync(folder) && readdirSync(folder).length > 0)
    return context.usage(`${target} is not empty`, 'name a new folder: nothing is overwritten');
  for (const name of artifact.names) {
    const to = path.join(folder, name);
    mkdirSync(path.dirname(to), { recursive: true });
    // A copy that shares blocks where the file system can: the cache's own file must stay untouched.
    copyFileSync(artifact.file(name), to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    context.stdout.write(`${path.join(target, name)}\n`);
  }
  const config = form === 'hf' ? configOf(artifact) : null;
  if (config !== null) {
    writeFileSync(path.join(folder, 'config.json'), config, { flag: 'wx' });
    context.stdout.write(`${path.join(target, 'config.json')}\n`);
  }
  context.stderr.write(
    `${count(artifact.names.length, 'file')}, ${bytes(output.bytes)}, kind ${output.kind}\n`,
  );
  project.value.close();
  return exitCodes.ok;
};
