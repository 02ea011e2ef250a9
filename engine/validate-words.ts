// How a schema and a value are called in a sentence: "must be a whole number or one of auto, off; found a list".

import type { Json, JsonObject, JsonSchema } from '../schemas/json.ts';

export type TypeName = 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'array' | 'object';

export const typeOfJson = (value: Json): TypeName => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'string';
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'number';
    default:
      return 'object';
  }
};

const typeSets = new WeakMap<JsonSchema, ReadonlySet<string>>();

/** The types that a schema names; null where it names none. */
export const typesOf = (schema: JsonSchema): ReadonlySet<string> | null => {
  const known = typeSets.get(schema);
  if (known !== undefined) return known;
  const { type } = schema;
  if (type === undefined) return null;
  const set = new Set((Array.isArray(type) ? (type as readonly Json[]) : [type]).map(String));
  typeSets.set(schema, set);
  return set;
};

const words: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  string: 'text',
  array: 'a list',
  object: 'a map',
};

export const shown = (value: Json): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

const joined = (parts: readonly string[]): string => {
  const unique = [...new Set(parts)];
  return unique.length < 2
    ? unique.join('')
    : `${unique.slice(0, -1).join(', ')} or ${unique.at(-1) ?? ''}`;
};

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const partsOf = (schema: Json | undefined): readonly string[] => {
  if (!isObject(schema)) return ['anything'];
  if (schema['const'] !== undefined) return [shown(schema['const'])];
  const options = schema['enum'];
  if (Array.isArray(options)) return (options as readonly Json[]).map(shown);
  for (const keyword of ['anyOf', 'oneOf']) {
    const branches = schema[keyword];
    if (Array.isArray(branches)) return (branches as readonly Json[]).flatMap(partsOf);
  }
  const types = typesOf(schema);
  if (types === null) return isObject(schema['properties']) ? ['a map'] : ['another value'];
  return [...types].map((type) => {
    const { items } = schema;
    const inner = type === 'array' && isObject(items) ? typesOf(items) : null;
    if (inner?.has('string') === true && inner.size === 1) return 'a list of text';
    if (inner !== null && (inner.has('number') || inner.has('integer')) && inner.size === 1)
      return 'a list of numbers';
    return words[type] ?? type;
  });
};

/** "a whole number", "a list of text or all-linear" */
export const describeSchema = (schema: Json | undefined): string => joined(partsOf(schema));
