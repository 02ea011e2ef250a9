// The keywords of draft-07 that look at a value by itself: enumerations, bounds, lengths, required keys.

import type { Json, JsonSchema } from '../schemas/json.ts';
import type { Run } from './validate-run.ts';
import { didYouMean } from './suggest.ts';
import { describeSchema, isObject, shown } from './validate-words.ts';
import { describeNode, scalarText, type YamlNode } from './yaml-node.ts';

export type Check = (node: YamlNode, run: Run) => Json;
export type Rule = (node: YamlNode, value: Json, run: Run) => Json;

const sameJson = (a: Json, b: Json): boolean => {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return (
      a.length === b.length && a.every((item: Json, index) => sameJson(item, b[index] as Json))
    );
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key] as Json, b[key] as Json))
  );
};

/** A rule per keyword; those that are absent cost nothing. */
export const valueRules: Readonly<
  Record<string, (limit: Json, schema: JsonSchema) => Rule | null>
> = {
  enum: (limit) => {
    const options = limit as readonly Json[];
    return (node, value, run) => {
      if (options.some((option) => sameJson(option, value))) return value;
      const names = options.map(shown);
      const hint = typeof value === 'string' ? didYouMean(value, names) : undefined;
      const list =
        names.length <= 12
          ? `one of ${names.join(', ')}`
          : `one of ${names.slice(0, 10).join(', ')}, ...`;
      const wanted = options.length === 1 ? (names[0] ?? '') : list;
      run.complain(
        'E304',
        node,
        `${run.name()} must be ${wanted}; found ${describeNode(node)}`,
        hint,
      );
      return value;
    };
  },
  const: (limit) => (node, value, run) => {
    if (!sameJson(limit, value))
      run.complain(
        'E304',
        node,
        `${run.name()} must be ${shown(limit)}; found ${describeNode(node)}`,
      );
    return value;
  },
  minimum: bound((value, limit) => value >= limit, 'at least'),
  maximum: bound((value, limit) => value <= limit, 'at most'),
  exclusiveMinimum: bound((value, limit) => value > limit, 'greater than'),
  exclusiveMaximum: bound((value, limit) => value < limit, 'less than'),
  multipleOf: bound((value, limit) => Number.isInteger(value / limit), 'a multiple of'),
  minLength: count(
    textLength,
    (length, limit) => length >= limit,
    (limit) => (limit === 1 ? 'must not be empty' : `must have at least ${limit} characters`),
  ),
  maxLength: count(
    textLength,
    (length, limit) => length <= limit,
    (limit) => `must have at most ${limit} characters`,
  ),
  minItems: count(
    listLength,
    (length, limit) => length >= limit,
    (limit) => (limit === 1 ? 'must have at least one item' : `must have at least ${limit} items`),
  ),
  maxItems: count(
    listLength,
    (length, limit) => length <= limit,
    (limit) => `must have at most ${limit} items`,
  ),
  minProperties: count(
    mapSize,
    (size, limit) => size >= limit,
    (limit) => (limit === 1 ? 'must have at least one key' : `must have at least ${limit} keys`),
  ),
  maxProperties: count(
    mapSize,
    (size, limit) => size <= limit,
    (limit) => `must have at most ${limit} keys`,
  ),
  pattern: (limit, schema) => {
    const pattern = new RegExp(typeof limit === 'string' ? limit : '', 'u');
    const described = schema['description'];
    return (node, value, run) => {
      if (typeof value === 'string' && !pattern.test(value)) {
        run.complain(
          'E306',
          node,
          `${run.name()} has the wrong form: ${describeNode(node)}`,
          typeof described === 'string' ? described : `it must match ${pattern.source}`,
        );
      }
      return value;
    };
  },
  uniqueItems: (limit) =>
    limit !== true
      ? null
      : (node, value, run) => {
          const items: readonly Json[] | null = Array.isArray(value) ? value : null;
          if (items === null) return value;
          const twice = items.findIndex((item, index) =>
            items.slice(0, index).some((earlier) => sameJson(item, earlier)),
          );
          const place = node.kind === 'seq' ? node.items[twice] : undefined;
          if (twice !== -1)
            run.complain(
              'E307',
              place ?? node,
              `${run.name()} holds ${shown(items[twice] as Json)} twice`,
            );
          return value;
        },
  required: (limit, schema) => (node, value, run) => {
    if (!isObject(value) || node.kind !== 'map') return value;
    const present = new Set(node.entries.map((entry) => scalarText(entry.key)));
    const properties = isObject(schema['properties']) ? schema['properties'] : {};
    for (const name of limit as readonly string[]) {
      if (present.has(name)) continue;
      const wanted = properties[name] === undefined ? '' : ` (${describeSchema(properties[name])})`;
      const message = run.isRoot
        ? `missing parameter "${name}" for ${run.owner}`
        : `missing "${name}" in ${run.name()}`;
      run.complain('E302', node, message, `add \`${name}:\`${wanted}`);
    }
    return value;
  },
};

function bound(
  holds: (value: number, limit: number) => boolean,
  words: string,
): (limit: Json) => Rule {
  return (limit) => (node, value, run) => {
    if (typeof value === 'number' && !holds(value, Number(limit))) {
      run.complain(
        'E305',
        node,
        `${run.name()} must be ${words} ${shown(limit)}; found ${shown(value)}`,
      );
    }
    return value;
  };
}

function count(
  measure: (value: Json) => number | null,
  holds: (size: number, limit: number) => boolean,
  words: (limit: number) => string,
): (limit: Json) => Rule {
  return (limit) => (node, value, run) => {
    const size = measure(value);
    if (size !== null && !holds(size, Number(limit)))
      run.complain('E305', node, `${run.name()} ${words(Number(limit))}`);
    return value;
  };
}

/** JSON Schema counts characters, not UTF-16 units. */
function textLength(value: Json): number | null {
  return typeof value === 'string' ? Array.from(value).length : null;
}
function listLength(value: Json): number | null {
  return Array.isArray(value) ? value.length : null;
}
function mapSize(value: Json): number | null {
  return isObject(value) ? Object.keys(value).length : null;
}
