// `${vars.x}`, `${matrix.x}`, `${env.X}`: typed references, not code. A scalar that is one reference becomes the value
// it names, whatever its type and with the place where that value was written; inside longer text it becomes text.
// `$${` stands for `${`.

import type { Problems } from './problems.ts';
import {
  hasUserInfo,
  looksSecret,
  malformedHint,
  parseReferences,
  placeWithin,
  type Reference,
  type Segment,
} from './reference-syntax.ts';
import type { Place } from './source.ts';
import { didYouMean } from './suggest.ts';
import {
  entryOf,
  scalarText,
  scalarFromText,
  type MapNode,
  type ScalarNode,
  type YamlNode,
} from './yaml-node.ts';

/** The matrix values of one instance, by axis; null where the matrix may not be used. */
export type Row = ReadonlyMap<string, YamlNode> | null;

export interface ReferenceScope {
  readonly vars: MapNode;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly axes: readonly string[];
  readonly problems: Problems;
}

/** Why the matrix can't be used somewhere. */
export interface NoMatrix {
  /** "the seed of the experiment" */
  readonly place: string;
  readonly hint: string;
}

interface Use {
  readonly place: Place;
  readonly row: Row;
  readonly noMatrix: NoMatrix | undefined;
}

export class References {
  readonly #scope: ReferenceScope;
  readonly #parsed = new WeakMap<ScalarNode, readonly Segment[] | 'none'>();
  readonly #axes = new WeakMap<YamlNode, ReadonlySet<string>>();
  readonly #constant = new Map<string, YamlNode | null>();
  readonly #open: string[] = [];

  constructor(scope: ReferenceScope) {
    this.#scope = scope;
  }

  segments(node: ScalarNode): readonly Segment[] | null {
    if (typeof node.value !== 'string' || !node.value.includes('${')) return null;
    const known = this.#parsed.get(node);
    if (known !== undefined) return known === 'none' ? null : known;
    const parsed = parseReferences(node.value);
    this.#parsed.set(node, parsed ?? 'none');
    return parsed;
  }

  /** The matrix axes that a value depends on, through variables too. */
  axesOf(node: YamlNode): ReadonlySet<string> {
    const known = this.#axes.get(node);
    if (known !== undefined) return known;
    const axes = new Set<string>();
    this.#axes.set(node, axes);
    this.#collectAxes(node, axes, new Set());
    return axes;
  }

  #collectAxes(node: YamlNode, into: Set<string>, vars: Set<string>): void {
    if (node.kind === 'map')
      for (const entry of node.entries) this.#collectAxes(entry.value, into, vars);
    else if (node.kind === 'seq')
      for (const item of node.items) this.#collectAxes(item, into, vars);
    else {
      for (const segment of this.segments(node) ?? []) {
        if (typeof segment === 'string' || 'malformed' in segment) continue;
        const name = segment.path[0] ?? '';
        if (segment.root === 'matrix') into.add(name);
        else if (segment.root === 'vars' && !vars.has(name)) {
          vars.add(name);
          const variable = entryOf(this.#scope.vars, name);
          if (variable !== undefined) this.#collectAxes(variable.value, into, vars);
        }
      }
    }
  }

  /**
   * The value with every reference replaced, or null where one can't be (it has been reported).
   * Values without references come back as they are, the same object.
   */
  resolve(node: YamlNode, row: Row, noMatrix?: NoMatrix): YamlNode | null {
    return this.#resolve(node, { place: node, row, noMatrix });
  }

