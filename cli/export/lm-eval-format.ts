// Scores and predictions in the files of lm-evaluation-harness (its evaluator.py and evaluation_tracker.py, 0.4): pure
// functions of documents and rows. Leaderboards and plotting tools read these.

import { createHash } from 'node:crypto';
import type {
  MetricValue,
  PredictionRow,
  ScoredChoice,
  ScoreRow,
  ScoresDocument,
} from '../../schemas/artifact.ts';
import type { Json, JsonObject } from '../../schemas/json.ts';

/** The names that the harness has for the same figures; others keep ours. */
const metricNames: Readonly<Record<string, string>> = {
  accuracy: 'acc',
  accuracy_norm: 'acc_norm',
  macro_f1: 'f1',
  brier: 'brier_score',
  rouge_1: 'rouge1',
  rouge_2: 'rouge2',
  rouge_l: 'rougeL',
};

export const lmEvalMetric = (name: string): string =>
  Object.hasOwn(metricNames, name) ? (metricNames[name] ?? name) : name;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

type Mode = 'text' | 'choices' | 'perplexity';

export const outputTypes: Readonly<Record<Mode, string>> = {
  text: 'generate_until',
  choices: 'multiple_choice',
  perplexity: 'loglikelihood',
};

export const modeOf = (row: PredictionRow | undefined): Mode => {
  if (row?.text !== undefined) return 'text';
  return row?.logprob === undefined ? 'choices' : 'perplexity';
};

const scoredChoices = (row: PredictionRow): readonly ScoredChoice[] =>
  (row.choices ?? []).filter((choice): choice is ScoredChoice => 'logprob' in choice);

/** Every request of a row: its arguments, and what came back. */
const requestsOf = (
  row: PredictionRow,
): { readonly arguments: readonly (readonly string[])[]; readonly responses: readonly Json[] } => {
  const prompt = row.prompt ?? '';
  switch (modeOf(row)) {
    case 'text':
      return { arguments: [[prompt]], responses: [row.text ?? ''] };
    case 'perplexity':
      return {
        arguments: [[prompt, row.completion ?? '']],
        responses: [[String(row.logprob ?? 0), 'False']],
      };
    case 'choices': {
      const choices = scoredChoices(row);
      return {
        arguments: choices.map(({ text }) => [prompt, text]),
        // Lists of responses are written as text there, Python's booleans included.
        responses: choices.map(({ logprob, is_greedy: greedy }) => [
          String(logprob),
          greedy ? 'True' : 'False',
        ]),
      };
    }
  }
};

const targetOf = (row: PredictionRow): string => {
  const index = (row.choices ?? []).findIndex(({ label }) => label === row.answer);
  if (index >= 0) return String(index);
  return row.answer ?? row.references?.[0] ?? row.completion ?? '';
};

const docOf = (row: PredictionRow): JsonObject => ({
  id: row.id,
  ...(row.prompt === undefined ? {} : { query: row.prompt }),
  ...(row.choices === undefined
    ? {}
    : {
        choices: row.choices.map((choice) => ('option' in choice ? choice.option : choice.text)),
      }),
  ...(row.answer === undefined ? {} : { answer: row.answer }),
  ...(row.references === undefined ? {} : { references: row.references }),
  ...(row.group === undefined ? {} : { group: row.group }),
});

export interface Sample extends JsonObject {
  readonly doc_hash: string;
  readonly prompt_hash: string;
  readonly target_hash: string;
}

