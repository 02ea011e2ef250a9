// Where a result comes from: the inputs of a step of a record as the steps that made them, through `run:` references
// into other records. Reads records, never artifacts.

import type { Project } from '../engine/project.ts';
import type { OutputRecord } from '../schemas/event.ts';
import type { RunRecord, RunStepRecord } from '../schemas/run-record.ts';
import { findRunStep, parseResultName, type FoundStep } from './results.ts';

export type StepOfRun = Pick<FoundStep, 'record' | 'step'>;

export interface Source extends StepOfRun {
  readonly output: OutputRecord;
}

/** `adapter[r=8].adapter` -> the step and the name of its output. */
const splitName = (name: string): readonly [step: string, output: string | null] => {
  const dot = name.lastIndexOf('.');
  return dot > name.lastIndexOf(']') && dot > 0
    ? [name.slice(0, dot), name.slice(dot + 1)]
    : [name, null];
};

const sourceOf = (project: Project, record: RunRecord, input: string): Source | null => {
  if (input.startsWith('run:')) {
    const name = parseResultName(input.slice('run:'.length));
    if (name === null || name.step === null) return null;
    const found = findRunStep(project, { ...name, step: name.step });
    return found.ok ? withOutput(found.value, name.output) : null;
  }
  const [name, output] = splitName(input);
  const step = record.steps.find((each) => each.step === name);
  return step === undefined ? null : withOutput({ record, step }, output);
};

const withOutput = (found: StepOfRun, name: string | null): Source | null => {
  const outputs = found.step.result?.outputs ?? [];
  const output = name === null ? outputs[0] : outputs.find((each) => each.name === name);
  return output === undefined ? null : { ...found, output };
};

/** What came in at a port, in order; what the project no longer knows is left out. */
export const inputsAt = (
  project: Project,
  { record, step }: StepOfRun,
  port: string,
): readonly Source[] =>
  (step.inputs[port] ?? []).flatMap((input) => sourceOf(project, record, input) ?? []);

/** Every step that a step depends on, nearest first, each once. */
export const ancestors = (project: Project, from: StepOfRun): readonly Source[] => {
  const seen = new Set<string>();
  const found: Source[] = [];
  let level: readonly StepOfRun[] = [from];
  while (level.length > 0) {
    const next = level.flatMap((each) =>
      Object.keys(each.step.inputs).flatMap((port) => inputsAt(project, each, port)),
    );
    level = next.filter(({ record, step }) => {
      const name = `${record.run}/${step.step}`;
      const fresh = !seen.has(name);
      seen.add(name);
      return fresh;
    });
    found.push(...(level as readonly Source[]));
  }
  return found;
};

/** The steps of a record that use a step's result, directly or through others. */
export const descendants = (record: RunRecord, step: RunStepRecord): readonly RunStepRecord[] => {
  const reached = new Set([step.step]);
  // Steps stand in the order of the file, which needn't be that of their edges.
  for (let grown = true; grown;) {
    const before = reached.size;
    for (const each of record.steps) {
      const inputs = Object.values(each.inputs).flat();
      if (inputs.some((input) => !input.startsWith('run:') && reached.has(splitName(input)[0])))
        reached.add(each.step);
    }
    grown = reached.size > before;
  }
  return record.steps.filter((each) => each !== step && reached.has(each.step));
};
