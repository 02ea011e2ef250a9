// Edges between steps: what each input names, which axes a step has through its inputs, and, instance by instance,
// which artifacts arrive at which port.

import type { InputEdge, InstanceName } from './experiment.ts';
import { parseEdge, type EdgeText, type Selector } from './edges.ts';
import type { Projection, Projections } from './matrix.ts';
import type { Params } from './params.ts';
import type { Problems } from './problems.ts';
import type { References } from './references.ts';
import { locate, type Place } from './source.ts';
import type { InputPort } from './step.ts';
import type { StepType } from './step-types.ts';
import type { StepOutline } from './structure.ts';
import { didYouMean } from './suggest.ts';
import { keyText, scalarText, type ScalarNode } from './yaml-node.ts';

export interface StepEdge {
  readonly kind: 'step';
  readonly port: string;
  readonly from: number;
  readonly output: string | null;
  readonly selector: Selector | null;
  readonly place: ScalarNode;
}
interface RunEdge {
  readonly kind: 'run';
  readonly port: string;
  readonly edge: InputEdge;
}

/** A step whose text is read: names resolved, nothing expanded. */
export interface LinkedStep {
  readonly outline: StepOutline;
  readonly type: StepType | null;
  readonly edges: readonly (StepEdge | RunEdge)[];
  readonly needs: readonly { readonly from: number; readonly place: ScalarNode }[];
}

/** "a dataset", "prompts" */
const withArticle = (kind: string): string =>
  kind.endsWith('s') ? kind : `${/^[aeiou]/u.test(kind) ? 'an' : 'a'} ${kind}`;

const kindsOf = (port: InputPort): readonly string[] =>
  typeof port.kind === 'string' ? [port.kind] : port.kind;

export class Linker {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #references: References;
  readonly #problems: Problems;

  constructor(outlines: readonly StepOutline[], references: References, problems: Problems) {
    this.#ids = new Map(outlines.map((outline, index) => [outline.id, index]));
    this.#references = references;
    this.#problems = problems;
  }

  link(outline: StepOutline, type: StepType | null): LinkedStep {
    const ports = type?.definition.inputs;
    if (ports !== undefined) this.#checkPorts(outline, ports, type?.definition.name ?? '');
    const edges = outline.inputs.flatMap((input) =>
      input.values.flatMap((value) => {
        const port = keyText(input.port);
        if (ports !== undefined && !Object.hasOwn(ports, port)) return [];
        const edge = this.#edge(value, port, outline);
        return edge === null ? [] : [edge];
      }),
    );
    const needs = outline.needs.flatMap((place) => {
      const from = this.#step(scalarText(place), place, outline, '`needs` takes ids of steps');
      return from === null ? [] : [{ from, place }];
    });
    return { outline, type, edges, needs };
  }

  #checkPorts(
    outline: StepOutline,
    ports: Readonly<Record<string, InputPort>>,
    type: string,
  ): void {
    const names = Object.keys(ports);
    const given = new Set<string>();
    for (const input of outline.inputs) {
      const name = keyText(input.port);
      given.add(name);
      const port = Object.hasOwn(ports, name) ? ports[name] : undefined;
      if (port === undefined) {
        const hint =
          didYouMean(name, names) ??
          (names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`);
        this.#problems.add('E210', input.port, `step type ${type} has no input "${name}"`, {
          hint,
        });
      } else if (input.isList && port.many !== true && input.values.length !== 1) {
        this.#problems.add(
          'E213',
          input.node,
          `input "${name}" takes one artifact; ${input.values.length} are given`,
        );
      }
    }
    for (const [name, port] of Object.entries(ports)) {
      if (given.has(name) || port.optional === true) continue;
      this.#problems.add(
        'E211',
        outline.inputsPlace,
        `step "${outline.id}" lacks the input "${name}" (${kindsOf(port).map(withArticle).join(' or ')})`,
        {
          hint: `add \`${name}: step-id\` under \`inputs:\``,
        },
      );
    }
  }

  #edge(written: ScalarNode, port: string, outline: StepOutline): StepEdge | RunEdge | null {
    const node = this.#references.resolve(written, null, {
      place: 'inputs',
      hint: 'name the step: of its instances the one with the same axes is taken',
    });
    if (node?.kind !== 'scalar') return null;
    const text = scalarText(node);
    const parsed: EdgeText | null = parseEdge(text);
    if (parsed === null) {
      this.#problems.add('E214', written, `"${text}" names no artifact`, { hint: edgeHint(text) });
      return null;
    }
    if (parsed.kind === 'run') return this.#run(parsed, port, written);
    const from = this.#step(parsed.id, written, outline, null);
    return from === null
      ? null
      : {
          kind: 'step',
          port,
          from,
          output: parsed.output,
          selector: parsed.selector,
          place: written,
        };
  }

  #run(
    parsed: EdgeText & { readonly kind: 'run' },
    port: string,
    place: ScalarNode,
  ): RunEdge | null {
    if (parsed.run === 'last') {
      this.#problems.add(
        'E216',
        place,
        '`last` is another run tomorrow; a file names the run itself',
        { hint: '`mesa runs` lists ids: run:k7q2/' + parsed.step },
      );
      return null;
    }
    const { run, step, output } = parsed;
    return {
      kind: 'run',
      port,
      edge: { kind: 'run', run, step, output, label: null, location: locate(place) },
    };
  }

  #step(
    id: string,
    place: ScalarNode,
    outline: StepOutline,
    hintOtherwise: string | null,
  ): number | null {
    const from = this.#ids.get(id);
    if (from === undefined) {
      const ids = [...this.#ids.keys()];
      const some = ids.length <= 12 ? `the steps are ${ids.join(', ')}` : undefined;
      this.#problems.add('E208', place, `there is no step "${id}"`, {
        hint: didYouMean(id, ids) ?? hintOtherwise ?? some,
      });
      return null;
    }
    if (id === outline.id) {
      this.#problems.add('E206', place, `step "${id}" takes its own output`, {
        hint: 'name the step that makes what it needs',
      });
      return null;
    }
    return from;
  }
}

