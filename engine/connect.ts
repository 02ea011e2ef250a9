// Edges instance by instance: which artifacts arrive at which port, by projection on the axes that both ends share, and
// whether they are of a kind that the port takes.

import type { ArtifactKind } from '../schemas/artifact.ts';
import type { ExpandedStep } from './expand.ts';
import type { InputEdge, InstanceName } from './experiment.ts';
import { kindsOf, withArticle, type StepEdge } from './link.ts';
import type { Problems } from './problems.ts';
import type { Projections } from './projection.ts';
import { readSelection } from './selection.ts';
import type { Place } from './source.ts';
import { didYouMean } from './suggest.ts';
import { scalarText } from './yaml-node.ts';

/** Joins the edges of one step to the instances of its sources. */
export class Connector {
  readonly #steps: readonly (ExpandedStep | undefined)[];
  readonly #projections: Projections;
  readonly #problems: Problems;
  /** Instances of a source by their values on the axes that the consumer shares. */
  readonly #groups = new Map<string, ReadonlyMap<string, readonly number[]>>();

  constructor(
    steps: readonly (ExpandedStep | undefined)[],
    projections: Projections,
    problems: Problems,
  ) {
    this.#steps = steps;
    this.#projections = projections;
    this.#problems = problems;
  }

  #group(source: ExpandedStep, shared: readonly number[]): ReadonlyMap<string, readonly number[]> {
    const name = `${source.projection.axes.join()}|${shared.join()}`;
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const groups = new Map<string, number[]>();
    for (const [index, values] of source.projection.instances.entries()) {
      const key = shared.map((axis) => values[source.projection.axes.indexOf(axis)] ?? 0).join();
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [index]);
      else group.push(index);
    }
    this.#groups.set(name, groups);
    return groups;
  }

  /** Positions of the source's instances that belong to the consumer's instance. */
  #matching(
    source: ExpandedStep,
    shared: readonly number[],
    consumer: ExpandedStep,
    values: readonly number[],
  ): readonly number[] {
    const key = shared.map((axis) => values[consumer.projection.axes.indexOf(axis)] ?? 0).join();
    return this.#group(source, shared).get(key) ?? [];
  }

  needs(consumer: ExpandedStep, values: readonly number[]): readonly InstanceName[] {
    return consumer.linked.needs.flatMap(({ from }) => {
      const source = this.#steps[from];
      if (source === undefined) return [];
      const shared = source.projection.axes.filter((axis) =>
        consumer.projection.axes.includes(axis),
      );
      return this.#matching(source, shared, consumer, values).flatMap(
        (index) => source.names[index] ?? [],
      );
    });
  }

  inputs(consumer: ExpandedStep, instance: number): Readonly<Record<string, readonly InputEdge[]>> {
    const inputs: Record<string, InputEdge[]> = {};
    for (const edge of consumer.linked.edges) {
      const list = (inputs[edge.port] ??= []);
      if (edge.kind === 'run') list.push(edge.edge);
      else list.push(...this.#edge(edge, consumer, instance));
    }
    for (const { port, node, values } of consumer.linked.outline.inputs) {
      const name = scalarText(port);
      const list = inputs[name];
      // A list where one artifact belongs has been reported as such.
      if (list !== undefined && values.length === 1)
        this.#checkCount(consumer, name, list.length, node);
    }
    return inputs;
  }

  #checkCount(consumer: ExpandedStep, port: string, count: number, place: Place): void {
    const many = consumer.linked.type?.definition.inputs[port]?.many === true;
    if (many || count <= 1) return;
    this.#problems.add('E213', place, `input "${port}" takes one artifact; this gathers ${count}`, {
      hint: 'pick one: step[axis=value], or leave the selector out to get the one of the same axes',
    });
  }

  #edge(edge: StepEdge, consumer: ExpandedStep, instance: number): readonly InputEdge[] {
    const source = this.#steps[edge.from];
    const { type } = consumer.linked;
    if (source === undefined || type === null) return [];
    const { axes } = source.projection;
    const selection = readSelection(
      edge,
      source.linked.outline.id,
      axes,
      this.#projections,
      this.#problems,
    );
    if (selection === null) return [];
    const shared = axes.filter((axis) => !selection.consumed.has(axis));
    const values = consumer.projection.instances[instance] ?? [];
    const picked = this.#matching(source, shared, consumer, values).filter((index) =>
      [...selection.picked].every(
        ([axis, value]) => source.projection.instances[index]?.[axes.indexOf(axis)] === value,
      ),
    );
    if (picked.length === 0) {
      const where = consumer.names[instance] ?? consumer.linked.outline.id;
      this.#problems.add(
        'E215',
        edge.place,
        `the matrix has no row for "${scalarText(edge.place)}" in ${where}`,
        { hint: 'an `exclude` took it away' },
      );
      return [];
    }
    const consumed = axes.filter((axis) => selection.consumed.has(axis));
    return picked.flatMap((index) => {
      const from = source.names[index];
      const output = this.#output(edge, source, index, consumer);
      if (from === undefined || output === null) return [];
      const own = source.projection.instances[index] ?? [];
      const label =
        consumed.length === 0
          ? null
          : this.#projections.labels(
              consumed,
              consumed.map((axis) => own[axes.indexOf(axis)] ?? 0),
            );
      return [{ kind: 'step', from, output: output.name, artifact: output.kind, label }];
    });
  }

  /** The output that an edge means, if its kind fits the port. */
  #output(
    edge: StepEdge,
    source: ExpandedStep,
    index: number,
    consumer: ExpandedStep,
  ): { readonly name: string; readonly kind: ArtifactKind } | null {
    const outputs = source.params[index]?.outputs;
    const port = consumer.linked.type?.definition.inputs[edge.port];
    if (outputs === undefined || port === undefined) return null;
    const names = Object.keys(outputs);
    const id = source.linked.outline.id;
    const kinds = kindsOf(port);
    const fitting = names.filter((name) => kinds.includes(outputs[name] ?? ''));
    const [firstName] = names;
    const name = edge.output ?? firstName;
    const kind = name === undefined || !Object.hasOwn(outputs, name) ? undefined : outputs[name];
    if (name === undefined || kind === undefined) {
      const hint =
        didYouMean(edge.output ?? '', names) ??
        (names.length === 0 ? 'it has none' : `its outputs are ${names.join(', ')}`);
      this.#problems.add('E209', edge.place, `step "${id}" has no output "${edge.output ?? ''}"`, {
        hint,
      });
      return null;
    }
    if (kinds.includes(kind)) return { name, kind };
    const better = fitting.map((fit) => `${id}.${fit}`);
    const elsewhere = better.length > 0 ? better : this.#outputsOfKind(kinds);
    const hint =
      elsewhere.length === 0
        ? `no step here makes ${kinds.map(withArticle).join(' or ')}`
        : `of that kind: ${elsewhere.slice(0, 6).join(', ')}`;
    this.#problems.add(
      'E212',
      edge.place,
      `input "${edge.port}" takes ${kinds.map(withArticle).join(' or ')}; "${scalarText(edge.place)}" is ${withArticle(kind)}`,
      { hint },
    );
    return null;
  }

  #outputsOfKind(kinds: readonly string[]): readonly string[] {
    return this.#steps.flatMap((step) => {
      const [params] = step?.params ?? [];
      if (step === undefined || params === null || params === undefined) return [];
      const names = Object.keys(params.outputs);
      return names
        .filter((name) => kinds.includes(params.outputs[name] ?? ''))
        .map((name) =>
          names.length === 1 ? step.linked.outline.id : `${step.linked.outline.id}.${name}`,
        );
    });
  }
}
