// A finished run, or one step of it, as a page of text: what it was given, how it went, what came out.

import type { Json } from '../schemas/json.ts';
import type { RunRecord, RunStepRecord } from '../schemas/run-record.ts';
import { headline, outputBytes, statusWord } from './describe.ts';
import { failureHint, failureReason } from './failure.ts';
import { bytes, dateTime, duration, general, shortKey } from './format.ts';
import { table } from './table.ts';
import type { Theme } from './theme.ts';

const symbols: Readonly<Record<RunStepRecord['state'], string>> = {
  cached: '✔',
  ran: '✔',
  failed: '✘',
  skipped: '↷',
  interrupted: '■',
  'not-started': '·',
};

const paintOf = (state: RunStepRecord['state'], theme: Theme): ((text: string) => string) => {
  switch (state) {
    case 'cached':
      return theme.cached;
    case 'ran':
      return theme.ok;
    case 'failed':
      return theme.failed;
    case 'interrupted':
      return theme.warning;
    case 'skipped':
    case 'not-started':
      return theme.dim;
  }
};

export const statusPaint = (
  status: RunRecord['status'],
  theme: Theme,
): ((text: string) => string) => {
  if (status === 'ok') return theme.ok;
  return status === 'failed' || status === 'gate-failed' ? theme.failed : theme.warning;
};

const tookOf = (step: RunStepRecord): string => {
  if (step.durationMs !== undefined) return duration(step.durationMs);
  return step.made === undefined ? '' : duration(step.made.durationMs);
};

const restOf = (step: RunStepRecord): string => {
  if (step.failure !== undefined) return failureReason(step.failure).split('\n', 1)[0] ?? '';
  if (step.result === undefined) return '';
  return headline(step.result) || bytes(outputBytes(step.result));
};

const stepRows = (record: RunRecord, theme: Theme): string[][] =>
  record.steps.map((step) => {
    const paint = paintOf(step.state, theme);
    const from =
      step.state === 'cached' && step.made !== undefined && step.made.run !== record.run
        ? `from ${step.made.run}`
        : '';
    return [
      `${paint(symbols[step.state])} ${step.step}`,
      paint(step.state),
      step.result === undefined ? '' : theme.dim(shortKey(step.result.key)),
      tookOf(step),
      restOf(step),
      theme.dim(from),
    ];
  });

const originLines = (record: RunRecord, theme: Theme): string[] => {
  const origins = Object.entries(record.origins);
  if (origins.length === 0) return [];
  const rows = origins.map(([pointer, origin]) => [
    `  ${pointer.slice(1).replaceAll('/', '.')}`,
    theme.dim(origin),
  ]);
  return ['', 'not from the file itself', ...table([{ title: '' }, { title: '' }], rows)];
};

export const runPage = (record: RunRecord, theme: Theme, width: number | null): string[] => {
  const { environment } = record;
  const status = statusPaint(record.status, theme)(statusWord(record.status));
  return [
    `${theme.bold(record.name)}  run ${theme.bold(record.run)}  ${status}  ${duration(record.durationMs)}  ${theme.dim(dateTime(record.startedAt))}`,
    theme.dim(
      `${record.file}  mesa ${record.mesaVersion}  ${environment.cpu}, ${environment.threads} threads  node ${environment.node.replace(/^v/, '')}  ${environment.runtime}`,
    ),
    '',
    ...table(
      [
        { title: '' },
        { title: '' },
        { title: '', optional: true },
        { title: '', align: 'right' },
        { title: '' },
        { title: '', optional: true },
      ],
      stepRows(record, theme),
      { width },
    ),
    ...originLines(record, theme),
  ];
};

/** Parameters as `path value`, one leaf a row. */
const paramRows = (value: Json, path: string): string[][] => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const entries = Object.entries<Json>(value);
    if (entries.length > 0)
      return entries.flatMap(([key, item]) =>
        paramRows(item, path === '' ? key : `${path}.${key}`),
      );
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return path === '' ? [] : [[`  ${path}`, text.length > 160 ? `${text.slice(0, 159)}…` : text]];
};

