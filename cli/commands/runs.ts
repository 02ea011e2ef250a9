// `mesa runs`: one row per run.

import { now } from '../../engine/clock.ts';
import type { Project } from '../../engine/project.ts';
import { readRun, runIds } from '../../engine/run-store.ts';
import { didYouMean } from '../../engine/suggest.ts';
import {
  runTable,
  runTableCsv,
  runTableJson,
  runTableMarkdown,
  runTableText,
  type ListedRun,
  type RunTable,
} from '../../ui/run-list.ts';
import {
  flagOption,
  listOption,
  numberOption,
  textOption,
  type CommandAction,
  type OptionValues,
} from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { openProjectHere } from '../results.ts';
import { parseFilter, unknownFields, type RowFilter } from '../row-filter.ts';
import { gatherResults } from '../run-results.ts';

const newest = 20;

const readRuns = async (project: Project, limit: number): Promise<ListedRun[]> => {
  const runs: ListedRun[] = [];
  for (const id of runIds(project.runsDir).slice(0, limit)) {
    const record = readRun(project.runsDir, id);
    if (record !== null) runs.push({ record, results: await gatherResults(project, record) });
  }
  return runs;
};

/** Indices of the rows in the order asked for; null where there is no such column. */
const sorted = (shown: RunTable, sort: string): number[] | null => {
  const descending = sort.startsWith('-');
  const name = descending ? sort.slice(1) : sort;
  const column = shown.columns.findIndex(
    ({ field, title }) => field === name || title.replace(/ [↑↓]$/, '') === name,
  );
  if (column < 0) return null;
  const compare = (a: string | number | null, b: string | number | null): number => {
    // Runs without a value come last either way.
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    const order =
      typeof a === 'number' && typeof b === 'number' ? a - b : String(a) < String(b) ? -1 : 1;
    return descending ? -order : order;
  };
  const order = [...shown.values.keys()];
  return order.sort((a, b) =>
    compare(shown.values[a]?.[column] ?? null, shown.values[b]?.[column] ?? null),
  );
};

const fields = (shown: RunTable): string[] => shown.columns.map(({ field }) => field);

type Choice =
  | { readonly kind: 'rows'; readonly rows: readonly number[] }
  | { readonly kind: 'wrong'; readonly message: string; readonly hint?: string };

/** Filters and sorts: which rows, in which order. */
const choose = (shown: RunTable, options: OptionValues): Choice => {
  const rows = runTableJson(shown);
  const filters: RowFilter[] = [];
  for (const text of listOption(options, 'filter')) {
    const filter = parseFilter(text);
    if (!filter.ok) return { kind: 'wrong', message: filter.error };
    const [unknown] = unknownFields(text, rows);
    if (unknown !== undefined && !fields(shown).includes(unknown))
      return {
        kind: 'wrong',
        message: `runs have no column "${unknown}"`,
        hint: didYouMean(unknown, fields(shown)) ?? `columns are ${fields(shown).join(', ')}`,
      };
    filters.push(filter.value);
  }
  const sort = textOption(options, 'sort');
  const order = sort === undefined ? [...rows.keys()] : sorted(shown, sort);
  if (order === null)
    return {
      kind: 'wrong',
      message: `runs have no column "${sort?.replace(/^-/, '') ?? ''}"`,
      hint: `columns are ${fields(shown).join(', ')}`,
    };
  return {
    kind: 'rows',
    rows: order.filter((i) => filters.every((filter) => filter(rows[i] ?? {}))),
  };
};

export const execute: CommandAction = async (context, _args, options) => {
  const opened = openProjectHere(context);
  if (!opened.ok) return context.usage(opened.error.message, opened.error.hint);
  const project = opened.value;
  const all = await readRuns(project, numberOption(options, 'limit') ?? newest);
  const total = runIds(project.runsDir).length;
  project.close();
  const settings = { now: now(), allParams: flagOption(options, 'allParams') };
  const shown = runTable(all, settings);
  const choice = choose(shown, options);
  if (choice.kind === 'wrong') return context.usage(choice.message, choice.hint);
  const pick = <T>(items: readonly T[]): T[] => choice.rows.flatMap((i) => items[i] ?? []);
  const chosen: RunTable = {
    columns: shown.columns,
    rows: choice.rows.map((i) => shown.rows[i] ?? []),
    values: choice.rows.map((i) => shown.values[i] ?? []),
  };
  const { stdout, stderr } = context;
  const print = (lines: readonly string[]): void => stdout.write(`${lines.join('\n')}\n`);
  if (flagOption(options, 'json')) print([JSON.stringify(runTableJson(chosen), null, 2)]);
  else if (flagOption(options, 'csv')) print(runTableCsv(chosen));
  else if (flagOption(options, 'md')) print(runTableMarkdown(chosen));
  else {
    const runs = pick(all);
    const names = [...new Set(runs.map(({ record }) => record.name))];
    const tables = names.map((name) => {
      const own = runs.filter(({ record }) => record.name === name);
      const table = runTable(own, settings);
      return runTableText(table, own, stdout.theme, stdout.columns());
    });
    print(tables.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])));
  }
  if (total > all.length)
    stderr.write(
      stderr.theme.dim(`\nthe newest ${all.length} of ${total} runs (--limit for more)\n`),
    );
  return exitCodes.ok;
};
