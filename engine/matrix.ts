// The matrix of an experiment: axes, their values and names, and the table of rows that include and exclude leave.

import type { Problems } from './problems.ts';
import type { References } from './references.ts';
import { didYouMean } from './suggest.ts';
import {
  entryOf,
  scalarText,
  type Entry,
  type MapNode,
  type ScalarNode,
  type YamlNode,
} from './yaml-node.ts';

export interface AxisValue {
  /** How the value is written in the names of instances. */
  readonly label: string;
  readonly node: YamlNode;
}

export interface Matrix {
  readonly axes: readonly string[];
  readonly keys: readonly ScalarNode[];
  readonly values: readonly (readonly AxisValue[])[];
  /** Per row the position of its value on each axis. */
  readonly rows: readonly (readonly number[])[];
}

const maxRows = 100_000;

/** The name of a value: its own, if it is a map with `name`; its text; the texts of a short list. */
const labelOf = (node: YamlNode): string | null => {
  if (node.kind === 'scalar') return scalarText(node) === '' ? null : scalarText(node);
  if (node.kind === 'map') {
    const name = entryOf(node, 'name')?.value;
    return name?.kind === 'scalar' && name.value !== null ? scalarText(name) : null;
  }
  const labels = node.items.map((item) => (item.kind === 'scalar' ? scalarText(item) : null));
  return labels.length === 0 || labels.includes(null) ? null : labels.join('+');
};

const usableLabel = /^[^\s,=[\]@]+$/u;

class MatrixReader {
  readonly axes: string[] = [];
  readonly keys: ScalarNode[] = [];
  readonly values: AxisValue[][] = [];
  readonly #problems: Problems;
  readonly #references: References;

  constructor(references: References, problems: Problems) {
    this.#references = references;
    this.#problems = problems;
  }

  #resolved(node: YamlNode): YamlNode | null {
    return this.#references.resolve(node, null, {
      place: 'the matrix itself',
      hint: 'an axis is a list of its own',
    });
  }

  #value(node: YamlNode, axis: string): AxisValue | null {
    const label = labelOf(node);
    if (label !== null && usableLabel.test(label)) return { label, node };
    const what =
      label === null
        ? `a value of axis "${axis}" has no name`
        : `"${label}" cannot be part of an instance's name`;
    this.#problems.add('E224', node, what, {
      hint:
        'write it as a map with a `name` (letters, digits, - _ . / +), such as {name: small, id: ...}, and refer to ${matrix.' +
        axis +
        '.id}',
    });
    return null;
  }

  axis(entry: Entry): void {
    const name = scalarText(entry.key);
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/u.test(name)) {
      this.#problems.add('E224', entry.key, `"${name}" cannot name an axis`, {
        hint: 'letters, digits, _ and -',
      });
      return;
    }
    const node = this.#resolved(entry.value);
    if (node === null) return;
    if (node.kind !== 'seq' || node.items.length === 0) {
      const hint =
        node.kind === 'scalar' && node.value !== null
          ? `write [${scalarText(node)}]`
          : 'write at least one value: [8, 16]';
      this.#problems.add(
        'E224',
        node.kind === 'scalar' && node.value === null ? entry.key : entry.value,
        `axis "${name}" needs a list of values`,
        { hint },
      );
      return;
    }
    const values: AxisValue[] = [];
    const byLabel = new Map<string, YamlNode>();
    for (const item of node.items) {
      const value = this.#value(item, name);
      if (value === null) continue;
      const earlier = byLabel.get(value.label);
      if (earlier !== undefined) {
        this.#problems.add('E224', item, `axis "${name}" has the value ${value.label} twice`, {
          related: [{ message: 'here first', place: earlier }],
        });
        continue;
      }
      byLabel.set(value.label, item);
      values.push(value);
    }
    this.axes.push(name);
    this.keys.push(entry.key);
    this.values.push(values);
  }

  /** Rows of `include` or `exclude` as positions by axis; a value that no axis lists is added when `add`. */
  rowList(
    entry: Entry | undefined,
    what: 'include' | 'exclude',
  ): { readonly node: MapNode; readonly row: readonly (number | null)[] }[] {
    if (entry === undefined) return [];
    const node = this.#resolved(entry.value);
    if (node === null) return [];
    if (node.kind !== 'seq') {
      this.#problems.add('E225', entry.key, `\`${what}\` is a list of rows`, {
        hint: `such as ${what}: [{r: 8, train_on: all}]`,
      });
      return [];
    }
    return node.items.flatMap((item) => {
      if (item.kind !== 'map') {
        this.#problems.add('E225', item, `a row of \`${what}\` is a map from axis to value`);
        return [];
      }
      const row = this.#row(item, what);
      return row === null ? [] : [{ node: item, row }];
    });
  }

  #row(item: MapNode, what: 'include' | 'exclude'): readonly (number | null)[] | null {
    const row: (number | null)[] = this.axes.map(() => null);
    let good = true;
    for (const { key, value } of item.entries) {
      const axis = this.axes.indexOf(scalarText(key));
      if (axis === -1) {
        const hint =
          didYouMean(scalarText(key), this.axes) ?? `the axes are ${this.axes.join(', ')}`;
        this.#problems.add('E225', key, `the matrix has no axis "${scalarText(key)}"`, { hint });
        good = false;
        continue;
      }
      row[axis] = this.#position(axis, value, what);
      if (row[axis] === null) good = false;
    }
    const missing = this.axes.filter((_, axis) => row[axis] === null);
    if (good && what === 'include' && missing.length > 0) {
      this.#problems.add(
        'E225',
        item,
        `an included row needs a value for every axis; ${missing.join(', ')} is missing`,
      );
      good = false;
    }
    return good ? row : null;
  }

  #position(axis: number, node: YamlNode, what: 'include' | 'exclude'): number | null {
    const name = this.axes[axis] ?? '';
    const values = this.values[axis] ?? [];
    const label = labelOf(node);
    const at = values.findIndex((value) => value.label === label);
    if (at !== -1) return at;
    if (what === 'exclude') {
      const labels = values.map((value) => value.label);
      const hint = didYouMean(label ?? '', labels) ?? `its values are ${labels.join(', ')}`;
      this.#problems.add('E225', node, `axis "${name}" has no value ${label ?? ''}`, { hint });
      return null;
    }
    const value = this.#value(node, name);
    if (value === null) return null;
    values.push(value);
    return values.length - 1;
  }
}

