// Runs `compare-baseline`: pairs the rows, compares every metric of every candidate, adjusts for their number,
// checks the gates, writes comparison.json.

import { StepError, type StepContext } from '../../engine/step.ts';
import { comparePaired, judge, type Comparison, type PairedTest } from '../../metrics/compare.ts';
import type { Correction } from '../../metrics/correction.ts';
import { gateHolds, parseGate } from '../../metrics/gate.ts';
import type { Metric } from '../../metrics/metric.ts';
import { findMetric } from '../../metrics/registry.ts';
import type {
  ComparisonDocument,
  GateResult,
  PairedComparison,
  ScoreRow,
  ScoresDocument,
} from '../../schemas/artifact.ts';
import { readDocument, readRows, writeDocument } from '../rows.ts';
import { pairedComparison } from './paired-comparison.ts';
import { pairRows, rowScore, type RowPair } from './pair-rows.ts';

interface Params {
  readonly metrics?: readonly string[];
  readonly confidence: number;
  readonly correction: Correction;
  readonly test: PairedTest;
  readonly bootstrap: { readonly n: number; readonly seed: number };
  readonly gates: readonly string[];
}

interface Entry {
  readonly metric: Metric;
  readonly candidate: string | null;
  readonly comparison: Comparison;
}

const compareRows = (
  metric: Metric,
  pairs: readonly RowPair[],
  params: Params,
): Comparison | null =>
  comparePaired(
    {
      metric,
      baseline: pairs.map(({ before }) => rowScore(before, metric.name)),
      candidate: pairs.map(({ after }) => rowScore(after, metric.name)),
      clusters: pairs.every(({ before }) => before.cluster !== undefined)
        ? pairs.map(({ before }) => before.cluster ?? '')
        : null,
    },
    {
      confidence: params.confidence,
      test: params.test,
      resamples: params.bootstrap.n,
      seed: params.bootstrap.seed,
    },
  );

const checkGates = (gates: readonly string[], entries: readonly Entry[]): GateResult[] =>
  gates.flatMap((expression) => {
    const gate = parseGate(expression);
    const subjects =
      gate === null ? [] : entries.filter(({ metric }) => metric.name === gate.metric);
    if (gate === null || subjects.length === 0) {
      throw new StepError(
        'E533',
        `gate ${JSON.stringify(expression)} is about a metric that is not compared here`,
        `compared: ${[...new Set(entries.map(({ metric }) => metric.name))].join(', ')}`,
      );
    }
    return subjects.map(({ candidate, comparison }) => ({
      expression: gate.expression,
      candidate,
      holds: gateHolds(gate, comparison.baseline, comparison.candidate),
    }));
  });

const headline = (comparisons: readonly PairedComparison[]): string => {
  const [first] = comparisons;
  if (first === undefined) return 'nothing to compare';
  const sign = (value: number): string => `${value >= 0 ? '+' : ''}${value.toFixed(3)}`;
  return `${first.metric} ${sign(first.difference)} [${sign(first.ci95[0])}, ${sign(first.ci95[1])}] ${first.verdict}`;
};

export const run = async (context: StepContext): Promise<void> => {
  const params = context.params as unknown as Params;
  const baselineArtifact = context.input('baseline');
  const baselineDocument = readDocument<ScoresDocument>(baselineArtifact, 'scores.json');
  const baseline = await readRows<ScoreRow>(baselineArtifact);
  const entries: Entry[] = [];
  const candidates = context.inputs('candidate');
  for (const [index, artifact] of candidates.entries()) {
    // Candidates listed one by one have no label of the matrix: their place tells them apart.
    const label = artifact.label ?? (candidates.length > 1 ? `#${index + 1}` : null);
    const document = readDocument<ScoresDocument>(artifact, 'scores.json');
    const name = label === null ? 'the candidate' : `candidate ${label}`;
    const shared = Object.keys(baselineDocument.metrics).filter(
      (metric) => metric in document.metrics,
    );
    const absent = params.metrics?.filter((metric) => !shared.includes(metric)) ?? [];
    if (absent.length > 0 || shared.length === 0) {
      throw new StepError(
        'E532',
        shared.length === 0
          ? `baseline and ${name} have no metric in common`
          : `${absent.join(', ')} is not scored on both sides (baseline and ${name})`,
        `scored on both: ${shared.join(', ') || 'none'}`,
      );
    }
    const pairs = pairRows(baseline, await readRows<ScoreRow>(artifact), name);
    for (const metricName of params.metrics ?? shared) {
      const metric = findMetric(metricName);
      const comparison = metric === undefined ? null : compareRows(metric, pairs, params);
      if (metric !== undefined && comparison !== null) {
        entries.push({ metric, candidate: label, comparison });
      }
    }
  }
  const judged = judge(entries, params.correction, params.confidence);
  const comparisons = judged.map((result, index): PairedComparison => {
    const { metric, candidate } = entries[index] as Entry;
    return pairedComparison(metric, candidate, result);
  });
  const gates = checkGates(params.gates, entries);
  const document: ComparisonDocument = {
    confidence: params.confidence,
    correction: params.correction,
    comparisons,
    gates,
  };
  writeDocument(context.output('comparison'), 'comparison.json', document);
  context.report({ kind: 'headline', text: headline(comparisons) });
  for (const { expression, candidate, holds } of gates) {
    context.gate(candidate === null ? expression : `${expression} (${candidate})`, holds);
  }
};
