// The outline of an experiment: which keys stand where and of which type. Makes sections out of a tree of nodes and
// looks at no step type, so the same outline serves analysis, the list of plugins and `check --resolved`.

import type { Problems } from './problems.ts';
import { didYouMean } from './suggest.ts';
import {
  describeNode,
  entryOf,
  isNull,
  scalarText,
  type Entry,
  type MapNode,
  type ScalarNode,
  type YamlNode,
} from './yaml-node.ts';

export interface StepOutline {
  readonly id: string;
  readonly key: ScalarNode;
  readonly uses: ScalarNode | null;
  /** A map, or a reference to one: `with: ${vars.model}`. */
  readonly with: MapNode | ScalarNode;
  /** Where a missing parameter is missing: the key `with`, else the id. */
  readonly withPlace: ScalarNode;
  readonly inputs: readonly {
    readonly port: ScalarNode;
    readonly values: readonly ScalarNode[];
    readonly isList: boolean;
    readonly node: YamlNode;
  }[];
  readonly inputsPlace: ScalarNode;
  readonly needs: readonly ScalarNode[];
  readonly settings: Readonly<Record<SettingName, Entry | undefined>>;
}

export const settingNames = ['seed', 'resources', 'timeout', 'retry', 'cache', 'executor'] as const;
export type SettingName = (typeof settingNames)[number];

export interface Outline {
  readonly root: MapNode;
  readonly name: Entry | undefined;
  readonly seed: Entry | undefined;
  readonly vars: MapNode;
  readonly matrix: MapNode;
  readonly steps: readonly StepOutline[];
}

export const topLevelKeys = [
  'name',
  'description',
  'seed',
  'vars',
  'matrix',
  'steps',
  'extends',
  '$schema',
] as const;
export const stepKeys = [
  'uses',
  'description',
  'inputs',
  'with',
  'needs',
  ...settingNames,
] as const;

/** What people used to other tools write for a key of a step. */
const stepKeyAliases: Readonly<Record<string, string>> = {
  type: 'uses',
  step: 'uses',
  params: 'with',
  parameters: 'with',
  args: 'with',
  config: 'with',
  options: 'with',
  input: 'inputs',
  depends_on: 'needs',
  dependsOn: 'needs',
  after: 'needs',
  deps: 'inputs',
  retries: 'retry',
};
const topKeyAliases: Readonly<Record<string, string>> = {
  variables: 'vars',
  params: 'vars',
  env: 'vars',
  jobs: 'steps',
  stages: 'steps',
  tasks: 'steps',
  pipeline: 'steps',
  strategy: 'matrix',
  sweep: 'matrix',
  base: 'extends',
  include: 'extends',
  random_seed: 'seed',
};

const aliasHint = (name: string, aliases: Readonly<Record<string, string>>): string | undefined =>
  Object.hasOwn(aliases, name) ? `"${name}" is called "${aliases[name] ?? ''}" here` : undefined;

const isReference = (node: YamlNode | undefined): node is ScalarNode =>
  node?.kind === 'scalar' && typeof node.value === 'string' && node.value.includes('${');

