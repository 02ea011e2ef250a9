// What the inputs of a step name: ports, steps and runs, checked by name. Nothing is expanded yet.

import { parseEdge, type EdgeText, type Selector } from './edges.ts';
import type { InputEdge } from './experiment.ts';
import type { Problems } from './problems.ts';
import type { References } from './references.ts';
import { locate } from './source.ts';
import type { InputPort } from './step.ts';
import type { StepType } from './step-types.ts';
import type { StepOutline } from './structure.ts';
import { didYouMean } from './suggest.ts';
import { scalarText, type ScalarNode } from './yaml-node.ts';

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
export const withArticle = (kind: string): string =>
  kind.endsWith('s') ? kind : `${/^[aeiou]/u.test(kind) ? 'an' : 'a'} ${kind}`;

export const kindsOf = (port: InputPort): readonly string[] =>
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
        const port = scalarText(input.port);
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
      const name = scalarText(input.port);
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
