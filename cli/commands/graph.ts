// `mesa graph`: the DAG, with what is fresh in it.

import { graphView, type GraphFormat } from '../../ui/graph-view.ts';
import { textOption, type CommandAction } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { planFile } from '../experiment.ts';

const formats: readonly GraphFormat[] = ['tree', 'mermaid', 'dot', 'json'];

export const execute: CommandAction = async (context, [file = ''], options) => {
  const planned = await planFile(context, file, options);
  if (planned === null) return exitCodes.usage;
  const wanted = textOption(options, 'format');
  const format = formats.find((name) => name === wanted) ?? 'tree';
  const steps = planned.plan.steps.map((step) => step.planned);
  const { stdout } = context;
  stdout.write(`${graphView(steps, format, stdout.theme).join('\n')}\n`);
  planned.project.close();
  return exitCodes.ok;
};
