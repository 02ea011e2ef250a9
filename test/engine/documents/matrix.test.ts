// The matrix by reference: what is distinct of the rows, and how edges join (design.md 2).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Problems } from '../../../engine/problems.ts';
import type { Matrix } from '../../../engine/matrix.ts';
import { Projections } from '../../../engine/projection.ts';
import { scalarNode } from '../../../engine/yaml-node.ts';
import { codesOf, experimentOf } from './analyze-text.ts';

const source = { kind: 'file', path: '/', shown: '', folder: '/', text: '', order: 0 } as const;

/** A table of distinct rows over up to four axes. */
const matrices: fc.Arbitrary<Matrix> = fc
  .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
  .chain((sizes) =>
    fc
      .uniqueArray(fc.tuple(...sizes.map((size) => fc.nat(size - 1))), {
        minLength: 1,
        maxLength: 30,
        selector: (row) => row.join(),
      })
      .map((rows) => ({
        axes: sizes.map((_, axis) => `a${axis}`),
        keys: [],
        values: sizes.map((size) =>
          Array.from({ length: size }, (_, value) => ({
            label: `v${value}`,
            node: scalarNode(value, `${value}`, { source, start: 0, end: 0 }),
          })),
        ),
        rows,
      })),
  );

const subset = (matrix: Matrix): fc.Arbitrary<number[]> => fc.subarray([...matrix.axes.keys()]);

test('instances are the distinct projections of the rows, in the order of the rows', () => {
  fc.assert(
    fc.property(
      matrices.chain((matrix) => fc.tuple(fc.constant(matrix), subset(matrix))),
      ([matrix, axes]) => {
        const expected = [
          ...new Set(matrix.rows.map((row) => axes.map((axis) => row[axis]).join())),
        ];
        const { instances, indexOf } = new Projections(matrix).on(axes);
        assert.deepEqual(
          instances.map((values) => values.join()),
          expected,
        );
        assert.deepEqual([...indexOf.keys()], expected);
      },
    ),
  );
});

test('projecting in two steps is projecting once, and every row has its instance', () => {
  fc.assert(
    fc.property(
      matrices.chain((matrix) => fc.tuple(fc.constant(matrix), subset(matrix), subset(matrix))),
      ([matrix, all, some]) => {
        const projections = new Projections(matrix);
        const outer = projections.on([...new Set([...all, ...some])].sort((a, b) => a - b));
        const inner = projections.on(some);
        const again = new Set(
          outer.instances.map((values) =>
            some.map((axis) => values[outer.axes.indexOf(axis)]).join(),
          ),
        );
        assert.deepEqual(again, new Set(inner.indexOf.keys()));
        for (const row of matrix.rows)
          assert.ok(inner.indexOf.has(some.map((axis) => row[axis]).join()));
      },
    ),
  );
});

const quote = (text: string): string => JSON.stringify(text);

