// `mesa export RUN/STEP[.OUTPUT] FOLDER [--as FORM]`: a result for another tool. A form that a result can't take is
// refused, not faked, and leaves nothing behind.

import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { err, type Result } from '../../engine/result.ts';
import { bytes, count } from '../../ui/format.ts';
import { textOption, type CliContext, type CommandAction } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { Exported, Exporter } from '../export/form.ts';
import { findArtifact, openProjectHere, type Missing } from '../results.ts';

/** Loaded when it is asked for: each brings its own libraries. */
const exporters: Readonly<Record<string, () => Promise<Exporter>>> = {
  files: async () => (await import('../export/files.ts')).exportFiles,
  peft: async () => (await import('../export/files.ts')).exportPeft,
  hf: async () => (await import('../export/model.ts')).exportModel('hf'),
  gguf: async () => (await import('../export/model.ts')).exportModel('gguf'),
  'lm-eval': async () => (await import('../export/lm-eval.ts')).exportLmEval,
  'model-card': async () => (await import('../export/model-card.ts')).exportModelCard,
};

export const execute: CommandAction = async (context, [name = '', target = ''], options) => {
  const project = openProjectHere(context);
  if (!project.ok) return context.usage(project.error.message, project.error.hint);
  try {
    const found = await findArtifact(project.value, name);
    if (!found.ok) return context.usage(found.error.message, found.error.hint);
    const folder = path.resolve(context.cwd, target);
    const isNew = !existsSync(folder);
    if (!isNew && readdirSync(folder).length > 0)
      return context.usage(`${target} is not empty`, 'name a new folder: nothing is overwritten');
    mkdirSync(folder, { recursive: true });
    const form = textOption(options, 'as') ?? 'files';
    const exporter = await exporters[form]?.();
    const base = textOption(options, 'base');
    let exported: Result<Exported, Missing> = err({ message: `there is no form ${form}` });
    try {
      if (exporter !== undefined)
        exported = await exporter({
          project: project.value,
          name,
          found: found.value,
          folder,
          base,
        });
    } finally {
      if (!exported.ok) clear(folder, isNew);
    }
    if (exported.ok) return told(context, folder, target, exported.value);
    const { message, hint } = exported.error;
    return context.usage(`${name} can't be exported as ${form}: ${message}`, hint);
  } finally {
    project.value.close();
  }
};

/** The folder was new or empty: what is in it was written here. */
const clear = (folder: string, isNew: boolean): void => {
  for (const entry of readdirSync(folder))
    rmSync(path.join(folder, entry), { recursive: true, force: true });
  if (isNew) rmSync(folder, { recursive: true, force: true });
};

const told = (
  context: CliContext,
  folder: string,
  target: string,
  { files, notes }: Exported,
): ExitCode => {
  for (const file of files) context.stdout.write(`${path.join(target, file)}\n`);
  for (const note of notes) context.stderr.write(`${note}\n`);
  const size = files.reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0);
  context.stderr.write(`${count(files.length, 'file')}, ${bytes(size)}\n`);
  return exitCodes.ok;
};
