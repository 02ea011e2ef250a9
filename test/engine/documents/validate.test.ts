// Parameters against schemas: the same verdict and the same filled defaults as ajv, whose messages we can't use.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import type { Json, JsonObject, JsonSchema } from '../../../schemas/json.ts';
import { parseDurationMs, parseSize } from '../../../engine/parse-size.ts';
import { unsupportedKeywords, validateParams } from '../../../engine/validate.ts';
import type { MapNode, YamlNode } from '../../../engine/yaml-node.ts';
import { registry } from '../../../steps/index.ts';

const source = {
  kind: 'file',
  path: '/f/x',
  shown: 'x',
  folder: '/f',
  text: '',
  order: 0,
} as const;
const place = { source, start: 0, end: 0 } as const;

/** JSON as the tree it would have been read from; all quoted, so that no number is read as text. */
const nodeOf = (value: Json): YamlNode => {
  if (Array.isArray(value))
    return { kind: 'seq', items: (value as readonly Json[]).map(nodeOf), ...place };
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, inner]) => ({
      key: { kind: 'scalar', value: key, raw: key, quoted: true, ...place } as const,
      value: nodeOf(inner),
    }));
    return { kind: 'map', entries, ...place };
  }
  const scalar = value;
  return {
    kind: 'scalar',
    value: scalar,
    raw: String(scalar),
    quoted: true,
    ...place,
  };
};

const names = ['a', 'b', 'c'] as const;
const scalar = fc.oneof(
  fc.constantFrom<Json>(null, true, false, '', 'x', 'xy', 'yes'),
  fc.integer({ min: -3, max: 5 }),
  fc.constantFrom(0.5, 1.5, -0.25),
);
const json = fc.letrec<{ value: Json; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom(...names), tie('value'), {
    maxKeys: 3,
  }),
}));

/** Draft-07 in the parts that step types use: never a schema that ajv would call a mistake. */
const schemas = fc.letrec<{ any: JsonObject; object: JsonObject }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record(
      {
        type: fc.constantFrom('integer', 'number'),
        minimum: fc.integer({ min: -2, max: 2 }),
        maximum: fc.integer({ min: 0, max: 4 }),
        exclusiveMinimum: fc.integer({ min: -2, max: 2 }),
        multipleOf: fc.constantFrom(0.5, 1, 2),
      },
      { requiredKeys: ['type'] },
    ),
    fc.record(
      {
        type: fc.constant('string'),
        minLength: fc.nat(2),
        maxLength: fc.nat(3),
        pattern: fc.constantFrom('^x', 'y$', '^[a-z]*$'),
      },
      { requiredKeys: ['type'] },
    ),
    fc.record({
      enum: fc.uniqueArray(scalar, { minLength: 1, maxLength: 3, comparator: 'SameValue' }),
    }),
    fc.record({ const: scalar }),
    fc.record({
      type: fc.constantFrom<Json>('boolean', 'null', ['string', 'integer'], ['array', 'boolean']),
    }),
    fc.record(
      {
        type: fc.constant('array'),
        items: tie('any'),
        minItems: fc.nat(2),
        maxItems: fc.nat(3),
        uniqueItems: fc.boolean(),
      },
      { requiredKeys: ['type'] },
    ),
    fc.record({ type: fc.constant('array'), contains: tie('any') }),
    tie('object'),
    fc.record({ anyOf: fc.array(tie('any'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ oneOf: fc.array(tie('any'), { minLength: 1, maxLength: 2 }) }),
    fc.record({ not: tie('any') }),
    fc.record(
      { if: tie('any'), then: tie('any'), else: tie('any') },
      { requiredKeys: ['if', 'then'] },
    ),
    fc.constant({ $ref: '#/definitions/shared' }),
  ),
  object: fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        type: fc.constant('object'),
        properties: fc.dictionary(fc.constantFrom(...names), tie('any'), { maxKeys: 2 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record(
        {
          type: fc.constant('object'),
          properties: fc.dictionary(fc.constantFrom(...names), tie('any'), { maxKeys: 3 }),
          required: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 2 }),
          additionalProperties: fc.oneof(fc.boolean(), tie('any')),
          patternProperties: fc.record({ '^[ab]$': tie('any') }),
          minProperties: fc.nat(1),
          maxProperties: fc.nat(3),
          propertyNames: fc.constant({ pattern: '^[a-b]$' }),
          dependencies: fc.constantFrom<Json>({ a: ['b'] }, { b: { required: ['c'] } }),
          allOf: fc.array(tie('any'), { minLength: 1, maxLength: 2 }),
        },
        { requiredKeys: ['type', 'properties'] },
      ),
    },
  ),
}));

const ajv = new Ajv({ strict: false, allErrors: true, logger: false });