/** The table of rows: the product of the axes, without what `exclude` matches, and what `include` adds. */
export const readMatrix = (
  section: MapNode,
  references: References,
  problems: Problems,
): Matrix => {
  const reader = new MatrixReader(references, problems);
  const include = entryOf(section, 'include');
  const exclude = entryOf(section, 'exclude');
  for (const entry of section.entries) {
    if (entry !== include && entry !== exclude) reader.axis(entry);
  }
  const onlyIncluded = reader.axes.length === 0;
  const first = include?.value.kind === 'seq' ? include.value.items[0] : undefined;
  if (onlyIncluded && first?.kind === 'map') {
    for (const { key } of first.entries) {
      reader.axes.push(scalarText(key));
      reader.keys.push(key);
      reader.values.push([]);
    }
  }
  const listed = reader.values.map((values) => values.length);
  const product = listed.reduce((total, count) => total * count, 1);
  const rows: number[][] = [];
  if (product > maxRows) {
    problems.add(
      'E224',
      reader.keys[0] ?? section,
      `the matrix has ${product} rows; the limit is ${maxRows}`,
    );
  } else if (!onlyIncluded) {
    const excluded = reader
      .rowList(exclude, 'exclude')
      .map(({ node, row }) => ({ node, row, used: false }));
    for (let index = 0; index < product; index += 1) {
      const row: number[] = [];
      let rest = index;
      for (let axis = listed.length - 1; axis >= 0; axis -= 1) {
        const count = listed[axis] ?? 1;
        row.unshift(rest % count);
        rest = Math.floor(rest / count);
      }
      const hits = excluded.filter((pattern) =>
        pattern.row.every((value, axis) => value === null || value === row[axis]),
      );
      for (const hit of hits) hit.used = true;
      if (hits.length === 0) rows.push(row);
    }
    for (const { node, used } of excluded) {
      if (!used) problems.add('E225', node, 'no row of the matrix matches this exclusion');
    }
  }
  const present = new Set(rows.map((row) => row.join()));
  for (const { node, row } of reader.rowList(include, 'include')) {
    const whole = row.map((value) => value ?? 0);
    if (present.has(whole.join())) {
      problems.add('E225', node, 'this row is part of the matrix already');
      continue;
    }
    present.add(whole.join());
    rows.push(whole);
  }
  if (rows.length === 0 && reader.axes.length > 0 && !problems.hasErrors) {
    problems.add('E224', reader.keys[0] ?? section, 'no row of the matrix is left');
  }
  return {
    axes: reader.axes,
    keys: reader.keys,
    values: reader.values,
    // One row at least, so that the steps of a broken matrix are checked all the same.
    rows: rows.length === 0 ? [reader.axes.map(() => 0)] : rows,
  };
};