  /** Reports what is wrong with variables, used or not. Those of the matrix are looked at where a row gives them values. */
  checkVariables(): void {
    for (const { key, value } of this.#scope.vars.entries) {
      if (this.axesOf(value).size > 0) continue;
      this.#variableValue(scalarText(key), value, key, value, {
        place: value,
        row: null,
        noMatrix: undefined,
      });
    }
  }

  #resolve(node: YamlNode, use: Use): YamlNode | null {
    switch (node.kind) {
      case 'scalar':
        return this.#scalar(node, use);
      case 'seq': {
        const items = node.items.map((item) => this.#resolve(item, use));
        if (items.every((item, index) => item === node.items[index])) return node;
        const whole = items.filter((item) => item !== null);
        return whole.length < items.length ? null : { ...node, items: whole };
      }
      case 'map': {
        const values = node.entries.map((entry) => this.#resolve(entry.value, use));
        if (values.every((value, index) => value === node.entries[index]?.value)) return node;
        const entries = node.entries.flatMap(({ key }, index) => {
          const value = values[index];
          return value === null || value === undefined ? [] : [{ key, value }];
        });
        return entries.length < values.length ? null : { ...node, entries };
      }
    }
  }

  #scalar(node: ScalarNode, use: Use): YamlNode | null {
    const segments = this.segments(node);
    if (segments === null) return node;
    const [first] = segments;
    if (segments.length === 1 && typeof first === 'object') return this.#segment(node, first, use);
    let text = '';
    let broken = false;
    let folder = node.source;
    for (const [index, segment] of segments.entries()) {
      if (typeof segment === 'string') {
        text += segment;
        continue;
      }
      const value = this.#segment(node, segment, use);
      if (value === null) broken = true;
      else if (value.kind !== 'scalar') {
        const written = 'malformed' in segment ? segment.malformed : segment.text;
        this.#scope.problems.add(
          'E219',
          placeWithin(node, written),
          `${written} is ${value.kind === 'map' ? 'a map' : 'a list'} and cannot stand inside text`,
          {
            hint: 'let the reference be the whole value',
          },
        );
        broken = true;
      } else {
        text += scalarText(value);
        // A path that begins with a variable is relative to the file that set the variable.
        if (index === 0) folder = value.source;
      }
    }
    if (broken) return null;
    const source = folder === node.source ? node.source : { ...node.source, folder: folder.folder };
    return { ...node, source, value: text, raw: text, quoted: true };
  }

  #segment(
    node: ScalarNode,
    segment: Reference | { readonly malformed: string },
    use: Use,
  ): YamlNode | null {
    const { problems } = this.#scope;
    if ('malformed' in segment) {
      const place = placeWithin(node, segment.malformed);
      problems.add('E219', place, `${segment.malformed} is no reference`, {
        hint: malformedHint(segment.malformed),
      });
      return null;
    }
    const place = placeWithin(node, segment.text);
    if (segment.root === 'env') return this.#env(segment, place);
    return segment.root === 'vars'
      ? this.#variable(segment, place, use)
      : this.#matrix(segment, place, use);
  }

  #env(reference: Reference, place: Place): YamlNode | null {
    const { problems, env } = this.#scope;
    const name = reference.path.join('.');
    if (looksSecret(name)) {
      problems.add(
        'E222',
        place,
        `${name} looks like a secret, and values of an experiment are recorded`,
        {
          hint:
            'give the name of the variable instead: `api_key_env: ' +
            name +
            '` (or `api_key_file`)',
        },
      );
      return null;
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value === undefined) {
      problems.add('E221', place, `the environment variable ${name} is not set`, {
        hint:
          didYouMean(
            name,
            Object.keys(env).filter((key) => !looksSecret(key)),
          ) ?? `set it: ${name}=... mesa run ...`,
      });
      return null;
    }
    if (hasUserInfo(value)) {
      problems.add('E222', place, `${name} holds a URL with a user name or password`, {
        hint: 'leave the part before @ out',
      });
      return null;
    }
    return { kind: 'scalar', value: scalarFromText(value), raw: value, quoted: false, ...place };
  }

  #variable(reference: Reference, place: Place, use: Use): YamlNode | null {
    const { vars, problems } = this.#scope;
    const [name = '', ...rest] = reference.path;
    const variable = entryOf(vars, name);
    if (variable === undefined) {
      const names = vars.entries.map((entry) => scalarText(entry.key));
      const hint =
        didYouMean(name, names) ??
        (names.length === 0
          ? 'add it under a top-level `vars:`'
          : `the variables are ${names.join(', ')}`);
      problems.add('E217', place, `there is no variable "${name}"`, { hint });
      return null;
    }
    const value = this.#variableValue(name, variable.value, variable.key, place, use);
    return value === null ? null : this.#descend(value, name, rest, place);
  }

  #variableValue(
    name: string,
    node: YamlNode,
    key: ScalarNode,
    place: Place,
    use: Use,
  ): YamlNode | null {
    const { problems, vars } = this.#scope;
    if (this.#open.includes(name)) {
      const trail = [...this.#open.slice(this.#open.indexOf(name)), name];
      const related = trail.slice(1, -1).flatMap((step) => {
        const entry = entryOf(vars, step);
        return entry === undefined
          ? []
          : [{ message: `"${step}" is part of the circle`, place: entry.key }];
      });
      problems.add(
        'E220',
        key,
        `variables refer to each other in a circle: ${trail.join(' -> ')}`,
        { related },
      );
      return null;
    }
    const usesMatrix = this.axesOf(node).size > 0;
    if (!usesMatrix) {
      const known = this.#constant.get(name);
      if (known !== undefined) return known;
    }
    this.#open.push(name);
    const value = this.#resolve(node, { ...use, place });
    this.#open.pop();
    if (!usesMatrix && (this.#open.length === 0 || value !== null)) this.#constant.set(name, value);
    return value;
  }

  #matrix(reference: Reference, place: Place, use: Use): YamlNode | null {
    const { axes, problems } = this.#scope;
    const [name = '', ...rest] = reference.path;
    if (!axes.includes(name)) {
      const hint =
        didYouMean(name, axes) ??
        (axes.length === 0
          ? `add it under a top-level \`matrix:\`, such as \`${name}: [..]\``
          : `the axes are ${axes.join(', ')}`);
      problems.add('E218', place, `the matrix has no axis "${name}"`, { hint });
      return null;
    }
    if (use.row === null) {
      problems.add(
        'E223',
        place,
        `the matrix cannot be used in ${use.noMatrix?.place ?? 'this place'}`,
        { hint: use.noMatrix?.hint },
      );
      return null;
    }
    const value = use.row.get(name);
    return value === undefined ? null : this.#descend(value, name, rest, place);
  }

  #descend(value: YamlNode, name: string, path: readonly string[], place: Place): YamlNode | null {
    let current = value;
    let walked = name;
    for (const step of path) {
      const next: YamlNode | undefined =
        current.kind === 'map'
          ? entryOf(current, step)?.value
          : current.kind === 'seq'
            ? current.items[/^[0-9]+$/u.test(step) ? Number(step) : -1]
            : undefined;
      if (next === undefined) {
        const keys =
          current.kind === 'map' ? current.entries.map((entry) => scalarText(entry.key)) : [];
        const hint =
          didYouMean(step, keys) ?? (keys.length > 0 ? `it has ${keys.join(', ')}` : undefined);
        this.#scope.problems.add('E217', place, `"${walked}" has no "${step}"`, {
          hint,
          related: [{ message: `"${walked}" stands here`, place: current }],
        });
        return null;
      }
      current = next;
      walked += `.${step}`;
    }
    return current;
  }
}