class Reader {
  readonly #problems: Problems;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** A section that is a map; absent or empty counts as an empty one. */
  map(
    entry: Entry | undefined,
    what: string,
    otherwise: ScalarNode | MapNode,
    hint: string,
  ): MapNode {
    const empty: MapNode = {
      kind: 'map',
      entries: [],
      source: otherwise.source,
      start: otherwise.start,
      end: otherwise.start,
    };
    if (entry === undefined || isNull(entry.value)) return empty;
    if (entry.value.kind === 'map') return entry.value;
    this.#problems.add(
      'E202',
      entry.value,
      `${what} is a map; found ${describeNode(entry.value)}`,
      { hint },
    );
    return empty;
  }

  step({ key, value }: Entry): StepOutline | null {
    const id = scalarText(key);
    if (!/^[a-z][a-z0-9_-]*$/u.test(id)) {
      const mended = id
        .toLowerCase()
        .replaceAll(/[^a-z0-9_-]+/gu, '-')
        .replace(/^(?=[0-9])/u, 'step-')
        .replace(/^[^a-z]+/u, '');
      this.#problems.add('E205', key, `"${id}" cannot be a step id`, {
        hint: `a small letter, then small letters, digits, - and _${mended === '' ? '' : `, such as "${mended}"`}`,
      });
    }
    if (value.kind !== 'map') {
      const at = isNull(value) ? key : value;
      this.#problems.add(
        isNull(value) ? 'E204' : 'E202',
        at,
        isNull(value) ? `step "${id}" is empty` : `a step is a map; found ${describeNode(value)}`,
        {
          hint: 'begin with `uses:` and the type of the step',
        },
      );
      return null;
    }
    for (const entry of value.entries) {
      const name = scalarText(entry.key);
      if ((stepKeys as readonly string[]).includes(name)) continue;
      const hint =
        aliasHint(name, stepKeyAliases) ??
        didYouMean(name, stepKeys) ??
        'parameters of the step type stand under `with:`';
      this.#problems.add('E201', entry.key, `unknown key "${name}" in step "${id}"`, { hint });
    }
    const withEntry = entryOf(value, 'with');
    const inputsEntry = entryOf(value, 'inputs');
    return {
      id,
      key,
      uses: this.#uses(id, key, entryOf(value, 'uses')),
      with: isReference(withEntry?.value)
        ? withEntry.value
        : this.map(withEntry, '`with`', withEntry?.key ?? key, 'such as `with: { r: 8 }`'),
      withPlace: withEntry?.key ?? key,
      inputs: this.#inputs(
        this.map(inputsEntry, '`inputs`', key, 'such as `inputs: { model: base }`'),
      ),
      inputsPlace: inputsEntry?.key ?? key,
      needs: this.#names(entryOf(value, 'needs')),
      settings: Object.fromEntries(
        settingNames.map((name) => [name, entryOf(value, name)]),
      ) as StepOutline['settings'],
    };
  }

  #uses(id: string, key: ScalarNode, entry: Entry | undefined): ScalarNode | null {
    if (entry === undefined || isNull(entry.value)) {
      this.#problems.add('E204', entry?.key ?? key, `step "${id}" does not say which type it is`, {
        hint: 'add `uses:`; `mesa steps` lists the types',
      });
      return null;
    }
    if (entry.value.kind === 'scalar') {
      if (!scalarText(entry.value).includes('${')) return entry.value;
      this.#problems.add('E223', entry.value, 'the type of a step cannot be a reference', {
        hint: 'write the type itself, so that the file can be checked',
      });
      return null;
    }
    this.#problems.add(
      'E202',
      entry.value,
      `\`uses\` names one step type; found ${describeNode(entry.value)}`,
    );
    return null;
  }

  #inputs(map: MapNode): StepOutline['inputs'] {
    return map.entries.map(({ key, value }) => {
      const items = value.kind === 'seq' ? value.items : [value];
      const values = items.flatMap((item) => {
        if (item.kind === 'scalar' && item.value !== null) return [item];
        this.#problems.add(
          'E202',
          isNull(item) ? key : item,
          `input "${scalarText(key)}" names a step; found ${describeNode(item)}`,
          {
            hint: `such as \`${scalarText(key)}: step-id\` or \`step-id.output\``,
          },
        );
        return [];
      });
      return { port: key, values, isList: value.kind === 'seq', node: value };
    });
  }

  #names(entry: Entry | undefined): readonly ScalarNode[] {
    if (entry === undefined || isNull(entry.value)) return [];
    const items = entry.value.kind === 'seq' ? entry.value.items : [entry.value];
    return items.flatMap((item) => {
      if (item.kind === 'scalar' && item.value !== null) return [item];
      this.#problems.add(
        'E202',
        item,
        `\`needs\` is a list of step ids; found ${describeNode(item)}`,
      );
      return [];
    });
  }
}

/** Reads the outline; what is wrong with it is reported, and the rest is read on. */
export const readOutline = (root: MapNode, problems: Problems): Outline => {
  const reader = new Reader(problems);
  for (const { key } of root.entries) {
    const name = scalarText(key);
    if ((topLevelKeys as readonly string[]).includes(name) || name.startsWith('x-')) continue;
    const hint =
      aliasHint(name, topKeyAliases) ??
      didYouMean(name, topLevelKeys) ??
      `an experiment has ${topLevelKeys.slice(0, -1).join(', ')}`;
    problems.add('E201', key, `unknown key "${name}"`, { hint });
  }
  const stepsEntry = entryOf(root, 'steps');
  const steps = reader.map(
    stepsEntry,
    '`steps`',
    root,
    'each step stands under its id: `steps: { base: { uses: load-model } }`',
  );
  const isEmpty =
    stepsEntry === undefined || isNull(stepsEntry.value) || stepsEntry.value.kind === 'map';
  if (steps.entries.length === 0 && isEmpty) {
    const at = stepsEntry?.key ?? { source: root.source, start: root.start, end: root.start + 1 };
    problems.add('E204', at, 'the experiment has no steps', {
      hint: 'add `steps:` with at least one step; `mesa init` writes an example',
    });
  }
  const seen = new Set<string>();
  const outlines = steps.entries.flatMap((entry) => {
    // The second of two equal ids is reported by the reader of the document; only the first is analysed.
    if (seen.has(scalarText(entry.key))) return [];
    seen.add(scalarText(entry.key));
    const outline = reader.step(entry);
    return outline === null ? [] : [outline];
  });
  return {
    root,
    name: entryOf(root, 'name'),
    seed: entryOf(root, 'seed'),
    vars: reader.map(entryOf(root, 'vars'), '`vars`', root, 'such as `vars: { model: ... }`'),
    matrix: reader.map(
      entryOf(root, 'matrix'),
      '`matrix`',
      root,
      'such as `matrix: { r: [8, 16] }`',
    ),
    steps: outlines,
  };
};