test('an edge joins by projection; a gather takes what agrees on the other axes', () => {
  const axisSets = fc.subarray(['x', 'y', 'z']);
  const sizes = fc.record({
    x: fc.integer({ min: 1, max: 3 }),
    y: fc.integer({ min: 1, max: 3 }),
    z: fc.integer({ min: 1, max: 2 }),
  });
  fc.assert(
    fc.property(
      sizes,
      axisSets,
      axisSets,
      fc.constantFrom('x', 'y', 'z', 'all', 'none'),
      (counts, producer, own, gather) => {
        const seedOf = (axes: readonly string[]): string =>
          quote(`d${axes.map((axis) => `-\${matrix.${axis}}`).join('')}`);
        const gathers = gather === 'all' ? producer.length > 0 : producer.includes(gather);
        const selector = !gathers ? '' : gather === 'all' ? '[*]' : `[${gather}=*]`;
        const text = [
          'matrix:',
          ...Object.entries(counts).map(
            ([axis, count]) =>
              `  ${axis}: [${Array.from({ length: count }, (_, i) => i).join(', ')}]`,
          ),
          'steps:',
          `  rows: { uses: load-dataset, with: { id: ${seedOf(producer)} } }`,
          `  scores: { uses: score, inputs: { predictions: ${quote(`rows${selector}`)} }, with: { metrics: [exact_match] }, timeout: ${quote(`1${own.map((axis) => `\${matrix.${axis}}`).join('')}s`)} }`,
        ].join('\n');
        const { instances } = experimentOf(text);
        const rows = instances.filter(({ id }) => id === 'rows');
        const scores = instances.filter(({ id }) => id === 'scores');
        const taken = gather === 'all' ? producer : gathers ? [gather] : [];
        const axes = ['x', 'y', 'z'].filter(
          (axis) => own.includes(axis) || (producer.includes(axis) && !taken.includes(axis)),
        );
        const product = (names: readonly string[]): number =>
          names.reduce((total, axis) => total * counts[axis as 'x'], 1);
        assert.equal(rows.length, product(producer));
        assert.equal(scores.length, product(axes));
        for (const score of scores) {
          assert.deepEqual(Object.keys(score.axes), axes);
          const shared = producer.filter((axis) => axes.includes(axis) && !taken.includes(axis));
          const expected = rows.filter((row) =>
            shared.every((axis) => row.axes[axis] === score.axes[axis]),
          );
          const edges = score.inputs['predictions'] ?? [];
          assert.deepEqual(
            edges.map((edge) => edge.kind === 'step' && edge.from),
            expected.map(({ name }) => name),
          );
          const labels = expected.map((row) =>
            taken.length === 0
              ? null
              : ['x', 'y', 'z']
                  .filter((axis) => taken.includes(axis))
                  .map((axis) => `${axis}=${Number(row.axes[axis])}`)
                  .join(),
          );
          assert.deepEqual(
            edges.map(({ label }) => label),
            labels,
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});

const rowsStep = (id: string): string =>
  `steps:\n  rows: { uses: load-dataset, with: { id: ${quote(id)} } }\n`;
const names = (text: string): readonly string[] =>
  experimentOf(text).instances.map(({ name }) => name);

test('include adds rows, exclude takes them away, both by label', () => {
  assert.deepEqual(
    names(
      `matrix:\n  r: [8, 16]\n  on: [a, b]\n  exclude: [{ r: 8, on: b }]\n  include: [{ r: 4, on: a }]\n${rowsStep('${matrix.r}-${matrix.on}')}`,
    ),
    ['rows[r=8,on=a]', 'rows[r=16,on=a]', 'rows[r=16,on=b]', 'rows[r=4,on=a]'],
  );
  assert.deepEqual(
    names(`matrix:\n  include: [{ r: 1, k: a }, { r: 2, k: a }]\n${rowsStep('${matrix.r}')}`),
    ['rows[r=1]', 'rows[r=2]'],
  );
});

test('a value may be a map with a name, or a list', () => {
  const { instances } = experimentOf(
    `matrix:\n  model: [{ name: small, id: org/s }, { name: large, id: org/l }]\n${rowsStep('${matrix.model.id}')}`,
  );
  assert.deepEqual(
    instances.map(({ name, params }) => [name, params['id']]),
    [
      ['rows[model=small]', 'org/s'],
      ['rows[model=large]', 'org/l'],
    ],
  );
  const lists = `matrix:\n  m: [[q, v], [q]]\nsteps:\n  a: { uses: load-dataset, with: { path: "\${matrix.m}" } }\n`;
  assert.deepEqual(names(lists), ['a[m=q+v]', 'a[m=q]']);
});

test('an axis reaches a step through variables', () => {
  assert.deepEqual(
    names(`vars: { id: "d-\${matrix.r}" }\nmatrix: { r: [1, 2] }\n${rowsStep('${vars.id}')}`),
    ['rows[r=1]', 'rows[r=2]'],
  );
});

test('values of the matrix may come from variables, but not from the matrix', () => {
  assert.deepEqual(
    names(`vars: { ranks: [1, 2] }\nmatrix: { r: "\${vars.ranks}" }\n${rowsStep('${matrix.r}')}`),
    ['rows[r=1]', 'rows[r=2]'],
  );
  assert.ok(
    codesOf(
      `vars: { v: "\${matrix.r}" }\nmatrix: { r: ["\${vars.v}"] }\n${rowsStep('${matrix.r}')}`,
    ).includes('E223'),
  );
});

test('a seed sweep repeats only what names the seed', () => {
  const text = `matrix: { seed: [1, 2, 3] }
steps:
  base: { uses: load-model, with: { source: hub, id: a } }
  rows: { uses: load-dataset, with: { id: a } }
  data: { uses: format, inputs: { rows: rows }, with: { template: mcq-letter } }
  adapter: { uses: lora-train, inputs: { model: base, data: data }, seed: "\${matrix.seed}" }
`;
  const { instances } = experimentOf(text);
  assert.deepEqual(
    instances.map(({ name, seed }) => [name, seed]),
    [
      ['base', 0],
      ['rows', 0],
      ['data', 0],
      ['adapter[seed=1]', 1],
      ['adapter[seed=2]', 2],
      ['adapter[seed=3]', 3],
    ],
  );
  const [first, second] = instances.slice(3);
  assert.equal(first?.params, second?.params, 'parameters are checked once for all seeds');
});

test('needs waits for all instances that agree, without becoming an axis', () => {
  const text = `matrix: { r: [1, 2] }
steps:
  a: { uses: load-dataset, with: { id: "\${matrix.r}" } }
  b: { uses: load-dataset, with: { id: x }, needs: a }
  c: { uses: load-dataset, with: { id: "\${matrix.r}" }, needs: [a] }
`;
  const { instances } = experimentOf(text);
  assert.deepEqual(Object.fromEntries(instances.map(({ name, needs }) => [name, needs])), {
    'a[r=1]': [],
    'a[r=2]': [],
    b: ['a[r=1]', 'a[r=2]'],
    'c[r=1]': ['a[r=1]'],
    'c[r=2]': ['a[r=2]'],
  });
});

test('problems are reported once, however many instances have them', () => {
  const problems = new Problems();
  for (let i = 0; i < 3; i += 1) problems.add('E301', { source, start: 0, end: 0 }, 'same');
  assert.equal(problems.inFileOrder().length, 1);
  assert.deepEqual(
    codesOf(
      `matrix: { r: [1, 2, 3] }\nsteps:\n  a: { uses: load-dataset, with: { id: "\${matrix.r}", take: 0 } }\n`,
    ),
    ['E305'],
  );
});
