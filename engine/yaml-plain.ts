// Reads the plain part of YAML that nearly all experiment files are written in, ten times as fast as the library:
// block maps and lists, flow collections on one line, plain and quoted scalars on one line, comments. Whatever else
// there is (anchors, tags, block scalars, tabs, a typing error), it gives up, and the library reads the file and says
// what is wrong. A property test holds it to the library's tree, value by value and place by place.

import type { Source } from './source.ts';
import {
  scalarText,
  scalarFromText,
  type Entry,
  type MapNode,
  type ScalarNode,
  type SeqNode,
  type YamlNode,
} from './yaml-node.ts';

class GiveUp extends Error {}

const giveUp = (): never => {
  throw new GiveUp();
};

const key = /[A-Za-z0-9_$][\w.$/-]*(?=:(?: |\n|$))/y;
const flowKey = /[A-Za-z0-9_$][\w.$/-]*(?=: )/y;
/** Characters that may begin a plain scalar and mean nothing to YAML. */
const plainStart = /[A-Za-z0-9_.$/+~]|-(?=[A-Za-z0-9.])/y;
const blockPlain = /[^\n]*/y;
const flowPlain = /[^\n,[\]{}]*/y;
const single = /'(?:[^'\n]|'')*'/y;
const double = /"(?:[^"\\\n]|\\[^\n])*"/y;
// Control characters, carriage returns, tabs.
const unusual = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff]/u;
const maxDepth = 60;

class PlainReader {
  readonly #source: Source;
  readonly #text: string;
  /** First character of the current line's content. */
  #at = 0;
  /** Its column; -1 behind the last line. */
  #indent = 0;
  #depth = 0;

  constructor(source: Source) {
    this.#source = source;
    this.#text = source.text;
  }

  document(): MapNode {
    this.#nextLine(0);
    if (this.#indent !== 0) giveUp();
    const root = this.#map(0);
    if (this.#indent !== -1) giveUp();
    return root;
  }

  /** Goes to the first line from `from` (the start of a line) that holds something. */
  #nextLine(from: number): void {
    const text = this.#text;
    let start = from;
    while (start < text.length) {
      let at = start;
      while (text.charCodeAt(at) === 32) at += 1;
      const char = text.charCodeAt(at);
      if (at < text.length && char !== 10 && char !== 35) {
        this.#at = at;
        this.#indent = at - start;
        return;
      }
      const end = text.indexOf('\n', at);
      if (end === -1) break;
      start = end + 1;
    }
    this.#at = text.length;
    this.#indent = -1;
  }

  #match(pattern: RegExp, at: number): string | null {
    pattern.lastIndex = at;
    return pattern.exec(this.#text)?.[0] ?? null;
  }

  #skipSpaces(from: number): number {
    let at = from;
    while (this.#text.charCodeAt(at) === 32) at += 1;
    return at;
  }

  #atLineEnd(at: number): boolean {
    const char = this.#text.charCodeAt(at);
    return (
      at >= this.#text.length ||
      char === 10 ||
      (char === 35 && this.#text.charCodeAt(at - 1) === 32)
    );
  }

  #endLine(at: number): void {
    const rest = this.#skipSpaces(at);
    if (!this.#atLineEnd(rest)) giveUp();
    const end = this.#text.indexOf('\n', rest);
    this.#nextLine(end === -1 ? this.#text.length : end + 1);
  }

  #plain(text: string, start: number): ScalarNode {
    return {
      kind: 'scalar',
      value: scalarFromText(text),
      raw: text,
      quoted: false,
      source: this.#source,
      start,
      end: start + text.length,
    };
  }

