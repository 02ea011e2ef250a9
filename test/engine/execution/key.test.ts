// Canonical encoding is injective, and the key changes exactly when a field of the key does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeCanonical, type Canonical } from '../../../engine/canonical.ts';
import { asDigest } from '../../../engine/digest.ts';
import { codelessKey, keyParams, stepKey, type KeyFields } from '../../../engine/key.ts';
import type { Json, JsonObject } from '../../../schemas/json.ts';

const canonical = fc.letrec<{ value: Canonical }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map((number) => (number === 0 ? 0 : number)),
    fc.string({ unit: 'binary' }),
    // Lone surrogates have no UTF-8.
    fc
      .array(fc.integer({ min: 0xd7ff, max: 0xe000 }), { maxLength: 3 })
      .map((codes) => String.fromCharCode(...codes)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

/** Equality of values, whatever the order of an object's keys. */
const sameValue = (a: Canonical, b: Canonical): boolean => {
  try {
    assert.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
};

test('different values have different encodings, and equal ones the same', () => {
  fc.assert(
    fc.property(canonical, canonical, (a, b) => {
      assert.equal(encodeCanonical('t', a) === encodeCanonical('t', b), sameValue(a, b));
    }),
    { numRuns: 2000 },
  );
});

test('the order of keys in an object does not matter', () => {
  const reversed = (value: Canonical): Canonical => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return (value as readonly Canonical[]).map(reversed);
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([name, item]) => [name, reversed(item)]),
    );
  };
  fc.assert(
    fc.property(canonical, (value) => {
      assert.equal(encodeCanonical('t', reversed(value)), encodeCanonical('t', value));
    }),
  );
});

test('neighbours that naive encodings confuse are told apart', () => {
  const confusable: readonly (readonly [Canonical, Canonical])[] = [
    [
      ['ab', 'c'],
      ['a', 'bc'],
    ],
    [
      [['a'], 'b'],
      ['a', ['b']],
    ],
    [[], [[]]],
    [{}, []],
    ['1', 1],
    ['n', null],
    ['', null],
    [{ a: null }, {}],
    ['\ud800', '\ud801'],
    ['\ud800', '\ufffd'],
    ['é', 'e\u0301'],
    [1e21, '1e21'],
  ];
  for (const [a, b] of confusable)
    assert.notEqual(encodeCanonical('t', a), encodeCanonical('t', b));
  assert.notEqual(encodeCanonical('a', 'b'), encodeCanonical('ab', ''));
  assert.equal(encodeCanonical('t', -0), encodeCanonical('t', 0));
  assert.throws(() => encodeCanonical('t', Number.NaN));
});

const digest = fc.stringMatching(/^[0-9a-f]{64}$/).map(asDigest);
const fields: fc.Arbitrary<KeyFields> = fc.record(
  {
    schema: fc.constant<1>(1),
    step: fc.constantFrom('lora-train', 'generate'),
    code: fc.constantFrom('a@1', 'a@2', 'plugin:00'),
    params: canonical,
    inputs: fc.array(
      fc.tuple(
        fc.constantFrom<string>('data', 'model'),
        fc.constantFrom<string | null>('r=8', 'r=16', null),
        fc.constantFrom('dataset' as const, 'model' as const),
        digest,
      ),
      { maxLength: 3 },
    ),
    seed: fc.option(fc.integer()),
    numerics: fc.option(
      fc.record(
        {
          runtime: fc.constantFrom('onnxruntime', 'other'),
          device: fc.constantFrom('cpu', 'webgpu'),
          arch: fc.constantFrom('x64', 'arm64'),
        },
        { noNullPrototype: true },
      ),
    ),
  },
  { noNullPrototype: true },
);

test('the key changes exactly when a key field does', () => {
  fc.assert(
    fc.property(
      fields,
      fields,
      fc.subarray(['step', 'code', 'params', 'inputs', 'seed', 'numerics'] as const),
      (a, b, names) => {
        const mixed: KeyFields = {
          ...a,
          ...Object.fromEntries(names.map((name) => [name, b[name]])),
        };
        const same = names.every((name) => sameValue(a[name] as Canonical, b[name] as Canonical));
        assert.equal(stepKey(mixed) === stepKey(a), same);
      },
    ),
    { numRuns: 1000 },
  );
});

test('the codeless key differs from the key only in not seeing the code', () => {
  fc.assert(
    fc.property(fields, fields, (a, b) => {
      assert.equal(codelessKey({ ...a, code: b.code }), codelessKey(a));
      const [keyless, withCode] = [
        codelessKey(a) === codelessKey(b),
        stepKey(a) === stepKey({ ...b, code: a.code }),
      ];
      assert.equal(keyless, withCode);
      assert.notEqual(codelessKey(a), stepKey(a));
    }),
  );
});

test('a known key: changing the encoding breaks every cache, so it must be meant', () => {
  const known: KeyFields = {
    schema: 1,
    step: 'score',
    code: 'score@1',
    params: { metrics: ['exact_match'], bootstrap: { n: 10000, seed: 0 } },
    inputs: [['predictions', null, 'predictions', asDigest('ab'.repeat(32))]],
    seed: null,
    numerics: null,
  };
  assert.equal(stepKey(known), 'df2d208d0b28b08b5ba74c430edf3dec26543bdc932e91f44e0cd1a1d2bea70e');
});

const schema: JsonObject = {
  type: 'object',
  properties: {
    r: { type: 'integer' },
    save_steps: { type: 'integer', 'x-mesa-effect': 'none' },
    path: { type: 'string', 'x-mesa-path': 'file' },
    globs: {
      anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
      'x-mesa-path': 'glob',
    },
    mix: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          path: { type: 'string', 'x-mesa-path': 'any' },
          threads: { type: 'integer', 'x-mesa-effect': 'none' },
        },
      },
    },
    metric: {
      anyOf: [
        { type: 'string' },
        { type: 'object', properties: { lexicon: { type: 'string', 'x-mesa-path': 'file' } } },
      ],
    },
  },
};
const keyed = (params: Json): Canonical =>
  keyParams(schema, params as JsonObject, (path, mode) => [mode, path.length]);

test('parameters without effect are left out, at any depth', () => {
  assert.deepEqual(keyed({ r: 8, save_steps: 5 }), { r: 8 });
  assert.deepEqual(keyed({ mix: [{ path: '/a', threads: 2 }] }), { mix: [{ path: ['any', 2] }] });
});

test('paths are replaced by what they point to, alone, in lists, and inside branches', () => {
  assert.deepEqual(keyed({ path: '/abc' }), { path: ['file', 4] });
  assert.deepEqual(keyed({ globs: '/a*' }), { globs: ['glob', 3] });
  assert.deepEqual(keyed({ globs: ['/a', '/bc'] }), {
    globs: [
      ['glob', 2],
      ['glob', 3],
    ],
  });
  assert.deepEqual(keyed({ metric: { lexicon: '/x' } }), { metric: { lexicon: ['file', 2] } });
  assert.deepEqual(keyed({ metric: 'f1' }), { metric: 'f1' });
});
