// `mesa check`: every problem of experiment files, with its place. Nothing runs and no model is opened.

import { globSync } from 'node:fs';
import path from 'node:path';
import type { Experiment } from '../../engine/experiment.ts';
import type { Diagnostic } from '../../schemas/diagnostic.ts';
import type { Json } from '../../schemas/json.ts';
import { count } from '../../ui/format.ts';
import { table } from '../../ui/table.ts';
import { flagOption, type CliContext, type CommandAction } from '../context.ts';
import { printDiagnostics } from '../diagnostics.ts';
import { exitCodes } from '../exit-codes.ts';
import { readExperiment } from '../experiment.ts';

/** Leaves of a document with their JSON pointers, in order. */
const leaves = (value: Json, pointer = ''): [string, Json][] => {
  if (typeof value !== 'object' || value === null) return [[pointer, value]];
  const entries = Object.entries<Json>(value);
  if (entries.length === 0) return [[pointer, value]];
  return entries.flatMap(([key, item]) =>
    leaves(item, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  );
};

/** The origin of a leaf is its own, or that of the nearest map it lies in. */
const originOf = (origins: Experiment['origins'], pointer: string): string => {
  for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const origin = origins[at];
    if (origin !== undefined) return origin;
  }
  return '';
};

const showResolved = (context: CliContext, experiment: Experiment, json: boolean): void => {
  const { stdout } = context;
  if (json) {
    const { resolved, origins } = experiment;
    stdout.write(`${JSON.stringify({ resolved, origins }, null, 2)}\n`);
    return;
  }
  const rows = leaves(experiment.resolved).map(([pointer, value]) => [
    pointer.slice(1).replaceAll('/', '.'),
    typeof value === 'string' ? value : JSON.stringify(value),
    stdout.theme.dim(originOf(experiment.origins, pointer)),
  ]);
  stdout.write(`${table([{ title: '' }, { title: '' }, { title: '' }], rows).join('\n')}\n`);
};

const filesOf = (context: CliContext, args: readonly string[]): readonly string[] => {
  if (args.length > 0) return args;
  const found = globSync('experiments/**/*.{yaml,yml}', { cwd: context.cwd });
  return found.sort().map((file) => path.join(file));
};

export const execute: CommandAction = async (context, args, options) => {
  const files = filesOf(context, args);
  if (files.length === 0)
    return context.usage('there is no experiment file', 'name one, or put them into experiments/');
  const json = flagOption(options, 'json');
  const resolved = flagOption(options, 'resolved');
  const all: Diagnostic[] = [];
  for (const file of files) {
    const experiment = await readExperiment(context, file, options);
    all.push(...(experiment.ok ? experiment.value.warnings : experiment.error));
    if (experiment.ok && resolved) showResolved(context, experiment.value, json);
  }
  const failed = all.some(({ severity }) => severity === 'error');
  if (json && !resolved) context.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
  else if (all.length > 0) {
    printDiagnostics(context, all, `${count(files.length, 'file')} checked.`);
  } else if (!resolved && !context.quiet)
    context.stdout.write(
      `${context.stdout.theme.ok('✔')} ${count(files.length, 'file')}, no problems\n`,
    );
  return failed ? exitCodes.usage : exitCodes.ok;
};
