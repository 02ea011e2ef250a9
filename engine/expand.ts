// Steps in the matrix: which axes a step has (its own and those of its inputs), its instances, and their parameters and
// settings, each made once for all instances that agree on the axes it names.

import type { InstanceName } from './experiment.ts';
import type { LinkedStep } from './link.ts';
import { settleParams, type Params } from './params.ts';
import type { Problems } from './problems.ts';
import type { Projection, Projections } from './projection.ts';
import type { References } from './references.ts';
import { readSelection } from './selection.ts';
import { readSettings, type Settings } from './step-settings.ts';
import type { YamlNode } from './yaml-node.ts';

/** A step with its place in the matrix. */
export interface ExpandedStep {
  readonly linked: LinkedStep;
  readonly projection: Projection;
  readonly names: readonly InstanceName[];
  /** Per instance; null where something is wrong with them. */
  readonly params: readonly (Params | null)[];
}

export class Expander {
  readonly #projections: Projections;
  readonly #references: References;
  readonly #problems: Problems;

  constructor(projections: Projections, references: References, problems: Problems) {
    this.#projections = projections;
    this.#references = references;
    this.#problems = problems;
  }

  /** Axes a step names itself, in its parameters and settings. */
  ownAxes({ outline }: LinkedStep): readonly number[] {
    const nodes: readonly YamlNode[] = [
      outline.with,
      ...Object.values(outline.settings).flatMap((entry) =>
        entry === undefined ? [] : [entry.value],
      ),
    ];
    const { axes } = this.#projections.matrix;
    return nodes
      .flatMap((node) => [...this.#references.axesOf(node)])
      .flatMap((name) => (axes.includes(name) ? [axes.indexOf(name)] : []));
  }

  /** In topological order, so that the axes of a step's inputs are known. Steps in a circle get their own axes only. */
  expand(
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
      const axes = new Set(this.ownAxes(step));
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

  #names({ outline }: LinkedStep, { axes, instances }: Projection): readonly InstanceName[] {
    if (axes.length === 0) return [outline.id as InstanceName];
    return instances.map(
      (values) => `${outline.id}[${this.#projections.labels(axes, values)}]` as InstanceName,
    );
  }

  /** For each instance; instances that agree on the axes of the parameters share one. */
  #perInstance<T>(
    nodes: readonly YamlNode[],
    projection: Projection,
    make: (row: ReadonlyMap<string, YamlNode>) => T,
  ): readonly T[] {
    const named = new Set(nodes.flatMap((node) => [...this.#references.axesOf(node)]));
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

  #params(step: LinkedStep, projection: Projection): readonly (Params | null)[] {
    const { type, outline } = step;
    if (type === null) return projection.instances.map(() => null);
    return this.#perInstance([outline.with], projection, (row) =>
      settleParams(outline, type.definition, this.#references, row, this.#problems),
    );
  }

  settings(step: ExpandedStep): readonly Settings[] {
    const { outline } = step.linked;
    const nodes = Object.values(outline.settings).flatMap((entry) =>
      entry === undefined ? [] : [entry.value],
    );
    return this.#perInstance(nodes, step.projection, (row) =>
      readSettings(outline, this.#references, row, this.#problems),
    );
  }
}