  #null(at: number): ScalarNode {
    return {
      kind: 'scalar',
      value: null,
      raw: '',
      quoted: false,
      source: this.#source,
      start: at,
      end: at,
    };
  }

  #map(indent: number): MapNode {
    const entries: Entry[] = [];
    const start = this.#at;
    let end = start;
    while (this.#indent === indent) {
      const name = this.#match(key, this.#at) ?? giveUp();
      const keyNode = this.#plain(name, this.#at);
      const value = this.#valueAfter(keyNode.end + 1, indent, true);
      entries.push({ key: keyNode, value });
      ({ end } = value);
      if (this.#indent > indent) giveUp();
    }
    refuseDuplicates(entries);
    return { kind: 'map', entries, source: this.#source, start, end };
  }

  /** What stands behind `key:` or `-`, on the line or below it. A list below a key may begin in the key's column. */
  #valueAfter(from: number, indent: number, ofKey: boolean): YamlNode {
    const at = this.#skipSpaces(from);
    if (!this.#atLineEnd(at)) {
      const value = this.#inline(at);
      this.#endLine(value.end);
      // More text on a deeper line would belong to the scalar.
      return this.#indent > indent ? giveUp() : value;
    }
    this.#endLine(at);
    if (this.#indent > indent) return this.#block(this.#indent);
    if (ofKey && this.#indent === indent && this.#isItem()) return this.#seq(indent);
    return this.#null(from);
  }

  #isItem(): boolean {
    const next = this.#text.charCodeAt(this.#at + 1);
    return this.#text.charCodeAt(this.#at) === 45 && (next === 32 || next === 10);
  }

  #block(indent: number): YamlNode {
    this.#depth += 1;
    if (this.#depth > maxDepth) giveUp();
    const node = this.#isItem() ? this.#seq(indent) : this.#map(indent);
    this.#depth -= 1;
    return node;
  }

  #seq(indent: number): SeqNode {
    const items: YamlNode[] = [];
    const start = this.#at;
    let end = start;
    while (this.#indent === indent && this.#isItem()) {
      const at = this.#skipSpaces(this.#at + 1);
      const item =
        this.#match(key, at) === null
          ? this.#valueAfter(this.#at + 1, indent, false)
          : this.#compactMap(at);
      items.push(item);
      ({ end } = item);
      if (this.#indent > indent) giveUp();
    }
    return { kind: 'seq', items, source: this.#source, start, end };
  }

  /** `- key: value`, its other keys below the first. */
  #compactMap(at: number): MapNode {
    const lineStart = this.#at - this.#indent;
    this.#at = at;
    this.#indent = at - lineStart;
    this.#depth += 1;
    if (this.#depth > maxDepth) giveUp();
    const map = this.#map(this.#indent);
    this.#depth -= 1;
    return map;
  }

  #inline(at: number): YamlNode {
    const char = this.#text[at];
    if (char === '{' || char === '[') return this.#flow(at);
    if (char === '"' || char === "'") return this.#quoted(at);
    if (this.#match(plainStart, at) === null) giveUp();
    let text = this.#match(blockPlain, at) ?? giveUp();
    const comment = text.indexOf(' #');
    if (comment !== -1) text = text.slice(0, comment);
    text = text.trimEnd();
    if (text.includes(': ') || text.endsWith(':')) giveUp();
    return this.#plain(text, at);
  }

  #quoted(at: number): ScalarNode {
    const raw = this.#match(this.#text[at] === '"' ? double : single, at) ?? giveUp();
    let value = '';
    if (raw.startsWith("'")) value = raw.slice(1, -1).replaceAll("''", "'");
    else if (raw.includes('\\')) {
      // The escapes that JSON has mean the same in YAML; the others are left to the library.
      try {
        value = JSON.parse(raw) as string;
      } catch {
        giveUp();
      }
    } else value = raw.slice(1, -1);
    return {
      kind: 'scalar',
      value,
      raw: value,
      quoted: true,
      source: this.#source,
      start: at,
      end: at + raw.length,
    };
  }

  #flow(at: number): MapNode | SeqNode {
    this.#depth += 1;
    if (this.#depth > maxDepth) giveUp();
    const node = this.#text[at] === '{' ? this.#flowMap(at) : this.#flowSeq(at);
    this.#depth -= 1;
    return node;
  }

  #flowMap(start: number): MapNode {
    const entries: Entry[] = [];
    let at = this.#skipSpaces(start + 1);
    while (this.#text[at] !== '}') {
      const name = this.#match(flowKey, at) ?? giveUp();
      const keyNode = this.#plain(name, at);
      const value = this.#flowValue(this.#skipSpaces(keyNode.end + 1));
      entries.push({ key: keyNode, value });
      at = this.#afterItem(value.end, '}');
    }
    refuseDuplicates(entries);
    return { kind: 'map', entries, source: this.#source, start, end: at + 1 };
  }

  #flowSeq(start: number): SeqNode {
    const items: YamlNode[] = [];
    let at = this.#skipSpaces(start + 1);
    while (this.#text[at] !== ']') {
      const item = this.#flowValue(at);
      items.push(item);
      at = this.#afterItem(item.end, ']');
    }
    return { kind: 'seq', items, source: this.#source, start, end: at + 1 };
  }

  /** Over the comma to the next item, or to the closing bracket. */
  #afterItem(from: number, close: string): number {
    const at = this.#skipSpaces(from);
    if (this.#text[at] === close) return at;
    if (this.#text[at] !== ',') giveUp();
    const next = this.#skipSpaces(at + 1);
    return this.#text[next] === close ? giveUp() : next;
  }

  #flowValue(at: number): YamlNode {
    const char = this.#text[at];
    if (char === '{' || char === '[') return this.#flow(at);
    if (char === '"' || char === "'") return this.#quoted(at);
    if (this.#match(plainStart, at) === null) giveUp();
    const whole = this.#match(flowPlain, at) ?? giveUp();
    const next = this.#text[at + whole.length];
    // A bracket inside a plain scalar is a typing error that the library's reader explains.
    if (next === '{' || next === '[') giveUp();
    const text = whole.trimEnd();
    if (text.includes(': ') || text.includes(' #') || text.endsWith(':')) giveUp();
    return this.#plain(text, at);
  }
}

const refuseDuplicates = (entries: readonly Entry[]): void => {
  if (entries.length > 8) {
    if (new Set(entries.map((entry) => scalarText(entry.key))).size !== entries.length) giveUp();
    return;
  }
  for (let i = 1; i < entries.length; i += 1) {
    for (let j = 0; j < i; j += 1) if (entries[i]?.key.raw === entries[j]?.key.raw) giveUp();
  }
};

/** The tree of a plain document, or null where only the library can say what the text is. */
export const readPlainYaml = (source: Source): MapNode | null => {
  if (unusual.test(source.text)) return null;
  try {
    return new PlainReader(source).document();
  } catch (error) {
    if (error instanceof GiveUp) return null;
    throw error;
  }
};
