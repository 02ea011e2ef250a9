// Every rule of the gradient table against central differences of the graph itself, on the runtime, in fp32: a
// five-point stencil (error h^4) with h = 0.04, and agreement within 3e-4 of the largest gradient in the case.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../tensor/builder.ts';
import { gradient, gradientRules, vectorJacobian } from '../../tensor/gradient.ts';
import { lazily } from '../../tensor/gradients/rule.ts';
import type { Value } from '../../tensor/graph.ts';
import { GraphError } from '../../tensor/graph.ts';
import type { OpKind } from '../../tensor/ops.ts';
import type { Feed } from '../../tensor/session.ts';
import { createSession } from '../../tensor/session.ts';
import type { GradientCase } from './gradient-cases.ts';
import { gradientCases } from './gradient-cases.ts';
import { noise } from './numbers.ts';

const step = 0.04;
const tolerance = 3e-4;

const size = (shape: readonly number[]): number => shape.reduce((p, d) => p * d, 1);

async function checkCase(kind: OpKind, example: GradientCase): Promise<void> {
  const b = new GraphBuilder();
  const values: Record<string, Value> = {};
  const feeds: Record<string, Feed> = {};
  const numbers = noise(kind.length * 31 + Object.keys(example.inputs).length);
  const map = example.map ?? ((value: number) => value);
  for (const [name, shape] of Object.entries(example.inputs)) {
    values[name] = b.input(name, 'float32', shape);
    const sizes = shape.map((dim) => (typeof dim === 'number' ? dim : example.dims![dim]!));
    const data = Float32Array.from({ length: size(sizes) }, (_, i) =>
      map(3 * numbers() - 1.5, name, i),
    );
    feeds[name] = { data, shape: sizes };
  }
  const outputs = example.build(b, values);
  assert.ok(
    b.tape.some((entry) => entry.kind === kind),
    `the case has no ${kind}`,
  );
  outputs.forEach((value, i) => b.output(`y${i}`, value));
  // The loss weighs every element of every output differently.
  const seeds = outputs.map((value, i) => ({
    value,
    gradient: b.input(`dy${i}`, 'float32', value.shape),
  }));
  const names = Object.keys(example.inputs);
  const wanted = vectorJacobian(
    b,
    seeds,
    names.map((name) => values[name]!),
  );
  names.forEach((name, i) => b.output(`d ${name}`, wanted[i]!));
  // The gradients' inputs aren't known before the outputs' sizes are: a first graph finds those.
  const forward = new GraphBuilder();
  const again: Record<string, Value> = {};
  for (const name of names) again[name] = forward.input(name, 'float32', values[name]!.shape);
  example.build(forward, again).forEach((value, i) => forward.output(`y${i}`, value));
  const model = await createSession(forward.build());
  const first = await model.run(feeds);
  const weights = outputs.map((_, i) =>
    Float32Array.from(first[`y${i}`]!.data as Float32Array, () => numbers() + 0.5),
  );
  const loss = async (): Promise<number> => {
    const result = await model.run(feeds);
    return weights.reduce((sum, weight, i) => {
      const y = result[`y${i}`]!.data as Float32Array;
      return sum + weight.reduce((s, w, j) => s + w * y[j]!, 0);
    }, 0);
  };
  const backward = await createSession(b.build());
  const gradientFeeds = Object.fromEntries(
    weights.map((data, i) => [`dy${i}`, { data, shape: first[`y${i}`]!.shape }]),
  );
  const analytic = await backward.run({ ...feeds, ...gradientFeeds });
  for (const name of names) {
    const data = feeds[name]!.data as Float32Array;
    const found = analytic[`d ${name}`]!;
    assert.deepEqual(found.shape, feeds[name]!.shape);
    const numeric = new Float64Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const centre = data[i]!;
      const at = async (offset: number): Promise<[number, number]> => {
        data[i] = centre + offset;
        return [await loss(), data[i]! - centre];
      };
      const [[f2, x2], [f1, x1]] = [await at(2 * step), await at(step)];
      const [[g1, w1], [g2, w2]] = [await at(-step), await at(-2 * step)];
      data[i] = centre;
      numeric[i] = (4 / 3) * ((f1 - g1) / (x1 - w1)) - (1 / 3) * ((f2 - g2) / (x2 - w2));
    }
    const scale = numeric.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-2);
    numeric.forEach((value, i) => {
      const error = Math.abs(value - (found.data as Float32Array)[i]!);
      assert.ok(
        error <= tolerance * scale,
        `d ${name}[${i}]: ${(found.data as Float32Array)[i]} but differences say ${value}`,
      );
    });
  }
  await model.release();
  await backward.release();
}

