// Scores (or the predictions they were made from) as lm-evaluation-harness writes its results: one JSON document, and one
// line for each sample.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { err, ok, type Result } from '../../engine/result.ts';
import type { PredictionRow, ScoreRow } from '../../schemas/artifact.ts';
import { ancestors, descendants, inputsAt, type Source } from '../lineage.ts';
import { openArtifact, readDocument, type Missing, type OpenArtifact } from '../results.ts';
import type { Exporter, ExportRequest } from './form.ts';
import { modeOf, resultsDocument, sampleOf, type Sample } from './lm-eval-format.ts';
import { modelName } from './model-name.ts';

const rowsOf = <Row>(artifact: OpenArtifact): readonly Row[] =>
  readFileSync(artifact.file('rows.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);

interface Evaluated {
  /** Null where predictions were never scored. */
  readonly scores: Source | null;
  readonly predictions: readonly Source[];
}

const evaluatedOf = (request: ExportRequest): Result<Evaluated, Missing> => {
  const { project, found } = request;
  const { kind } = found.output;
  if (kind === 'scores')
    return ok({ scores: found, predictions: inputsAt(project, found, 'predictions') });
  if (kind !== 'predictions')
    return err({
      message: `a ${kind} holds no evaluation`,
      hint: 'name a result of score or generate',
    });
  const { record, step } = found;
  for (const each of descendants(record, step)) {
    const output = each.result?.outputs.find((one) => one.kind === 'scores');
    const sources = inputsAt(project, { record, step: each }, 'predictions');
    if (output !== undefined && sources.some((one) => one.output.digest === found.output.digest))
      return ok({ scores: { record, step: each, output }, predictions: [found] });
  }
  return ok({ scores: null, predictions: [found] });
};

/** Rows with likelihoods of choices first: that is what the harness's tasks are about. */
const predictionRows = async (
  { project }: ExportRequest,
  predictions: readonly Source[],
): Promise<Result<readonly PredictionRow[], Missing>> => {
  let rows: readonly PredictionRow[] = [];
  for (const { output } of predictions) {
    const artifact = await openArtifact(project, output);
    if (!artifact.ok) return artifact;
    const these = rowsOf<PredictionRow>(artifact.value);
    if (rows.length === 0 || modeOf(these[0]) === 'choices') rows = these;
  }
  return ok(rows);
};

/** Examples before each question, as the nearest format step was told. */
const shotsOf = (request: ExportRequest, from: Source): number => {
  const format = ancestors(request.project, from).find(({ step }) => step.uses === 'format');
  const fewshot = format?.step.params['fewshot'];
  const n = typeof fewshot === 'object' && fewshot !== null && 'n' in fewshot ? fewshot['n'] : 0;
  return typeof n === 'number' ? n : 0;
};

export const exportLmEval: Exporter = async (request) => {
  const { project, folder, found } = request;
  const evaluated = evaluatedOf(request);
  if (!evaluated.ok) return evaluated;
  const { scores, predictions } = evaluated.value;
  const rows = await predictionRows(request, predictions);
  if (!rows.ok) return rows;
  const scored = scores === null ? null : await openArtifact(project, scores.output);
  if (scored?.ok === false) return scored;
  const scoreRows = new Map(
    scored === null ? [] : rowsOf<ScoreRow>(scored.value).map((row) => [row.id, row]),
  );

  const { record } = found;
  const task = (scores ?? found).step.step.replaceAll(/[^\w-]+/gu, '_');
  const time = new Date(record.startedAt).toISOString().replaceAll(':', '-').replace('Z', '');
  const files: string[] = [];
  const put = (name: string, text: string): void => {
    writeFileSync(path.join(folder, name), text, { flag: 'wx' });
    files.push(name);
  };
  const samples = rows.value.map((row, index): Sample =>
    sampleOf(row, index, scoreRows.get(row.id)),
  );
  put(`samples_${task}_${time}.jsonl`, samples.map((each) => `${JSON.stringify(each)}\n`).join(''));
  const document = scored === null ? null : readDocument(scored.value, 'scores.json');
  const [answered] = predictions;
  if (scores === null || document === null || answered === undefined)
    return ok({
      files,
      notes: ['nothing scored these predictions: there are samples and no results'],
    });
  const model = modelName(project, answered);
  const results = resultsDocument({
    task,
    mode: modeOf(rows.value[0]),
    shots: shotsOf(request, answered),
    version: 1,
    scores: document,
    samples,
    model,
    modelArgs: `pretrained=${model}`,
    seed: answered.step.seed,
    startedAt: record.startedAt,
    durationMs: record.durationMs,
  });
  put(`results_${time}.json`, `${JSON.stringify(results, null, 2)}\n`);
  return ok({ files, notes: [] });
};
