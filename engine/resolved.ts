// The experiment after `extends`, overrides and variables, as plain data and as YAML, with the origin of every value.
// References to the matrix stay as they are: they have a value per instance only.

import { Document, isMap, isScalar, isSeq, type Node } from 'yaml';
import type { Json, JsonObject } from '../schemas/json.ts';
import type { References } from './references.ts';
import { lineOf, type Source } from './source.ts';
import { keyText, setOwn, toJson, type YamlNode } from './yaml-node.ts';

export interface Resolved {
  readonly value: JsonObject;
  /** JSON pointer -> where the value came from, for values that the file itself doesn't hold. */
  readonly origins: Readonly<Record<string, string>>;
}

const originOf = (node: YamlNode): string => {
  const { source } = node;
  switch (source.kind) {
    case 'command-line':
      return source.text.split(' ')[0] ?? source.text;
    case 'environment':
      return source.shown;
    case 'file':
      return `${source.shown}:${lineOf(node)}`;
  }
};

const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

/** Text that stood for `${` is written so that it would again. */
const reescape = (json: Json): Json => {
  if (typeof json === 'string') return json.replaceAll('${', '$${');
  if (Array.isArray(json)) return (json as readonly Json[]).map(reescape);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, reescape(value)]));
};

class Resolver {
  readonly origins: Record<string, string> = {};
  readonly all: Record<string, string> = {};
  readonly #references: References;
  readonly #main: Source | undefined;

  constructor(references: References, main: Source | undefined) {
    this.#references = references;
    this.#main = main;
  }

  value(node: YamlNode, pointer: string): Json {
    if (node.kind === 'map') {
      const object: Record<string, Json> = {};
      for (const { key, value } of node.entries) {
        const name = keyText(key);
        if (pointer === '' && name === 'extends') continue;
        setOwn(object, name, this.value(value, `${pointer}/${escaped(name)}`));
      }
      return object;
    }
    if (node.kind === 'seq')
      return node.items.map((item, index) => this.value(item, `${pointer}/${index}`));
    const origin = originOf(node);
    this.all[pointer] = origin;
    if (this.#references.segments(node) === null || this.#references.axesOf(node).size > 0) {
      this.#note(node, pointer, origin);
      return toJson(node);
    }
    const found = this.#references.resolve(node, null);
    if (found === null) return toJson(node);
    if (found.source !== node.source || found.start !== node.start) {
      this.all[pointer] = `${origin} <- ${originOf(found)}`;
    }
    this.#note(found, pointer, originOf(found));
    return reescape(toJson(found));
  }

  #note(node: YamlNode, pointer: string, origin: string): void {
    if (node.source.path !== this.#main?.path || node.source.kind !== 'file')
      this.origins[pointer] = origin;
  }
}

const resolveTree = (
  root: YamlNode,
  references: References,
  sources: readonly Source[],
): Resolved & { readonly all: Readonly<Record<string, string>> } => {
  const resolver = new Resolver(references, sources[0]);
  const value = resolver.value(root, '') as JsonObject;
  return { value, origins: resolver.origins, all: resolver.all };
};

export const resolvedJson = (
  root: YamlNode,
  references: References,
  sources: readonly Source[],
): Resolved => {
  const { value, origins } = resolveTree(root, references, sources);
  return { value, origins };
};

/** YAML text with the origin of every value behind it, for `mesa check --resolved`. */
export const resolvedYaml = (
  root: YamlNode,
  references: References,
  sources: readonly Source[],
): string => {
  const { value, all } = resolveTree(root, references, sources);
  const document = new Document(value);
  const comment = (node: unknown, pointer: string): void => {
    if (isMap(node)) {
      for (const pair of node.items) {
        const name = String(isScalar(pair.key) ? pair.key.value : pair.key);
        comment(pair.value, `${pointer}/${escaped(name)}`);
      }
    } else if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) comment(item, `${pointer}/${index}`);
    } else if (isScalar(node)) {
      const origin = all[pointer];
      if (origin !== undefined) (node as Node).comment = ` from ${origin}`;
    }
  };
  comment(document.contents, '');
  return document.toString({ lineWidth: 0 });
};
