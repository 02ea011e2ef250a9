import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../tensor/builder.ts';
import { GraphError } from '../../tensor/graph.ts';
import { serialize } from '../../tensor/onnx.ts';
import { createSession } from '../../tensor/session.ts';

const broken = (build: (b: GraphBuilder) => unknown): string => {
  try {
    build(new GraphBuilder());
  } catch (error) {
    assert.ok(error instanceof GraphError, String(error));
    return error.message;
  }
  assert.fail('the graph was accepted');
};

describe('building', () => {
  test('an error names the operator, its scope, the reason and every input', () => {
    const message = broken((b) => {
      const x = b.input('x', 'float32', ['B', 'T', 64]);
      const w = b.external('w', 'float32', [32, 48], { path: '/w', offset: 0, bytes: 32 * 48 * 4 });
      b.scope('layers.3', () => b.scope('attn', () => b.fusedMatMul(x, w, { transB: true })));
    });
    assert.equal(
      message,
      'layers.3.attn/fusedMatMul: the inner dimensions 64 and 48 differ (inputs: x float32 [B, T, 64]; w float32 [32, 48])',
    );
  });

  const refusals: [name: string, build: (b: GraphBuilder) => unknown, message: RegExp][] = [
    [
      'mixed dtypes',
      (b) => b.add(b.input('x', 'float32', [2]), b.input('y', 'float16', [2])),
      /add: float32 and float16 don't mix; cast one of them/,
    ],
    [
      'an axis outside the shape',
      (b) => b.softmax(b.input('x', 'float32', [2, 3]), 2),
      /softmax: axis 2 is outside a shape of rank 2/,
    ],
    [
      'a sine of integers',
      (b) => b.sin(b.input('x', 'int64', [2])),
      /sin: needs a float, not int64/,
    ],
    [
      'float indices',
      (b) => b.gather(b.input('x', 'float32', [4]), b.input('i', 'float32', [1])),
      /indices must be int32 or int64, not float32/,
    ],
    [
      'a slice past the end',
      (b) => b.slice(b.input('x', 'float32', [4]), 0, 1, 5),
      /1\.\.5 is outside the 4 elements of axis 0/,
    ],
    [
      'parts that do not add up',
      (b) => b.split(b.input('x', 'float32', [4]), 0, [1, 2]),
      /parts \[1, 2\] don't add up to 4/,
    ],
    [
      'a dimension nobody feeds',
      (b) => b.full(0, 'float32', ['Q', 2]),
      /no input has a dimension Q/,
    ],
    [
      'a range of the wrong size',
      (b) => b.external('w', 'float32', [2, 2], { path: '/w', offset: 0, bytes: 15 }),
      /w: float32 \[2, 2\] isn't 15 bytes of \/w/,
    ],
    [
      'a constant of the wrong length',
      (b) => b.constant([1, 2, 3], 'float32', [2]),
      /constant float32 \[2\] can't be made of 3 numbers/,
    ],
    [
      'one name twice',
      (b) => [b.input('x', 'float32', [2]), b.input('x', 'float32', [2])],
      /two values are named x/,
    ],
    [
      'a value of another graph',
      (b) => b.neg(new GraphBuilder().input('x', 'float32', [2])),
      /x belongs to another builder/,
    ],
    ['nothing to compute', (b) => b.build(), /the graph has no outputs/],
    [
      'a stage that runs too early',
      (b) => {
        const y = b.stage(2, () => b.neg(b.input('x', 'float32', [2])));
        b.output('z', b.exp(y));
        b.build();
      },
      /exp runs before neg, whose result it reads: its stage is too low/,
    ],
    [
      'a packed weight of another shape',
      (b) =>
        b.matMulNBits(
          b.input('x', 'float32', [1, 32]),
          {
            data: b.input('d', 'uint8', [4, 2, 16]),
            scales: b.input('s', 'float32', [4, 2]),
          },
          { n: 4, k: 32, bits: 4, blockSize: 16, accuracy: 1 },
        ),
      /the packed weight must be \[4, 2, 8\], not \[4, 2, 16\]/,
    ],
  ];
  for (const [name, build, message] of refusals) {
    test(`refuses ${name}`, () => assert.match(broken(build), message));
  }

  test('what no output needs is left out, and equal constants are one', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [2]);
    b.exp(b.add(x, 7));
    b.output('y', b.mul(b.add(x, 2), 2));
    const graph = b.build();
    assert.deepEqual(
      graph.nodes.map((node) => node.kind),
      ['add', 'mul'],
    );
    assert.equal(graph.initializers.length, 1);
  });

  test('a size first asked for in a late stage serves the early ones', async () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', ['T', 2]);
    const late = b.stage(3, () => b.full(1, 'float32', ['T+1', 2]));
    b.output('early', b.full(2, 'float32', ['T+1', 2]));
    b.output('late', late);
    b.output('x again', b.neg(x));
    const session = await createSession(b.build());
    const result = await session.run({ x: { data: new Float32Array(4), shape: [2, 2] } });
    await session.release();
    assert.deepEqual(result['early']?.shape, [3, 2]);
    assert.deepEqual(result['late']?.shape, [3, 2]);
  });

  test('names are unique, and follow the scopes', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [2]);
    const [first, second] = b.scope('layers.0', () => [b.neg(x), b.neg(x)]);
    assert.equal(first.name, 'layers.0/neg');
    assert.equal(second.name, 'layers.0/neg_2');
    assert.equal(b.path, '');
  });
});

const sample = (): GraphBuilder => {
  const b = new GraphBuilder();
  const x = b.input('x', 'float32', ['B', 'T', 4]);
  const w = b.initializer('w', 'float32', [3, 4]);
  const y = b.scope('mlp', () => b.silu(b.fusedMatMul(x, w, { transB: true })));
  b.output('y', y);
  b.output('sizes', b.sizes(['T+2', 5, 'B*T']));
  return b;
};

describe('the model', () => {
  test('equal graphs give equal bytes', () => {
    assert.deepEqual(serialize(sample().build()), serialize(sample().build()));
    const other = sample();
    other.output('more', other.constant(1));
    assert.notDeepEqual(serialize(sample().build()), serialize(other.build()));
  });

  test('an input, a constant and a value with two names can all be outputs', async () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [2]);
    const y = b.neg(x);
    for (const [name, value] of Object.entries({ same: x, one: b.constant(1), y, again: y })) {
      b.output(name, value);
    }
    const session = await createSession(b.build());
    const result = await session.run({ x: { data: Float32Array.of(1, 2), shape: [2] } });
    await session.release();
    assert.deepEqual(
      Object.fromEntries(Object.entries(result).map(([name, { data }]) => [name, [...data]])),
      { same: [1, 2], one: [1], y: [-1, -2], again: [-1, -2] },
    );
  });

  test('an output may be named as an inner value is', async () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [1]);
    b.output('exp', b.neg(b.exp(x)));
    const session = await createSession(b.build());
    const { exp } = await session.run({ x: { data: Float32Array.of(0), shape: [1] } });
    await session.release();
    assert.deepEqual([...exp!.data], [-1]);
  });

  test('named dimensions are computed from what is fed', async () => {
    const session = await createSession(sample().build(), {
      initializers: { w: new Float32Array(12) },
    });
    const result = await session.run({ x: { data: new Float32Array(24), shape: [2, 3, 4] } });
    await session.release();
    assert.deepEqual([...result['sizes']!.data], [5n, 5n, 6n]);
    assert.deepEqual(result['y']!.shape, [2, 3, 3]);
  });
});
