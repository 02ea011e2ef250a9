// The scores and comparisons of a run, gathered for the result table: which comparison compared what is in the record,
// the numbers are in the artifacts.

import type { Project } from '../engine/project.ts';
import type { ComparisonDocument } from '../schemas/artifact.ts';
import type { RunRecord, RunStepRecord } from '../schemas/run-record.ts';
import type { ComparisonResult, Effort, RunResults, ScoresResult } from '../ui/results.ts';
import { documentOf } from './results.ts';

const outputOfKind = (step: RunStepRecord | undefined, kind: string) =>
  step?.result?.outputs.find((output) => output.kind === kind);

/** `tuned-scores[r=8].scores` -> `tuned-scores[r=8]`. */
const stepOfInput = (input: string): string => input.replace(/\.[A-Za-z0-9_-]+$/, '');

const readScores = async (
  project: Project,
  record: RunRecord,
): Promise<ReadonlyMap<string, ScoresResult>> => {
  const found = new Map<string, ScoresResult>();
  for (const step of record.steps) {
    const output = outputOfKind(step, 'scores');
    const document = await documentOf(project, output, 'scores.json');
    if (document !== null) found.set(step.step, { step: step.step, document });
  }
  return found;
};

const comparisonOf = (
  step: RunStepRecord,
  document: ComparisonDocument,
  scores: ReadonlyMap<string, ScoresResult>,
): ComparisonResult => {
  const baseline = stepOfInput(step.inputs['baseline']?.[0] ?? '');
  const inputs = (step.inputs['candidate'] ?? []).map(stepOfInput);
  const labels = [...new Set(document.comparisons.map(({ candidate }) => candidate))];
  return {
    step: step.step,
    document,
    baseline: scores.get(baseline) ?? null,
    // Labels come in the order of the port's artifacts.
    candidates: labels.map((label, i) => {
      const input = inputs[i] ?? '';
      return { label, step: input, document: scores.get(input)?.document ?? null };
    }),
  };
};

const effortOf = (step: RunStepRecord): Effort[] => {
  const durationMs = step.state === 'cached' ? step.made?.durationMs : step.durationMs;
  if (step.result === undefined || durationMs === undefined) return [];
  const cached = step.state === 'cached';
  return [{ step: step.step, durationMs, measurements: step.result.measurements, cached }];
};

export const gatherResults = async (project: Project, record: RunRecord): Promise<RunResults> => {
  const scores = await readScores(project, record);
  const comparisons: ComparisonResult[] = [];
  const shown = new Set<string>();
  for (const step of record.steps) {
    const output = outputOfKind(step, 'comparison');
    const document = await documentOf(project, output, 'comparison.json');
    if (document === null) continue;
    comparisons.push(comparisonOf(step, document, scores));
    for (const inputs of Object.values(step.inputs))
      for (const input of inputs) shown.add(stepOfInput(input));
  }
  return {
    comparisons,
    scores: [...scores.values()].filter(({ step }) => !shown.has(step)),
    efforts: record.steps.flatMap(effortOf),
  };
};