test('the verdict is that of ajv', () => {
  let valid = 0;
  fc.assert(
    fc.property(schemas.object, schemas.any, json.object, (body, shared, drawn) => {
      // Objects without a prototype, which fast-check makes, are not what JSON.parse makes.
      const value = JSON.parse(JSON.stringify(drawn)) as JsonObject;
      const schema: JsonSchema = {
        ...body,
        definitions: { shared: shared['$ref'] === undefined ? withoutReferences(shared) : {} },
      };
      const expected = ajv.compile(schema)(value);
      const { complaints } = validateParams(schema, nodeOf(value) as MapNode, 'step type x');
      assert.equal(
        complaints.length === 0,
        expected,
        JSON.stringify({ schema, value, complaints: complaints.map(({ message }) => message) }),
      );
      if (expected) valid += 1;
    }),
    { numRuns: 700 },
  );
  assert.ok(valid > 70, `only ${valid} of 700 values were valid`);
});

/** A definition that refers to itself without consuming anything has no meaning in either validator. */
const withoutReferences = (schema: JsonObject): JsonObject =>
  JSON.parse(
    JSON.stringify(schema).replaceAll('{"$ref":"#/definitions/shared"}', '{}'),
  ) as JsonObject;

test('defaults are filled as ajv fills them', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: {
      r: { type: 'integer', default: 8 },
      sample: {
        type: 'object',
        properties: { n: { type: 'integer' }, seed: { type: 'integer', default: 0 } },
      },
      rows: {
        type: 'array',
        items: { type: 'object', properties: { w: { type: 'number', default: 1 } } },
      },
    },
    allOf: [{ properties: { late: { default: 'x' } } }],
  };
  const filling = new Ajv({ strict: false, useDefaults: true }).compile(schema);
  for (const value of [
    {},
    { r: 1 },
    { sample: {} },
    { sample: { n: 2, seed: 4 }, rows: [{}, { w: 2 }] },
  ] as const) {
    const expected = structuredClone(value) as JsonObject;
    filling(expected);
    assert.deepEqual(validateParams(schema, nodeOf(value) as MapNode, 'x').value, expected);
  }
});

test('a schema may hold itself', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: { where: { $ref: '#/definitions/c' } },
    definitions: {
      c: {
        type: 'object',
        additionalProperties: false,
        properties: {
          and: { type: 'array', items: { $ref: '#/definitions/c' } },
          eq: { type: 'string' },
        },
      },
    },
  };
  const complaintsOf = (value: Json): readonly string[] =>
    validateParams(schema, nodeOf(value) as MapNode, 'x').complaints.map(({ message }) => message);
  assert.deepEqual(complaintsOf({ where: { and: [{ eq: 'a' }, { and: [] }] } }), []);
  assert.deepEqual(complaintsOf({ where: { and: [{ and: [{ eq: true }] }] } }), [
    '"where.and[0].and[0].eq" must be text; found true',
  ]);
});

test('paths become absolute where the schema marks them', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: {
      path: {
        anyOf: [
          { type: 'string', 'x-mesa-path': 'glob' },
          { type: 'array', items: { type: 'string', 'x-mesa-path': 'glob' } },
        ],
      },
      id: { type: 'string' },
    },
  };
  const valueOf = (value: Json): JsonObject =>
    validateParams(schema, nodeOf(value) as MapNode, 'x').value;
  assert.deepEqual(valueOf({ path: 'a/*.csv', id: 'a/b' }), { path: '/f/a/*.csv', id: 'a/b' });
  assert.deepEqual(valueOf({ path: ['../a', '/b', 'https://h/x'] }), {
    path: ['/a', '/b', 'https://h/x'],
  });
});

test('the schemas of the built-in steps use only keywords that are checked, and are what ajv calls strict', () => {
  const strict = new Ajv({
    strict: true,
    strictRequired: false,
    strictTypes: false,
    allowUnionTypes: true,
    keywords: ['x-mesa-path', 'x-mesa-effect', 'x-mesa-aliases'],
  });
  for (const name of registry.names) {
    const params = registry.get(name)?.params ?? {};
    assert.deepEqual(unsupportedKeywords(params), [], name);
    strict.compile(params);
  }
  assert.deepEqual(
    unsupportedKeywords({ properties: { a: { prefixItems: [] } }, unevaluatedProperties: false }),
    ['prefixItems', 'unevaluatedProperties'],
  );
});

test('sizes and durations', () => {
  assert.deepEqual(['6GiB', '6 GB', '1.5G', '512', '1TiB', '0.5MiB'].map(parseSize), [
    6 * 2 ** 30,
    6e9,
    1.5 * 2 ** 30,
    512,
    2 ** 40,
    2 ** 19,
  ]);
  assert.deepEqual(
    ['', 'GiB', '6Gigs', '-1GiB', '1e3', '9999999TiB', '1 2'].map(parseSize),
    Array(7).fill(null),
  );
  assert.deepEqual(
    ['2h', '1h 30m', '1.5h', '90s', '500ms', '1d', '5min'].map(parseDurationMs),
    [7_200_000, 5_400_000, 5_400_000, 90_000, 500, 86_400_000, 300_000],
  );
  assert.deepEqual(
    ['', '5', 'h', '2 hours', '-1h', '1h30'].map(parseDurationMs),
    Array(6).fill(null),
  );
});
