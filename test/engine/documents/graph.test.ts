// The graph of steps: order, cycles, subsets; and the schema for editors beside what the engine accepts.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Ajv, type ValidateFunction } from 'ajv';
import fc from 'fast-check';
import { parse } from 'yaml';
import { parseEdge } from '../../../engine/edges.ts';
import {
  cycles,
  findInstances,
  selectInstances,
  topologicalOrder,
  type Graph,
  type Subset,
} from '../../../engine/graph.ts';
import { settingNames, stepKeys, topLevelKeys } from '../../../engine/structure.ts';
import type { JsonObject } from '../../../schemas/json.ts';
import { experimentSchema } from '../../../schemas/experiment.ts';
import { experimentOf } from './analyze-text.ts';
import { fakeRegistry } from './fake-steps.ts';

const graphs: fc.Arbitrary<Graph> = fc.integer({ min: 1, max: 12 }).chain((size) =>
  fc.array(fc.uniqueArray(fc.nat(size - 1), { maxLength: 3 }), {
    minLength: size,
    maxLength: size,
  }),
);
const acyclic = graphs.map((graph): Graph =>
  graph.map((after, index) => after.filter((other) => other > index)),
);

test('the order puts every step after what it waits for, else as in the file', () => {
  fc.assert(
    fc.property(acyclic, (after) => {
      const order = topologicalOrder(after);
      assert.equal(new Set(order).size, after.length);
      const done = new Set<number>();
      for (const index of order) {
        assert.ok((after[index] ?? []).every((other) => done.has(other)));
        const free = [...after.keys()].filter(
          (other) => !done.has(other) && (after[other] ?? []).every((each) => done.has(each)),
        );
        assert.equal(index, Math.min(...free));
        done.add(index);
      }
    }),
  );
});

test('a cycle is found exactly where the order leaves steps out, and each one is a way back', () => {
  fc.assert(
    fc.property(graphs, (after) => {
      const found = cycles(after);
      assert.equal(found.length > 0, topologicalOrder(after).length < after.length);
      for (const cycle of found) {
        for (const [at, index] of cycle.entries())
          assert.ok(after[index]?.includes(cycle[(at + 1) % cycle.length] ?? -1));
        assert.equal(new Set(cycle).size, cycle.length);
      }
    }),
  );
});

test('a chain of 20,000 steps needs no deep stack', () => {
  const chain: Graph = Array.from({ length: 20_000 }, (_, index) =>
    index === 0 ? [] : [index - 1],
  );
  assert.equal(topologicalOrder(chain).length, 20_000);
  const ring: Graph = chain.map((after, index) => (index === 0 ? [19_999] : after));
  assert.equal(cycles(ring)[0]?.length, 20_000);
});

test('edges as they are written', () => {
  const all = { kind: 'all' } as const;
  assert.deepEqual(parseEdge('a-1.train'), {
    kind: 'step',
    id: 'a-1',
    output: 'train',
    selector: null,
  });
  assert.deepEqual(parseEdge('a[*].train'), {
    kind: 'step',
    id: 'a',
    output: 'train',
    selector: all,
  });
  assert.deepEqual(parseEdge('a.train[*]'), {
    kind: 'step',
    id: 'a',
    output: 'train',
    selector: all,
  });
  assert.deepEqual(parseEdge('a[r=8, on=*]'), {
    kind: 'step',
    id: 'a',
    output: null,
    selector: {
      kind: 'axes',
      axes: [
        ['r', '8'],
        ['on', '*'],
      ],
    },
  });
  assert.deepEqual(parseEdge('run:k7q2/a[r=8].out'), {
    kind: 'run',
    run: 'k7q2',
    step: 'a[r=8]',
    output: 'out',
  });
  assert.deepEqual(parseEdge('run:k7q2/a@r=8'), {
    kind: 'run',
    run: 'k7q2',
    step: 'a[r=8]',
    output: null,
  });
  for (const text of [
    '',
    'a b',
    'a[',
    'a[]',
    'a[r]',
    'a.b.c',
    './a',
    'a[*][*]',
    'run:a',
    'a[*].b[*]',
  ])
    assert.equal(parseEdge(text), null, text);
});

