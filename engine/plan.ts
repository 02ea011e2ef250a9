// Experiment -> Plan: for every step its key, whether it is fresh, and if not, why. Nothing is run, nothing but the
// user's own input files is read, and nothing of the plan is remembered.

import type { Diagnostic } from '../schemas/diagnostic.ts';
import type { PlannedStatus, PlannedStep } from '../schemas/event.ts';
import type { Action } from './action-cache.ts';
import type { Canonical } from './canonical.ts';
import type { Experiment, InputEdge, InstanceName, StepInstance } from './experiment.ts';
import { stepKey, type KeyFields, type StepKey } from './key.ts';
import { keyFieldsOf, Lookup, type CodeOf, type LookupOptions } from './lookup.ts';
import type { Lock } from './lock.ts';
import type { ArtifactDigest } from './manifest.ts';
import type { Damage } from './object-store.ts';
import { PathDigests } from './path-digests.ts';
import type { Project } from './project.ts';
import { err, ok, type Result } from './result.ts';
import { readRun } from './run-store.ts';
import { Unfinished } from './unfinished.ts';

export interface PlanServices {
  readonly project: Project;
  readonly codeOf: CodeOf;
  /** Has an entry for everything that a step takes from a hub. Default: an empty one. */
  readonly lock?: Lock;
}

export interface PlanOptions extends LookupOptions {
  /** What `--only`, `--from`, `--until` leave; the others may only be taken from the cache. */
  readonly selected: ReadonlySet<InstanceName> | null;
  /** `--force`. */
  readonly force: 'all' | ReadonlySet<InstanceName>;
}

export const planDefaults: PlanOptions = {
  selected: null,
  force: new Set(),
  strictNumerics: false,
  acceptCode: new Set(),
};

export interface PlanStep {
  readonly instance: StepInstance;
  readonly planned: PlannedStep;
  readonly selected: boolean;
  readonly forced: boolean;
  /** Null where an input isn't known yet. */
  readonly key: StepKey | null;
  readonly fields: KeyFields | null;
  /** The result, where it is fresh. */
  readonly action: Action | null;
  readonly damages: readonly Damage[];
  /** Digests of inputs that come from earlier runs, by port and index: `data.0`. */
  readonly external: ReadonlyMap<string, ArtifactDigest>;
}

export interface Plan {
  readonly experiment: Experiment;
  readonly services: PlanServices;
  readonly options: PlanOptions;
  readonly lookup: Lookup;
  readonly paths: PathDigests;
  /** In the order of the experiment. */
  readonly steps: readonly PlanStep[];
  readonly byName: ReadonlyMap<InstanceName, PlanStep>;
  /** How many of the selected steps aren't fresh. */
  readonly toRun: number;
}

const error = (
  code: string,
  message: string,
  instance: StepInstance,
  hint?: string,
): Diagnostic => ({
  severity: 'error',
  code,
  message,
  location: instance.location,
  ...(hint === undefined ? {} : { hint }),
});

/** Digest of an artifact of an earlier run, if it is still in the cache. */
export const artifactOfRun = async (
  project: Project,
  run: string,
  step: string,
  output: string | null,
): Promise<Result<ArtifactDigest, string>> => {
  const record = readRun(project.runsDir, run);
  if (record === null) return err(`there is no run ${run}`);
  const found = record.steps.find((each) => each.step === step);
  if (found === undefined) return err(`run ${run} has no step ${step}`);
  const outputs = found.result?.outputs ?? [];
  if (outputs.length === 0)
    return err(`step ${step} of run ${run} has no result (it is ${found.state})`);
  const wanted = output === null ? outputs[0] : outputs.find((each) => each.name === output);
  if (wanted === undefined) {
    const names = outputs.map((each) => each.name).join(', ');
    return err(`step ${step} of run ${run} has no output ${output ?? ''} (it has ${names})`);
  }
  const digest = wanted.digest as ArtifactDigest;
  if (project.objects.isKnownGood(digest)) return ok(digest);
  const [damage] = await project.objects.verify(digest);
  return damage === undefined
    ? ok(digest)
    : err(`${run}/${step} is no longer in the cache: ${damage.message}`);
};

/** The output that an edge means, of a step's result. */
export const outputDigest = (action: Action | null, output: string): ArtifactDigest | null =>
  (action?.result.outputs.find((each) => each.name === output)?.digest as
    ArtifactDigest | undefined) ?? null;

const namesOf = (edges: readonly InputEdge[]): readonly InstanceName[] =>
  edges.flatMap((edge) => (edge.kind === 'step' ? [edge.from] : []));

/** What a step waits for, each once. */
export const afterOf = (instance: StepInstance): readonly InstanceName[] => [
  ...new Set([...Object.values(instance.inputs).flatMap(namesOf), ...instance.needs]),
];

const digestPaths = async (
  experiment: Experiment,
  paths: PathDigests,
  problems: Diagnostic[],
): Promise<void> => {
  for (const instance of experiment.instances) {
    const read = await paths.collect(instance.definition, instance.params);
    if (!read.ok) problems.push(error('E401', `${instance.name}: ${read.error}`, instance));
  }
};

const externals = async (
  project: Project,
  instance: StepInstance,
  problems: Diagnostic[],
): Promise<ReadonlyMap<string, ArtifactDigest>> => {
  const found = new Map<string, ArtifactDigest>();
  for (const [port, edges] of Object.entries(instance.inputs)) {
    for (const [index, edge] of edges.entries()) {
      if (edge.kind === 'step') continue;
      const digest = await artifactOfRun(project, edge.run, edge.step, edge.output);
      if (digest.ok) found.set(`${port}.${index}`, digest.value);
      else
        problems.push({
          severity: 'error',
          code: 'E402',
          message: digest.error,
          location: edge.location,
        });
    }
  }
  return found;
};

