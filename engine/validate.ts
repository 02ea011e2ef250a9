// Checks parameters against a step's JSON Schema (draft-07) and fills defaults, on nodes instead of plain values, so
// that every complaint has its place. Compiled to closures once per schema. Why not ajv: docs/design/0006-validation.md.

import { resolve } from 'node:path';
import type { Json, JsonObject, JsonSchema } from '../schemas/json.ts';
import { applyRules } from './validate-combine.ts';
import type { Check } from './validate-rules.ts';
import { makeRun, type Complaint, type Run } from './validate-run.ts';
import { isObject, typesOf, typeOfJson } from './validate-words.ts';
import {
  scalarText,
  setOwn,
  toJson,
  type MapNode,
  type ScalarNode,
  type SeqNode,
  type YamlNode,
} from './yaml-node.ts';

export interface Validated {
  /** Defaults filled, paths absolute. Meaningful only without complaints. */
  readonly value: JsonObject;
  readonly complaints: readonly Complaint[];
}

/** A schema under compilation: `$ref` means another thing in another root, so what is compiled is kept per root. */
interface Scope {
  readonly root: JsonSchema;
  readonly compiled: Map<JsonSchema, Check>;
}

const compiledRoots = new WeakMap<JsonSchema, Check>();

/** The check of a schema. */
const compile = (schema: Json | undefined, scope: Scope): Check => {
  if (schema === false) {
    return (node, run) => {
      run.complain('E301', node, `${run.name()} is not allowed here`);
      return toJson(node);
    };
  }
  if (!isObject(schema)) return toJson;
  const known = scope.compiled.get(schema);
  if (known !== undefined) return known;
  // A schema may hold itself by `$ref`: whoever meets it while it is compiled gets a stand-in.
  let check: Check | null = null;
  scope.compiled.set(schema, (node, run) => (check ?? toJson)(node, run));
  check = build(schema, scope);
  scope.compiled.set(schema, check);
  return check;
};

