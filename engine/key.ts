// The cache key: everything that may change the bytes a step writes, and nothing else. What stands here is the
// whole truth about when a result is reused; a field more or less is a change of every key (CHANGELOG).

import type { ArtifactKind } from '../schemas/artifact.ts';
import type { Json, JsonObject, JsonSchema } from '../schemas/json.ts';
import { hashCanonical, type Canonical } from './canonical.ts';
import type { ContentDigest } from './digest.ts';

/** SHA-256 of KeyFields, 64 hex digits. */
export type StepKey = string & { readonly __brand: 'StepKey' };

export const asKey = (hex: string): StepKey => hex as StepKey;

export interface KeyFields {
  /** Version of this very type; raised when its meaning changes, which makes every result stale. */
  readonly schema: 1;
  /** The step's type. Not its id or matrix label: renaming a step keeps its results. */
  readonly step: string;
  /**
   * `type@version` of a built-in step whose modules are those recorded in steps/closures.json, `type@version+digest`
   * where they are not, and `plugin:digest` of the modules of a plugin.
   */
  readonly code: string;
  /**
   * Parameters after references and defaults. Those marked `x-mesa-effect: "none"` are left out. Those marked
   * `x-mesa-path` are [name, content digest] of what the path points to, so that a project may move.
   */
  readonly params: Canonical;
  /** Content of the inputs, by port name and then in the order of the file; never the keys of their producers. */
  readonly inputs: readonly (readonly [
    port: string,
    label: string | null,
    kind: ArtifactKind,
    digest: ContentDigest,
  ])[];
  /** The seed, or null for a step that uses none with these parameters. */
  readonly seed: number | null;
  /** What computes; the resolved device, never "auto". Null for steps without floating-point kernels. */
  readonly numerics: Numerics | null;
}

export interface Numerics {
  /** Name without version: an upgrade keeps results, and numerics.ts says in which class they were made. */
  readonly runtime: string;
  readonly device: string;
  readonly arch: string;
}

const canonicalFields = (fields: KeyFields): Canonical => ({
  schema: fields.schema,
  step: fields.step,
  code: fields.code,
  params: fields.params,
  inputs: fields.inputs,
  seed: fields.seed,
  numerics: fields.numerics === null ? null : { ...fields.numerics },
});

export const stepKey = (fields: KeyFields): StepKey =>
  asKey(hashCanonical('step-key', canonicalFields(fields)));

/** The key without the code: what `--accept code` looks for. */
export const codelessKey = (fields: KeyFields): StepKey =>
  asKey(hashCanonical('codeless-key', canonicalFields({ ...fields, code: '' })));

export type PathMode = 'file' | 'folder' | 'any' | 'glob';

/** What a path parameter becomes in the key. */
export type DigestPath = (path: string, mode: PathMode) => Canonical;

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

const BRANCHES = ['allOf', 'anyOf', 'oneOf', 'then', 'else'] as const;

/** The schemas that speak about a value: the schema itself and, in it, all its branches. */
const speaking = (schemas: readonly JsonSchema[]): readonly JsonSchema[] =>
  schemas.flatMap((schema) => [
    schema,
    ...speaking(
      BRANCHES.flatMap((name) => {
        const branch = schema[name];
        return (isList(branch) ? branch : [branch]).filter(isObject);
      }),
    ),
  ]);

const annotation = (schemas: readonly JsonSchema[], name: string): Json | undefined =>
  schemas.find((schema) => schema[name] !== undefined)?.[name];

const below = (schemas: readonly JsonSchema[], name: string): readonly JsonSchema[] =>
  schemas.flatMap((schema) => {
    const properties = schema['properties'];
    const named = isObject(properties) ? properties[name] : undefined;
    return [named ?? schema['additionalProperties']].filter(isObject);
  });

const items = (schemas: readonly JsonSchema[]): readonly JsonSchema[] =>
  schemas.flatMap((schema) => [schema['items']].filter(isObject));

/** A list's path mark may stand on the list or on its items. */
const walk = (
  value: Json,
  schemas: readonly JsonSchema[],
  mode: PathMode | undefined,
  digestPath: DigestPath,
): Canonical => {
  const all = speaking(schemas);
  const path = (annotation(all, 'x-mesa-path') as PathMode | undefined) ?? mode;
  if (typeof value === 'string') return path === undefined ? value : digestPath(value, path);
  if (isList(value)) return value.map((item) => walk(item, items(all), path, digestPath));
  if (!isObject(value)) return value;
  // fromEntries, since a parameter may be called __proto__.
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, item]): readonly (readonly [string, Canonical])[] => {
      const schema = below(all, name);
      if (annotation(speaking(schema), 'x-mesa-effect') === 'none') return [];
      return [[name, walk(item, schema, undefined, digestPath)]];
    }),
  );
};

/** Parameters as they enter the key. */
export const keyParams = (
  schema: JsonSchema,
  params: JsonObject,
  digestPath: DigestPath,
): Canonical => walk(params, [schema], undefined, digestPath);
