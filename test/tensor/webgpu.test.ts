// Every operator on the WebGPU provider, with falling back to the CPU forbidden: what runs must give the CPU's numbers,
// and what doesn't run must be what lower.ts says. Needs an adapter (adapter.ts).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../tensor/builder.ts';
import { fromNumbers } from '../../tensor/dtype.ts';
import { gradient } from '../../tensor/gradient.ts';
import { fallbacks, webgpuLacks } from '../../tensor/lower.ts';
import type { OpKind } from '../../tensor/ops.ts';
import type { Device, Feed, SessionOptions } from '../../tensor/session.ts';
import { createSession } from '../../tensor/session.ts';
import { noAdapter } from './adapter.ts';
import { normalish } from './numbers.ts';
import { opCases } from './op-cases.ts';

const strict: SessionOptions = {
  device: 'webgpu',
  optimization: 'disabled',
  extra: { 'session.disable_cpu_ep_fallback': '1' },
};

describe('webgpu', { skip: noAdapter }, () => {
  // Cases whose operator has a kernel but whose other parts (bfloat16, int64 sums) don't.
  const mixed = new Set(['cast']);

  for (const [kind, cases] of Object.entries(opCases) as [OpKind, (typeof opCases)[OpKind]][]) {
    if (mixed.has(kind)) continue;
    test(kind, async () => {
      for (const example of cases) {
        const b = new GraphBuilder();
        const feeds: Record<string, Feed> = {};
        const inputs = example.given.map(({ dtype, shape, data }, i) => {
          feeds[`x${i}`] = { data: fromNumbers(dtype, data), shape };
          return b.input(`x${i}`, dtype, shape);
        });
        example.build(b, inputs).forEach((value, i) => b.output(`y${i}`, value));
        const graph = b.build();
        if (fallbacks(graph, 'webgpu').includes(kind)) {
          await assert.rejects(createSession(graph, strict), /fallback to CPU EP/);
          continue;
        }
        const session = await createSession(graph, strict);
        const result = await session.run(feeds);
        await session.release();
        example.expected.forEach((expected, i) => {
          // The driver's sine and cosine are good to 2e-4 (WGSL asks for 2^-11).
          Array.from(result[`y${i}`]!.data, Number).forEach((number, at) => {
            const scale = Math.max(1, Math.abs(expected[at]!));
            const error = Math.abs(number - expected[at]!) / scale;
            assert.ok(error < 5e-4, `y${i}[${at}] is ${number}, not ${expected[at]}`);
          });
        });
      }
    });
  }

  test("a small training graph has the CPU's loss and gradients", async () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [3, 8]);
    const [w, scale] = [b.input('w', 'float32', [8, 8]), b.input('scale', 'float32', [8])];
    const h = b.silu(b.fusedMatMul(b.rmsNormalization(x, scale, 1e-5), w, { transB: true }));
    const scores = b.logSoftmax(b.add(h, x));
    const loss = b.neg(
      b.reduceMean(b.gatherElements(scores, b.constant([1, 0, 5], 'int64', [3, 1]), 1)),
    );
    b.output('loss', loss);
    gradient(b, loss, [w, scale]).forEach((value, i) => b.output(`d${i}`, value));
    const feeds = {
      x: { data: normalish(24, 1), shape: [3, 8] },
      w: { data: normalish(64, 2), shape: [8, 8] },
      scale: { data: normalish(8, 3), shape: [8] },
    };
    const on = async (device: Device) => {
      const session = await createSession(b.build(), { device });
      const result = await session.run(feeds);
      await session.release();
      return Object.values(result).flatMap(({ data }) => Array.from(data, Number));
    };
    const [cpu, gpu] = [await on('cpu'), await on('webgpu')];
    cpu.forEach((value, i) =>
      assert.ok(Math.abs(value - gpu[i]!) < 1e-5, `${gpu[i]} for ${value}`),
    );
  });
});

describe('lowering', () => {
  test('is nothing for the CPU, and names what a device lacks', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [2, 2]);
    b.output('y', b.round(b.fusedMatMul(x, x, { transB: true, alpha: 2 })));
    assert.deepEqual(fallbacks(b.build(), 'cpu'), []);
    assert.deepEqual(fallbacks(b.build(), 'webgpu'), ['round']);
    assert.ok(webgpuLacks.has('fusedMatMul'));
  });
});
