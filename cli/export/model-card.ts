// A README.md for a model or an adapter, in the form that the hub shows: what it was made from, how, and what it can do,
// every figure from the run's record and artifacts.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { err, ok } from '../../engine/result.ts';
import type {
  ComparisonDocument,
  DatasetDocument,
  TrainingDocument,
} from '../../schemas/artifact.ts';
import type { Json } from '../../schemas/json.ts';
import { bytes, dateTime, duration, general } from '../../ui/format.ts';
import { ancestors, descendants, type Source } from '../lineage.ts';
import { documentOf, openArtifact } from '../results.ts';
import type { Exporter, ExportRequest } from './form.ts';
import { modelName, sourceName } from './model-name.ts';

const fileName = 'README.md';

export const exportModelCard: Exporter = async (request) => {
  const { kind } = request.found.output;
  if (kind !== 'model' && kind !== 'adapter')
    return err({ message: `a ${kind} is neither model nor adapter` });
  const sources = [request.found, ...ancestors(request.project, request.found)];
  const sections = [
    frontMatter(request, sources),
    ...introduction(request),
    ...(await dataSection(request, sources)),
    ...(await trainingSection(request)),
    ...(await resultsSection(request)),
    ...madeWith(request),
  ];
  writeFileSync(path.join(request.folder, fileName), `${sections.join('\n\n')}\n`);
  return ok({
    files: [fileName],
    notes: ['what the model is for, and what it must not be used for, is yours to write'],
  });
};

const hubIds = (sources: readonly Source[], type: string): readonly string[] => [
  ...new Set(
    sources.flatMap(({ step: { uses, params } }) =>
      uses === type && params['source'] === 'hub' ? [sourceName(params)] : [],
    ),
  ),
];

const frontMatter = ({ found }: ExportRequest, sources: readonly Source[]): string => {
  const [base] = hubIds(sources, 'load-model');
  const datasets = hubIds(sources, 'load-dataset');
  return [
    '---',
    ...(base === undefined ? [] : [`base_model: ${base}`]),
    ...(datasets.length === 0 ? [] : ['datasets:', ...datasets.map((id) => `- ${id}`)]),
    `library_name: ${found.output.kind === 'adapter' ? 'peft' : 'transformers'}`,
    'pipeline_tag: text-generation',
    ...(found.output.kind === 'adapter' ? ['tags:', '- lora'] : []),
    '---',
  ].join('\n');
};

const introduction = ({ project, found }: ExportRequest): readonly string[] => {
  const { record, step, output } = found;
  const name = modelName(project, found);
  const what = output.kind === 'adapter' ? 'An adapter' : 'A model';
  return [
    `# ${escaped(record.name)}: ${escaped(step.step)}`,
    `${what} made by the step \`${step.step}\` (${step.uses}) of the experiment \`${record.name}\`: ${escaped(name)}.`,
  ];
};

const dataSection = async (
  { project }: ExportRequest,
  sources: readonly Source[],
): Promise<readonly string[]> => {
  const rows: string[][] = [];
  for (const { step, output } of sources) {
    if (step.uses !== 'load-dataset') continue;
    const artifact = await openArtifact(project, output);
    const document = artifact.ok
      ? (JSON.parse(readFileSync(artifact.value.file('dataset.json'), 'utf8')) as DatasetDocument)
      : null;
    const { split, revision } = step.params;
    rows.push([
      step.step,
      sourceName(step.params),
      [split, revision].filter((value) => typeof value === 'string').join(' at '),
      document === null ? '' : String(document.count),
      document?.licence ?? '',
    ]);
  }
  if (rows.length === 0) return [];
  return ['## Data', table(['step', 'source', 'split', 'rows', 'licence'], rows)];
};

const trainingSection = async ({ project, found }: ExportRequest): Promise<readonly string[]> => {
  const { step } = found;
  if (step.uses !== 'lora-train') return [];
  const parameters = Object.entries(step.params)
    .filter(([, value]) => value !== null && !isEmpty(value))
    .map(([name, value]) => [name, shown(value)]);
  const artifact = await openArtifact(project, found.output);
  const log =
    artifact.ok && artifact.value.names.includes('training.json')
      ? (JSON.parse(readFileSync(artifact.value.file('training.json'), 'utf8')) as TrainingDocument)
      : null;
  const [first, last] = [log?.log[0], log?.log.at(-1)];
  return [
    '## Training',
    ...(log === null || first === undefined || last === undefined
      ? []
      : [
          `${log.rows.trained} rows, ${log.log.length} optimiser steps, loss ${general(first.loss)} at the first and ${general(last.loss)} at the last; the parameters of step ${log.kept_step} are kept. Seed ${step.seed ?? 'none'}.`,
        ]),
    table(['parameter', 'value'], parameters),
  ];
};

