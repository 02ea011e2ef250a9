// Any YAML 1.2, through the library: what the plain reader leaves, and every file with an error in its YAML. The only
// file of analysis that knows the library, which is loaded when it is first needed. Aliases and nesting are bounded.

import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import type { Document as LibraryDocument, YAMLError } from 'yaml';
import type { Problems } from './problems.ts';
import type { Place, Source } from './source.ts';
import { reportSyntax, reportTraps } from './yaml-errors.ts';
import {
  scalarText,
  scalarFromText,
  type Entry,
  type MapNode,
  type ScalarNode,
  type ScalarValue,
  type YamlNode,
} from './yaml-node.ts';
import { repairTraps } from './yaml-traps.ts';

type Library = typeof Yaml;
let loaded: Library | undefined;
/** 20 ms that a plain file need not pay. */
const library = (): Library => (loaded ??= createRequire(import.meta.url)('yaml') as Library);

/** Nodes that aliases may stand for: far above any use, far below what fills memory. */
const maxExpansion = 1_000_000;
const maxAliases = 10_000;
const maxDepth = 100;

const place = (source: Source, start: number, end: number): Place => ({ source, start, end });

class TooLarge extends Error {}

/** Library nodes -> ours. Anchored nodes are shared, not copied; what they would expand to is counted. */
class Conversion {
  readonly #anchors = new Map<string, { readonly node: YamlNode; readonly size: number }>();
  isWhole = true;
  #size = 0;
  #aliases = 0;
  readonly #source: Source;
  readonly #problems: Problems;

  readonly #traps: ReadonlySet<number>;

  constructor(source: Source, traps: ReadonlySet<number>, problems: Problems) {
    this.#source = source;
    this.#traps = traps;
    this.#problems = problems;
  }

  #scalar(value: unknown, raw: string, start: number, end: number, quoted: boolean): ScalarNode {
    let own: ScalarValue;
    let text = raw;
    if (this.#traps.has(start)) {
      // Written over for the parser: it gets its true text back.
      own = text = this.#source.text.slice(start, end);
    } else if (quoted || typeof value === 'string') own = text = String(value);
    else own = scalarFromText(raw);
    return { kind: 'scalar', value: own, raw: text, quoted, source: this.#source, start, end };
  }

  node(from: unknown, depth: number, at: number, isSteps = false): YamlNode {
    this.#size += 1;
    if (this.#size > maxExpansion) throw new TooLarge('aliases');
    if (depth > maxDepth) throw new TooLarge('nesting');
    if (from === null || from === undefined) return this.#scalar(null, '', at, at, false);
    const { isAlias, isMap, isScalar } = library();
    if (isAlias(from))
      return this.#alias(from.source, from.range?.[0] ?? at, from.range?.[1] ?? at);
    const { range, anchor, tag } = from as {
      range?: [number, number, number] | null;
      anchor?: string;
      tag?: string;
    };
    const start = range?.[0] ?? at;
    const end = range?.[1] ?? start;
    if (tag !== undefined && !tag.startsWith('tag:yaml.org,2002:')) {
      this.#problems.add(
        'E114',
        place(this.#source, start, end),
        `YAML tags such as ${tag} are not used here`,
      );
    }
    const before = this.#size;
    let node: YamlNode;
    if (isScalar(from)) {
      const raw = from.source ?? '';
      const quoted = from.type !== undefined && from.type !== 'PLAIN';
      node = this.#scalar(from.value, raw, start, end, quoted);
    } else if (isMap(from)) {
      node = {
        kind: 'map',
        entries: this.#entries(from.items, depth, end, isSteps),
        source: this.#source,
        start,
        end,
      };
    } else {
      const { items } = from as { items: readonly unknown[] };
      node = {
        kind: 'seq',
        items: items.map((item) => this.node(item, depth + 1, end)),
        source: this.#source,
        start,
        end,
      };
    }
    if (anchor !== undefined) this.#anchors.set(anchor, { node, size: this.#size - before + 1 });
    return node;
  }

  #alias(name: string, start: number, end: number): YamlNode {
    const target = this.#anchors.get(name);
    if (target === undefined) {
      this.isWhole = false;
      this.#problems.add(
        'E113',
        place(this.#source, start, end),
        `no anchor &${name} before this alias`,
        {
          hint: 'text that begins with * needs quotes',
        },
      );
      return this.#scalar(null, '', start, end, false);
    }
    this.#aliases += 1;
    this.#size += target.size;
    if (this.#size > maxExpansion || this.#aliases > maxAliases) throw new TooLarge('aliases');
    return target.node;
  }

  #entries(
    items: readonly { key: unknown; value: unknown }[],
    depth: number,
    end: number,
    isSteps: boolean,
  ): readonly Entry[] {
    const entries: Entry[] = [];
    const merged: MapNode[] = [];
    for (const pair of items) {
      const key = this.node(pair.key, depth + 1, end);
      const ofSteps = depth === 0 && key.kind === 'scalar' && key.raw === 'steps';
      const value = this.node(pair.value, depth + 1, key.end, ofSteps);
      if (key.kind !== 'scalar') {
        this.#problems.add('E114', key, 'a key must be plain text');
      } else if (key.raw === '<<' && !key.quoted) {
        const maps = value.kind === 'seq' ? value.items : [value];
        for (const map of maps) {
          if (map.kind === 'map') merged.push(map);
          else this.#problems.add('E114', map, '"<<" merges maps only');
        }
      } else entries.push({ key, value });
    }
    this.#reportDuplicates(entries, isSteps);
    if (merged.length === 0) return entries;
    const taken = new Set(entries.map((entry) => scalarText(entry.key)));
    for (const map of merged) {
      for (const entry of map.entries) {
        if (taken.has(scalarText(entry.key))) continue;
        taken.add(scalarText(entry.key));
        entries.push(entry);
      }
    }
    return entries;
  }