export const sampleOf = (
  row: PredictionRow,
  index: number,
  scores: ScoreRow | undefined,
): Sample => {
  const doc = docOf(row);
  const target = targetOf(row);
  const requests = requestsOf(row);
  const metrics = Object.entries(scores?.metrics ?? {}).filter(
    (entry): entry is [string, number] => entry[1] !== null,
  );
  return {
    doc_id: index,
    doc,
    target,
    arguments: Object.fromEntries(
      requests.arguments.map((each, at) => [
        `gen_args_${at}`,
        Object.fromEntries(each.map((value, place) => [`arg_${place}`, value])),
      ]),
    ),
    resps: requests.responses.map((response) => [response]),
    filtered_resps: requests.responses,
    filter: 'none',
    metrics: metrics.map(([name]) => lmEvalMetric(name)),
    doc_hash: sha256(JSON.stringify(doc, null, 2)),
    prompt_hash: sha256(requests.arguments[0]?.[0] ?? ''),
    target_hash: sha256(target),
    ...Object.fromEntries(metrics.map(([name, value]) => [lmEvalMetric(name), value])),
  };
};

export const taskHash = (samples: readonly Sample[]): string =>
  sha256(samples.map((each) => each.doc_hash + each.prompt_hash + each.target_hash).join(''));

export interface TaskResults {
  readonly task: string;
  readonly mode: Mode;
  readonly shots: number;
  readonly version: number;
  readonly scores: ScoresDocument;
  readonly samples: readonly Sample[];
  readonly model: string;
  readonly modelArgs: string;
  readonly seed: number | null;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
}

const metricsOf = (alias: string, metrics: Readonly<Record<string, MetricValue>>): JsonObject => ({
  alias,
  ...Object.fromEntries(
    Object.entries(metrics).flatMap(([name, { value, stderr }]) => [
      [`${lmEvalMetric(name)},none`, value] as const,
      [`${lmEvalMetric(name)}_stderr,none`, stderr ?? 'N/A'] as const,
    ]),
  ),
});

/** results_*.json. Groups (a subject, say) are subtasks of the task. */
export const resultsDocument = (all: TaskResults): JsonObject => {
  const { task, scores, samples } = all;
  const subtasks = Object.entries(scores.groups).flatMap(([group, values]) =>
    Object.entries(values).map(([value, metrics]) => ({
      name: `${task}_${group}_${value}`.replaceAll(/[^\w-]+/gu, '_'),
      alias: ` - ${value}`,
      metrics,
    })),
  );
  const of = <Value extends Json>(value: Value): Readonly<Record<string, Value>> =>
    Object.fromEntries([task, ...subtasks.map(({ name }) => name)].map((name) => [name, value]));
  const own = metricsOf(task, scores.metrics);
  const seconds = all.startedAt / 1000;
  return {
    results: {
      [task]: own,
      ...Object.fromEntries(subtasks.map((sub) => [sub.name, metricsOf(sub.alias, sub.metrics)])),
    },
    ...(subtasks.length === 0 ? {} : { groups: { [task]: own } }),
    group_subtasks: { [task]: subtasks.map(({ name }) => name) },
    configs: {
      [task]: {
        task,
        output_type: outputTypes[all.mode],
        num_fewshot: all.shots,
        metric_list: Object.entries(scores.metrics).map(([name, metric]) => ({
          metric: lmEvalMetric(name),
          aggregation: 'mean',
          higher_is_better: metric.higher_is_better,
        })),
        metadata: { version: all.version },
      },
    },
    versions: of(all.version),
    'n-shot': of(all.shots),
    higher_is_better: of(
      Object.fromEntries(
        Object.entries(scores.metrics).map(([name, metric]) => [
          lmEvalMetric(name),
          metric.higher_is_better,
        ]),
      ),
    ),
    'n-samples': { [task]: { original: scores.count, effective: scores.count } },
    config: {
      model: 'mesa',
      model_args: all.modelArgs,
      batch_size: 'auto',
      limit: null,
      random_seed: all.seed,
    },
    git_hash: null,
    date: seconds,
    task_hashes: { [task]: taskHash(samples) },
    model_source: 'mesa',
    model_name: all.model,
    model_name_sanitized: all.model.replaceAll(/[^\w-]+/gu, '__'),
    start_time: seconds,
    end_time: seconds + all.durationMs / 1000,
    total_evaluation_time_seconds: String(all.durationMs / 1000),
  };
};
