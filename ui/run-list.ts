// Runs side by side: one row each, with the parameters that differ and the metrics that came out.

import stringWidth from 'string-width';
import type { MetricValue } from '../schemas/artifact.ts';
import type { Json, JsonObject } from '../schemas/json.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { statusWord } from './describe.ts';
import { ago, count, duration, signed } from './format.ts';
import { withInterval, type Interval } from './metric-text.ts';
import type { RunResults } from './results.ts';
import { statusPaint } from './run-page.ts';
import { table, type Column } from './table.ts';
import type { Theme } from './theme.ts';

export interface ListedRun {
  readonly record: RunRecord;
  readonly results: RunResults;
}

/** Leaves of the resolved experiment: `steps.adapter.with.r` -> value. */
export const flatten = (value: Json, path = ''): [string, Json][] => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([key, item]) =>
    flatten(item, path === '' ? key : `${path}.${key}`),
  );
};

const text = (value: Json | undefined): string =>
  value === undefined ? '—' : typeof value === 'string' ? value : JSON.stringify(value);

/** Parameters of each run that differ among the runs of the same experiment (all, where asked for). */
export const differingParams = (
  records: readonly RunRecord[],
  all: boolean,
): ReadonlyMap<string, readonly [string, Json][]> => {
  const leaves = new Map(records.map((record) => [record.run, flatten(record.resolved)]));
  const values = new Map<string, Map<string, Set<string>>>();
  const sizes = new Map<string, number>();
  for (const { run, name } of records) {
    sizes.set(name, (sizes.get(name) ?? 0) + 1);
    const ofName = values.get(name) ?? new Map<string, Set<string>>();
    values.set(name, ofName);
    for (const [path, value] of leaves.get(run) ?? []) {
      const seen = ofName.get(path) ?? new Set<string>();
      ofName.set(path, seen.add(JSON.stringify(value)));
    }
  }
  /** Absent in some runs is a difference too. */
  const counts = new Map<string, number>();
  for (const { run, name } of records)
    for (const [path] of leaves.get(run) ?? [])
      counts.set(`${name}\n${path}`, (counts.get(`${name}\n${path}`) ?? 0) + 1);
  const differs = (name: string, path: string): boolean =>
    (values.get(name)?.get(path)?.size ?? 0) > 1 ||
    (counts.get(`${name}\n${path}`) ?? 0) < (sizes.get(name) ?? 0);
  return new Map(
    records.map(({ run, name }) => [
      run,
      (leaves.get(run) ?? []).filter(([path]) => all || differs(name, path)),
    ]),
  );
};

/** `steps.adapter.with.r` -> `r`, as long as no other shown parameter ends the same. */
const shortNames = (paths: readonly string[]): ReadonlyMap<string, string> => {
  const unique = [...new Set(paths)];
  const last = (path: string): string => path.split('.').at(-1) ?? path;
  return new Map(
    unique.map((path) => {
      const clash = unique.some((other) => other !== path && last(other) === last(path));
      return [path, clash ? path.replace(/^steps\./, '').replace('.with.', '.') : last(path)];
    }),
  );
};

export interface RunMetric {
  readonly name: string;
  readonly value: number;
  readonly ci95: Interval | null;
  readonly higherIsBetter: boolean | null;
  /** Against the run's own baseline, where it has one. */
  readonly difference: number | null;
  readonly step: string;
}

/**
 * One value per metric and run: that of the candidate with the best difference, or of the run's last scores. A matrix
 * has more; `mesa show RUN` has them all.
 */
export const runMetrics = (results: RunResults): RunMetric[] => {
  const found = new Map<string, RunMetric>();
  const add = (step: string, name: string, value: MetricValue): void => {
    const { ci95, higher_is_better: higherIsBetter } = value;
    found.set(name, { name, value: value.value, ci95, higherIsBetter, difference: null, step });
  };
  for (const { step, document } of results.scores)
    for (const [name, value] of Object.entries(document.metrics)) add(step, name, value);
  const better = (a: number, b: number, higher: boolean | null): boolean =>
    higher === false ? a < b : a > b;
  for (const { document, candidates } of results.comparisons)
    for (const compared of document.comparisons) {
      const before = found.get(compared.metric);
      const { difference, higher_is_better: higherIsBetter } = compared;
      if (
        before !== undefined &&
        before.difference !== null &&
        !better(difference, before.difference, higherIsBetter)
      )
        continue;
      const candidate = candidates.find(({ label }) => label === compared.candidate);
      found.set(compared.metric, {
        name: compared.metric,
        value: compared.candidate_value,
        ci95: candidate?.document?.metrics[compared.metric]?.ci95 ?? null,
        higherIsBetter,
        difference,
        step: candidate?.step ?? '',
      });
    }
  return [...found.values()];
};

export interface RunColumn extends Column {
  readonly kind: 'run' | 'param' | 'metric';
  /** Its name for programs, for sorting and for filters. */
  readonly field: string;
}

export interface RunTable {
  readonly columns: readonly RunColumn[];
  /** Shown text. */
  readonly rows: readonly (readonly string[])[];
  /** The values behind it, for sorting and for programs. */
  readonly values: readonly (readonly (string | number | null)[])[];
}

