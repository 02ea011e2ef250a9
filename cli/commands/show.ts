// `mesa show RUN[/STEP]`: a run, a step of it, a step's log, or its rows as a person reads them.

import { existsSync, readFileSync } from 'node:fs';
import type { Project } from '../../engine/project.ts';
import { logPath } from '../../engine/run-store.ts';
import type { Json, JsonObject } from '../../schemas/json.ts';
import { runPage, stepRecordPage } from '../../ui/run-page.ts';
import { resultTable } from '../../ui/result-table.ts';
import {
  flagOption,
  numberOption,
  textOption,
  type CliContext,
  type CommandAction,
  type OptionValues,
} from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import {
  findRun,
  findRunStep,
  openProjectHere,
  parseResultName,
  type FoundStep,
} from '../results.ts';
import { gatherResults } from '../run-results.ts';
import { showSamples } from '../samples.ts';

const json = (context: CliContext, value: unknown): ExitCode => {
  context.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  return exitCodes.ok;
};

const showLog = (context: CliContext, project: Project, { record, step }: FoundStep): ExitCode => {
  // A step from the cache said what it had to say in the run that made it.
  const made = step.state === 'cached' ? step.made?.run : undefined;
  const file = [record.run, ...(made === undefined ? [] : [made])]
    .map((run) => logPath(project.runsDir, run, step.step))
    .find((path) => existsSync(path));
  if (file === undefined) {
    context.stderr.write(`${step.step} has written no log\n`);
    return exitCodes.ok;
  }
  context.stdout.write(readFileSync(file, 'utf8'));
  return exitCodes.ok;
};

const showStep = async (
  context: CliContext,
  project: Project,
  found: FoundStep,
  options: OptionValues,
): Promise<ExitCode> => {
  const { stdout } = context;
  if (flagOption(options, 'log')) return showLog(context, project, found);
  const samples = options['samples'];
  if (samples !== undefined) {
    const condition = textOption(options, 'samples') ?? null;
    const limit = numberOption(options, 'limit') ?? 10;
    return showSamples(context, project, found, {
      condition,
      limit,
      json: flagOption(options, 'json'),
    });
  }
  if (flagOption(options, 'json')) return json(context, found.step);
  const page = stepRecordPage(found.record, found.step, stdout.theme, stdout.columns());
  stdout.write(`${page.join('\n')}\n`);
  return exitCodes.ok;
};

const showRun = async (
  context: CliContext,
  project: Project,
  name: string,
  options: OptionValues,
): Promise<ExitCode> => {
  const found = findRun(project, name);
  if (!found.ok) return context.usage(found.error.message, found.error.hint);
  const results = await gatherResults(project, found.value);
  if (flagOption(options, 'json'))
    return json(context, {
      ...found.value,
      results: JSON.parse(JSON.stringify(results)) as Json as JsonObject,
    });
  const { theme } = context.stdout;
  const width = context.stdout.columns();
  const lines = resultTable(results, { theme, width });
  const page = runPage(found.value, theme, width);
  context.stdout.write(`${[...page, ...(lines.length > 0 ? ['', ...lines] : [])].join('\n')}\n`);
  return exitCodes.ok;
};

export const execute: CommandAction = async (context, [text = 'last'], options) => {
  const opened = openProjectHere(context);
  if (!opened.ok) return context.usage(opened.error.message, opened.error.hint);
  const project = opened.value;
  try {
    const name = parseResultName(text);
    if (name === null)
      return context.usage(
        `"${text}" names neither a run nor a step`,
        'RUN, or RUN/STEP; "last" is a run',
      );
    if (name.step === null) {
      if (flagOption(options, 'log') || options['samples'] !== undefined)
        return context.usage('a log and samples belong to a step', `mesa show ${text}/STEP`);
      return await showRun(context, project, name.run, options);
    }
    const found = findRunStep(project, { ...name, step: name.step });
    if (!found.ok) return context.usage(found.error.message, found.error.hint);
    return await showStep(context, project, found.value, options);
  } finally {
    project.close();
  }
};