const diamond = `matrix: { r: [1, 2] }
steps:
  rows: { uses: load-dataset, with: { id: x } }
  left: { uses: load-dataset, with: { id: "\${matrix.r}" }, needs: rows }
  right: { uses: load-dataset, with: { id: y }, needs: rows }
  end: { uses: score, inputs: { predictions: ["left[*]", right] }, with: { metrics: [exact_match] } }
  other: { uses: load-dataset, with: { id: z } }
`;

test('subsets: named steps, what comes after, what comes before', () => {
  const experiment = experimentOf(diamond);
  const select = (subset: Subset): readonly string[] => {
    const result = selectInstances(experiment, subset);
    return result.ok ? [...result.value] : result.error.map(({ message }) => message);
  };
  assert.deepEqual(
    select({}),
    experiment.instances.map(({ name }) => name),
  );
  assert.deepEqual(select({ only: ['left'] }), ['left[r=1]', 'left[r=2]']);
  assert.deepEqual(select({ only: ['left@r=2', 'right'] }), ['left[r=2]', 'right']);
  assert.deepEqual(select({ from: ['left[r=1]'] }), ['left[r=1]', 'end']);
  assert.deepEqual(select({ until: ['left@r=1'] }), ['rows', 'left[r=1]']);
  assert.deepEqual(select({ from: ['rows'], until: ['right'] }), ['rows', 'right']);
  assert.deepEqual(select({ only: ['lfet'], until: ['left@r=3'] }), [
    'there is no step "lfet"',
    'no instance of "left" matches "left@r=3"',
  ]);
  const found = findInstances(experiment, 'left');
  assert.ok(found.ok && found.value.length === 2);
});

const editorSchema = (): { readonly schema: JsonObject; readonly validate: ValidateFunction } => {
  const types = fakeRegistry.names.flatMap((name) => fakeRegistry.get(name) ?? []);
  const schema = experimentSchema(
    types.map(({ name, summary, params, inputs }) => ({
      name,
      summary,
      params,
      inputs: Object.fromEntries(Object.keys(inputs).map((port) => [port, port])),
    })),
  );
  return { schema, validate: new Ajv({ strict: false }).compile(schema) };
};

test('the schema for editors knows the keys that the engine knows', () => {
  const { schema } = editorSchema();
  const keysOf = (value: unknown): string[] =>
    Object.keys((value as { readonly properties: object }).properties).sort();
  const { step } = schema['definitions'] as JsonObject;
  assert.deepEqual(keysOf(schema), [...topLevelKeys].sort());
  assert.deepEqual(keysOf(step), [...stepKeys].sort());
  assert.ok(settingNames.every((name) => (stepKeys as readonly string[]).includes(name)));
});

test('the schema for editors accepts what the engine accepts, and sees most of what it refuses', () => {
  const { validate } = editorSchema();
  assert.ok(validate(parse(diamond)), JSON.stringify(validate.errors));
  const references =
    'extends: ./a.yaml\nvars: { n: 1 }\nseed: "${vars.n}"\nsteps:\n  a: { uses: load-dataset, with: { take: "${vars.n}", sample: "${vars.s}" } }\n  b:\n  c: { uses: ./own.ts, with: { any: 1 } }\n';
  assert.ok(validate(parse(references)), JSON.stringify(validate.errors));
  for (const wrong of [
    'stpes: {}',
    'steps: {}',
    'steps: { a: { with: {} } }',
    'steps: { a: { uses: load-datset } }',
    'steps: { a: { uses: load-dataset, with: { tkae: 1 } } }',
    'steps: { a: { uses: load-dataset, with: { take: x } } }',
    'steps: { A: { uses: load-dataset } }',
    'steps: { a: { uses: score, inputs: { prediction: b } } }',
  ]) {
    assert.ok(!validate(parse(wrong)), wrong);
  }
});

const findProject = (): string => {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
};

test('the committed schema accepts every experiment of the project', () => {
  const root = findProject();
  const schema = JSON.parse(
    readFileSync(join(root, 'schemas/generated/experiment.schema.json'), 'utf8'),
  ) as JsonObject;
  const validate = new Ajv({ strict: false }).compile(schema);
  for (const name of readdirSync(join(root, 'experiments')).filter((file) =>
    file.endsWith('.yaml'),
  )) {
    assert.ok(
      validate(parse(readFileSync(join(root, 'experiments', name), 'utf8'))),
      `${name}: ${JSON.stringify(validate.errors)}`,
    );
  }
});
