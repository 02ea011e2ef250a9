// `mesa why`: the key of a step, field by field, against the nearest earlier result.

import { findInstances } from '../../engine/graph.ts';
import type { KeyFields } from '../../engine/key.ts';
import type { StepInstance } from '../../engine/experiment.ts';
import { explainStep, type Explanation } from '../../engine/why.ts';
import type { Plan } from '../../engine/plan.ts';
import type { Json } from '../../schemas/json.ts';
import { table } from '../../ui/table.ts';
import type { Theme } from '../../ui/theme.ts';
import { flagOption, type CommandAction } from '../context.ts';
import { printRefusal } from '../diagnostics.ts';
import { exitCodes } from '../exit-codes.ts';
import { planFile } from '../experiment.ts';

const digest = /^[0-9a-f]{64}$/;
const short = (value: string | null): string =>
  value === null ? '—' : digest.test(value) ? value.slice(0, 12) : value;

const value = (json: Json): string => short(typeof json === 'string' ? json : JSON.stringify(json));

/** The fields of a key as name and value, the parameters one by one. */
const fieldRows = (fields: KeyFields): [string, string][] => [
  ['step', fields.step],
  ['code', short(fields.code)],
  ...(typeof fields.params === 'object' && fields.params !== null && !Array.isArray(fields.params)
    ? Object.entries(fields.params).map(([name, param]): [string, string] => [
        `params.${name}`,
        value(param),
      ])
    : []),
  ...fields.inputs.map(([port, label, kind, content]): [string, string] => [
    `inputs.${port}${label === null ? '' : `[${label}]`}`,
    `${short(content)} (${kind})`,
  ]),
  ['seed', fields.seed === null ? 'not used' : String(fields.seed)],
  [
    'numerics',
    fields.numerics === null
      ? 'none'
      : `${fields.numerics.runtime} ${fields.numerics.device} ${fields.numerics.arch}`,
  ],
];

const verdict = (plan: Plan, explanation: Explanation, theme: Theme): string => {
  const status = plan.byName.get(explanation.step)?.planned.status;
  switch (status?.kind) {
    case 'fresh':
      return `${theme.cached('fresh')}: its result is in the cache`;
    case 'stale':
      return `${theme.running('runs')}: ${status.reason}`;
    default:
      return `${theme.dim('depends')} on what comes out of ${status?.on.join(', ') ?? ''}`;
  }
};

const page = (plan: Plan, explanation: Explanation, theme: Theme): string[] => {
  const { fields, before, differences, key } = explanation;
  const lines = [`${theme.bold(explanation.step)}  ${verdict(plan, explanation, theme)}`];
  if (fields === null) return [...lines, theme.dim('its key is known when its inputs are')];
  lines.push(theme.dim(`key ${key ?? ''}`), '');
  const changed = new Map(differences.map((difference) => [difference.field, difference]));
  const rows = fieldRows(fields).map(([name, now]) => {
    const difference = changed.get(name);
    changed.delete(name);
    return difference === undefined
      ? [' ', theme.dim(name), theme.dim(now), '']
      : [theme.running('≠'), theme.bold(name), now, theme.dim(`was ${short(difference.before)}`)];
  });
  // Differences inside a parameter, or of something that is gone, have no row of their own above.
  for (const difference of changed.values())
    rows.push([
      theme.running('≠'),
      theme.bold(difference.field),
      short(difference.after),
      theme.dim(`was ${short(difference.before)}`),
    ]);
  lines.push(...table([{ title: '' }, { title: '' }, { title: '' }, { title: '' }], rows));
  if (before === null) return [...lines, '', 'no step of this kind ever ran here'];
  const against =
    differences.length === 0
      ? `the same as the earlier result of ${before.step}`
      : `compared with the nearest earlier result, of ${before.step}`;
  return [...lines, '', against];
};

const asJson = (plan: Plan, explanation: Explanation): Json =>
  JSON.parse(
    JSON.stringify({ ...explanation, status: plan.byName.get(explanation.step)?.planned.status }),
  ) as Json;

export const execute: CommandAction = async (context, [file = '', step = ''], options) => {
  const planned = await planFile(context, file, options);
  if (planned === null) return exitCodes.usage;
  const { plan, experiment, project } = planned;
  const found = findInstances(experiment, step);
  if (!found.ok) {
    printRefusal(context, [found.error]);
    project.close();
    return exitCodes.usage;
  }
  const explanations = found.value.flatMap(
    ({ name }: StepInstance) => explainStep(plan, name) ?? [],
  );
  const { stdout } = context;
  if (flagOption(options, 'json')) {
    const all = explanations.map((explanation) => asJson(plan, explanation));
    stdout.write(`${JSON.stringify(all, null, 2)}\n`);
  } else {
    const pages = explanations.map((explanation) =>
      page(plan, explanation, stdout.theme).join('\n'),
    );
    stdout.write(`${pages.join('\n\n')}\n`);
  }
  project.close();
  return exitCodes.ok;
};
