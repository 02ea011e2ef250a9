// Document -> Experiment, or all of its problems. Pure but for reading the file and its parents: no step runs, no plugin
// is loaded, nothing is written, so the same function can serve an editor.

import { basename, resolve } from 'node:path';
import type { Diagnostic } from '../schemas/diagnostic.ts';
import { Connector, Linker, readSelection, type ExpandedStep, type LinkedStep } from './connect.ts';
import type { Experiment, InstanceName, StepInstance } from './experiment.ts';
import { loadDocument } from './extends.ts';
import { findRoot } from './find-root.ts';
import { cycles, topologicalOrder, type Graph } from './graph.ts';
import { Projections, readMatrix } from './matrix.ts';
import { applyOverrides, type Override } from './overrides.ts';
import { reportSecrets, settleParams, type Params } from './params.ts';
import { Problems } from './problems.ts';
import { References } from './references.ts';
import { resolvedJson } from './resolved.ts';
import { err, ok, type Result } from './result.ts';
import { locate, type Source } from './source.ts';
import type { StepDefinition, StepRegistry } from './step.ts';
import { readSettings, wholeNumber, type Settings } from './step-settings.ts';
import { pluginModule, StepTypes } from './step-types.ts';
import { readOutline, type Outline } from './structure.ts';
import {
  entryOf,
  isNull,
  keyText,
  scalarText,
  type ScalarNode,
  type YamlNode,
} from './yaml-node.ts';

export type { Override } from './overrides.ts';

export interface DocumentRequest {
  /** Absolute path of the experiment file. */
  readonly file: string;
  readonly cwd: string;
  readonly overrides?: readonly Override[];
  /** `--seed`. */
  readonly seed?: number | string | undefined;
}

export interface AnalyzeRequest extends DocumentRequest {
  readonly registry: StepRegistry;
  /** Plugins that have been described, by absolute path of their module (see listPlugins). */
  readonly plugins: ReadonlyMap<string, StepDefinition>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface Read {
  readonly outline: Outline;
  readonly sources: readonly Source[];
}

const readRequest = (request: DocumentRequest, problems: Problems): Read | null => {
  const loaded = loadDocument(resolve(request.file), request.cwd, problems);
  if (loaded === null) return null;
  const { seed } = request;
  const overrides = [
    ...(request.overrides ?? []),
    ...(seed === undefined ? [] : [{ path: 'seed', value: String(seed), origin: '--seed' }]),
  ];
  const overridden = applyOverrides(
    loaded.root,
    overrides,
    request.cwd,
    loaded.sources.length,
    problems,
  );
  return {
    outline: readOutline(overridden.root, problems),
    sources: [...loaded.sources, ...overridden.sources],
  };
};

export interface PluginUse {
  /** As written. */
  readonly uses: string;
  /** Absolute path of the module: the key of AnalyzeRequest.plugins. */
  readonly module: string;
  readonly location: ReturnType<typeof locate>;
}

/** The plugins that an experiment names, each once: described by a worker before the experiment is analysed. */
export const listPlugins = (
  request: DocumentRequest & { readonly registry: StepRegistry },
): readonly PluginUse[] => {
  // Whatever is wrong with the document is said by analyzeExperiment.
  const read = readRequest(request, new Problems());
  const found = new Map<string, PluginUse>();
  for (const { uses } of read?.outline.steps ?? []) {
    const module = uses === null ? null : pluginModule(uses, request.registry);
    if (uses === null || module === null || found.has(module)) continue;
    found.set(module, { uses: scalarText(uses), module, location: locate(uses) });
  }
  return [...found.values()];
};

/** Reads, checks and expands an experiment file. */
export const analyzeExperiment = (
  request: AnalyzeRequest,
): Result<Experiment, readonly Diagnostic[]> => {
  const problems = new Problems();
  const read = readRequest(request, problems);
  if (read === null) return err(problems.inFileOrder());
  const analysis = new Analysis(read.outline, request, problems);
  const instances = analysis.run();
  if (problems.hasErrors) return err(problems.inFileOrder());
  const file = resolve(request.file);
  const resolved = resolvedJson(read.outline.root, analysis.references, read.sources);
  return ok({
    name: analysis.name(file),
    file,
    root: findRoot(file),
    seed: analysis.seed,
    instances,
    byName: new Map(instances.map((instance) => [instance.name, instance])),
    resolved: resolved.value,
    origins: resolved.origins,
    warnings: problems.inFileOrder(),
  });
};

class Analysis {
  readonly references: References;
  seed = 0;
  readonly #outline: Outline;
  readonly #request: AnalyzeRequest;
  readonly #problems: Problems;
  readonly #projections: Projections;

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
    const expanded = this.#expand(linked, order);
    const instances = this.#instances(expanded, order);
    // Where something else is wrong, what looks unused may be what is wrong.
    if (!this.#problems.hasErrors) {
      this.#reportUnusedAxes(linked);
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

  /** Axes a step names itself, in its parameters and settings. */
  #ownAxes({ outline }: LinkedStep): readonly number[] {
    const nodes: readonly YamlNode[] = [
      outline.with,
      ...Object.values(outline.settings).flatMap((entry) =>
        entry === undefined ? [] : [entry.value],
      ),
    ];
    const { axes } = this.#projections.matrix;
    return nodes
      .flatMap((node) => [...this.references.axesOf(node)])
      .flatMap((name) => (axes.includes(name) ? [axes.indexOf(name)] : []));
  }

