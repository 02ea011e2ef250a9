// Sessions of several parts, each packed in a thread of its own: the same as one session, in results and in errors.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { once } from 'node:events';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { flushesDenormals } from '../../tensor/denormals.ts';
import { GraphBuilder } from '../../tensor/builder.ts';
import { inSharedMemory, type Feeds } from '../../tensor/feeds.ts';
import { createPartedSession } from '../../tensor/parted-session.ts';
import { PART_THREAD, type FromPart, type PartSetup } from '../../tensor/part-thread.ts';
import { createSession, SessionError } from '../../tensor/session.ts';
import { scratchFolder } from '../scratch.ts';
import { layeredGraph, WIDTH, type LayeredGraph } from './layered-graph.ts';

const folder = scratchFolder('parts');
const layered = (name: string): LayeredGraph & { readonly paths: readonly string[] } => {
  const paths = Array.from({ length: 6 }, (_, layer) => join(folder, `${name}-${layer}`));
  return { ...layeredGraph(paths), paths };
};

const isSessionError =
  (code: SessionError['code'], message: RegExp) =>
  (error: unknown): boolean =>
    error instanceof SessionError && error.code === code && message.test(error.message);

const shared = (feeds: Feeds): Feeds =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, { data, shape }]) => [
      name,
      { data: inSharedMemory(data as Float32Array), shape },
    ]),
  );

for (const parts of [2, 3])
  for (const threads of [1, 2])
    test(`${parts} parts of ${threads} threads give the bits of the whole, again and again`, async () => {
      const { graph, feeds } = layered(`bits${parts}${threads}`);
      const whole = await createSession(graph, { threads });
      const parted = await createPartedSession(graph, { threads, parts });
      assert.equal(parted.parts, parts);
      const expected = await whole.run(feeds);
      const together = [feeds, shared(feeds), feeds].map((each) => parted.run(each));
      for (const results of await Promise.all(together)) assert.deepEqual(results, expected);
      assert.deepEqual(Object.keys(await parted.run(feeds, { fetches: ['y'] })), ['y']);
      await Promise.all([whole.release(), parted.release()]);
    });

test('numbers without a full mantissa are zero in every part', async () => {
  const { graph, feeds } = layered('denormal');
  const parted = await createPartedSession(graph, { parts: 2 });
  const tiny = new Float32Array(3 * WIDTH).fill(1e-39);
  const { y, kept } = await parted.run({ ...feeds, x: { data: tiny, shape: [3, WIDTH] } });
  await parted.release();
  for (const { data } of [y!, kept!]) assert.ok(data.every((value) => value === 0));
});

test('a thread that would compute otherwise says so, and opens nothing', async () => {
  const { graph } = layered('otherwise');
  const setup: PartSetup = {
    kind: 'part of a graph',
    graph,
    options: {},
    flushes: !flushesDenormals(),
  };
  const thread = new Worker(PART_THREAD, { workerData: setup });
  const [answer] = (await once(thread, 'message')) as [FromPart];
  assert.deepEqual(answer, { kind: 'computes-otherwise' });
  assert.deepEqual(await once(thread, 'exit'), [0]);
});

test('a small graph is one session', async () => {
  const { graph, feeds } = layered('small');
  const session = await createPartedSession(graph, { threads: 2 });
  assert.equal(session.parts, 1);
  assert.equal((await session.run(feeds))['y']?.shape[0], 3);
  await session.release();
});

test('arrays of in-memory initialisers go to the parts that read them', async () => {
  const { paths } = layered('memory');
  const g = new GraphBuilder();
  let x = g.input('x', 'float32', ['N', WIDTH]);
  for (const [layer, path] of paths.entries()) {
    const range = { path, offset: 0, bytes: 4 * WIDTH * WIDTH };
    const weight = g.external(`w${layer}`, 'float32', [WIDTH, WIDTH], range);
    x = g.add(g.matmul(x, weight), g.initializer(`bias${layer}`, 'float32', [WIDTH]));
  }
  g.output('y', x);
  const graph = g.build();
  const biases = paths.map((_, layer) => new Float32Array(WIDTH).fill(layer + 1));
  const initializers = Object.fromEntries(biases.map((data, layer) => [`bias${layer}`, data]));
  const feeds = { x: { data: new Float32Array(WIDTH), shape: [1, WIDTH] } };
  const whole = await createSession(graph, { initializers });
  const parted = await createPartedSession(graph, { initializers, parts: 3 });
  assert.deepEqual(await parted.run(feeds), await whole.run(feeds));
  await Promise.all([whole.release(), parted.release()]);
});

for (const [which, layer] of [
  ['first', 0],
  ['last', 5],
] as const)
  test(`a weight that is missing in the ${which} part is the error of one session`, async () => {
    const { graph, paths } = layered(`missing-${which}`);
    rmSync(paths[layer]!);
    await assert.rejects(
      createPartedSession(graph, { parts: 3 }),
      isSessionError('load-failed', new RegExp(`missing-${which}-${layer}`)),
    );
  });

test('feeds that do not fit are refused, and what comes behind them still runs', async () => {
  const { graph, feeds } = layered('feeds');
  const parted = await createPartedSession(graph, { parts: 2 });
  const refused: [Feeds, RegExp][] = [
    [{ ...feeds, more: feeds['x']! }, /no input more/],
    [{ x: feeds['x']! }, /scale isn't fed/],
    [{ ...feeds, x: { data: new Float32Array(4), shape: [1, 4] } }, /x: \[1, 4\]/],
  ];
  for (const [wrong, message] of refused)
    await assert.rejects(parted.run(wrong), isSessionError('bad-feed', message));
  const unknown = parted.run(feeds, { fetches: ['z'] });
  await assert.rejects(unknown, isSessionError('bad-feed', /no output z/));
  const into = { y: { data: new Float32Array(3 * WIDTH), shape: [3, WIDTH] } };
  await assert.rejects(parted.run(feeds, { into }), isSessionError('bad-feed', /buffers/));
  assert.equal((await parted.run(feeds))['y']?.shape[0], 3);
  await parted.release();
});

test('it can be released while it runs, twice, and not be run then', async () => {
  const { graph, feeds } = layered('released');
  const parted = await createPartedSession(graph, { parts: 2 });
  const [results] = await Promise.all([parted.run(feeds), parted.release()]);
  assert.equal(results['y']?.shape[0], 3);
  await parted.release();
  await assert.rejects(parted.run(feeds), isSessionError('released', /released/));
});

test('threads that wait keep no process alive', () => {
  const program = join(import.meta.dirname, `idle-parts${extname(import.meta.filename)}`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, folder], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual([status, stdout, stderr], [0, '2 parts, then nothing', '']);
});
