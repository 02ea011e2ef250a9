// Document -> Experiment, or all of its problems. Pure but for reading the file and its parents: no step runs, no plugin
// is loaded, nothing is written, so the same function can serve an editor.

import { basename, resolve } from 'node:path';
import type { Diagnostic } from '../schemas/diagnostic.ts';
import { Connector } from './connect.ts';
import { Expander, type ExpandedStep } from './expand.ts';
import type { Experiment, StepInstance } from './experiment.ts';
import { findRoot } from './find-root.ts';
import { cycles, topologicalOrder, type Graph } from './graph.ts';
import { Linker, type LinkedStep } from './link.ts';
import { readMatrix } from './matrix.ts';
import { reportSecrets } from './params.ts';
import type { Plugins } from './plugins.ts';
import { Problems } from './problems.ts';
import { Projections } from './projection.ts';
import { readExperiment, type DocumentRequest } from './read-experiment.ts';
import { References } from './references.ts';
import { resolveTree, type Resolved } from './resolved.ts';
import { err, ok, type Result } from './result.ts';
import { locate } from './source.ts';
import type { StepRegistry } from './step.ts';
import { wholeNumber, type Settings } from './step-settings.ts';
import { StepTypes } from './step-types.ts';
import type { Outline } from './structure.ts';
import { entryOf, isNull, scalarText, type ScalarNode } from './yaml-node.ts';

export interface AnalyzeRequest extends DocumentRequest {
  readonly registry: StepRegistry;
  /** Plugins that have been described, by absolute path of their module (see listPlugins). */
  readonly plugins: Plugins;
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface Analyzed {
  readonly outline: Outline;
  readonly analysis: Analysis;
  readonly instances: readonly StepInstance[];
  readonly warnings: readonly Diagnostic[];
}

const analyze = (request: AnalyzeRequest): Result<Analyzed, readonly Diagnostic[]> => {
  const problems = new Problems();
  const outline = readExperiment(request, problems);
  if (outline === null) return err(problems.inFileOrder());
  const analysis = new Analysis(outline, request, problems);
  const instances = analysis.run();
  const found = problems.inFileOrder();
  return problems.hasErrors ? err(found) : ok({ outline, analysis, instances, warnings: found });
};

/** Reads, checks and expands an experiment file. */
export const analyzeExperiment = (
  request: AnalyzeRequest,
): Result<Experiment, readonly Diagnostic[]> => {
  const result = analyze(request);
  if (!result.ok) return result;
  const { outline, analysis, instances, warnings } = result.value;
  const file = resolve(request.file);
  // Wanted by records and reports only, and as long as the file: made when it is asked for.
  let made: Resolved | undefined;
  const resolved = (): Resolved =>
    (made ??= resolveTree(outline.root, analysis.references, 'foreign'));
  return ok({
    name: analysis.name(file),
    file,
    root: findRoot(file),
    seed: analysis.seed,
    instances,
    byName: new Map(instances.map((instance) => [instance.name, instance])),
    get resolved() {
      return resolved().value;
    },
    get origins() {
      return resolved().origins;
    },
    warnings,
  });
};

/** The whole experiment as data with the origin of every value, for `mesa check --resolved`. */
export const resolveDocument = (
  request: AnalyzeRequest,
): Result<Resolved, readonly Diagnostic[]> => {
  const result = analyze(request);
  if (!result.ok) return result;
  const { outline, analysis } = result.value;
  return ok(resolveTree(outline.root, analysis.references, 'all'));
};

class Analysis {
  readonly references: References;
  seed = 0;
  readonly #outline: Outline;
  readonly #request: AnalyzeRequest;
  readonly #problems: Problems;
  readonly #projections: Projections;
  readonly #expander: Expander;

  constructor(outline: Outline, request: AnalyzeRequest, problems: Problems) {
    this.#outline = outline;
    this.#request = request;
    this.#problems = problems;
    const axisNames = matrixAxes(outline);
    this.references = new References({
      vars: outline.vars,
      env: request.env,
      axes: axisNames,
      problems,
    });
    this.#projections = new Projections(readMatrix(outline.matrix, this.references, problems));
    this.#expander = new Expander(this.#projections, this.references, problems);
  }

  name(file: string): string {
    const node = this.#outline.name?.value;
    const value =
      node === undefined
        ? null
        : this.references.resolve(node, null, {
            place: 'the name of the experiment',
            hint: 'instances are named by their axes already',
          });
    return value?.kind === 'scalar' && value.value !== null
      ? scalarText(value)
      : basename(file).replace(/\.ya?ml$/iu, '');
  }

  run(): readonly StepInstance[] {
    this.#readTop();
    const linked = this.#link();
    const after = linked.map((step) => [
      ...new Set([
        ...step.edges.flatMap((edge) => (edge.kind === 'step' ? [edge.from] : [])),
        ...step.needs.map((need) => need.from),
      ]),
    ]);
    this.#reportCycles(linked, after);
    const order = topologicalOrder(after);
    const expanded = this.#expander.expand(linked, order);
    const instances = this.#instances(expanded, order);
    this.#reportUnusedAxes(linked);
    // Where something else is wrong, what looks unused may be what is wrong.
    if (!this.#problems.hasErrors) {
      for (const step of expanded) if (step !== undefined) this.#warnUnusedSeed(step);
    }
    return instances;
  }

