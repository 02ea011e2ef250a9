// Sessions: weights mapped from where they lie, what is refused and how, and each of the runtime's traps, shown to be
// real with our defence off and harmless with it on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { GraphBuilder } from '../../tensor/builder.ts';
import type { DType, TensorData } from '../../tensor/dtype.ts';
import { float16ToFloat32, float32ToFloat16, fromNumbers } from '../../tensor/dtype.ts';
import type { Value } from '../../tensor/graph.ts';
import type { Session, SessionOptions } from '../../tensor/session.ts';
import {
  SessionError,
  availableDevices,
  createSession,
  runtimeVersion,
} from '../../tensor/session.ts';
import { normalish } from './numbers.ts';

const folder = mkdtempSync(join(tmpdir(), 'mesa-tensor-'));
after(() => rmSync(folder, { recursive: true }));

const bytesOf = (data: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** A safetensors file with these tensors; answers where each lies. */
function safetensors(
  name: string,
  tensors: Record<string, { dtype: DType; shape: number[]; data: TensorData }>,
): (b: GraphBuilder, tensor: string) => Value {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const [key, { dtype, shape, data }] of Object.entries(tensors)) {
    const end = offset + data.byteLength;
    header[key] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const parts = Object.values(tensors).map(({ data }) => bytesOf(data));
  const path = join(folder, `${name}.safetensors`);
  writeFileSync(path, Buffer.concat([length, text, ...parts]));
  return (b, tensor) => {
    const { dtype, shape, data } = tensors[tensor]!;
    const [start] = (header[tensor] as { data_offsets: [number, number] }).data_offsets;
    const at = 8 + text.length + start;
    return b.external(tensor, dtype, shape, { path, offset: at, bytes: data.byteLength });
  };
}

const failure = async (promise: Promise<unknown>): Promise<SessionError> => {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof SessionError, String(error));
    return error;
  }
  assert.fail('it was accepted');
};

describe('weights', () => {
  test('are mapped from a safetensors file at any byte offset', async () => {
    const odd = Uint8Array.of(1, 2, 3);
    const weight = normalish(12, 1);
    const half = Uint16Array.from(normalish(12, 2), float32ToFloat16);
    const mapped = safetensors('odd', {
      odd: { dtype: 'uint8', shape: [3], data: odd },
      weight: { dtype: 'float32', shape: [3, 4], data: weight },
      half: { dtype: 'float16', shape: [3, 4], data: half },
    });
    const b = new GraphBuilder();
    b.output('negative', b.neg(mapped(b, 'weight')));
    b.output('from half', b.neg(b.cast(mapped(b, 'half'), 'float32')));
    b.output('from odd', b.cast(mapped(b, 'odd'), 'float32'));
    const session = await createSession(b.build());
    const result = await session.run({});
    await session.release();
    assert.deepEqual(
      result['negative']!.data,
      weight.map((v) => -v),
    );
    assert.deepEqual(
      [...result['from half']!.data],
      Array.from(half, (bits) => -float16ToFloat32(bits)),
    );
    assert.deepEqual([...result['from odd']!.data], [1, 2, 3]);
  });

  test('in memory work alone and beside mapped ones', async () => {
    const mapped = safetensors('beside', {
      w: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) },
    });
    for (const beside of [false, true]) {
      const b = new GraphBuilder();
      const memory = b.initializer('m', 'float32', [2]);
      b.output('y', beside ? b.add(memory, mapped(b, 'w')) : b.neg(memory));
      const session = await createSession(b.build(), {
        initializers: { m: Float32Array.of(5, 6) },
      });
      const { y } = await session.run({});
      await session.release();
      assert.deepEqual([...y!.data], beside ? [6, 8] : [-5, -6]);
    }
  });

  test('that are missing, or end past the file, are an error that says so', async () => {
    const b = new GraphBuilder();
    const range = { path: join(folder, 'none.safetensors'), offset: 0, bytes: 8 };
    b.output('y', b.neg(b.external('w', 'float32', [2], range)));
    assert.match((await failure(createSession(b.build()))).message, /none\.safetensors/);
    const c = new GraphBuilder();
    c.output('y', c.neg(c.initializer('m', 'float32', [2])));
    assert.match((await failure(createSession(c.build()))).message, /initialiser m isn't given/);
  });
});

const double = (): GraphBuilder => {
  const b = new GraphBuilder();
  const ids = b.input('ids', 'int64', ['B', 'T']);
  const mask = b.input('mask', 'float32', ['B', 'T']);
  b.output('y', b.mul(b.cast(ids, 'float32'), mask));
  b.output('n', b.reduceSum(mask));
  return b;
};