const NONE: ReadonlyMap<string, ArtifactDigest> = new Map();

/** How many parameters an earlier result has otherwise than a step: what was like it took about as long. */
const distance = (earlier: KeyFields, instance: StepInstance): number => {
  const params = Object.entries(earlier.params as Readonly<Record<string, Canonical>>);
  return params.filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(instance.params[name]),
  ).length;
};

/** Of the same id in another experiment: what it took there, on other inputs, says nothing. */
const comparable = (earlier: KeyFields, fields: KeyFields | null): boolean =>
  fields === null ||
  fields.inputs.length === 0 ||
  fields.inputs.some(([port, , , digest]) =>
    earlier.inputs.some((other) => other[0] === port && other[3] === digest),
  );

/** From the nearest earlier results, newest first: those that share an input and differ in the fewest parameters. */
const estimate = (
  services: PlanServices,
  instance: StepInstance,
  fields: KeyFields | null,
): Pick<PlannedStep, 'expectedMs' | 'expectedBytes'> => {
  const history = services.project.actions
    .history(instance.uses, instance.id)
    .filter((entry) => comparable(entry.fields, fields))
    .map((entry) => ({ ...entry, distance: distance(entry.fields, instance) }));
  if (history.length === 0) return { expectedMs: null, expectedBytes: null };
  const nearest = Math.min(...history.map((entry) => entry.distance));
  const near = history.filter((entry) => entry.distance === nearest);
  const same = near.filter((entry) => entry.step === instance.name);
  const entries = same.length > 0 ? same.slice(0, 1) : near;
  const expectedMs = entries.reduce((sum, entry) => sum + entry.durationMs, 0) / entries.length;
  const peaks = entries.flatMap((entry) => entry.peakBytes ?? []);
  return { expectedMs, expectedBytes: peaks.length === 0 ? null : Math.max(...peaks) };
};

/** The plan, or every reason why there can't be one. Damaged objects it comes upon are dropped from the cache. */
export const planExperiment = async (
  experiment: Experiment,
  services: PlanServices,
  options: PlanOptions = planDefaults,
): Promise<Result<Plan, readonly Diagnostic[]>> => {
  const { project, codeOf } = services;
  const problems: Diagnostic[] = [];
  const paths = new PathDigests(project.objects, services.lock);
  await digestPaths(experiment, paths, problems);
  const lookup = new Lookup(project, options);
  const unfinished = new Unfinished(project.checkpointsDir);
  const byName = new Map<InstanceName, PlanStep>();
  if (problems.length > 0) return err(problems);
  for (const instance of experiment.instances) {
    const selected = options.selected?.has(instance.name) ?? true;
    const forced = selected && (options.force === 'all' || options.force.has(instance.name));
    const hasExternal = Object.values(instance.inputs).some((edges) =>
      edges.some((edge) => edge.kind === 'run'),
    );
    const external = hasExternal ? await externals(project, instance, problems) : NONE;
    const after = afterOf(instance);
    const inputs = new Set(Object.values(instance.inputs).flatMap(namesOf));
    const unknown = [...inputs].filter((name) => (byName.get(name)?.action ?? null) === null);
    let status: PlannedStatus = { kind: 'depends', on: unknown };
    let [key, fields, action]: [StepKey | null, KeyFields | null, Action | null] = [
      null,
      null,
      null,
    ];
    let damages: readonly Damage[] = [];
    if (unknown.length === 0) {
      fields = keyFieldsOf(instance, codeOf, paths, (port, index) => {
        const edge = instance.inputs[port]?.[index];
        return edge?.kind === 'step'
          ? outputDigest(byName.get(edge.from)?.action ?? null, edge.output)
          : (external.get(`${port}.${index}`) ?? null);
      });
    }
    if (fields !== null) {
      key = stepKey(fields);
      const found = forced
        ? ({ kind: 'miss', reason: '--force', damages: [] } as const)
        : (lookup.findNow(instance, fields, key) ?? (await lookup.find(instance, fields, key)));
      if (found.kind === 'hit') {
        action = found.action;
        status = { kind: 'fresh', key };
      } else {
        damages = found.damages;
        const words = unfinished.words(key, fields, instance.id);
        status = { kind: 'stale', key, reason: `${found.reason}${words}` };
      }
    }
    const { name: step, id, uses, axes } = instance;
    const expected =
      status.kind === 'fresh'
        ? { expectedMs: null, expectedBytes: null }
        : estimate(services, instance, fields);
    const planned: PlannedStep = { step, id, uses, axes, after, status, ...expected };
    byName.set(step, {
      instance,
      planned,
      selected,
      forced,
      key,
      fields,
      action,
      damages,
      external,
    });
  }
  const steps = [...byName.values()];
  for (const { instance, selected } of steps) {
    if (!selected) continue;
    const missing = afterOf(instance).filter((name) => {
      const step = byName.get(name);
      return (
        step !== undefined &&
        !step.selected &&
        step.action === null &&
        !instance.needs.includes(name)
      );
    });
    if (missing.length === 0) continue;
    const message = `${instance.name} needs ${missing.join(', ')}, which the cache doesn't have and the selection leaves out`;
    problems.push(
      error(
        'E403',
        message,
        instance,
        `add ${missing.map((name) => `--only ${name}`).join(' ')}, or run without --only/--from`,
      ),
    );
  }
  if (problems.length > 0) return err(problems);
  const toRun = steps.filter((step) => step.selected && step.action === null).length;
  return ok({ experiment, services, options, lookup, paths, steps, byName, toRun });
};
