// The last thing a run prints: each metric with its uncertainty, base beside candidate, and their paired difference.

import type { ScoresDocument } from '../schemas/artifact.ts';
import { chanceLines } from './chance.ts';
import { comparisonTable } from './comparison-table.ts';
import { bytes, duration, integer } from './format.ts';
import { arrow, decimalsFor, withInterval } from './metric-text.ts';
import type { Effort, RunResults, ScoresResult } from './results.ts';
import { compact, fits, table, type TableOptions } from './table.ts';

const metricNames = (documents: readonly ScoresDocument[]): string[] => [
  ...new Set(documents.flatMap((document) => Object.keys(document.metrics))),
];

/** Metrics down, steps across: for the few steps of an ordinary experiment. */
const scoresByMetric = (scores: readonly ScoresResult[], options: TableOptions): string[] => {
  const rows = metricNames(scores.map(({ document }) => document)).map((name) => {
    const values = scores.map(({ document }) => document.metrics[name]);
    const some = values.find((value) => value !== undefined);
    const decimals = decimalsFor(...values.flatMap((value) => (value ? [value.value] : [])));
    const sizes = [...new Set(values.flatMap((value) => (value ? [integer(value.n)] : [])))];
    return [
      name,
      arrow(some?.higher_is_better ?? null),
      ...values.map((value) => (value ? withInterval(value.value, value.ci95, decimals) : '—')),
      sizes.length === 0 ? '' : `n=${sizes.join('/')}`,
    ];
  });
  const used = compact(
    [
      { title: 'metric' },
      { title: '' },
      ...scores.map(({ step }) => ({ title: step })),
      { title: '', optional: true },
    ],
    rows,
  );
  return table(used.columns, used.rows, { width: options.width, head: options.theme.dim });
};

/** Steps down, metrics across: for sweeps. */
const scoresByStep = (scores: readonly ScoresResult[], options: TableOptions): string[] => {
  const names = metricNames(scores.map(({ document }) => document));
  const rows = scores.map(({ step, document }) => [
    step,
    ...names.map((name) => {
      const value = document.metrics[name];
      return value === undefined
        ? '—'
        : withInterval(value.value, value.ci95, decimalsFor(value.value));
    }),
    `n=${integer(document.count)}`,
  ]);
  const higher = (name: string): boolean | null =>
    scores.find(({ document }) => name in document.metrics)?.document.metrics[name]
      ?.higher_is_better ?? null;
  return table(
    [
      { title: '' },
      ...names.map((name) => ({ title: `${name} ${arrow(higher(name))}`.trim() })),
      { title: '', optional: true },
    ],
    rows,
    { width: options.width, head: options.theme.dim },
  );
};

/** One number a line: for terminals that the others are too wide for. */
const scoresByLine = (
  scores: readonly ScoresResult[],
  { theme, width }: TableOptions,
): string[] => {
  const rows = metricNames(scores.map(({ document }) => document)).flatMap((name) =>
    scores
      .flatMap(({ step, document }) => {
        const value = document.metrics[name];
        return value === undefined ? [] : [{ step, value }];
      })
      .map(({ step, value }, i) => [
        i === 0 ? name : '',
        i === 0 ? arrow(value.higher_is_better) : '',
        step,
        withInterval(value.value, value.ci95, decimalsFor(value.value)),
        `n=${integer(value.n)}`,
      ]),
  );
  const titles = ['metric', '', 'step', '', ''];
  return table(
    titles.map((title, i) => ({ title, optional: i === titles.length - 1 })),
    rows,
    { width, head: theme.dim },
  );
};

const widestByMetric = 4;

const scoresTable = (scores: readonly ScoresResult[], options: TableOptions): string[] => {
  const wide = scores.length > widestByMetric ? scoresByStep : scoresByMetric;
  const lines = wide(scores, options);
  const documents = scores.map(({ document }) => document);
  return [
    ...(fits(lines, options.width) ? lines : scoresByLine(scores, options)),
    ...chanceLines(documents, options.theme),
  ];
};

const measured = (effort: Effort, name: string): number | undefined =>
  effort.measurements.find((measurement) => measurement.name === name)?.value;

/** What the results cost: time, speed and memory of the steps that measured a speed. */
const effortTable = (efforts: readonly Effort[], options: TableOptions): string[] => {
  const rows = efforts.flatMap((effort) => {
    const speed = measured(effort, 'tokens_per_second');
    if (speed === undefined) return [];
    const memory = measured(effort, 'peak_memory');
    return [
      [
        effort.step,
        duration(effort.durationMs),
        `${integer(speed)} tok/s`,
        memory === undefined ? '' : `${bytes(memory)} peak`,
        effort.cached ? 'measured earlier' : '',
      ],
    ];
  });
  if (rows.length === 0) return [];
  const used = compact(
    [
      { title: '' },
      { title: '', align: 'right' },
      { title: '', align: 'right' },
      { title: '', align: 'right' },
      { title: '', optional: true },
    ],
    rows,
  );
  return table(used.columns, used.rows, { width: options.width }).map(options.theme.dim);
};

const hasInterval = (results: RunResults): boolean =>
  [
    ...results.scores.map(({ document }) => document),
    ...results.comparisons.flatMap(({ candidates, baseline }) =>
      [...candidates, ...(baseline === null ? [] : [baseline])].flatMap(({ document }) =>
        document === null ? [] : [document],
      ),
    ),
  ].some((document) => Object.values(document.metrics).some(({ ci95 }) => ci95 !== null));

/** Lines; none where the run has neither scores nor comparisons. */
export const resultTable = (results: RunResults, options: TableOptions): string[] => {
  const blocks = [
    ...results.comparisons.map((comparison) => [
      ...(results.comparisons.length > 1 ? [options.theme.bold(comparison.step)] : []),
      ...comparisonTable(comparison, options),
    ]),
    ...(results.scores.length > 0 ? [scoresTable(results.scores, options)] : []),
  ];
  if (blocks.length === 0) return [];
  if (hasInterval(results))
    blocks.at(-1)?.push(options.theme.dim('[ ] after a value: its 95 % confidence interval'));
  const efforts = effortTable(results.efforts, options);
  if (efforts.length > 0) blocks.push(efforts);
  return blocks.flatMap((block, i) => (i === 0 ? block : ['', ...block]));
};