describe('runs', () => {
  const session = createSession(double().build());
  after(async () => (await session).release());
  const ids = (...shape: number[]) => ({
    data: new BigInt64Array(shape.reduce((p, d) => p * d, 1)).fill(3n),
    shape,
  });
  const mask = (...shape: number[]) => ({
    data: new Float32Array(shape.reduce((p, d) => p * d, 1)).fill(2),
    shape,
  });

  test('fetch all outputs, or those asked for', async () => {
    const all = await (await session).run({ ids: ids(1, 2), mask: mask(1, 2) });
    assert.deepEqual([...all['y']!.data], [6, 6]);
    const one = await (await session).run({ ids: ids(1, 2), mask: mask(1, 2) }, { fetches: ['n'] });
    assert.deepEqual(Object.keys(one), ['n']);
  });

  test('write into a given buffer, an input itself included', async () => {
    const b = new GraphBuilder();
    const state = b.input('state', 'float32', [2]);
    b.output('next', b.add(state, 1));
    const counter = await createSession(b.build());
    const feed = { data: Float32Array.of(0, 10), shape: [2] };
    for (let i = 0; i < 3; i++) {
      const { next } = await counter.run({ state: feed }, { into: { next: feed } });
      assert.equal(next, feed);
    }
    await counter.release();
    assert.deepEqual([...feed.data], [3, 13]);
  });

  const refusals: [string, Parameters<Session['run']>[0], RegExp][] = [
    ['a missing feed', { ids: ids(1, 2) }, /input mask isn't fed/],
    ['an unknown feed', { ids: ids(1, 2), mask: mask(1, 2), x: mask(1) }, /no input x/],
    [
      'sizes that disagree',
      { ids: ids(1, 2), mask: mask(1, 3) },
      /mask: \[1, 3\] isn't \[B, T\] where B = 1, T = 2/,
    ],
    ['another rank', { ids: ids(1, 2), mask: mask(2) }, /mask: \[2\] isn't \[B, T\]/],
    [
      'the wrong array',
      { ids: mask(1, 2), mask: mask(1, 2) },
      /ids: int64 isn't held in a Float32Array/,
    ],
    [
      'too few numbers',
      { ids: { data: new BigInt64Array(3), shape: [2, 2] }, mask: mask(2, 2) },
      /ids: 3 numbers don't fill \[2, 2\]/,
    ],
  ];
  for (const [name, feeds, message] of refusals) {
    test(`refuse ${name}`, async () => {
      const error = await failure((await session).run(feeds));
      assert.equal(error.code, 'bad-feed');
      assert.match(error.message, message);
    });
  }

  test('carry float16 as bit patterns', async () => {
    const b = new GraphBuilder();
    b.output('y', b.cast(b.cast(b.input('x', 'float16', [3]), 'float32'), 'float16'));
    const halves = await createSession(b.build());
    const data = fromNumbers('float16', [1, -0.333, 65504]);
    const { y } = await halves.run({ x: { data, shape: [3] } });
    await halves.release();
    assert.ok(y!.data instanceof Uint16Array);
    assert.deepEqual(y!.data, data);
  });

  test('after release are an error, not a crash', async () => {
    const gone = await createSession(double().build());
    await gone.release();
    await gone.release();
    const error = await failure(gone.run({ ids: ids(1, 1), mask: mask(1, 1) }));
    assert.equal(error.code, 'released');
  });
});

describe('devices', () => {
  test('the CPU is there and the runtime knows its version', () => {
    assert.ok(availableDevices().includes('cpu'));
    assert.match(runtimeVersion(), /^\d+\.\d+\.\d+/);
  });

  test('one that is not there is an error that says which are', async () => {
    const device = process.platform === 'darwin' ? 'dml' : 'coreml';
    const error = await failure(createSession(double().build(), { device }));
    assert.equal(error.code, 'device-missing');
    assert.match(error.message, new RegExp(`no device ${device} \\(onnxruntime-node .* has cpu`));
  });

  test('bfloat16 does not go in or out', async () => {
    const b = new GraphBuilder();
    b.output('y', b.cast(b.input('x', 'bfloat16', [2]), 'float32'));
    assert.match(
      (await failure(createSession(b.build()))).message,
      /x: bfloat16 can't go in or out/,
    );
  });
});

/** Anonymous memory in MB that creating a session costs, measured in a process of its own. */
function grown(setup: 'bfloat16' | 'float32', options: SessionOptions): number {
  const script = join(import.meta.dirname, `session-memory${extname(import.meta.filename)}`);
  const argv = [script, setup, join(folder, `${setup}.bin`), JSON.stringify(options)];
  return Number(execFileSync(process.execPath, argv, { encoding: 'utf8' }));
}

describe('traps', () => {
  test('unpacking and multiplying stays exact: activations are not rounded to int8', async () => {
    const [n, k] = [16, 64];
    const x = normalish(4 * k, 3);
    const codes = Int8Array.from({ length: n * k }, (_, i) => ((i * 37) % 15) - 7);
    const build = (): GraphBuilder => {
      const b = new GraphBuilder();
      const weight = b.dequantizeLinear(
        b.constant(fromNumbers('int4', codes), 'int4', [k, n]),
        b.constant(new Array<number>((k / 32) * n).fill(0.1), 'float32', [k / 32, n]),
        { axis: 0, blockSize: 32 },
      );
      b.output('y', b.matmul(b.input('x', 'float32', [4, k]), weight));
      return b;
    };
    const worst = async (options: SessionOptions): Promise<number> => {
      const session = await createSession(build().build(), {
        disabledOptimizers: ['ConstantFolding'],
        ...options,
      });
      const { y } = await session.run({ x: { data: x, shape: [4, k] } });
      await session.release();
      return Math.max(
        ...Array.from(y!.data as Float32Array, (value, at) => {
          let sum = 0;
          for (let i = 0; i < k; i++) {
            sum += x[Math.floor(at / n) * k + i]! * codes[i * n + (at % n)]! * 0.1;
          }
          return Math.abs(value - sum);
        }),
      );
    };
    assert.ok((await worst({})) < 1e-5);
    const careless = await worst({ extra: { 'session.qdq_matmulnbits_accuracy_level': '4' } });
    assert.ok(careless > 1e-3, `the trap is gone (${careless}): the option may go too`);
  });

  test('numbers too small for a full mantissa are zero, on every thread', async () => {
    const g = new GraphBuilder();
    g.output('y', g.mul(g.input('x', 'float32', ['N']), 1e-10));
    const session = await createSession(g.build(), { threads: 2 });
    const length = 1 << 20;
    const x = new Float32Array(length).fill(1e-30);
    const { y } = await session.run({ x: { data: x, shape: [length] } });
    await session.release();
    // By their bits: on this thread such a number would count as 0 in a comparison, too.
    const { buffer, byteOffset } = y!.data;
    assert.ok(new Uint32Array(buffer, byteOffset, length).every((bits) => bits === 0));
  });

  for (const dtype of ['int8', 'uint8'] as const)
    test(`the largest products of uint8 and ${dtype} are exact`, async () => {
      const [m, k, n] = [5, 96, 48];
      const g = new GraphBuilder();
      const codes = g.input('x', 'uint8', ['M', k]);
      const weight = {
        data: g.initializer('w', dtype, [n, k]),
        scales: g.initializer('s', 'float32', [n]),
      };
      g.output(
        'y',
        g.qGemm({ data: codes, scale: g.constant(1), zero: g.constant(128, 'uint8') }, weight),
      );
      const session = await createSession(g.build(), {
        initializers: {
          w: dtype === 'int8' ? new Int8Array(n * k).fill(-127) : new Uint8Array(n * k).fill(1),
          s: new Float32Array(n).fill(1),
        },
      });
      const data = new Uint8Array(m * k).fill(255);
      const { y } = await session.run({ x: { data, shape: [m, k] } });
      await session.release();
      assert.ok(y!.data.every((value) => value === -127 * 127 * k));
    });

  const linux = { skip: process.platform === 'linux' ? false : 'reads /proc' };

  test('half-precision weights are not expanded when a session is created', linux, () => {
    const folded = grown('bfloat16', {
      prepack: false,
      extra: { 'optimization.disable_specified_optimizers': '' },
    });
    assert.ok(folded > 60, `folding 32 MB to 64 took ${folded} MB: the trap is gone`);
    const kept = grown('bfloat16', { prepack: false });
    assert.ok(kept < 20, `32 MB in half precision took ${kept} MB`);
  });

  test('without prepacking a mapped weight costs no memory of its own', linux, () => {
    const packed = grown('float32', {});
    assert.ok(packed > 60, `packing 64 MB took ${packed} MB`);
    const mapped = grown('float32', { prepack: false });
    assert.ok(mapped < 20, `64 MB mapped took ${mapped} MB`);
  });
});
