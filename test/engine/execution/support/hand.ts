// Experiments built by hand, so that tests of planning and running stand apart from documents.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { executePlan, type ExecuteOptions, type RunHandle } from '../../../../engine/execute.ts';
import type {
  Experiment,
  InputEdge,
  InstanceName,
  StepInstance,
} from '../../../../engine/experiment.ts';
import {
  planDefaults,
  planExperiment,
  type Plan,
  type PlanOptions,
} from '../../../../engine/plan.ts';
import { openProject, type Project } from '../../../../engine/project.ts';
import type { StepDefinition } from '../../../../engine/step.ts';
import type { RunEvent } from '../../../../schemas/event.ts';
import type { JsonObject } from '../../../../schemas/json.ts';
import type { RunRecord } from '../../../../schemas/run-record.ts';
import { heavy, step as fake } from './fake-step.ts';

export const fakeModule = join(import.meta.dirname, `fake-step${import.meta.filename.slice(-3)}`);
export const workerMain = join(
  import.meta.dirname,
  `../../../../cli/worker-main${import.meta.filename.slice(-3)}`,
);

export interface HandStep {
  readonly params?: JsonObject;
  /** Instance names of inputs, in order, to port `in`; `label:name` for a labelled one. */
  readonly in?: readonly string[];
  readonly needs?: readonly string[];
  readonly definition?: StepDefinition;
  readonly plugin?: string;
  readonly timeoutMs?: number;
  readonly retry?: number;
  readonly cache?: boolean;
  readonly seed?: number;
  readonly cpu?: number;
  readonly id?: string;
}

export const name = (text: string): InstanceName => text as InstanceName;

const location = (line: number) => ({
  file: 'hand.yaml',
  start: { line, column: 1 },
  end: { line, column: 2 },
  sourceLine: '',
});

const edge = (text: string): InputEdge => {
  const run = /^run:(\w+)\/(.+)$/.exec(text);
  if (run !== null)
    return {
      kind: 'run',
      run: run[1] ?? '',
      step: run[2] ?? '',
      output: null,
      label: null,
      location: location(1),
    };
  const [label, from] = text.includes(':') ? text.split(':') : [null, text];
  return {
    kind: 'step',
    from: name(from ?? ''),
    output: 'out',
    artifact: 'x-text',
    label: label ?? null,
  };
};

export const handExperiment = (
  root: string,
  steps: Readonly<Record<string, HandStep>>,
): Experiment => {
  const instances = Object.entries(steps).map(([key, step], index): StepInstance => {
    const definition = step.definition ?? fake;
    const params = { text: key, act: 'write', rows: 0, ...step.params };
    return {
      name: name(key),
      id: step.id ?? key.split('[')[0] ?? key,
      uses: definition.name,
      definition:
        definition === fake || definition === heavy
          ? { ...definition, weight: definition.weight }
          : definition,
      plugin: step.plugin ?? fakeModule,
      axes: {},
      params,
      inputs: step.in === undefined ? {} : { in: step.in.map(edge) },
      needs: (step.needs ?? []).map(name),
      outputs: definition.outputs(params),
      seed: step.seed ?? 1,
      resources: { cpu: step.cpu ?? null, memoryBytes: null, gpu: 0 },
      timeoutMs: step.timeoutMs ?? null,
      retry: step.retry ?? 0,
      cache: step.cache ?? true,
      executor: 'local',
      location: location(index + 1),
    };
  });
  return {
    name: 'hand',
    file: join(root, 'hand.yaml'),
    root,
    seed: 1,
    instances,
    byName: new Map(instances.map((instance) => [instance.name, instance])),
    resolved: {},
    origins: {},
    warnings: [],
  };
};

export const unwrap = <T, E>(result: { ok: true; value: T } | { ok: false; error: E }): T => {
  if (result.ok) return result.value;
  throw new Error(JSON.stringify(result.error, null, 2));
};

export const executeDefaults: ExecuteOptions = {
  onFailure: 'stop',
  worker: { command: process.execPath, args: [workerMain] },
  mesaVersion: '0.0.0-test',
  file: 'hand.yaml',
};

export interface Finished {
  readonly record: RunRecord;
  readonly events: readonly RunEvent[];
  readonly plan: Plan;
}

/** A project in a temporary folder. */
export class Hand {
  readonly root = mkdtempSync(join(tmpdir(), 'mesa-hand-'));
  readonly project: Project;

  constructor() {
    this.project = unwrap(openProject({ root: this.root }));
  }

  path(...parts: readonly string[]): string {
    return join(this.root, ...parts);
  }

  codeOf = (instance: StepInstance): string => `${instance.uses}@${instance.definition.version}`;

  async plan(
    steps: Readonly<Record<string, HandStep>>,
    options: Partial<PlanOptions> = {},
  ): Promise<Plan> {
    const services = { project: this.project, codeOf: this.codeOf };
    const experiment = handExperiment(this.root, steps);
    return unwrap(await planExperiment(experiment, services, { ...planDefaults, ...options }));
  }

  start(
    plan: Plan,
    options: Partial<ExecuteOptions> = {},
    onEvent: (event: RunEvent) => void = () => undefined,
  ): RunHandle {
    return unwrap(executePlan(plan, { ...executeDefaults, ...options }, onEvent));
  }

  async run(
    steps: Readonly<Record<string, HandStep>>,
    options: Partial<ExecuteOptions & PlanOptions> = {},
  ): Promise<Finished> {
    const plan = await this.plan(steps, options);
    const events: RunEvent[] = [];
    const record = await this.start(plan, options, (event) => events.push(event)).done;
    return { record, events, plan };
  }

  dispose(): void {
    this.project.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** step -> state. */
export const states = (record: RunRecord): Readonly<Record<string, string>> =>
  Object.fromEntries(record.steps.map((step) => [step.step, step.state]));

/** step -> digest of its output. */
export const digests = (record: RunRecord): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(record.steps.map((step) => [step.step, step.result?.outputs[0]?.digest]));