  /** In topological order, so that the axes of a step's inputs are known. Steps in a circle get their own axes only. */
  #expand(
    steps: readonly LinkedStep[],
    order: readonly number[],
  ): readonly (ExpandedStep | undefined)[] {
    const expanded: (ExpandedStep | undefined)[] = new Array<undefined>(steps.length).fill(
      undefined,
    );
    const ordered = new Set(order);
    const inCircles = [...steps.keys()].filter((index) => !ordered.has(index));
    for (const index of inCircles.length === 0 ? order : [...order, ...inCircles]) {
      const step = steps[index];
      if (step === undefined) continue;
      const axes = new Set(this.#ownAxes(step));
      for (const edge of step.edges) {
        const source = edge.kind === 'step' ? expanded[edge.from] : undefined;
        if (edge.kind !== 'step' || source === undefined) continue;
        const selection = readSelection(
          edge,
          source.linked.outline.id,
          source.projection.axes,
          this.#projections,
          this.#problems,
        );
        for (const axis of source.projection.axes)
          if (selection?.consumed.has(axis) !== true) axes.add(axis);
      }
      const projection = this.#projections.on([...axes].sort((a, b) => a - b));
      expanded[index] = {
        linked: step,
        projection,
        names: this.#names(step, projection),
        params: this.#params(step, projection),
      };
    }
    return expanded;
  }

  #names(
    { outline }: LinkedStep,
    { axes, instances }: ExpandedStep['projection'],
  ): readonly InstanceName[] {
    if (axes.length === 0) return [outline.id as InstanceName];
    return instances.map(
      (values) => `${outline.id}[${this.#projections.labels(axes, values)}]` as InstanceName,
    );
  }

  /** For each instance; instances that agree on the axes of the parameters share one. */
  #perInstance<T>(
    nodes: readonly YamlNode[],
    projection: ExpandedStep['projection'],
    make: (row: ReadonlyMap<string, YamlNode>) => T,
  ): readonly T[] {
    const named = new Set(nodes.flatMap((node) => [...this.references.axesOf(node)]));
    const { axes } = this.#projections.matrix;
    const used = projection.axes.map((axis) => named.has(axes[axis] ?? ''));
    const known = new Map<string, T>();
    return projection.instances.map((values) => {
      const key = values.filter((_, at) => used[at] === true).join();
      const made = known.get(key);
      if (made !== undefined) return made;
      const value = make(this.#projections.row(projection.axes, values));
      known.set(key, value);
      return value;
    });
  }

  #params(step: LinkedStep, projection: ExpandedStep['projection']): readonly (Params | null)[] {
    const { type, outline } = step;
    if (type === null) return projection.instances.map(() => null);
    return this.#perInstance([outline.with], projection, (row) =>
      settleParams(outline, type.definition, this.references, row, this.#problems),
    );
  }

  #settings(step: ExpandedStep): readonly Settings[] {
    const { outline } = step.linked;
    const nodes = Object.values(outline.settings).flatMap((entry) =>
      entry === undefined ? [] : [entry.value],
    );
    return this.#perInstance(nodes, step.projection, (row) =>
      readSettings(outline, this.references, row, this.#problems),
    );
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
      const settings = this.#settings(step);
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
    const used = new Set(steps.flatMap((step) => this.#ownAxes(step)));
    const { axes, keys } = this.#projections.matrix;
    for (const [axis, name] of axes.entries()) {
      const key = keys[axis];
      if (used.has(axis) || key === undefined) continue;
      this.#problems.add('W201', key, `no step uses the matrix axis "${name}"`, {
        hint: `use it as \${matrix.${name}} in a step`,
      });
    }
  }
}

/** Names of the axes, known before the matrix is read: its own values may refer to variables. */
const matrixAxes = ({ matrix }: Outline): readonly string[] => {
  const own = matrix.entries
    .map((entry) => keyText(entry.key))
    .filter((name) => name !== 'include' && name !== 'exclude');
  if (own.length > 0) return own;
  const include = entryOf(matrix, 'include')?.value;
  const first = include?.kind === 'seq' ? include.items[0] : undefined;
  return first?.kind === 'map' ? first.entries.map((entry) => keyText(entry.key)) : [];
};
