// Graphs cut into parts: run one after the other they give the bits of the whole, and little crosses from one to the next.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { GraphBuilder } from '../../tensor/builder.ts';
import type { Feed, Feeds } from '../../tensor/feeds.ts';
import type { Graph } from '../../tensor/graph.ts';
import { bytesToPack, partition } from '../../tensor/partition.ts';
import { createSession } from '../../tensor/session.ts';
import { scratchFolder } from '../scratch.ts';
import { layeredGraph, WIDTH } from './layered-graph.ts';

const folder = scratchFolder('partition');
const pathsOf = (layers: number): readonly string[] =>
  Array.from({ length: layers }, (_, layer) => join(folder, `${layers}-${layer}`));

const LAYER_BYTES = 4 * WIDTH * WIDTH;

const runInTurn = async (graphs: readonly Graph[], feeds: Feeds): Promise<Record<string, Feed>> => {
  const known: Record<string, Feed> = { ...feeds };
  for (const graph of graphs) {
    const session = await createSession(graph);
    const read = graph.inputs.map(({ name }) => [name, known[name]!] as const);
    Object.assign(known, await session.run(Object.fromEntries(read)));
    await session.release();
  }
  return known;
};

test('parts give the bits of the whole', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 2 * LAYER_BYTES }),
      async (layers, count, lead) => {
        const { graph, feeds } = layeredGraph(pathsOf(layers));
        const graphs = partition(graph, count, lead);
        const [whole, parts] = [await runInTurn([graph], feeds), await runInTurn(graphs, feeds)];
        for (const name of ['y', 'kept']) assert.deepEqual(parts[name], whole[name]);
      },
    ),
    { numRuns: 40 },
  );
});

test('what crosses is the stream, what all layers read, and what is kept, as one', () => {
  const graphs = partition(layeredGraph(pathsOf(9)).graph, 3);
  assert.equal(graphs.length, 3);
  for (const { inputs } of graphs.slice(1)) assert.equal(inputs.length, 3);
  const kept = graphs.map(
    ({ inputs }) => inputs.find(({ shape }) => shape[1] !== WIDTH && shape[1])?.shape,
  );
  assert.deepEqual(kept, [undefined, ['N', 3 * WIDTH], ['N', 6 * WIDTH]]);
});

test('each part packs its share, the first what it has time for besides', () => {
  const { graph } = layeredGraph(pathsOf(8));
  const shares = (count: number, lead?: number): number[] =>
    partition(graph, count, lead).map((part) => bytesToPack(part) / LAYER_BYTES);
  assert.deepEqual(shares(2), [4, 4]);
  assert.deepEqual(shares(4), [2, 2, 2, 2]);
  assert.deepEqual(shares(2, 2 * LAYER_BYTES), [5, 3]);
  assert.deepEqual(shares(1), [8]);
});

test('no more parts than there are weights, and none of nothing', () => {
  assert.equal(partition(layeredGraph(pathsOf(2)).graph, 4).length, 2);
  const g = new GraphBuilder();
  g.output('y', g.neg(g.input('x', 'float32', ['N'])));
  assert.equal(partition(g.build(), 2).length, 1);
});

test('rows that are looked up and scales of blocks are nothing to pack; 16-bit weights are packed as float32', () => {
  const g = new GraphBuilder();
  const of = (bytes: number) => ({ path: join(folder, 'none'), offset: 0, bytes });
  const half = g.external('half', 'bfloat16', [WIDTH, WIDTH], of(2 * WIDTH * WIDTH));
  const table = g.external('table', 'bfloat16', [WIDTH, WIDTH], of(2 * WIDTH * WIDTH));
  const rows = g.cast(g.gather(table, g.input('ids', 'int64', ['N'])), 'float32');
  const x = g.matmul(rows, g.cast(half, 'float32'));
  const [n, k, blockSize] = [16, WIDTH * 4, 16];
  const packed = {
    data: g.external('data', 'uint8', [n, k / blockSize, blockSize / 2], of((n * k) / 2)),
    scales: g.external('scales', 'float32', [n, k / blockSize], of((4 * n * k) / blockSize)),
  };
  const wide = g.concat([x, x, x, x], 1);
  g.output('y', g.matMulNBits(wide, packed, { n, k, bits: 4, blockSize, accuracy: 1 }));
  assert.equal(bytesToPack(g.build()), LAYER_BYTES);
});
