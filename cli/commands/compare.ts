// `mesa compare A B`: two runs, or one result of each (RUN/STEP): what was changed, and each metric's paired difference.

import { gateHolds, gateSyntax, parseGate, type Gate } from '../../metrics/gate.ts';
import type { Project } from '../../engine/project.ts';
import { err, ok, type Result } from '../../engine/result.ts';
import type { RunRecord, RunStepRecord } from '../../schemas/run-record.ts';
import { resultTable } from '../../ui/result-table.ts';
import type { ComparisonResult } from '../../ui/results.ts';
import { differingParams } from '../../ui/run-list.ts';
import { table } from '../../ui/table.ts';
import { compareScores } from '../compare-scores.ts';
import { flagOption, listOption, type CliContext, type CommandAction } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import {
  findRun,
  findRunStep,
  openArtifact,
  openProjectHere,
  parseResultName,
  type Missing,
} from '../results.ts';

interface Side {
  readonly record: RunRecord;
  /** The steps with scores that were meant: one, or all of the run. */
  readonly steps: readonly RunStepRecord[];
  readonly single: boolean;
}

const scoresOf = (step: RunStepRecord) =>
  step.result?.outputs.find(({ kind }) => kind === 'scores');

const readSide = (project: Project, text: string): Result<Side, Missing> => {
  const name = parseResultName(text);
  if (name === null) return err({ message: `"${text}" names neither a run nor a step` });
  if (name.step === null) {
    const record = findRun(project, name.run);
    if (!record.ok) return record;
    const steps = record.value.steps.filter((step) => scoresOf(step) !== undefined);
    return ok({ record: record.value, steps, single: false });
  }
  const found = findRunStep(project, { ...name, step: name.step });
  if (!found.ok) return found;
  const { record, step } = found.value;
  if (scoresOf(step) === undefined)
    return err({
      message: `${step.step} of run ${record.run} has no scores`,
      hint: `steps with scores: ${record.steps
        .filter((each) => scoresOf(each) !== undefined)
        .map((each) => each.step)
        .join(', ')}`,
    });
  return ok({ record, steps: [step], single: true });
};

/** Steps to compare with each other: the two named, or those of the same name. */
const pairsOf = (a: Side, b: Side): (readonly [RunStepRecord, RunStepRecord])[] => {
  const [first] = a.steps;
  const [second] = b.steps;
  if (a.single && b.single && first !== undefined && second !== undefined) return [[first, second]];
  return a.steps.flatMap((step) => {
    const same = b.steps.find((other) => other.step === step.step);
    return same === undefined ? [] : [[step, same] as const];
  });
};

interface Compared {
  readonly results: readonly ComparisonResult[];
  readonly refused: readonly string[];
}

const compareAll = async (project: Project, a: Side, b: Side): Promise<Compared> => {
  const results: ComparisonResult[] = [];
  const refused: string[] = [];
  for (const [before, after] of pairsOf(a, b)) {
    const [old, fresh] = [scoresOf(before), scoresOf(after)];
    if (old === undefined || fresh === undefined) continue;
    const [left, right] = [await openArtifact(project, old), await openArtifact(project, fresh)];
    if (!left.ok || !right.ok) {
      refused.push(`${after.step}: its scores are no longer in the cache`);
      continue;
    }
    const compared = compareScores(
      { name: `${a.record.run}/${before.step}`, artifact: left.value },
      { name: `${b.record.run}/${after.step}`, artifact: right.value },
    );
    if (compared.ok) results.push({ ...compared.value, step: after.step });
    else refused.push(`${after.step}: ${compared.error}`);
  }
  return { results, refused };
};

const shown = (value: unknown): string =>
  value === undefined ? '—' : typeof value === 'string' ? value : JSON.stringify(value);

