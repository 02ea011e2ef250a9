// The keywords of draft-07 that look at a value as a whole: enumerations, bounds, lengths, combinations of schemas.

import type { Json, JsonObject, JsonSchema } from '../schemas/json.ts';
import type { DiagnosticCode } from './diagnostic-codes.ts';
import type { Place } from './source.ts';
import { didYouMean, didYouMeanParameter } from './suggest.ts';
import { describeSchema, shown } from './validate-words.ts';
import { describeNode, keyText, setOwn, type ScalarNode, type YamlNode } from './yaml-node.ts';

export interface Complaint {
  readonly code: DiagnosticCode;
  readonly place: Place;
  readonly message: string;
  readonly hint?: string | undefined;
  /** The parameter it is about, or that the value about is part of. */
  readonly parameter: string | undefined;
  /** How deep in the value: of several ways to read a value, the one that goes deepest is what was meant. */
  readonly depth: number;
}

/** One pass over a value: where it is, and what it found. */
export interface Run {
  /** `revision: 1234567` is text where only text is allowed. Off while alternatives are tried as they are. */
  readonly readNumbersAsText: boolean;
  /** "step type lora-train" */
  readonly owner: string;
  readonly isRoot: boolean;
  name(): string;
  within<T>(part: string, body: () => T): T;
  complain(code: DiagnosticCode, place: Place, message: string, hint?: string): void;
  wrongType(node: YamlNode, schema: JsonSchema): void;
  unknown(key: ScalarNode, known: ReadonlySet<string>, aliases: ReadonlyMap<string, string>): void;
  /** A pass of its own from here, whose complaints count only if somebody takes them over. */
  trial(readNumbersAsText: boolean): {
    readonly run: Run;
    readonly complaints: readonly Complaint[];
  };
  adopt(complaints: readonly Complaint[]): void;
}

export type Check = (node: YamlNode, run: Run) => Json;
type Rule = (node: YamlNode, value: Json, run: Run) => Json;

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const pathText = (path: readonly string[]): string =>
  path.reduce(
    (text, part) => (text === '' || part.startsWith('[') ? text + part : `${text}.${part}`),
    '',
  );

export const makeRun = (
  complaints: Complaint[],
  owner: string,
  path: string[],
  readNumbersAsText = true,
): Run => {
  const run: Run = {
    readNumbersAsText,
    owner,
    get isRoot() {
      return path.length === 0;
    },
    name: () => (path.length === 0 ? 'the value' : `"${pathText(path)}"`),
    within: (part, body) => {
      path.push(part);
      const result = body();
      path.pop();
      return result;
    },
    complain: (code, place, message, hint) => {
      complaints.push({ code, place, message, hint, parameter: path[0], depth: path.length });
    },
    wrongType: (node, schema) => {
      const wanted = describeSchema(schema);
      const quote = node.kind === 'scalar' && node.value !== null && wanted === 'text';
      const hint = quote ? `put quotes around it: "${node.raw}"` : undefined;
      run.complain(
        'E303',
        node,
        `${run.name()} must be ${wanted}; found ${describeNode(node)}`,
        hint,
      );
    },
    unknown: (key, known, aliases) => {
      const name = keyText(key);
      const top = path.length === 0;
      const what = top
        ? `unknown parameter "${name}" for ${owner}`
        : `unknown key "${name}" in "${pathText(path)}"`;
      const found = top
        ? didYouMeanParameter(name, known, aliases)
        : (aliasHint(name, aliases) ?? didYouMean(name, known));
      const few =
        known.size > 0 && known.size <= 12 ? `it knows ${[...known].join(', ')}` : undefined;
      run.complain('E301', key, what, found ?? few);
    },
    trial: (asText) => {
      const own: Complaint[] = [];
      return { run: makeRun(own, owner, [...path], asText), complaints: own };
    },
    adopt: (list) => {
      complaints.push(...list);
    },
  };
  return run;
};