  #readTop(): void {
    const { seed, root } = this.#outline;
    if (seed !== undefined && !isNull(seed.value)) {
      const value = this.references.resolve(seed.value, null, {
        place: 'the seed of the experiment',
        hint: 'set `seed: ${matrix...}` on the steps that use it',
      });
      if (value !== null) this.seed = wholeNumber(value, '`seed`', 0, this.#problems) ?? 0;
    }
    this.references.checkVariables();
    this.name('');
    reportSecrets(root, this.#problems);
  }

  #link(): readonly LinkedStep[] {
    const types = new StepTypes(this.#request.registry, this.#request.plugins, this.#problems);
    const linker = new Linker(this.#outline.steps, this.references, this.#problems);
    return this.#outline.steps.map((outline) => linker.link(outline, types.find(outline)));
  }

  #reportCycles(steps: readonly LinkedStep[], after: Graph): void {
    for (const cycle of cycles(after)) {
      const trail = cycle.map((index, at) => {
        const step = steps[index];
        const next = cycle[(at + 1) % cycle.length] ?? 0;
        const need =
          step?.edges.find((edge) => edge.kind === 'step' && edge.from === next) ??
          step?.needs.find((other) => other.from === next);
        const place = need !== undefined && 'place' in need ? need.place : step?.outline.key;
        return {
          place,
          message: `"${step?.outline.id ?? ''}" needs "${steps[next]?.outline.id ?? ''}"`,
        };
      });
      const [first, ...rest] = trail.flatMap(({ place, message }) =>
        place === undefined ? [] : [{ place, message }],
      );
      if (first === undefined) continue;
      this.#problems.add('E203', first.place, 'steps depend on each other in a circle', {
        hint: first.message,
        related: rest,
      });
    }
  }

  #instances(
    steps: readonly (ExpandedStep | undefined)[],
    order: readonly number[],
  ): readonly StepInstance[] {
    const connector = new Connector(steps, this.#projections, this.#problems);
    const all: StepInstance[] = [];
    for (const index of order) {
      const step = steps[index];
      if (step === undefined) continue;
      const settings = this.#expander.settings(step);
      for (const at of step.projection.instances.keys()) {
        const inputs = connector.inputs(step, at);
        const instance = this.#instance(step, at, settings[at], inputs, connector);
        if (instance !== null) all.push(instance);
      }
    }
    return all;
  }

  #instance(
    step: ExpandedStep,
    at: number,
    settings: Settings | undefined,
    inputs: StepInstance['inputs'],
    connector: Connector,
  ): StepInstance | null {
    const params = step.params[at];
    const { type, outline } = step.linked;
    const values = step.projection.instances[at] ?? [];
    const name = step.names[at];
    if (
      params === null ||
      params === undefined ||
      type === null ||
      settings === undefined ||
      name === undefined
    )
      return null;
    const { seed, ...rest } = settings;
    return {
      name,
      id: outline.id,
      uses: outline.uses === null ? '' : scalarText(outline.uses),
      definition: type.definition,
      plugin: type.plugin,
      axes: this.#projections.json(step.projection.axes, values),
      params: params.value,
      inputs,
      needs: connector.needs(step, values),
      outputs: params.outputs,
      seed: seed ?? this.seed,
      ...rest,
      location: this.#location(outline.key),
    };
  }

  readonly #locations = new Map<ScalarNode, StepInstance['location']>();
  #location(key: ScalarNode): StepInstance['location'] {
    const known = this.#locations.get(key) ?? locate(key);
    this.#locations.set(key, known);
    return known;
  }

  #warnUnusedSeed({ linked, params }: ExpandedStep): void {
    const entry = linked.outline.settings.seed;
    if (entry === undefined || isNull(entry.value) || linked.type === null) return;
    if (params.length === 0 || params.some((each) => each === null || each.usesSeed)) return;
    this.#problems.add(
      'W202',
      entry.key,
      `step "${linked.outline.id}" uses no seed with these parameters`,
      { hint: 'leave `seed` out' },
    );
  }

  #reportUnusedAxes(steps: readonly LinkedStep[]): void {
    const used = new Set(steps.flatMap((step) => this.#expander.ownAxes(step)));
    const { axes, keys } = this.#projections.matrix;
    // The axis that a reference misspells isn't unused, nor one that a step names which could not be read; and where the
    // matrix itself is wrong, that comes first.
    if (this.#problems.has('E218') || this.#problems.has('E224')) return;
    for (const [axis, name] of axes.entries()) {
      const key = keys[axis];
      if (used.has(axis) || key === undefined) continue;
      if (this.#problems.hasErrors && key.source.text.includes(`matrix.${name}`)) continue;
      this.#problems.add('W201', key, `no step uses the matrix axis "${name}"`, {
        hint: `use it as \${matrix.${name}} in a step`,
      });
    }
  }
}

const matrixAxes = ({ matrix }: Outline): readonly string[] => {
  const own = matrix.entries
    .map((entry) => scalarText(entry.key))
    .filter((name) => name !== 'include' && name !== 'exclude');
  if (own.length > 0) return own;
  const include = entryOf(matrix, 'include')?.value;
  const first = include?.kind === 'seq' ? include.items[0] : undefined;
  return first?.kind === 'map' ? first.entries.map((entry) => scalarText(entry.key)) : [];
};
