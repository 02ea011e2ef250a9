// Base beside candidates, and their paired differences: as a table, or one number a line where that is too wide.

import type { PairedComparison } from '../schemas/artifact.ts';
import { chanceLines } from './chance.ts';
import { integer, signed, fixed } from './format.ts';
import { arrow, decimalsFor, signedInterval, withInterval } from './metric-text.ts';
import type { ComparisonResult } from './results.ts';
import { compact, fits, table, type Column, type TableOptions } from './table.ts';
import type { Theme } from './theme.ts';

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

const wonAndLost = ({ wins, losses }: PairedComparison): string =>
  wins + losses === 0 ? '' : `won ${integer(wins)} lost ${integer(losses)}`;

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
    withInterval(compared.baseline_value, before?.ci95, decimals),
    withInterval(compared.candidate_value, after?.ci95, decimals),
    paintDifference(compared, difference, theme),
    signedInterval(compared.ci95, decimals),
    verdictText(compared, theme),
    `n=${integer(compared.n)}`,
    wonAndLost(compared),
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

/** For terminals that a row of the table is too wide for: one number a line. */
const stacked = (
  compared: PairedComparison,
  comparison: ComparisonResult,
  theme: Theme,
): string[][] => {
  const candidate = comparison.candidates.find(({ label }) => label === compared.candidate);
  const before = comparison.baseline?.document.metrics[compared.metric];
  const after = candidate?.document?.metrics[compared.metric];
  const decimals = decimalsFor(compared.baseline_value, compared.candidate_value);
  const difference = `${signed(compared.difference, decimals)} ${signedInterval(compared.ci95, decimals)}`;
  const p = pValue(compared.p_adjusted ?? compared.p);
  const evidence = [verdictText(compared, theme), wonAndLost(compared), p === '' ? '' : `p ${p}`];
  const baseline = withInterval(compared.baseline_value, before?.ci95, decimals);
  const tuned = withInterval(compared.candidate_value, after?.ci95, decimals);
  return [
    [`  ${comparison.baseline?.step ?? 'baseline'}`, ` ${baseline}`],
    [`  ${compared.candidate ?? candidate?.step ?? 'candidate'}`, ` ${tuned}`],
    ['  difference', paintDifference(compared, difference, theme)],
    ['', ` ${evidence.filter((text) => text !== '').join('  ')}`],
  ];
};

const stackedTable = (comparison: ComparisonResult, theme: Theme): string[] => {
  const { comparisons } = comparison.document;
  const rows = comparisons.map((compared) => stacked(compared, comparison, theme));
  const lines = table([{ title: '' }, { title: '' }], rows.flat());
  const size = rows[0]?.length ?? 0;
  return comparisons.flatMap(({ metric, n, higher_is_better: higher }, i) => [
    `${metric} ${arrow(higher)}`.trim() + theme.dim(`  n=${integer(n)}`),
    ...lines.slice(i * size, (i + 1) * size),
  ]);
};

export const comparisonTable = (comparison: ComparisonResult, options: TableOptions): string[] => {
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
  const wide = table(used.columns, used.rows, { width, head: theme.dim });
  return [
    ...(fits(wide, width) ? wide : stackedTable(comparison, theme)),
    ...chanceLines(shown, theme),
    ...gateLines(comparison, theme),
  ];
};
