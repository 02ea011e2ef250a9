// `mesa export RUN/STEP[.OUTPUT] FOLDER`: the files of a result, as they are, or a model as a Hugging Face folder or one
// GGUF file. An adapter is a PEFT folder already. A form that a result can't take is refused, not faked.

import { constants, copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { err, ok, type Result } from '../../engine/result.ts';
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
    case 'gguf':
      return has('model.json') ? null : `a ${artifact.kind} is no model`;
    default:
      return null;
  }
};

/** The files of a model in another form; the message of what stands in the way. */
const convert = async (
  form: 'hf' | 'gguf',
  artifact: OpenArtifact,
  folder: string,
): Promise<Result<readonly string[], { readonly message: string; readonly hint?: string }>> => {
  const { openModel } = await import('../../models/model.ts');
  const { CheckpointError } = await import('../../models/checkpoint/error.ts');
  const file = (name: string): string => artifact.file(name);
  mkdirSync(folder, { recursive: true });
  try {
    const model = openModel(artifact);
    if (form === 'hf') {
      const { exportHf } = await import('../../models/checkpoint/export-hf.ts');
      return ok(exportHf(model, folder, file));
    }
    const { exportGguf } = await import('../../models/checkpoint/export-gguf.ts');
    await exportGguf(model, path.join(folder, 'model.gguf'), file);
    return ok(['model.gguf']);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const { message, hint } = error;
    return err({ message, ...(hint === undefined ? {} : { hint }) });
  }
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
  let names = artifact.names;
  if (form === 'hf' || form === 'gguf') {
    const converted = await convert(form, artifact, folder);
    if (!converted.ok) {
      project.value.close();
      return context.usage(converted.error.message, converted.error.hint);
    }
    names = converted.value;
  } else
    for (const name of names) {
      const to = path.join(folder, name);
      mkdirSync(path.dirname(to), { recursive: true });
      // A copy that shares blocks where the file system can: the cache's own file must stay untouched.
      copyFileSync(artifact.file(name), to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    }
  for (const name of names) context.stdout.write(`${path.join(target, name)}\n`);
  context.stderr.write(
    `${count(names.length, 'file')}, ${bytes(output.bytes)}, kind ${output.kind}\n`,
  );
  project.value.close();
  return exitCodes.ok;
};
