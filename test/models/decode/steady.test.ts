// The rules by which products keep their sums in one order, against the runtime itself: with as many rows, tokens and
// threads as they ask for, a row has the bits it has with one thread.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  leastCapacity,
  leastPlaces,
  leastTokens,
  steadyThreads,
} from '../../../models/decode/steady.ts';
import { uneven } from '../../../models/decode/uneven.ts';
import type { ModelConfig } from '../../../models/config.ts';
import type { WeightSource } from '../../../models/weights.ts';
import { GraphBuilder } from '../../../tensor/builder.ts';
import type { Value } from '../../../tensor/graph.ts';
import { createSession } from '../../../tensor/session.ts';
import { steadyShares } from '../../../tensor/steady.ts';

const THREADS = 8;

const headsOf = (kvHeads: number, group: number, headDim: number): ModelConfig['attention'] =>
  ({ heads: kvHeads * group, kvHeads, headDim }) as ModelConfig['attention'];

interface Product {
  readonly batch: number;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  readonly transB: boolean;
}

/** The first of `batch` equal products of unpacked matrices. */
const firstOf = async (product: Product, threads: number): Promise<Float32Array> => {
  const { batch, rows, inner, columns, transB } = product;
  const g = new GraphBuilder();
  const a = g.input('a', 'float32', ['B', rows, inner]);
  const [m, n] = transB ? [columns, inner] : [inner, columns];
  const b = g.input('b', 'float32', ['B', m, n]);
  g.output('y', g.fusedMatMul(a, b, { transB }));
  const repeated = (size: number): Float32Array => {
    const data = new Float32Array(batch * size);
    for (let at = 0; at < batch; at += 1) data.set(uneven(size), at * size);
    return data;
  };
  const session = await createSession(g.build(), { threads });
  const { y } = await session.run({
    a: { data: repeated(rows * inner), shape: [batch, rows, inner] },
    b: { data: repeated(m * n), shape: [batch, m, n] },
  });
  await session.release();
  return (y?.data as Float32Array).slice(0, rows * columns);
};

/** What a row alone does, with one thread. */
const alone = (product: Product): Promise<Float32Array> => firstOf({ ...product, batch: 1 }, 1);

for (const headDim of [64, 128, 256])
  for (const [kvHeads, group] of [
    [1, 8],
    [2, 4],
    [3, 3],
    [8, 4],
    [4, 1],
  ] as const) {
    const heads = headsOf(kvHeads, group, headDim);
    const name = `${kvHeads} x ${group} heads of ${headDim}`;

    test(`${name}: a row decodes as among others`, async () => {
      for (const length of [300, 1000, 2000]) {
        const positions = Math.max(leastCapacity(headDim), length);
        const batch = kvHeads * leastPlaces(heads, length, THREADS);
        const values = { batch, rows: group, inner: positions, columns: headDim, transB: false };
        assert.deepEqual(await firstOf(values, THREADS), await alone(values), `values, ${length}`);
        const scores = { batch, rows: group, inner: headDim, columns: positions, transB: true };
        assert.deepEqual(await firstOf(scores, THREADS), await alone(scores), `scores, ${length}`);
      }
    });

    test(`${name}: few tokens after many`, async () => {
      for (const past of [256, 1280]) {
        const rows = group * Math.max(2, leastTokens(heads, past, THREADS));
        const values = { batch: kvHeads, rows, inner: past, columns: headDim, transB: false };
        assert.deepEqual(await firstOf(values, THREADS), await alone(values), `values, ${past}`);
        const scores = { batch: kvHeads, rows, inner: headDim, columns: past, transB: true };
        assert.deepEqual(await firstOf(scores, THREADS), await alone(scores), `scores, ${past}`);
      }
    });
  }

test('nothing is padded where there are few threads', () => {
  assert.equal(leastPlaces(headsOf(3, 3, 64), 2000, 2), 1);
  assert.equal(leastTokens(headsOf(3, 3, 64), 1000, 2), 1);
  assert.equal(leastPlaces(headsOf(1, 8, 256), 2000, 3), 1);
  assert.equal(leastPlaces(headsOf(1, 8, 256), 2000, 8), 3);
  assert.equal(leastPlaces(headsOf(12, 1, 64), 2000, 64), 1);
});

const narrow = (columns: number): WeightSource => {
  const data = { path: '/', offset: 0, bytes: 0 };
  return {
    names: ['w'],
    get: () => ({
      kind: 'bnb4',
      type: 'nf4',
      blockSize: 64,
      shape: [columns, 512],
      data,
      absmax: data,
    }),
    read: () => new Float32Array(0),
  };
};

test('4-bit codes that are unpacked as they go have the same sums for any number of rows', async () => {
  assert.equal(steadyShares(64), 1);
  assert.equal(steadyThreads(narrow(192), THREADS), 2);
  assert.equal(steadyThreads(narrow(4096), THREADS), THREADS);
  for (const columns of [64, 192, 576]) {
    const k = 512;
    const g = new GraphBuilder();
    const x: Value = g.input('x', 'float32', ['M', k]);
    const codes = g.initializer('codes', 'uint8', [(columns * k) / 2]);
    const absmax = g.initializer('absmax', 'float32', [(columns * k) / 64]);
    const attributes = { n: columns, k, type: 'nf4', blockSize: 64 } as const;
    g.output('y', g.matMulBnb4(x, { codes, absmax }, attributes));
    const initializers = {
      codes: Uint8Array.from({ length: (columns * k) / 2 }, (_, at) => (at * 167 + 41) % 251),
      absmax: uneven((columns * k) / 64),
    };
    const threads = steadyThreads(narrow(columns), THREADS);
    const session = await createSession(g.build(), { initializers, threads });
    const firstRow = async (rows: number): Promise<Float32Array> => {
      const data = new Float32Array(rows * k);
      for (let row = 0; row < rows; row += 1) data.set(uneven(k), row * k);
      const { y } = await session.run({ x: { data, shape: [rows, k] } });
      return (y?.data as Float32Array).slice(0, columns);
    };
    const two = await firstRow(2);
    for (const rows of [3, 8, 64, 200, 600]) assert.deepEqual(await firstRow(rows), two);
    await session.release();
  }
});
