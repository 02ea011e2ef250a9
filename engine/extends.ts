// Files that build on others: reads an experiment file and its parents and merges them into one tree.
// Maps merge deep, lists and scalars of the child replace those of the parent. Every value keeps its own source, so
// paths stay relative to the file they were written in and diagnostics point there.

import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { decodeUtf8, parseYaml } from './document.ts';
import type { Problems } from './problems.ts';
import type { Place, Source } from './source.ts';
import {
  entryOf,
  isNull,
  scalarText,
  type Entry,
  type MapNode,
  type YamlNode,
} from './yaml-node.ts';

export interface LoadedDocument {
  readonly root: MapNode;
  /** The file itself first, then its parents. */
  readonly sources: readonly Source[];
}

/** As a person in `cwd` would write the path. */
export const shownPath = (path: string, cwd: string): string => {
  const inside = relative(cwd, path);
  return inside === '' || inside.startsWith('..') || isAbsolute(inside) ? path : inside;
};

/**
 * The child's values over the parent's. Under `steps` (depth 1) a child's `id: null` takes the parent's step away:
 * a step that was there can't otherwise be left out.
 */
export const mergeNodes = (
  parent: YamlNode,
  child: YamlNode,
  path: readonly string[] = [],
): YamlNode => {
  if (parent.kind !== 'map' || child.kind !== 'map') return child;
  const own = new Map(child.entries.map((entry) => [scalarText(entry.key), entry]));
  const inSteps = path.length === 1 && path[0] === 'steps';
  const entries: Entry[] = [];
  for (const entry of parent.entries) {
    const name = scalarText(entry.key);
    const override = own.get(name);
    own.delete(name);
    if (override === undefined) entries.push(entry);
    else if (!(inSteps && isNull(override.value))) {
      entries.push({
        key: override.key,
        value: mergeNodes(entry.value, override.value, [...path, name]),
      });
    }
  }
  entries.push(...own.values());
  return { ...child, entries };
};

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read';
  return error instanceof Error ? error.message : String(error);
};

/** A file is read for the plugins that it names and again to be analysed: the same text gives the same tree. */
const recent = new Map<
  string,
  { readonly text: string; readonly shown: string; readonly order: number; readonly root: YamlNode }
>();
const maxRecent = 8;

class Loader {
  readonly sources: Source[] = [];
  readonly #cwd: string;
  readonly #problems: Problems;

  constructor(cwd: string, problems: Problems) {
    this.#cwd = cwd;
    this.#problems = problems;
  }

  /** `chain` holds the files that led here, each with the place of its `extends`. */
  load(
    path: string,
    chain: readonly { readonly path: string; readonly at: Place }[],
  ): MapNode | null {
    const described = {
      kind: 'file',
      path,
      shown: shownPath(path, this.#cwd),
      folder: dirname(path),
      order: this.sources.length,
    } as const;
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      const at = chain.at(-1)?.at ?? null;
      this.#problems.add('E110', at, `cannot read ${described.shown}: ${reasonOf(error)}`);
      return null;
    }
    const source = decodeUtf8(bytes, described, this.#problems);
    if (source === null) return null;
    this.sources.push(source);
    const before = this.#problems.count;
    const root = this.#parse(source);
    if (root === null || isNull(root)) {
      if (this.#problems.count === before) {
        this.#problems.add('E108', { source, start: 0, end: 0 }, 'the file holds no experiment', {
          hint: 'begin with `steps:`; `mesa init` writes an example',
        });
      }
      return null;
    }
    if (root.kind !== 'map') {
      this.#problems.add(
        'E202',
        root,
        'an experiment is a map of keys such as `name:` and `steps:`',
        {
          hint: 'put a space after each colon',
        },
      );
      return null;
    }
    return this.#withParents(root, path, chain);
  }

  #parse(source: Source): YamlNode | null {
    const known = recent.get(source.path);
    if (
      known?.text === source.text &&
      known.shown === source.shown &&
      known.order === source.order
    ) {
      return known.root;
    }
    const before = this.#problems.count;
    const root = parseYaml(source, this.#problems);
    if (root !== null && this.#problems.count === before) {
      if (recent.size >= maxRecent) recent.clear();
      const { text, shown, order } = source;
      recent.set(source.path, { text, shown, order, root });
    }
    return root;
  }

  #withParents(
    root: MapNode,
    path: string,
    chain: readonly { readonly path: string; readonly at: Place }[],
  ): MapNode | null {
    const parents = entryOf(root, 'extends')?.value;
    if (parents === undefined) return root;
    const items = parents.kind === 'seq' ? parents.items : [parents];
    let merged: YamlNode | null = null;
    for (const item of items) {
      if (item.kind !== 'scalar' || item.value === null) {
        this.#problems.add('E202', item, '`extends` names a file', {
          hint: 'such as `extends: ./base.yaml`',
        });
        return null;
      }
      const parent = resolve(dirname(path), scalarText(item));
      const trail = [...chain, { path, at: item }];
      const from = trail.findIndex((link) => link.path === parent);
      if (from !== -1) {
        this.#problems.add('E112', item, 'files extend each other in a circle', {
          related: trail.slice(from, -1).map((link) => ({
            message: `${shownPath(link.path, this.#cwd)} extends the next`,
            place: link.at,
          })),
        });
        return null;
      }
      const loaded = this.load(parent, trail);
      if (loaded === null) return null;
      merged = merged === null ? loaded : mergeNodes(merged, loaded);
    }
    return merged === null ? root : (mergeNodes(merged, root) as MapNode);
  }
}

/** Reads a file and its parents. Null where the text of one of them is no experiment at all. */
export const loadDocument = (
  file: string,
  cwd: string,
  problems: Problems,
): LoadedDocument | null => {
  const loader = new Loader(cwd, problems);
  const root = loader.load(file, []);
  const [main] = loader.sources;
  return root === null || main === undefined ? null : { root, sources: loader.sources };
};
