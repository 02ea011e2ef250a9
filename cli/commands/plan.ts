// `mesa plan`: what would run, and why. Nothing is run.

import { planTable } from '../../ui/plan-table.ts';
import type { Plan } from '../../engine/plan.ts';
import { flagOption, type CliContext, type CommandAction } from '../context.ts';
import { printWarnings } from '../diagnostics.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { planFile } from '../experiment.ts';

export const showPlan = (context: CliContext, plan: Plan, json: boolean): void => {
  const { stdout } = context;
  const steps = plan.steps.filter(({ selected }) => selected).map(({ planned }) => planned);
  if (json) stdout.write(`${JSON.stringify(steps, null, 2)}\n`);
  else stdout.write(`${planTable(steps, stdout.theme, stdout.columns()).join('\n')}\n`);
};

const exitCodeOf = (plan: Plan, strict: boolean): ExitCode =>
  strict && plan.toRun > 0 ? exitCodes.stale : exitCodes.ok;

export const execute: CommandAction = async (context, [file = ''], options) => {
  const planned = await planFile(context, file, options);
  if (planned === null) return exitCodes.usage;
  const { plan, project, experiment } = planned;
  printWarnings(context, experiment.warnings);
  showPlan(context, plan, flagOption(options, 'json'));
  project.close();
  return exitCodeOf(plan, flagOption(options, 'exitCode'));
};
