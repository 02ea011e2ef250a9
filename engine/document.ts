// YAML text -> a tree of nodes with places, or everything that is wrong with the text. The only file that knows the
// YAML library. Bounded: size, nesting and what aliases expand to; nothing in a document is evaluated.

import { isAlias, isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import type { Document as LibraryDocument, YAMLError } from 'yaml';
import { type Problems } from './problems.ts';
import type { Place, Source } from './source.ts';
import { readPlainYaml } from './yaml-plain.ts';
import { repairTraps, type Trap } from './yaml-traps.ts';
import {
  keyText,
  scalarFromText,
  type Entry,
  type MapNode,
  type ScalarNode,
  type ScalarValue,
  type YamlNode,
} from './yaml-node.ts';

/** 16 MiB: ten times an experiment of 10,000 steps. */
const maxBytes = 16 * 2 ** 20;
/** Nodes that aliases may stand for: far above any use, far below what fills memory. */
const maxExpansion = 1_000_000;
const maxAliases = 10_000;
const maxDepth = 100;

const place = (source: Source, start: number, end: number): Place => ({ source, start, end });

/** Bytes of a file as text, or a diagnostic. */
export const decodeUtf8 = (
  bytes: Uint8Array,
  source: Omit<Source, 'text'>,
  problems: Problems,
): Source | null => {
  const empty: Source = { ...source, text: '' };
  if (bytes.byteLength > maxBytes) {
    problems.add(
      'E111',
      place(empty, 0, 0),
      `the file has ${bytes.byteLength} bytes; the limit is ${maxBytes}`,
      {
        hint: 'an experiment file holds steps, not data: put rows into a file of their own and load them',
      },
    );
    return null;
  }
  const utf16 =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  try {
    if (utf16) throw new TypeError('UTF-16');
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { ...source, text };
  } catch {
    const hint = 'save it as UTF-8';
    problems.add(
      'E109',
      place(empty, 0, 0),
      utf16 ? 'the file is UTF-16, not UTF-8' : 'the file is not UTF-8 text',
      { hint },
    );
    return null;
  }
};

class TooLarge extends Error {}

/** What the library says, in words for somebody who sees only his file. */
const plainWords: readonly (readonly [RegExp, string, string])[] = [
  [/^Flow map in block/u, 'a { further up is not closed', 'close it with }'],
  [/^Flow sequence in block/u, 'a [ further up is not closed', 'close it with ]'],
  [/^Expected flow map to end/u, 'a { is not closed', 'close it with }'],
  [/^Expected flow sequence to end/u, 'a [ is not closed', 'close it with ]'],
  [/^Missing closing "/u, 'a " is not closed', 'close it with "'],
  [/^Missing closing '/u, "a ' is not closed", "close it with '"],
  [
    /^All mapping items must start/u,
    'this line begins in another column than the keys around it',
    'the keys of one map begin in the same column',
  ],
  [
    /^All sequence items must start/u,
    'this line begins in another column than the items around it',
    'the items of one list begin in the same column',
  ],
  [
    /^Nested mappings are not allowed/u,
    'a key and a value where a value is expected',
    'text with ": " in it needs quotes; a map begins on a line of its own',
  ],
  [
    /^Implicit keys need to be on a single line/u,
    'a key without a value, or text that goes on where a key should begin',
    'write `key: value`, with a space after the colon',
  ],
  [/^Implicit map keys need to be followed/u, 'a key without a colon', 'write `key: value`'],
  [/^Map keys must be unique/u, 'a key stands twice', 'keep one of the two'],
  [/^Tabs are not allowed/u, 'a tab where YAML wants spaces', 'indent with spaces'],
  [
    /^Missing , (?:or : )?between flow/u,
    'a comma is missing',
    'put a comma between the items; text with a comma, bracket or ": " in it needs quotes',
  ],
];

const yamlHints: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  BAD_INDENT: 'items of one map or list begin in the same column',
  BLOCK_AS_IMPLICIT_KEY: 'a line is indented too far, or a value with ": " in it needs quotes',
  MISSING_CHAR: 'a bracket, comma or quote is missing',
  BAD_SCALAR_START: 'text that begins with @, `, % or another sign of YAML needs quotes',
  UNEXPECTED_TOKEN: 'put quotes around text that holds signs of YAML, such as ": " or " #"',
  BAD_DQ_ESCAPE: 'inside double quotes write \\\\ for a backslash, or use single quotes',
};

/** Errors after the first are mostly its echoes: one for each distance of more than a few lines would be a guess. */
const reportSyntax = (errors: readonly YAMLError[], source: Source, problems: Problems): void => {
  const first = errors.toSorted((a, b) => a.pos[0] - b.pos[0])[0];
  if (first === undefined) return;
  if (first.message.includes('call stack')) throw new TooLarge('nesting');
  const known = plainWords.find(([pattern]) => pattern.test(first.message));
  const message = known?.[1] ?? `YAML: ${first.message.replace(/\.$/u, '')}`;
  const hint = known?.[2] ?? yamlHints[first.code];
  // An indentation is wrong where the text begins, not where the line does.
  const start = first.pos[0] + (/^[ \t]*/u.exec(source.text.slice(first.pos[0]))?.[0].length ?? 0);
  const word = /^[\w.-]*/u.exec(source.text.slice(start))?.[0].length ?? 0;
  const end = Math.max(first.pos[1], start + Math.max(word, 1));
  problems.add('E101', place(source, start, end), message, { hint });
};

const reportTraps = (traps: readonly Trap[], source: Source, problems: Problems): void => {
  for (const { kind, start, end } of traps) {
    const written = source.text.slice(start, end);
    const what =
      kind === 'reference'
        ? 'inside { } and [ ] a reference needs quotes'
        : 'inside { } and [ ] a name with a selector needs quotes';
    const code = kind === 'reference' ? 'E102' : 'E103';
    problems.add(code, place(source, start, end), what, { hint: `write "${written}"` });
  }
};

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
    const taken = new Set(entries.map((entry) => keyText(entry.key)));
    for (const map of merged) {
      for (const entry of map.entries) {
        if (taken.has(keyText(entry.key))) continue;
        taken.add(keyText(entry.key));
        entries.push(entry);
      }
    }
    return entries;
  }

  #reportDuplicates(entries: readonly Entry[], isSteps: boolean): void {
    const first = new Map<string, ScalarNode>();
    for (const { key } of entries) {
      const name = keyText(key);
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
  const parsed = parseAllDocuments(text, {
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: new LineCounter(),
    merge: false,
    schema: 'core',
    logLevel: 'silent',
  });
  return Array.isArray(parsed) ? [...parsed] : [];
};

const errorsOf = (documents: readonly LibraryDocument.Parsed[]): readonly YAMLError[] =>
  documents.flatMap((document) => document.errors);

/** The root of the document, or null where the text is no YAML that could be analysed further. */
export const parseYaml = (source: Source, problems: Problems): YamlNode | null =>
  readPlainYaml(source) ?? parseWithLibrary(source, problems);

/** The same for any YAML, with everything that is wrong with it. */
export const parseWithLibrary = (source: Source, problems: Problems): YamlNode | null => {
  try {
    let documents = libraryDocuments(source.text);
    let errors = errorsOf(documents);
    let traps: ReadonlySet<number> = new Set();
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
    if (document?.contents == null) {
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
