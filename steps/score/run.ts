// Runs `score`: merges the predictions, gives each metric the mode it needs, writes scores.json and rows.jsonl.

import { StepError, type InputArtifact, type StepContext } from '../../engine/step.ts';
import type { Metric, MetricRow, Mode, RowScore } from '../../metrics/metric.ts';
import { findMetric } from '../../metrics/registry.ts';
import { labelBaselines, summarize } from '../../metrics/summarize.ts';
import type {
  MetricValue,
  PredictionRow,
  PredictionsDocument,
  ScoreRow,
  ScoresDocument,
} from '../../schemas/artifact.ts';
import { readDocument, readRows, writeDocument, writeRows } from '../rows.ts';
import { formatMetric } from './format-metric.ts';
import { mergeByMode, type MergedRow, type ModedRows } from './merge.ts';

interface Params {
  readonly metrics?: readonly string[];
  readonly group_by: readonly string[];
  readonly cluster_by?: string;
  readonly bootstrap: { readonly n: number; readonly seed: number };
}

/** A dataset has answers of another system: its fields tell the mode. */
const modeOfRow = (row: PredictionRow | undefined): Mode => {
  if (row?.text !== undefined) return 'text';
  return row?.logprob === undefined ? 'choices' : 'perplexity';
};

const load = async (artifact: InputArtifact, position: number): Promise<ModedRows> => {
  const rows = await readRows<PredictionRow>(artifact);
  const mode = artifact.names.includes('predictions.json')
    ? readDocument<PredictionsDocument>(artifact, 'predictions.json').mode
    : modeOfRow(rows[0]);
  return { mode, rows, name: `input ${position + 1} (${mode})` };
};

const defaultMetrics = (modes: ReadonlySet<Mode>, rows: readonly MergedRow[]): string[] => {
  const options = rows.some(({ first }) => (first.choices?.length ?? 0) > 0);
  return [
    ...(modes.has('choices') ? ['accuracy', 'accuracy_norm'] : []),
    ...(modes.has('text') ? ['exact_match', 'token_f1', 'rouge_l'] : []),
    ...(modes.has('text') && options ? ['option_accuracy', 'unparsed_rate'] : []),
    ...(modes.has('perplexity') ? ['perplexity', 'loss'] : []),
  ];
};

const metricOf = (name: string): Metric => {
  const metric = findMetric(name);
  if (metric === undefined) throw new StepError('E524', `unknown metric ${JSON.stringify(name)}`);
  return metric;
};

/** The rows as the mode that the metric prefers made them. */
const rowsFor = (
  metric: Metric,
  merged: readonly MergedRow[],
  modes: ReadonlySet<Mode>,
): MetricRow[] => {
  const mode = metric.modes.find((candidate) => modes.has(candidate));
  if (mode === undefined) {
    throw new StepError(
      'E525',
      `${metric.name} needs predictions of mode ${metric.modes.join(' or ')}; given: ${[...modes].join(', ')}`,
      `add a generate step with mode: ${metric.modes[0] ?? 'text'} and give it to score as well`,
    );
  }
  return merged.map(({ byMode }) => byMode.get(mode) as MetricRow);
};

const valuesOf = (
  scored: readonly {
    readonly metric: Metric;
    readonly rows: readonly MetricRow[];
    readonly scores: readonly RowScore[];
  }[],
  pick: readonly number[],
  clusters: readonly string[] | null,
  bootstrap: Params['bootstrap'],
): Record<string, MetricValue> => {
  const values: Record<string, MetricValue> = {};
  for (const { metric, rows, scores } of scored) {
    const summary = summarize(
      metric,
      pick.map((row) => scores[row] as RowScore),
      {
        resamples: bootstrap.n,
        seed: bootstrap.seed,
        clusters: clusters === null ? null : pick.map((row) => clusters[row] as string),
      },
    );
    if (summary === null) continue;
    const baseline = metric.labelled
      ? labelBaselines(pick.map((row) => rows[row] as MetricRow))
      : null;
    const { value, stderr, ci95, n } = summary;
    values[metric.name] = {
      value,
      stderr,
      ci95,
      n,
      higher_is_better: metric.higherIsBetter,
      ...(baseline === null ? {} : { baseline }),
    };
  }
  return values;
};

const clustersOf = (rows: readonly MergedRow[], name: string | undefined): string[] | null =>
  name === undefined
    ? null
    : rows.map(({ first }) => {
        const cluster = first.group?.[name];
        if (cluster === undefined) {
          throw new StepError(
            'E526',
            `row ${JSON.stringify(first.id)} has no group ${JSON.stringify(name)} to cluster by`,
          );
        }
        return cluster;
      });

export const run = async (context: StepContext): Promise<void> => {
  const params = context.params as unknown as Params;
  const artifacts = await Promise.all(context.inputs('predictions').map(load));
  const merged = mergeByMode(artifacts);
  if (merged.length === 0)
    throw new StepError('E527', 'the predictions have no rows: nothing to score');
  const modes = new Set(artifacts.map(({ mode }) => mode));
  const clusters = clustersOf(merged, params.cluster_by);
  const scored = (params.metrics ?? defaultMetrics(modes, merged)).map((name) => {
    const metric = metricOf(name);
    const rows = rowsFor(metric, merged, modes);
    return { metric, rows, scores: metric.score(rows) };
  });

  const all = merged.map((_, row) => row);
  const metrics = valuesOf(scored, all, clusters, params.bootstrap);
  const groups: Record<string, Record<string, Record<string, MetricValue>>> = {};
  for (const name of params.group_by) {
    const members = Map.groupBy(all, (row) => merged[row]?.first.group?.[name] ?? '');
    if (members.has('')) {
      throw new StepError(
        'E526',
        `${members.get('')?.length ?? 0} rows have no group ${JSON.stringify(name)}`,
        'name groups in the format step',
      );
    }
    groups[name] = Object.fromEntries(
      [...members]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([value, rows]) => [value, valuesOf(scored, rows, clusters, params.bootstrap)]),
    );
  }
  const document: ScoresDocument = { metrics, groups, count: merged.length };
  const output = context.output('scores');
  writeDocument(output, 'scores.json', document);
  writeRows(
    output,
    merged.map(({ first }, row): ScoreRow => {
      const corpus = scored.filter(({ scores }) => (scores[row]?.parts.length ?? 0) > 0);
      return {
        id: first.id,
        item: first.item,
        ...(first.group === undefined ? {} : { group: first.group }),
        ...(clusters === null ? {} : { cluster: clusters[row] as string }),
        metrics: Object.fromEntries(
          scored.map(({ metric, scores }) => [metric.name, scores[row]?.value ?? null]),
        ),
        parts: Object.fromEntries(
          corpus.map(({ metric, scores }) => [metric.name, scores[row]?.parts ?? []]),
        ),
      };
    }),
  );
  const [headline] = Object.entries(metrics);
  if (headline !== undefined) {
    context.report({ kind: 'headline', text: formatMetric(headline[0], headline[1]) });
  }
  const undefinedEverywhere = scored.filter(({ metric }) => metrics[metric.name] === undefined);
  for (const { metric } of undefinedEverywhere) {
    context.warn(`${metric.name} is defined for no row (it needs ${needs(metric)})`);
  }
};

const needs = (metric: Metric): string =>
  metric.labelled || metric.name === 'macro_f1'
    ? 'options and an answer'
    : 'a reference, or scored tokens';
