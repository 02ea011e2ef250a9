// `mesa show RUN/STEP --samples CONDITION`: rows as a person reads them. Rows of scores have numbers only, so what was
// asked and answered is joined to them, by id, from the predictions they were made from.

import { readFileSync } from 'node:fs';
import type { Project } from '../engine/project.ts';
import type { Json, JsonObject } from '../schemas/json.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { general } from '../ui/format.ts';
import { count } from '../ui/format.ts';
import type { Theme } from '../ui/theme.ts';
import type { CliContext } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { openArtifact, type FoundStep } from './results.ts';
import { parseFilter, unknownFields } from './row-filter.ts';

const readRowsOf = async (
  project: Project,
  record: RunRecord,
  step: string,
  output: string | null,
): Promise<JsonObject[] | null> => {
  const found = record.steps.find((each) => each.step === step);
  const outputs = found?.result?.outputs ?? [];
  const wanted = output === null ? outputs[0] : outputs.find(({ name }) => name === output);
  if (wanted === undefined) return null;
  const artifact = await openArtifact(project, wanted);
  if (!artifact.ok || !artifact.value.names.includes('rows.jsonl')) return null;
  const lines = readFileSync(artifact.value.file('rows.jsonl'), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as JsonObject);
};

/** Rows of a step, with the fields of the rows they were made from where theirs are only numbers. */
const joinedRows = async (
  project: Project,
  { record, step }: FoundStep,
): Promise<JsonObject[] | null> => {
  const rows = await readRowsOf(project, record, step.step, null);
  if (rows === null || step.inputs['predictions'] === undefined) return rows;
  const sources = new Map<string, JsonObject>();
  for (const input of step.inputs['predictions']) {
    const [, name = '', output = null] = /^(.*?)(?:\.([A-Za-z0-9_-]+))?$/.exec(input) ?? [];
    for (const row of (await readRowsOf(project, record, name, output)) ?? []) {
      const { id } = row;
      if (typeof id === 'string') sources.set(id, { ...sources.get(id), ...row });
    }
  }
  return rows.map((row) => ({
    ...sources.get(typeof row['id'] === 'string' ? row['id'] : ''),
    ...row,
  }));
};

const shownText = (value: Json): string =>
  typeof value === 'string'
    ? value
    : typeof value === 'number'
      ? general(value)
      : JSON.stringify(value);

/** What is shown first and in full; of the rest only what is short. */
const order = ['prompt', 'messages', 'completion', 'text', 'prediction', 'answer', 'references'];
const hidden = new Set([
  'id',
  'item',
  'tokens',
  'parts',
  'prompt_tokens',
  'completion_tokens',
  'metrics',
  'group',
]);

const labelled = (label: string, text: string, theme: Theme): string[] => {
  const [first = '', ...rest] = text.trim().split('\n');
  return [
    `  ${theme.dim(label.padEnd(11))} ${first}`,
    ...rest.map((line) => `${' '.repeat(14)}${line}`),
  ];
};

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const choiceText = (choice: Json): string => {
  if (!isObject(choice)) return shownText(choice);
  const { label, text, logprob } = choice;
  const score = typeof logprob === 'number' ? `  (${logprob.toFixed(3)})` : '';
  return `${typeof label === 'string' ? `${label}. ` : ''}${shownText(text ?? '').trim()}${score}`;
};

const rowLines = (row: JsonObject, theme: Theme): string[] => {
  const lines = [theme.bold(shownText(row['id'] ?? '?'))];
  for (const name of order) {
    const value = row[name];
    // A rendered prompt holds the conversation already.
    if (value === undefined || (name === 'messages' && row['prompt'] !== undefined)) continue;
    lines.push(...labelled(name, shownText(value), theme));
  }
  const { choices } = row;
  if (Array.isArray(choices))
    lines.push(
      ...labelled('choices', choices.map((choice: Json) => choiceText(choice)).join('\n'), theme),
    );
  const numbers = [row['metrics'], row['group']].flatMap((value) =>
    isObject(value)
      ? Object.entries(value).map(([name, item]) => `${name} ${shownText(item)}`)
      : [],
  );
  if (numbers.length > 0) lines.push(...labelled('metrics', numbers.join('   '), theme));
  const known = new Set([...order, ...hidden, 'choices']);
  for (const [name, value] of Object.entries(row)) {
    const text = shownText(value);
    if (!known.has(name) && text.length <= 2000) lines.push(...labelled(name, text, theme));
  }
  return lines;
};

export const showSamples = async (
  context: CliContext,
  project: Project,
  found: FoundStep,
  options: { readonly condition: string | null; readonly limit: number; readonly json: boolean },
): Promise<ExitCode> => {
  const rows = await joinedRows(project, found);
  if (rows === null) return context.usage(`${found.step.step} has no rows, or they left the cache`);
  const filter = options.condition === null ? null : parseFilter(options.condition);
  if (filter !== null && !filter.ok) return context.usage(filter.error);
  const unknown = options.condition === null ? [] : unknownFields(options.condition, rows);
  if (unknown.length > 0 && rows.length > 0) {
    const [first = {}] = rows;
    const metrics = isObject(first['metrics']) ? Object.keys(first['metrics']) : [];
    return context.usage(
      `no row has the field ${unknown.join(', ')}`,
      `fields are ${[...Object.keys(first), ...metrics].join(', ')}`,
    );
  }
  const chosen = filter === null ? rows : rows.filter(filter.value);
  const shown = chosen.slice(0, options.limit);
  const { stdout, stderr } = context;
  if (options.json) {
    for (const row of shown) stdout.write(`${JSON.stringify(row)}\n`);
  } else if (shown.length > 0) {
    stdout.write(`${shown.map((row) => rowLines(row, stdout.theme).join('\n')).join('\n\n')}\n`);
  }
  const more = chosen.length > shown.length ? `, ${shown.length} shown (--limit for more)` : '';
  stderr.write(stderr.theme.dim(`\n${chosen.length} of ${count(rows.length, 'row')}${more}\n`));
  return exitCodes.ok;
};