const section = (title: string, rows: readonly (readonly string[])[]): string[] =>
  rows.length === 0
    ? []
    : [
        '',
        title,
        ...table(
          (rows[0] ?? []).map(() => ({ title: '' })),
          rows,
        ),
      ];

const blockLines = (step: RunStepRecord, theme: Theme, width: number | null): string[] =>
  (step.result?.report ?? []).flatMap((block) => {
    switch (block.kind) {
      case 'headline':
        return [];
      case 'markdown':
        return ['', ...block.text.split('\n')];
      case 'table':
        return [
          '',
          block.title,
          ...table(
            block.columns.map((title) => ({ title })),
            block.rows.map((row) =>
              row.map((cell) =>
                typeof cell === 'number'
                  ? general(cell)
                  : typeof cell === 'string'
                    ? cell
                    : cell === null
                      ? '—'
                      : JSON.stringify(cell),
              ),
            ),
            { head: theme.dim, width },
          ).map((line) => `  ${line}`),
        ];
      case 'series': {
        const last = block.points.at(-1);
        return [
          '',
          `${block.title}: ${block.points.length} points` +
            (last === undefined ? '' : `, ${block.y} ${general(last[1])} at ${block.x} ${last[0]}`),
        ];
      }
    }
  });

const measureText = (value: number, unit: string): string =>
  unit === 'bytes' ? bytes(value) : unit === 'ms' ? duration(value) : `${general(value)} ${unit}`;

export const stepRecordPage = (
  record: RunRecord,
  step: RunStepRecord,
  theme: Theme,
  width: number | null,
): string[] => {
  const { result, made, failure } = step;
  const paint = paintOf(step.state, theme);
  const hint = failure === undefined ? null : failureHint(failure);
  const when =
    step.state === 'cached' && made !== undefined
      ? theme.dim(`made in run ${made.run}, ${dateTime(Date.parse(made.finishedAt))}`)
      : '';
  const lines = [
    `${theme.bold(step.step)}  ${theme.dim(step.uses)}  ${paint(step.state)}  ${tookOf(step)}  ${when}`.trimEnd(),
    ...(result === undefined ? [] : [headline(result)].filter((text) => text !== '')),
    ...(failure === undefined
      ? []
      : failureReason(failure)
          .split('\n')
          .map((text) => theme.failed(text))),
    ...(hint === null ? [] : [`try: ${hint}`]),
    ...section('with', paramRows(step.params, '')),
    ...section(
      'inputs',
      Object.entries(step.inputs).flatMap(([port, inputs]) =>
        inputs.map((input, i) => [`  ${i === 0 ? port : ''}`, input]),
      ),
    ),
    ...section(
      'outputs',
      (result?.outputs ?? []).map((output) => [
        `  ${output.name}`,
        output.kind,
        bytes(output.bytes),
        theme.dim(output.digest.slice(0, 12)),
      ]),
    ),
    ...section(
      step.state === 'cached' ? 'measured then' : 'measured',
      (result?.measurements ?? []).map(({ name, value, unit }) => [
        `  ${name.replaceAll('_', ' ')}`,
        measureText(value, unit),
      ]),
    ),
    ...section(
      'gates',
      (result?.gates ?? []).map(({ expression, holds }) => [
        `  ${holds ? theme.ok('✔') : theme.failed('✘')} ${expression}`,
        holds ? 'holds' : theme.failed('does not hold'),
      ]),
    ),
    ...blockLines(step, theme, width),
    ...section('key', [
      [`  ${result?.key ?? (step.planned.kind === 'depends' ? 'not known' : step.planned.key)}`],
    ]),
  ];
  if (step.seed !== null) lines.push(theme.dim(`  seed ${step.seed}`));
  return [...lines, '', theme.dim(`run ${record.run}`)];
};