const changes = (a: RunRecord, b: RunRecord): [string, string, string][] => {
  // Both under one name: what differs between them counts, whatever they are called.
  const records = [a, { ...b, name: a.name }];
  const params = differingParams(records, false);
  if (a.run === b.run) return [];
  const [before, after] = [new Map(params.get(a.run)), new Map(params.get(b.run))];
  return [...new Set([...before.keys(), ...after.keys()])].map((path) => [
    path,
    shown(before.get(path)),
    shown(after.get(path)),
  ]);
};

/** A metric's difference; or, where no metric has the name, the difference of a measurement, summed over the steps. */
const differenceOf = (name: string, compared: Compared, a: RunRecord, b: RunRecord): number[] => {
  const metrics = compared.results.flatMap(({ document }) =>
    document.comparisons
      .filter(({ metric }) => metric === name)
      .map(({ difference }) => difference),
  );
  if (metrics.length > 0) return metrics;
  const total = (record: RunRecord): number | null => {
    const values = record.steps
      .flatMap((step) => step.result?.measurements ?? [])
      .filter((measurement) => measurement.name === name);
    return values.length === 0 ? null : values.reduce((sum, { value }) => sum + value, 0);
  };
  const [before, after] = [total(a), total(b)];
  return before === null || after === null ? [] : [after - before];
};

const readConditions = (texts: readonly string[]): Result<readonly Gate[], string> => {
  const gates: Gate[] = [];
  for (const text of texts) {
    const gate = parseGate(text);
    if (gate === null || gate.againstBaseline)
      return err(
        `--fail-if ${text}: write a condition on the difference, METRIC < NUMBER (${gateSyntax})`,
      );
    gates.push(gate);
  }
  return ok(gates);
};

const print = (context: CliContext, a: RunRecord, b: RunRecord, compared: Compared): void => {
  const { stdout, stderr } = context;
  const { theme } = stdout;
  const rows = changes(a, b);
  if (rows.length > 0) {
    const columns = [{ title: 'changed' }, { title: a.run }, { title: b.run }];
    const painted = rows.map(([path, before, after]) => [theme.bold(path), before, after]);
    stdout.write(`${table(columns, painted, { head: theme.dim }).join('\n')}\n\n`);
  } else if (a.run !== b.run) stdout.write('no parameter was changed\n\n');
  const results = { comparisons: compared.results, scores: [], efforts: [] };
  const lines = resultTable(results, { theme, width: stdout.columns() });
  if (lines.length > 0) stdout.write(`${lines.join('\n')}\n`);
  for (const text of compared.refused)
    stderr.write(`${stderr.theme.warning('not compared')}  ${text}\n`);
};

export const execute: CommandAction = async (context, [left = '', right = ''], options) => {
  const conditions = readConditions(listOption(options, 'failIf'));
  if (!conditions.ok) return context.usage(conditions.error);
  const opened = openProjectHere(context);
  if (!opened.ok) return context.usage(opened.error.message, opened.error.hint);
  const project = opened.value;
  try {
    const a = readSide(project, left);
    if (!a.ok) return context.usage(a.error.message, a.error.hint);
    const b = readSide(project, right);
    if (!b.ok) return context.usage(b.error.message, b.error.hint);
    const compared = await compareAll(project, a.value, b.value);
    const [before, after] = [a.value.record, b.value.record];
    if (flagOption(options, 'json'))
      context.stdout.write(
        `${JSON.stringify({ changed: changes(before, after), ...compared }, null, 2)}\n`,
      );
    else print(context, before, after, compared);
    let failed = false;
    for (const gate of conditions.value) {
      const differences = differenceOf(gate.metric, compared, before, after);
      if (differences.length === 0)
        return context.usage(
          `--fail-if ${gate.expression}: nothing compared here is called ${gate.metric}`,
        );
      if (!differences.some((difference) => gateHolds(gate, 0, difference))) continue;
      failed = true;
      context.stderr.write(`${context.stderr.theme.failed('✘')} ${gate.expression} holds\n`);
    }
    return failed ? exitCodes.failed : exitCodes.ok;
  } finally {
    project.close();
  }
};
