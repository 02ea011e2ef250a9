// The keywords of draft-07 that apply other schemas to a value: alternatives, conditions, dependencies.

import type { Json, JsonSchema } from '../schemas/json.ts';
import type { Place } from './source.ts';
import { didYouMean } from './suggest.ts';
import { valueRules, type Check, type Rule } from './validate-rules.ts';
import type { Complaint } from './validate-run.ts';
import { describeSchema, isObject, shown } from './validate-words.ts';
import { describeNode, scalarText, setOwn, type YamlNode } from './yaml-node.ts';

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
          check({ ...key, value: scalarText(key), quoted: true }, run);
      return value;
    });
  }
  if (isObject(dependencies)) {
    for (const [name, needed] of Object.entries(dependencies)) {
      const check = Array.isArray(needed) ? null : compile(needed);
      rules.push((node, value, run) => {
        const key =
          node.kind === 'map'
            ? node.entries.find((entry) => scalarText(entry.key) === name)?.key
            : undefined;
        if (node.kind !== 'map' || key === undefined) return value;
        if (check !== null) check(node, run);
        const present = new Set(node.entries.map((entry) => scalarText(entry.key)));
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