const aliasHint = (name: string, aliases: ReadonlyMap<string, string>): string | undefined => {
  const target = aliases.get(name);
  return target === undefined ? undefined : `"${name}" is called "${target}" here`;
};

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
const valueRules: Readonly<Record<string, (limit: Json, schema: JsonSchema) => Rule | null>> = {
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
    const pattern = new RegExp(String(limit), 'u');
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
          if (!Array.isArray(value)) return value;
          const items = value as readonly Json[];
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
    const present = new Set(node.entries.map((entry) => keyText(entry.key)));
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
  return typeof value === 'string' ? [...value].length : null;
}
function listLength(value: Json): number | null {
  return Array.isArray(value) ? value.length : null;
}
function mapSize(value: Json): number | null {
  return isObject(value) ? Object.keys(value).length : null;
}

type Compile = (schema: Json | undefined) => Check;

/** What a combined schema made of the value (defaults, paths) joined with what the schema's own properties made of it. */
const join = (own: Json, other: Json, declared: ReadonlySet<string>): Json => {
  if (!isObject(own) || !isObject(other)) return declared.size > 0 ? own : other;
  const joined: Record<string, Json> = {};
  for (const [key, value] of Object.entries(other)) setOwn(joined, key, value);
  for (const [key, value] of Object.entries(own)) {
    if (declared.has(key) || !Object.hasOwn(joined, key)) setOwn(joined, key, value);
  }
  return joined;
};

const isRootTypeError = (complaint: Complaint, node: YamlNode, depth: number): boolean =>
  complaint.depth === depth &&
  (complaint.code === 'E303' || complaint.code === 'E304') &&
  complaint.place.start === node.start;

/** `anyOf` and `oneOf`: the first branch that holds; else what the branch meant says, or all of them in a sentence. */
const alternatives = (
  keyword: 'anyOf' | 'oneOf',
  schema: JsonSchema,
  compile: Compile,
  declared: ReadonlySet<string>,
): Rule => {
  const branches = (schema[keyword] as readonly Json[]).map(compile);
  return (node, value, run) => {
    let best: readonly Complaint[] | null = null;
    for (const asText of run.readNumbersAsText ? [false, true] : [false]) {
      const matches: Json[] = [];
      best = null;
      for (const branch of branches) {
        const { run: trial, complaints } = run.trial(asText);
        const result = branch(node, trial);
        if (complaints.length === 0) matches.push(result);
        else {
          const depth = Math.min(...complaints.map((complaint) => complaint.depth));
          const meant = !complaints.some(
            (complaint) =>
              isRootTypeError(complaint, node, depth) && sameSpan(complaint.place, node),
          );
          if (meant && (best === null || complaints.length < best.length)) best = [...complaints];
        }
        if (matches.length === 1 && keyword === 'anyOf') break;
      }
      const [first] = matches;
      if (keyword === 'oneOf' && matches.length > 1) {
        run.complain('E307', node, `${run.name()} can be read in more than one way`);
        return value;
      }
      if (first !== undefined) return join(value, first, declared);
    }
    if (best !== null) run.adopt(best);
    else {
      const names = optionsOf(schema[keyword] as readonly Json[]);
      const isText = typeof value === 'string';
      const message = `${run.name()} must be ${describeSchema(schema)}; found ${describeNode(node)}`;
      const hint = isText ? didYouMean(value, names) : undefined;
      run.complain(isText && names.length > 0 ? 'E304' : 'E303', node, message, hint);
    }
    return value;
  };
};

const sameSpan = (place: Place, node: YamlNode): boolean =>
  place.start === node.start && place.end === node.end;
/** The texts that branches allow by name. */
const optionsOf = (branches: readonly Json[]): readonly string[] =>
  branches.flatMap((branch) => {
    if (!isObject(branch)) return [];
    if (typeof branch['const'] === 'string') return [branch['const']];
    const options = branch['enum'];
    return Array.isArray(options) ? (options as readonly Json[]).map(shown) : [];
  });

