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

/** Digests as far as they tell apart; `lora-train@1+c984df72f697`. */
const short = (value: string | null): string =>
  value === null ? '—' : value.replaceAll(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1');

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
  const now = new Map(fieldRows(fields));
  const columns = [{ title: '' }, { title: '' }, { title: '' }, { title: '' }];
  // What differs first: the rest is there to be looked up.
  const changed = differences.map((difference) => [
    theme.running('≠'),
    theme.bold(difference.field),
    now.get(difference.field) ?? short(difference.after),
    theme.dim(`was ${short(difference.before)}`),
  ]);
  const named = new Set(differences.map(({ field }) => field));
  const same = [...now]
    .filter(([name]) => !named.has(name))
    .map(([name, text]) => ['=', name, text].map(theme.dim));
  if (changed.length > 0) lines.push(...table(columns, changed), '');
  lines.push(...table(columns, same));
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
