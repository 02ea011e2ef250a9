// `--set steps.adapter.with.r=16`: values of the command line put into the document before it is analysed, typed as YAML,
// and with a source of their own: what is wrong with one points at the command line.

import { Problems } from './problems.ts';
import type { Source } from './source.ts';
import { parseYaml } from './document.ts';
import { didYouMean } from './suggest.ts';
import {
  scalarText,
  scalarFromText,
  scalarNode,
  type Entry,
  type MapNode,
  type ScalarNode,
  type YamlNode,
} from './yaml-node.ts';

export interface Override {
  /** Keys from the document's root, joined by dots. */
  readonly path: string;
  readonly value: string;
  /** The option it came from: `--set`, `--seed`. */
  readonly origin: string;
}

interface Placed {
  readonly source: Source;
  readonly keys: readonly ScalarNode[];
  readonly valueStart: number;
}

/** The argument as the user typed it: `--set a.b=c`, or `--seed 7` for an option that stands for one path. */
const placeOverride = (override: Override, cwd: string, order: number): Placed => {
  const isSet = override.origin === '--set';
  const lead = isSet ? `--set ${override.path}=` : `${override.origin} `;
  const source: Source = {
    kind: 'command-line',
    path: cwd,
    shown: 'command line',
    folder: cwd,
    text: lead + override.value,
    order,
  };
  let at = isSet ? '--set '.length : 0;
  const keys = override.path.split('.').map((name) => {
    const end = isSet ? at + name.length : override.origin.length;
    const key = scalarNode(name, name, { source, start: at, end });
    if (isSet) at = end + 1;
    return key;
  });
  return { source, keys, valueStart: lead.length };
};

/** A scalar as YAML reads it; `[8, 16]` and `{a: 1}` too. */
const parseValue = (placed: Placed, value: string, problems: Problems): YamlNode | null => {
  const { source, valueStart } = placed;
  const place = { source, start: valueStart, end: source.text.length };
  if (!/^[[{"'&*!|>@`%#]/u.test(value.trim())) {
    return scalarNode(scalarFromText(value.trim()), value.trim(), place);
  }
  // Parsed behind as many blanks as the option is long, so that places are those in the whole argument.
  const padded = { ...source, text: ' '.repeat(valueStart) + value };
  const own = new Problems();
  const parsed = parseYaml(padded, own);
  if (parsed !== null && !own.hasErrors) return withSource(parsed, source);
  const [first] = own.inFileOrder();
  problems.add('E101', place, first?.message ?? 'the value cannot be read', { hint: first?.hint });
  return null;
};

const withSource = (node: YamlNode, source: Source): YamlNode => {
  if (node.kind === 'seq')
    return { ...node, source, items: node.items.map((item) => withSource(item, source)) };
  if (node.kind === 'scalar') return { ...node, source };
  return {
    ...node,
    source,
    entries: node.entries.map(({ key, value }) => ({
      key: { ...key, source },
      value: withSource(value, source),
    })),
  };
};

const put = (
  node: YamlNode | undefined,
  keys: readonly ScalarNode[],
  value: YamlNode,
  problems: Problems,
): YamlNode => {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  const name = scalarText(key);
  if (node?.kind === 'seq') {
    const index = /^[0-9]+$/u.test(name) ? Number(name) : -1;
    const old = node.items[index];
    if (old === undefined) {
      problems.add('E229', key, `"${name}" is no position in a list of ${node.items.length}`, {
        hint: 'positions begin with 0',
      });
      return node;
    }
    return { ...node, items: node.items.with(index, put(old, rest, value, problems)) };
  }
  const isEmpty =
    node === undefined || (node.kind === 'scalar' && (node.value === null || rest.length === 0));
  if (node?.kind === 'scalar' && !isEmpty) {
    problems.add('E229', key, `there is nothing below a single value: "${name}" cannot be set`);
    return node;
  }
  const map: MapNode =
    node?.kind === 'map'
      ? node
      : { kind: 'map', entries: [], source: value.source, start: key.start, end: value.end };
  const at = map.entries.findIndex((entry) => scalarText(entry.key) === name);
  const old = map.entries[at];
  const entry: Entry = { key: old?.key ?? key, value: put(old?.value, rest, value, problems) };
  return {
    ...map,
    entries: old === undefined ? [...map.entries, entry] : map.entries.with(at, entry),
  };
};

/** Setting something of a step that isn't there would make half a step: a typing error, said as one. */
const namesKnownStep = (
  root: MapNode,
  keys: readonly ScalarNode[],
  problems: Problems,
): boolean => {
  const [first, id, third] = keys;
  if (
    first === undefined ||
    id === undefined ||
    scalarText(first) !== 'steps' ||
    third === undefined
  )
    return true;
  const steps = root.entries.find((entry) => scalarText(entry.key) === 'steps')?.value;
  const ids = steps?.kind === 'map' ? steps.entries.map((entry) => scalarText(entry.key)) : [];
  if (ids.includes(scalarText(id)) || scalarText(third) === 'uses') return true;
  const hint = didYouMean(scalarText(id), ids) ?? `the steps are ${ids.join(', ')}`;
  problems.add('E229', id, `there is no step "${scalarText(id)}" to set something of`, { hint });
  return false;
};

/** The document with every override put in its place. */
export const applyOverrides = (
  root: MapNode,
  overrides: readonly Override[],
  cwd: string,
  firstOrder: number,
  problems: Problems,
): MapNode => {
  let current = root;
  for (const [index, override] of overrides.entries()) {
    const placed = placeOverride(override, cwd, firstOrder + index);
    const empty = placed.keys.find((key) => scalarText(key) === '');
    if (empty !== undefined) {
      problems.add(
        'E229',
        { ...empty, end: empty.start + 1 },
        'the path of an override is keys joined by dots',
        { hint: 'such as --set steps.adapter.with.r=16' },
      );
      continue;
    }
    const value = parseValue(placed, override.value, problems);
    if (value === null || !namesKnownStep(current, placed.keys, problems)) continue;
    current = put(current, placed.keys, value, problems) as MapNode;
  }
  return current;
};