const combinations = (
  schema: JsonSchema,
  compile: Compile,
  declared: ReadonlySet<string>,
): readonly Rule[] => {
  const rules: Rule[] = [];
  if (Array.isArray(schema['allOf'])) {
    for (const check of (schema['allOf'] as readonly Json[]).map(compile)) {
      rules.push((node, value, run) => join(value, check(node, run), declared));
    }
  }
  for (const keyword of ['anyOf', 'oneOf'] as const) {
    if (Array.isArray(schema[keyword]))
      rules.push(alternatives(keyword, schema, compile, declared));
  }
  if (schema['not'] !== undefined) {
    const check = compile(schema['not']);
    rules.push((node, value, run) => {
      const { run: trial, complaints } = run.trial(run.readNumbersAsText);
      check(node, trial);
      if (complaints.length === 0)
        run.complain('E307', node, `${run.name()} must not be ${describeSchema(schema['not'])}`);
      return value;
    });
  }
  if (schema['if'] !== undefined) {
    const condition = compile(schema['if']);
    const then = schema['then'] === undefined ? null : compile(schema['then']);
    const otherwise = schema['else'] === undefined ? null : compile(schema['else']);
    rules.push((node, value, run) => {
      const { run: trial, complaints } = run.trial(run.readNumbersAsText);
      condition(node, trial);
      const check = complaints.length === 0 ? then : otherwise;
      return check === null ? value : join(value, check(node, run), declared);
    });
  }
  return rules;
};

const structural = (schema: JsonSchema, compile: Compile): readonly Rule[] => {
  const rules: Rule[] = [];
  const { contains, propertyNames, dependencies } = schema;
  if (contains !== undefined) {
    const check = compile(contains);
    rules.push((node, value, run) => {
      if (node.kind !== 'seq') return value;
      const found = node.items.some((item) => {
        const { run: trial, complaints } = run.trial(run.readNumbersAsText);
        check(item, trial);
        return complaints.length === 0;
      });
      if (!found) run.complain('E307', node, `${run.name()} must hold ${describeSchema(contains)}`);
      return value;
    });
  }
  if (propertyNames !== undefined) {
    const check = compile(propertyNames);
    rules.push((node, value, run) => {
      if (node.kind === 'map')
        for (const { key } of node.entries)
          check({ ...key, value: keyText(key), quoted: true }, run);
      return value;
    });
  }
  if (isObject(dependencies)) {
    for (const [name, needed] of Object.entries(dependencies)) {
      const check = Array.isArray(needed) ? null : compile(needed);
      rules.push((node, value, run) => {
        const key =
          node.kind === 'map'
            ? node.entries.find((entry) => keyText(entry.key) === name)?.key
            : undefined;
        if (node.kind !== 'map' || key === undefined) return value;
        if (check !== null) check(node, run);
        const present = new Set(node.entries.map((entry) => keyText(entry.key)));
        for (const other of Array.isArray(needed) ? (needed as readonly string[]) : []) {
          if (!present.has(other))
            run.complain('E307', key, `"${name}" needs "${other}" beside it`, `add \`${other}:\``);
        }
        return value;
      });
    }
  }
  return rules;
};

/** All rules of a schema but its type, items and properties, in one function. */
export const applyRules = (schema: JsonSchema, compile: Compile): Rule => {
  const declared = new Set(Object.keys(isObject(schema['properties']) ? schema['properties'] : {}));
  const rules: Rule[] = [];
  for (const [keyword, make] of Object.entries(valueRules)) {
    const limit = schema[keyword];
    const rule = limit === undefined ? null : make(limit, schema);
    if (rule !== null) rules.push(rule);
  }
  rules.push(...structural(schema, compile), ...combinations(schema, compile, declared));
  if (rules.length === 0) return (_node, value) => value;
  return (node, value, run) => rules.reduce((current, rule) => rule(node, current, run), value);
};
