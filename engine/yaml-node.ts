// The tree that documents are read into: plain data with the place of every value, whatever parser made it.
// Values from parents, variables and the command line keep their own source, so a diagnostic can always point at them.

import type { Json } from '../schemas/json.ts';
import type { Place } from './source.ts';

export type ScalarValue = string | number | boolean | null;

export interface ScalarNode extends Place {
  readonly kind: 'scalar';
  readonly value: ScalarValue;
  /** As written, for values that YAML reads as numbers but that are names (`12e4567`). */
  readonly raw: string;
  readonly quoted: boolean;
}

export interface Entry {
  readonly key: ScalarNode;
  readonly value: YamlNode;
}

export interface MapNode extends Place {
  readonly kind: 'map';
  readonly entries: readonly Entry[];
}

export interface SeqNode extends Place {
  readonly kind: 'seq';
  readonly items: readonly YamlNode[];
}

export type YamlNode = ScalarNode | MapNode | SeqNode;

/** A scalar as text: the value where it is text, what the user typed where YAML made something else of it. */
export const scalarText = (node: ScalarNode): string =>
  typeof node.value === 'string' ? node.value : node.raw;

export const entryOf = (map: MapNode, name: string): Entry | undefined => {
  for (const entry of map.entries) if (scalarText(entry.key) === name) return entry;
  return undefined;
};

export const isNull = (node: YamlNode): boolean => node.kind === 'scalar' && node.value === null;

export const toJson = (node: YamlNode): Json => {
  switch (node.kind) {
    case 'scalar':
      return typeof node.value === 'number' && !Number.isFinite(node.value) ? node.raw : node.value;
    case 'seq':
      return node.items.map(toJson);
    case 'map': {
      const object: Record<string, Json> = {};
      for (const { key, value } of node.entries) setOwn(object, scalarText(key), toJson(value));
      return object;
    }
  }
};

/** A key like `__proto__` is a key, not an access to the prototype. */
export const setOwn = <T>(object: Record<string, T>, key: string, value: T): void => {
  if (key === '__proto__') {
    Object.defineProperty(object, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  } else {
    object[key] = value;
  }
};

/** What a person would call the value: used in "expected a number, found text". */
export const describeNode = (node: YamlNode): string => {
  if (node.kind === 'map') return 'a map';
  if (node.kind === 'seq') return 'a list';
  if (node.value === null) return 'nothing';
  if (typeof node.value === 'string') {
    return node.value.length <= 40 ? `the text ${JSON.stringify(node.value)}` : 'text';
  }
  return typeof node.value === 'number' ? `the number ${node.raw}` : node.raw;
};

/** Reads text as a plain YAML scalar would be read (core schema of YAML 1.2). */
export const scalarFromText = (text: string): ScalarValue => {
  const first = text.charCodeAt(0);
  // A letter other than those of null, true, false can't begin anything but text: most scalars end here.
  if (text === '' || text === '~') return null;
  if (/[nNtTfF]/u.test(text[0] ?? '')) {
    if (/^(?:null|Null|NULL)$/u.test(text)) return null;
    if (/^(?:true|True|TRUE)$/u.test(text)) return true;
    if (/^(?:false|False|FALSE)$/u.test(text)) return false;
    return text;
  }
  const numeric = (first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46;
  if (!numeric) return text;
  if (/^[-+]?[0-9]+$/u.test(text)) return Number(text);
  if (/^0o[0-7]+$/u.test(text) || /^0x[0-9a-fA-F]+$/u.test(text)) return Number(text);
  if (/^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/u.test(text)) {
    return Number(text);
  }
  if (/^[-+]?\.(?:inf|Inf|INF)$/u.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  return /^\.(?:nan|NaN|NAN)$/u.test(text) ? Number.NaN : text;
};

export const scalarNode = (value: ScalarValue, raw: string, place: Place): ScalarNode => ({
  kind: 'scalar',
  value,
  raw,
  quoted: false,
  source: place.source,
  start: place.start,
  end: place.end,
});
