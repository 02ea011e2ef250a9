// The experiment after `extends`, overrides and variables, as plain data, with where values came from.
// References to the matrix stay as they are: they have a value per instance only.

import type { Json, JsonObject } from '../schemas/json.ts';
import type { References } from './references.ts';
import { lineOf } from './source.ts';
import { scalarText, setOwn, toJson, type YamlNode } from './yaml-node.ts';

export interface Resolved {
  readonly value: JsonObject;
  /** JSON pointer -> where the value came from, for the values that were asked for. */
  readonly origins: Readonly<Record<string, string>>;
}

/** `all` names the origin of every value, `foreign` of those that the experiment's own file doesn't hold. */
export type OriginsOf = 'all' | 'foreign';

const originOf = (node: YamlNode): string => {
  const { source } = node;
  return source.kind === 'file'
    ? `${source.shown}:${lineOf(node)}`
    : (source.text.split(' ')[0] ?? source.text);
};

const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

/** Text that stood for `${` is written so that it would again. */
const reescape = (json: Json): Json => {
  if (typeof json === 'string') return json.replaceAll('${', () => '$${');
  if (Array.isArray(json)) return (json as readonly Json[]).map(reescape);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, reescape(value)]));
};

class Resolver {
  readonly origins: Record<string, string> = {};
  readonly #references: References;
  readonly #which: OriginsOf;

  constructor(references: References, which: OriginsOf) {
    this.#references = references;
    this.#which = which;
  }

  value(node: YamlNode, pointer: string): Json {
    if (node.kind === 'seq')
      return node.items.map((item, index) => this.value(item, `${pointer}/${index}`));
    if (node.kind === 'scalar') return this.#scalar(node, pointer);
    const object: Record<string, Json> = {};
    for (const { key, value } of node.entries) {
      const name = scalarText(key);
      // The parents are part of the result: naming them again would merge them twice.
      if (pointer === '' && name === 'extends') continue;
      setOwn(object, name, this.value(value, `${pointer}/${escaped(name)}`));
    }
    return object;
  }

  #scalar(node: YamlNode & { readonly kind: 'scalar' }, pointer: string): Json {
    const isReference =
      this.#references.segments(node) !== null && this.#references.axesOf(node).size === 0;
    const found = isReference ? this.#references.resolve(node, null) : node;
    this.#note(node, found ?? node, pointer);
    return isReference && found !== null ? reescape(toJson(found)) : toJson(node);
  }

  #note(written: YamlNode, found: YamlNode, pointer: string): void {
    const isOwn = found.source.kind === 'file' && found.source.order === 0;
    if (this.#which === 'foreign') {
      if (!isOwn) this.origins[pointer] = originOf(found);
      return;
    }
    const moved = found.source !== written.source || found.start !== written.start;
    this.origins[pointer] = moved
      ? `${originOf(written)} <- ${originOf(found)}`
      : originOf(written);
  }
}

export const resolveTree = (root: YamlNode, references: References, which: OriginsOf): Resolved => {
  const resolver = new Resolver(references, which);
  const value = resolver.value(root, '') as JsonObject;
  return { value, origins: resolver.origins };
};