  #reportDuplicates(entries: readonly Entry[], isSteps: boolean): void {
    const first = new Map<string, ScalarNode>();
    for (const { key } of entries) {
      const name = scalarText(key);
      const earlier = first.get(name);
      if (earlier === undefined) first.set(name, key);
      else {
        const related = [{ message: 'here first', place: earlier }];
        if (isSteps) {
          const hint = 'every step needs an id of its own';
          this.#problems.add('E105', key, `the step id "${name}" is used twice`, { hint, related });
        } else {
          const hint = 'keep one of the two';
          this.#problems.add('E104', key, `the key "${name}" stands twice in this map`, {
            hint,
            related,
          });
        }
      }
    }
  }
}

const libraryDocuments = (text: string): LibraryDocument.Parsed[] => {
  const parsed = library().parseAllDocuments(text, {
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: new (library().LineCounter)(),
    merge: false,
    schema: 'core',
    logLevel: 'silent',
  });
  return Array.isArray(parsed) ? [...parsed] : [];
};

const errorsOf = (documents: readonly LibraryDocument.Parsed[]): readonly YAMLError[] =>
  documents.flatMap((document) => document.errors);

/** The same for any YAML, with everything that is wrong with it. */
export const parseWithLibrary = (source: Source, problems: Problems): YamlNode | null => {
  try {
    let documents = libraryDocuments(source.text);
    let errors = errorsOf(documents);
    let traps: ReadonlySet<number> = new Set();
    if (errors.some(({ message }) => message.includes('call stack'))) throw new TooLarge('nesting');
    if (errors.length > 0) {
      const repair = repairTraps(source.text);
      if (repair.traps.length > 0) {
        reportTraps(repair.traps, source, problems);
        documents = libraryDocuments(repair.text);
        // What the parser still says may be an echo of a trap on the same line: only other lines count.
        const lines = new Set(repair.traps.map((trap) => lineKey(source.text, trap.start)));
        const others = errorsOf(documents).filter(
          (error) => !lines.has(lineKey(source.text, error.pos[0])),
        );
        if (errorsOf(documents).length > 0) {
          reportSyntax(others, source, problems);
          return null;
        }
        errors = [];
        traps = new Set(repair.traps.map((trap) => trap.start));
      }
    }
    if (errors.length > 0) {
      reportSyntax(errors, source, problems);
      return null;
    }
    const [document, second] = documents;
    if (second?.range !== undefined) {
      problems.add(
        'E107',
        place(source, second.range[0], second.range[0] + 3),
        'the file holds more than one document',
        {
          hint: 'keep one experiment in a file; use `extends` to share parts',
        },
      );
      return null;
    }
    if (document === undefined || document.contents === null) {
      return null;
    }
    const conversion = new Conversion(source, traps, problems);
    const root = conversion.node(document.contents, 0, 0);
    // What an alias should have stood for is unknown: anything said about it would be a guess.
    return conversion.isWhole ? root : null;
  } catch (error) {
    if (error instanceof TooLarge || error instanceof RangeError) {
      const aliases = error instanceof TooLarge && error.message === 'aliases';
      problems.add(
        'E106',
        place(source, 0, 0),
        aliases
          ? `aliases make the document larger than ${maxExpansion} values`
          : `the document is nested more than ${maxDepth} levels deep`,
      );
      return null;
    }
    throw error;
  }
};

const lineKey = (text: string, offset: number): number => text.lastIndexOf('\n', offset - 1);