const lookUp = (reference: string, root: JsonSchema): Json | undefined => {
  let at: Json | undefined = root;
  for (const part of reference.replace(/^#\/?/u, '').split('/')) {
    if (part === '') continue;
    at = isObject(at)
      ? at[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')]
      : undefined;
  }
  return at;
};

const build = (schema: JsonSchema, scope: Scope): Check => {
  const reference = schema['$ref'];
  if (typeof reference === 'string') return compile(lookUp(reference, scope.root), scope);
  const scalar = compileScalar(schema);
  const list = compileList(schema, scope);
  const map = compileMap(schema, scope);
  const rules = applyRules(schema, (inner) => compile(inner, scope));
  const types = typesOf(schema);
  return (node, run) => {
    const value =
      node.kind === 'scalar'
        ? scalar(node, run)
        : node.kind === 'seq'
          ? list(node, run)
          : map(node, run);
    if (
      types !== null &&
      !types.has(typeOfJson(value)) &&
      !(types.has('number') && typeOfJson(value) === 'integer')
    ) {
      run.wrongType(node, schema);
      return value;
    }
    return rules(node, value, run);
  };
};

const compileScalar = (schema: JsonSchema): ((node: ScalarNode, run: Run) => Json) => {
  const types = typesOf(schema);
  const wantsText =
    types !== null && types.has('string') && !types.has('number') && !types.has('integer');
  const isPath = schema['x-mesa-path'] !== undefined;
  const options = schema['enum'];
  const enumOfText =
    types === null &&
    Array.isArray(options) &&
    options.every((option) => typeof option === 'string');
  return (node, run) => {
    // `revision: 12e4567` is a name that happens to look like a number.
    const asText =
      typeof node.value === 'number' &&
      !node.quoted &&
      run.readNumbersAsText &&
      (wantsText || enumOfText);
    const value = asText ? node.raw : toJson(node);
    return isPath && typeof value === 'string' ? absolute(value, node) : value;
  };
};

const absolute = (path: string, node: YamlNode): string =>
  path === '' || path.includes('://') ? path : resolve(node.source.folder, path);

const compileList = (schema: JsonSchema, scope: Scope): ((node: SeqNode, run: Run) => Json) => {
  const { items } = schema;
  const check = Array.isArray(items) ? null : compile(items ?? true, scope);
  const each = Array.isArray(items) ? items.map((item: Json) => compile(item, scope)) : [];
  const rest = compile(schema['additionalItems'] ?? true, scope);
  const isPath = schema['x-mesa-path'] !== undefined;
  return (node, run) =>
    node.items.map((item, index) => {
      const value = run.within(`[${index}]`, () => (check ?? each[index] ?? rest)(item, run));
      return isPath && typeof value === 'string' ? absolute(value, item) : value;
    });
};

interface Property {
  readonly check: Check;
  readonly fallback: Json | undefined;
}

const compileMap = (
  schema: JsonSchema,
  scope: Scope,
): ((node: MapNode, run: Run) => JsonObject) => {
  const properties = new Map<string, Property>();
  if (isObject(schema['properties'])) {
    for (const [name, inner] of Object.entries(schema['properties'])) {
      properties.set(name, {
        check: compile(inner, scope),
        fallback: isObject(inner) ? inner['default'] : undefined,
      });
    }
  }
  const patterns = Object.entries(
    isObject(schema['patternProperties']) ? schema['patternProperties'] : {},
  ).map(([pattern, inner]) => ({
    pattern: new RegExp(pattern, 'u'),
    check: compile(inner, scope),
  }));
  const additional = schema['additionalProperties'];
  const extra = additional === undefined || additional === true ? null : compile(additional, scope);
  const names = new Set(properties.keys());
  const aliases = aliasesOf(schema);
  return (node, run) => {
    const value: Record<string, Json> = {};
    for (const { key, value: inner } of node.entries) {
      const name = scalarText(key);
      const property = properties.get(name);
      const matching = patterns.filter(({ pattern }) => pattern.test(name));
      const checks = [
        ...(property === undefined ? [] : [property.check]),
        ...matching.map(({ check }) => check),
      ];
      if (checks.length === 0) {
        if (additional === false) run.unknown(key, names, aliases);
        else
          setOwn(
            value,
            name,
            extra === null ? toJson(inner) : run.within(name, () => extra(inner, run)),
          );
        continue;
      }
      for (const check of checks)
        setOwn(
          value,
          name,
          run.within(name, () => check(inner, run)),
        );
    }
    for (const [name, { fallback }] of properties) {
      if (fallback !== undefined && !Object.hasOwn(value, name)) setOwn(value, name, fallback);
    }
    return value;
  };
};

/** `x-mesa-aliases` of the properties: what other tools call them. */
const aliasesOf = (schema: JsonSchema): ReadonlyMap<string, string> => {
  const aliases = new Map<string, string>();
  for (const [name, inner] of Object.entries(
    isObject(schema['properties']) ? schema['properties'] : {},
  )) {
    const list = isObject(inner) ? inner['x-mesa-aliases'] : undefined;
    if (Array.isArray(list))
      for (const alias of list as readonly Json[]) {
        if (typeof alias === 'string') aliases.set(alias, name);
      }
  }
  return aliases;
};

/** Checks `with` of a step. `owner` is how unknown keys are explained: "step type lora-train". */
export const validateParams = (schema: JsonSchema, node: MapNode, owner: string): Validated => {
  const check = compiledRoots.get(schema) ?? compile(schema, { root: schema, compiled: new Map() });
  compiledRoots.set(schema, check);
  const complaints: Complaint[] = [];
  const run = makeRun(complaints, owner, []);
  const value = check(node, run);
  return { value: isObject(value) ? value : {}, complaints };
};

const knownKeywords = new Set([
  ...[
    '$schema',
    '$id',
    '$ref',
    '$comment',
    'title',
    'description',
    'markdownDescription',
    'default',
  ],
  ...['examples', 'readOnly', 'deprecated', 'format', 'definitions', 'type', 'enum', 'const'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minLength', 'maxLength', 'pattern', 'items', 'additionalItems', 'minItems', 'maxItems'],
  ...['uniqueItems', 'contains', 'properties', 'patternProperties', 'additionalProperties'],
  ...['propertyNames', 'required', 'minProperties', 'maxProperties', 'dependencies'],
  ...['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else'],
]);

/** Keywords of a schema that would be passed over in silence: a plugin that has any is refused. */
export const unsupportedKeywords = (schema: Json): readonly string[] => {
  if (!isObject(schema)) return [];
  return Object.entries(schema).flatMap(([keyword, value]) => {
    if (keyword.startsWith('x-')) return [];
    if (!knownKeywords.has(keyword)) return [keyword];
    if (['enum', 'const', 'default', 'examples', 'required', 'type'].includes(keyword)) return [];
    if (Array.isArray(value)) return (value as readonly Json[]).flatMap(unsupportedKeywords);
    const named = ['properties', 'patternProperties', 'definitions', 'dependencies'].includes(
      keyword,
    );
    return named && isObject(value)
      ? Object.values(value).flatMap(unsupportedKeywords)
      : unsupportedKeywords(value);
  });
};