const edgeHint = (text: string): string => {
  if (text.startsWith('run:'))
    return 'a result of an earlier run is run:ID/step or run:ID/step.output';
  if (/^[./]/u.test(text)) return 'files are loaded by a step of type load-dataset or load-model';
  if (/[[\]=*]/u.test(text)) return 'a selector is step[*], step[axis=*] or step[axis=value]';
  return 'write step-id, step-id.output, step-id[*] or run:ID/step';
};

/** A step with its place in the matrix. */
export interface ExpandedStep {
  readonly linked: LinkedStep;
  readonly projection: Projection;
  readonly names: readonly InstanceName[];
  /** Per instance. */
  readonly params: readonly (Params | null)[];
}

interface Selection {
  /** Axes of the source that are gathered or picked: they don't become axes of the consumer. */
  readonly consumed: ReadonlySet<number>;
  /** Picked values by axis. */
  readonly picked: ReadonlyMap<number, number>;
  readonly gathers: boolean;
}

/** How an edge reads the axes of its source. Null where the selector names what the source doesn't have. */
export const readSelection = (
  edge: StepEdge,
  sourceId: string,
  axes: readonly number[],
  projections: Projections,
  problems: Problems,
): Selection | null => {
  const { selector, place } = edge;
  const names = axes.map((axis) => projections.matrix.axes[axis] ?? '');
  const none = { consumed: new Set<number>(), picked: new Map<number, number>(), gathers: false };
  if (selector === null) return none;
  if (axes.length === 0) {
    problems.add('E215', place, `"${sourceId}" has one instance: no matrix axis reaches it`, {
      hint: `write "${sourceId}"`,
    });
    return null;
  }
  if (selector.kind === 'all') return { ...none, consumed: new Set(axes), gathers: true };
  const consumed = new Set<number>();
  const picked = new Map<number, number>();
  for (const [name, label] of selector.axes) {
    const axis = axes[names.indexOf(name)];
    if (axis === undefined) {
      problems.add('E215', place, `"${sourceId}" has no axis "${name}"`, {
        hint: didYouMean(name, names) ?? `its axes are ${names.join(', ')}`,
      });
      return null;
    }
    consumed.add(axis);
    if (label === '*') continue;
    const values = projections.matrix.values[axis] ?? [];
    const value = values.findIndex((candidate) => candidate.label === label);
    if (value === -1) {
      const labels = values.map((candidate) => candidate.label);
      problems.add('E215', place, `axis "${name}" has no value ${label}`, {
        hint: didYouMean(label, labels) ?? `its values are ${labels.join(', ')}`,
      });
      return null;
    }
    picked.set(axis, value);
  }
  return { consumed, picked, gathers: consumed.size > picked.size };
};

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
      const name = keyText(port);
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
  ): {
    readonly name: string;
    readonly kind: InputEdge & { kind: 'step' } extends { artifact: infer Kind } ? Kind : never;
  } | null {
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
