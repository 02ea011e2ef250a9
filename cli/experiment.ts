// The way from a file's name to a plan, shared by run, plan, why and graph: what goes wrong on it is printed here, and
// the caller only has to end with the usage exit code.

import path from 'node:path';
import { analyzeExperiment } from '../engine/analyze.ts';
import { listPlugins, type Override } from '../engine/read-experiment.ts';
import type { Experiment, InstanceName } from '../engine/experiment.ts';
import { findRoot } from '../engine/find-root.ts';
import { selectInstances, findInstances } from '../engine/graph.ts';
import { readLock, type Lock } from '../engine/lock.ts';
import { planExperiment, type Plan } from '../engine/plan.ts';
import type { Plugins } from '../engine/plugins.ts';
import { openProject, type Project } from '../engine/project.ts';
import { err, ok, type Result } from '../engine/result.ts';
import { codeOfSteps } from './code.ts';
import { describePlugins } from './plugins.ts';
import { notLocked } from './hub-requests.ts';
import { registry } from '../steps/index.ts';
import type { Diagnostic } from '../schemas/diagnostic.ts';
import {
  listOption,
  numberOption,
  textOption,
  flagOption,
  type CliContext,
  type OptionValues,
} from './context.ts';
import { printRefusal } from './diagnostics.ts';

type Checked<T> = Result<T, readonly Diagnostic[]>;

const commandLineProblem = (message: string, hint: string): Diagnostic => ({
  severity: 'error',
  code: 'E229',
  message,
  hint,
});

/** `--set path=value`, each. */
const readOverrides = (options: OptionValues): Checked<readonly Override[]> => {
  const problems: Diagnostic[] = [];
  const overrides = listOption(options, 'set').flatMap((text): Override[] => {
    const at = text.indexOf('=');
    if (at > 0) return [{ path: text.slice(0, at), value: text.slice(at + 1), origin: '--set' }];
    problems.push(
      commandLineProblem(
        `--set ${text} has no value`,
        'write --set path=value, such as --set steps.adapter.with.r=16',
      ),
    );
    return [];
  });
  return problems.length > 0 ? err(problems) : ok(overrides);
};

/** The checked experiment, or all its problems. Plugins are described in a worker; none of their code runs here. */
export const readExperiment = async (
  context: CliContext,
  file: string,
  options: OptionValues,
): Promise<Checked<Experiment>> => {
  const overrides = readOverrides(options);
  if (!overrides.ok) return overrides;
  const request = {
    file: path.resolve(context.cwd, file),
    cwd: context.cwd,
    overrides: overrides.value,
    seed: numberOption(options, 'seed'),
    registry,
  };
  const uses = listPlugins(request);
  const plugins: Plugins =
    uses.length === 0
      ? new Map()
      : describePlugins(uses, findRoot(request.file), context.env['MESA_CACHE_DIR']);
  return analyzeExperiment({ ...request, plugins, env: context.env });
};

export const openCache = (
  context: CliContext,
  root: string,
): Result<Project, readonly Diagnostic[]> => {
  const cacheDir = context.env['MESA_CACHE_DIR'];
  const opened = openProject({
    root,
    cacheDir: cacheDir === undefined || cacheDir === '' ? undefined : cacheDir,
  });
  return opened.ok ? opened : err([opened.error]);
};

const optionalList = (
  options: OptionValues,
  name: string,
): { [key: string]: readonly string[] } => {
  const values = listOption(options, name);
  return values.length === 0 ? {} : { [name]: values };
};

/** `--force` (all), `--force=STEP`. */
const readForce = (
  experiment: Experiment,
  options: OptionValues,
): Checked<'all' | ReadonlySet<InstanceName>> => {
  const force = textOption(options, 'force');
  if (force === undefined) return ok(new Set());
  if (force === '*') return ok('all');
  const found = findInstances(experiment, force);
  return found.ok ? ok(new Set(found.value.map(({ name }) => name))) : err([found.error]);
};

/** `--accept code`, `--accept code:STEP`. */
const readAccept = (
  experiment: Experiment,
  options: OptionValues,
): Checked<'all' | ReadonlySet<string>> => {
  const ids = new Set<string>();
  for (const text of listOption(options, 'accept')) {
    if (text === 'code') return ok('all');
    const step = /^code:(.+)$/.exec(text)?.[1];
    if (step === undefined)
      return err([
        commandLineProblem(
          `--accept ${text}: what can be accepted is code`,
          'write --accept code, or --accept code:STEP',
        ),
      ]);
    const found = findInstances(experiment, step);
    if (!found.ok) return err([found.error]);
    for (const { id } of found.value) ids.add(id);
  }
  return ok(ids);
};

/** What mesa.lock.json holds for the experiment; what it lacks is asked from the hub, once. */
const lockOf = async (
  context: CliContext,
  experiment: Experiment,
  options: OptionValues,
): Promise<Checked<Lock>> => {
  const lock = readLock(experiment.root);
  if (!lock.ok) return err([lock.error]);
  const missing = notLocked(experiment, lock.value);
  if (missing.length === 0) return lock;
  if (flagOption(options, 'locked')) return err(missing);
  const { pinAll, pinnedText } = await import('./hub-lock.ts');
  return pinAll(experiment.root, lock.value, [experiment], {
    update: false,
    onPinned: (entry, before) => {
      if (!context.quiet) context.stderr.write(`${pinnedText(entry, before)}\n`);
    },
  });
};

const planOf = async (
  context: CliContext,
  experiment: Experiment,
  project: Project,
  options: OptionValues,
): Promise<Checked<Plan>> => {
  const subset = {
    ...optionalList(options, 'only'),
    ...optionalList(options, 'from'),
    ...optionalList(options, 'until'),
  };
  const selected =
    Object.keys(subset).length === 0 ? ok(null) : selectInstances(experiment, subset);
  if (!selected.ok) return selected;
  const lock = await lockOf(context, experiment, options);
  if (!lock.ok) return lock;
  const force = readForce(experiment, options);
  if (!force.ok) return force;
  const acceptCode = readAccept(experiment, options);
  if (!acceptCode.ok) return acceptCode;
  return planExperiment(
    experiment,
    { project, codeOf: codeOfSteps(project), lock: lock.value },
    {
      selected: selected.value,
      force: force.value,
      strictNumerics: flagOption(options, 'strictNumerics'),
      acceptCode: acceptCode.value,
    },
  );
};

export interface Planned {
  readonly experiment: Experiment;
  readonly project: Project;
  readonly plan: Plan;
}

/** Reads, checks and plans. Prints what is wrong and is null then. The caller closes the project. */
export const planFile = async (
  context: CliContext,
  file: string,
  options: OptionValues,
): Promise<Planned | null> => {
  const experiment = await readExperiment(context, file, options);
  if (!experiment.ok) {
    printRefusal(context, experiment.error);
    return null;
  }
  const project = openCache(context, experiment.value.root);
  if (!project.ok) {
    printRefusal(context, project.error);
    return null;
  }
  const plan = await planOf(context, experiment.value, project.value, options);
  if (!plan.ok) {
    printRefusal(context, plan.error);
    project.value.close();
    return null;
  }
  return { experiment: experiment.value, project: project.value, plan: plan.value };
};
