// The last thing a run prints: each metric with its uncertainty, base beside candidate, and their paired difference.

import type { PairedComparison, ScoresDocument } from '../schemas/artifact.ts';
import { bytes, duration, fixed, integer, signed } from './format.ts';
import type { ComparisonResult, Effort, RunResults, ScoresResult } from './results.ts';
import { table, type Column } from './table.ts';
import type { Theme } from './theme.ts';

export interface TableOptions {
  readonly theme: Theme;
  /** null: as wide as it needs. */
  readonly width: number | null;
}

/** As many decimals as leave three to four digits, the same for all numbers of a row. */
const decimalsFor = (...values: readonly number[]): number => {
  const largest = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
  if (largest < 10) return 3;
  if (largest < 100) return 2;
  return largest < 1000 ? 1 : 0;
};

const arrow = (higherIsBetter: boolean | null): string =>
  higherIsBetter === null ? '' : higherIsBetter ? '↑' : '↓';

const withError = (value: number, stderr: number | null | undefined, decimals: number): string =>
  fixed(value, decimals) +
  (stderr === null || stderr === undefined ? '' : ` ±${fixed(stderr, decimals)}`);

const interval = ([low, high]: readonly [number, number], decimals: number): string =>
  `[${signed(low, decimals)}, ${signed(high, decimals)}]`;

/** What an accuracy must beat to mean anything, said once for each metric that has such a bound. */
const chanceLines = (documents: readonly (ScoresDocument | null)[], theme: Theme): string[] => {
  const lines = documents.flatMap((document) =>
    Object.entries(document?.metrics ?? {}).flatMap(([name, { baseline }]) =>
      baseline === undefined
        ? []
        : [
            `${name}: ${fixed(baseline.random, 3)} by chance, ` +
              `${fixed(baseline.majority, 3)} by always giving the commonest answer`,
          ],
    ),
  );
  return [...new Set(lines)].map(theme.dim);
};

const verdictText = (compared: PairedComparison, theme: Theme): string => {
  switch (compared.verdict) {
    case 'better':
      return theme.ok('better');
    case 'worse':
      return theme.failed('worse');
    case 'no difference shown':
      return theme.dim('no difference shown');
  }
};

const paintDifference = (compared: PairedComparison, text: string, theme: Theme): string => {
  if (compared.verdict === 'no difference shown') return text;
  return theme.bold(compared.verdict === 'better' ? theme.ok(text) : theme.failed(text));
};

const pValue = (p: number | null): string => {
  if (p === null) return '';
  return p < 0.001 ? '<0.001' : fixed(p, 3);
};

const compact = (columns: readonly Column[], rows: readonly (readonly string[])[]) => {
  const used = columns.map((_, i) => rows.some((row) => (row[i] ?? '') !== ''));
  const keep = <T>(items: readonly T[]): T[] => items.filter((_, i) => used[i] === true);
  return { columns: keep(columns), rows: rows.map(keep) };
};

const comparisonRow = (
  compared: PairedComparison,
  comparison: ComparisonResult,
  many: boolean,
  firstOfMetric: boolean,
  theme: Theme,
): string[] => {
  const candidate = comparison.candidates.find(({ label }) => label === compared.candidate);
  const before = comparison.baseline?.document.metrics[compared.metric];
  const after = candidate?.document?.metrics[compared.metric];
  const decimals = decimalsFor(compared.baseline_value, compared.candidate_value);
  const difference = signed(compared.difference, decimals);
  return [
    firstOfMetric ? compared.metric : '',
    firstOfMetric ? arrow(compared.higher_is_better) : '',
    many ? (compared.candidate ?? candidate?.step ?? '') : '',
    withError(compared.baseline_value, before?.stderr, decimals),
    withError(compared.candidate_value, after?.stderr, decimals),
    paintDifference(compared, difference, theme),
    interval(compared.ci95, decimals),
    verdictText(compared, theme),
    `n=${integer(compared.n)}`,
    compared.wins + compared.losses === 0
      ? ''
      : `won ${integer(compared.wins)} lost ${integer(compared.losses)}`,
    pValue(compared.p_adjusted ?? compared.p),
  ];
};