const isEmpty = (value: Json): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

const resultsSection = async ({ project, found }: ExportRequest): Promise<readonly string[]> => {
  const { record, step } = found;
  const scored: string[][] = [];
  const compared: string[][] = [];
  for (const each of descendants(record, step)) {
    for (const output of each.result?.outputs ?? []) {
      const scores = await documentOf(
        project,
        output.kind === 'scores' ? output : undefined,
        'scores.json',
      );
      for (const [name, metric] of Object.entries(scores?.metrics ?? {}))
        scored.push([
          each.step,
          name,
          general(metric.value),
          metric.ci95 === null ? '' : interval(metric.ci95),
          String(metric.n),
          metric.baseline === undefined
            ? ''
            : `majority ${general(metric.baseline.majority)}, random ${general(metric.baseline.random)}`,
        ]);
      const comparison = await documentOf(
        project,
        output.kind === 'comparison' ? output : undefined,
        'comparison.json',
      );
      if (comparison !== null) compared.push(...comparisonRows(each.step, comparison));
    }
  }
  return [
    ...(scored.length === 0
      ? []
      : ['## Results', table(['step', 'metric', 'value', '95 % interval', 'n', 'chance'], scored)]),
    ...(compared.length === 0
      ? []
      : [
          '### Compared with the baseline',
          'Paired by question; p is adjusted for the number of tests where it says so.',
          table(
            [
              'step',
              'metric',
              'baseline',
              'candidate',
              'difference',
              '95 % interval',
              'p',
              'verdict',
            ],
            compared,
          ),
        ]),
  ];
};

const comparisonRows = (step: string, { comparisons }: ComparisonDocument): string[][] =>
  comparisons.map((each) => [
    each.candidate === null ? step : `${step} (${each.candidate})`,
    each.metric,
    general(each.baseline_value),
    general(each.candidate_value),
    general(each.difference),
    interval(each.ci95),
    each.p_adjusted !== null
      ? `${general(each.p_adjusted)} (adjusted)`
      : each.p === null
        ? ''
        : general(each.p),
    each.verdict,
  ]);

const madeWith = ({ found: { record, step, output } }: ExportRequest): readonly string[] => {
  const { environment, mesaVersion } = record;
  const tookMs = step.durationMs ?? step.made?.durationMs;
  const measured = (step.result?.measurements ?? []).map(({ name, value, unit }) => [
    name,
    unit === 'bytes' ? bytes(value) : `${general(value)} ${unit}`,
  ]);
  return [
    '## How it was made',
    table(
      ['', ''],
      [
        [
          'experiment',
          `${path.basename(record.file)}, run ${record.run} of ${dateTime(record.startedAt)}`,
        ],
        ['software', `mesa ${mesaVersion}, ${environment.runtime}, Node ${environment.node}`],
        [
          'machine',
          `${environment.cpu}, ${environment.threads} threads, ${environment.platform} ${environment.arch}`,
        ],
        ...(tookMs === undefined ? [] : [['time', duration(tookMs)]]),
        ...measured,
        ['key', `\`${step.result?.key ?? ''}\``],
        ['content (SHA-256 of its manifest)', `\`${output.digest}\``],
      ],
    ),
  ];
};

const interval = ([low, high]: readonly [number, number]): string =>
  `${general(low)} to ${general(high)}`;

const shown = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Text that stands in a cell or a heading and is nothing but text. */
const escaped = (text: string): string =>
  text.replaceAll(/[\\`*_{}[\]<>|#]/gu, (sign) => `\\${sign}`).replaceAll(/\s+/gu, ' ');

const cell = (text: string): string => (/^`[^`]*`$/u.test(text) ? text : escaped(text));

const table = (columns: readonly string[], rows: readonly (readonly string[])[]): string =>
  [columns, columns.map(() => '---'), ...rows.map((row) => row.map(cell))]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