export const runTable = (
  runs: readonly ListedRun[],
  options: { readonly now: number; readonly allParams: boolean },
): RunTable => {
  const records = runs.map(({ record }) => record);
  const params = differingParams(records, options.allParams);
  const paths = [...new Set([...params.values()].flatMap((all) => all.map(([path]) => path)))];
  const names = shortNames(paths);
  const metrics = new Map(runs.map(({ record, results }) => [record.run, runMetrics(results)]));
  const metricNames = [...new Set([...metrics.values()].flat().map(({ name }) => name))];
  const arrows = new Map(
    [...metrics.values()]
      .flat()
      .map(({ name, higherIsBetter }) => [
        name,
        higherIsBetter === null ? '' : higherIsBetter ? ' ↑' : ' ↓',
      ]),
  );
  const columns = [
    { title: 'run', field: 'run', kind: 'run' as const },
    { title: 'name', field: 'name', kind: 'run' as const },
    { title: 'when', field: 'started_at', kind: 'run' as const },
    { title: 'status', field: 'status', kind: 'run' as const },
    { title: 'took', field: 'duration_ms', kind: 'run' as const, align: 'right' as const },
    ...paths.map((path) => ({
      title: names.get(path) ?? path,
      field: names.get(path) ?? path,
      kind: 'param' as const,
    })),
    ...metricNames.map((name) => ({
      title: `${name}${arrows.get(name) ?? ''}`,
      field: name,
      kind: 'metric' as const,
    })),
  ];
  const valueOf = (run: ListedRun): (string | number | null)[] => {
    const own = new Map(params.get(run.record.run) ?? []);
    const measured = metrics.get(run.record.run) ?? [];
    return [
      run.record.run,
      run.record.name,
      new Date(run.record.startedAt).toISOString(),
      statusWord(run.record.status),
      Math.round(run.record.durationMs),
      ...paths.map((path) => {
        const value = own.get(path);
        if (value === undefined || value === null) return null;
        return typeof value === 'number' ? value : text(value);
      }),
      ...metricNames.map((name) => measured.find((metric) => metric.name === name)?.value ?? null),
    ];
  };
  const rowOf = (run: ListedRun): string[] => {
    const own = new Map(params.get(run.record.run) ?? []);
    const measured = metrics.get(run.record.run) ?? [];
    return [
      run.record.run,
      run.record.name,
      ago(run.record.startedAt, options.now),
      statusWord(run.record.status),
      duration(run.record.durationMs),
      ...paths.map((path) => text(own.get(path))),
      ...metricNames.map((name) => {
        const metric = measured.find((each) => each.name === name);
        if (metric === undefined) return '';
        const difference = metric.difference === null ? '' : ` (${signed(metric.difference, 3)})`;
        return `${withInterval(metric.value, metric.ci95, 3)}${difference}`;
      }),
    ];
  };
  return { columns, rows: runs.map(rowOf), values: runs.map(valueOf) };
};

const painted = (shown: RunTable, runs: readonly ListedRun[], theme: Theme): string[][] =>
  shown.rows.map((row, i) =>
    row.map((cell, column) => {
      const status = runs[i]?.record.status;
      if (column === 0) return theme.bold(cell);
      if (column === 2) return theme.dim(cell);
      if (column === 3 && status !== undefined) return statusPaint(status, theme)(cell);
      return shown.columns[column]?.kind === 'param' ? theme.cached(cell) : cell;
    }),
  );

/** More parameters than this are a page to read, not a table to look at. */
const mostParams = 8;

/** Which columns a person sees: a metric, a parameter, the next metric and so on for as long as there is room. */
const columnsThatFit = (shown: RunTable, width: number | null): ReadonlySet<number> => {
  const widths = shown.columns.map(({ title }, i) =>
    Math.max(...[title, ...shown.rows.map((row) => row[i] ?? '')].map((cell) => stringWidth(cell))),
  );
  const of = (kind: RunColumn['kind']): number[] =>
    [...shown.columns.keys()].filter((i) => shown.columns[i]?.kind === kind);
  const metrics = of('metric');
  const params = of('param').slice(0, mostParams);
  const wanted = Array.from({ length: Math.max(metrics.length, params.length) }, (_, i) =>
    [metrics[i], params[i]].flatMap((column) => column ?? []),
  ).flat();
  // Within one experiment its name says nothing.
  const kept = new Set(of('run').filter((i) => shown.columns[i]?.field !== 'name'));
  let room = (width ?? Infinity) - [...kept].reduce((sum, i) => sum + (widths[i] ?? 0) + 2, -2);
  for (const column of wanted) {
    const needed = (widths[column] ?? 0) + 2;
    if (needed > room) continue;
    room -= needed;
    kept.add(column);
  }
  return kept;
};

/** The runs of one experiment, under its name. */
export const runTableText = (
  shown: RunTable,
  runs: readonly ListedRun[],
  theme: Theme,
  width: number | null,
): string[] => {
  const kept = columnsThatFit(shown, width);
  const pick = <T>(items: readonly T[]): T[] => items.filter((_, i) => kept.has(i));
  const left = shown.columns.length - 1 - kept.size;
  return [
    theme.bold(runs[0]?.record.name ?? ''),
    ...table(pick(shown.columns), painted(shown, runs, theme).map(pick), { head: theme.dim }),
    ...(left > 0 ? [theme.dim(`+ ${count(left, 'column')}: --csv, --md and --json have all`)] : []),
  ];
};

export const runTableMarkdown = (shown: RunTable): string[] => {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    line(shown.columns.map(({ title }) => title)),
    line(shown.columns.map(({ align }) => (align === 'right' ? '---:' : '---'))),
    ...shown.rows.map(line),
  ];
};

const csvCell = (value: string | number | null): string => {
  const cell = value === null ? '' : String(value);
  return /[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
};

/** RFC 4180, with the values and not their shown forms. */
export const runTableCsv = (shown: RunTable): string[] => [
  shown.columns.map(({ field }) => csvCell(field)).join(','),
  ...shown.values.map((row) => row.map(csvCell).join(',')),
];

export const runTableJson = (shown: RunTable): JsonObject[] =>
  shown.values.map((row) =>
    Object.fromEntries(row.map((value, i) => [shown.columns[i]?.field ?? '', value])),
  );