const comparisonColumns = (comparison: ComparisonResult, many: boolean): Column[] => {
  const confidence = Math.round(comparison.document.confidence * 100);
  const only = comparison.candidates[0];
  return [
    { title: 'metric' },
    { title: '' },
    { title: many ? 'candidate' : '' },
    { title: comparison.baseline?.step ?? 'baseline' },
    { title: many || only === undefined ? 'candidate' : only.step },
    { title: 'difference', align: 'right' },
    { title: `(paired, ${confidence} % CI)` },
    { title: '' },
    { title: '', optional: true },
    { title: '', optional: true },
    { title: 'p', optional: true },
  ];
};

const gateLines = (comparison: ComparisonResult, theme: Theme): string[] =>
  comparison.document.gates.map(({ expression, candidate, holds }) => {
    const who = candidate === null ? '' : `${candidate}: `;
    return holds
      ? `${theme.ok('✔')} gate holds   ${who}${expression}`
      : `${theme.failed('✘')} ${theme.failed('gate failed')}  ${who}${expression}`;
  });

const comparisonTable = (comparison: ComparisonResult, options: TableOptions): string[] => {
  const { theme, width } = options;
  const { comparisons } = comparison.document;
  const metrics = [...new Set(comparisons.map(({ metric }) => metric))];
  const many = new Set(comparisons.map(({ candidate }) => candidate)).size > 1;
  const rows = metrics.flatMap((metric) =>
    comparisons
      .filter((compared) => compared.metric === metric)
      .map((compared, i) => comparisonRow(compared, comparison, many, i === 0, theme)),
  );
  const used = compact(comparisonColumns(comparison, many), rows);
  const compared = new Set(metrics);
  const shown = [comparison.baseline?.document ?? null].map((document) =>
    document === null
      ? null
      : {
          ...document,
          metrics: Object.fromEntries(
            Object.entries(document.metrics).filter(([name]) => compared.has(name)),
          ),
        },
  );
  return [
    ...table(used.columns, used.rows, { width, head: theme.dim }),
    ...chanceLines(shown, theme),
    ...gateLines(comparison, theme),
  ];
};

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
      ...values.map((value) => (value ? withError(value.value, value.stderr, decimals) : '—')),
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
        : withError(value.value, value.stderr, decimalsFor(value.value));
    }),
    `n=${integer(document.count)}`,
  ]);
  const higher = (name: string): boolean | null =>
    scores.find(({ document }) => name in document.metrics)?.document.metrics[name]
      ?.higher_is_better ?? null;
  return table(
    [
      { title: '' },
      ...names.map((name, i) => ({
        title: `${name} ${arrow(higher(name))}`.trim(),
        optional: i > 0,
      })),
      { title: '', optional: true },
    ],
    rows,
    { width: options.width, head: options.theme.dim },
  );
};

const widestByMetric = 4;

const scoresTable = (scores: readonly ScoresResult[], options: TableOptions): string[] => [
  ...(scores.length > widestByMetric
    ? scoresByStep(scores, options)
    : scoresByMetric(scores, options)),
  ...chanceLines(
    scores.map(({ document }) => document),
    options.theme,
  ),
];

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

const hasStderr = (results: RunResults): boolean =>
  [
    ...results.scores.map(({ document }) => document),
    ...results.comparisons.flatMap(({ candidates, baseline }) =>
      [...candidates, ...(baseline === null ? [] : [baseline])].flatMap(({ document }) =>
        document === null ? [] : [document],
      ),
    ),
  ].some((document) => Object.values(document.metrics).some(({ stderr }) => stderr !== null));

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
  if (hasStderr(results)) blocks.at(-1)?.push(options.theme.dim('± is one standard error'));
  const efforts = effortTable(results.efforts, options);
  if (efforts.length > 0) blocks.push(efforts);
  return blocks.flatMap((block, i) => (i === 0 ? block : ['', ...block]));
};