async function run(
  b: GraphBuilder,
  feeds: Record<string, Feed>,
): Promise<Record<string, number[]>> {
  const session = await createSession(b.build());
  const result = await session.run(feeds);
  await session.release();
  return Object.fromEntries(
    Object.entries(result).map(([name, { data }]) => [name, Array.from(data, Number)]),
  );
}

const vector = (...data: number[]): Feed => ({
  data: Float32Array.from(data),
  shape: [data.length],
});

describe('the walk', () => {
  test('sums over every use and leaves what is not wanted alone', async () => {
    const b = new GraphBuilder();
    const [x, frozen] = [b.input('x', 'float32', [2]), b.input('frozen', 'float32', [2])];
    const loss = b.reduceSum(b.add(b.mul(x, x), b.mul(b.exp(frozen), x)));
    const before = b.tape.length;
    const [dx] = gradient(b, loss, [x]);
    const made = b.tape.slice(before).map((entry) => entry.kind);
    assert.ok(!made.includes('exp'), 'no gradient is built for a frozen value');
    b.output('dx', dx!);
    const result = await run(b, { x: vector(1, 2), frozen: vector(0, 0) });
    assert.deepEqual(result['dx'], [3, 5]);
  });

  test('a composite uses its own rule and hides its nodes', async () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [2]);
    const [y] = b.composite(
      'half',
      [x],
      () => [b.round(x)],
      ([dy]) => [lazily(() => b.mul(dy!, 0.5))],
    );
    const [dx] = gradient(b, b.reduceSum(b.mul(y, y)), [x]);
    b.output('dx', dx!);
    assert.deepEqual((await run(b, { x: vector(1.2, 2.9) }))['dx'], [1, 3]);
  });

  test('a gradient through an operator that has none, or to a value without influence, is an error', () => {
    const b = new GraphBuilder();
    const [x, other] = [b.input('x', 'float32', [2]), b.input('other', 'float32', [2])];
    const rounded = b.scope('layers.3', () => b.reduceSum(b.round(x)));
    assert.throws(
      () => gradient(b, rounded, [x]),
      (error: GraphError) => {
        assert.match(error.message, /layers\.3\/round: round has no gradient/);
        return error instanceof GraphError;
      },
    );
    assert.throws(() => gradient(b, b.reduceSum(x), [other]), /other has no influence on the loss/);
    assert.throws(() => gradient(b, x, [x]), /x \[2\] isn't a scalar loss/);
  });

  test('a stage puts the nodes of a leaf after all others', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [2, 3]);
    const weights = [0, 1, 2].map((i) => b.input(`w${i}`, 'float32', [3, 3]));
    const top = weights.reduce((value, w) => b.tanh(b.matmul(value, w)), x);
    const stageOf = (leaf: Value): number => 1 + weights.indexOf(leaf);
    gradient(b, b.reduceSum(top), weights, { stageOf }).forEach((g, i) => b.output(`d${i}`, g));
    const names = new Map(b.build().outputs.map(({ name, value }) => [value, name]));
    const order = b.build().nodes.map((node) => names.get(node.outputs[0]!) ?? 'inner');
    assert.deepEqual(order.slice(-3), ['d0', 'd1', 'd2']);
    assert.ok(order.slice(0, -3).every((name) => name === 'inner'));
  });
});

describe('every gradient rule equals central differences', () => {
  for (const [kind, rule] of Object.entries(gradientRules)) {
    const cases = gradientCases[kind as OpKind];
    if (cases === 'none') {
      test(`${kind} has none`, () => assert.equal(rule, 'nondifferentiable'));
      continue;
    }
    assert.notEqual(rule, 'nondifferentiable', kind);
    assert.ok(cases.length > 0);
    for (const example of cases) {
      test(`${kind} ${example.name ?? ''}`.trim(), () => checkCase(kind as OpKind, example));
    }
  }
});
