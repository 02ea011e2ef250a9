// The plan of a run and the layout of micro-batches: properties over random rows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TrainingRow } from '../../../models/train/batches.ts';
import { labelCount, layOut, planSteps } from '../../../models/train/batches.ts';
import { neftuneNoise } from '../../../models/train/neftune.ts';
import { fillKeepMask } from '../../../models/train/dropout.ts';

const row = fc
  .record({ length: fc.integer({ min: 1, max: 40 }), from: fc.integer({ min: 0, max: 40 }) })
  .map(({ length, from }) => ({ length, labelsFrom: Math.min(from, length) }));
const rows = fc.array(row, { minLength: 1, maxLength: 25 }).map((shapes): readonly TrainingRow[] =>
  shapes.map(({ length, labelsFrom }, index) => ({
    id: String(index),
    tokens: Array.from({ length }, (_, i) => index * 100 + i),
    labelsFrom,
  })),
);

test('a layout holds every token of every row once, in order, and each row stands alone', () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 100 }), (given, attentionLength) => {
      const batch = layOut(given, attentionLength);
      assert.equal(batch.ids.length, batch.slots * batch.length);
      assert.equal(
        batch.tokens,
        given.reduce((sum, { tokens }) => sum + tokens.length, 0),
      );
      for (const [index, { tokens }] of given.entries()) {
        const start = batch.segments.indexOf(index);
        const end = start + tokens.length;
        assert.deepEqual([...batch.ids.subarray(start, end)], tokens);
        assert.deepEqual([...batch.positions.subarray(start, end)], [...tokens.keys()]);
        assert.ok(batch.segments.subarray(start, end).every((segment) => segment === index));
        assert.equal(batch.segments.filter((segment) => segment === index).length, tokens.length);
        assert.equal(Math.floor(start / batch.length), Math.floor((end - 1) / batch.length));
      }
      assert.equal(
        batch.labels.length,
        given.reduce((sum, each) => sum + labelCount(each), 0),
      );
      for (const [i, at] of batch.predictAt.entries()) {
        assert.equal(batch.segments[at], batch.segments[at + 1], 'a label of the same row');
        assert.equal(batch.ids[at + 1], batch.labels[i]);
      }
    }),
  );
});

test('an epoch is every row once; steps hold `accumulation` micro-batches but for the last', () => {
  fc.assert(
    fc.property(
      rows,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.option(fc.integer({ min: 40, max: 90 }), { nil: null }),
      fc.integer({ min: 1, max: 3 }),
      (given, batchSize, accumulation, packTo, epochs) => {
        const order = (epoch: number): readonly number[] =>
          epoch % 2 === 0 ? [...given.keys()] : [...given.keys()].reverse();
        const plan = { epochs, maxSteps: 0, batchSize, accumulation, packTo, order };
        const steps = planSteps(given, plan);
        for (let epoch = 0; epoch < epochs; epoch++) {
          const own = steps.filter((step) => step.epoch === epoch);
          assert.deepEqual(
            own.flatMap(({ microBatches }) => microBatches.flat()),
            order(epoch),
          );
          for (const { microBatches } of own.slice(0, -1))
            assert.equal(microBatches.length, accumulation);
        }
        for (const { microBatches, labelTokens } of steps) {
          const labels = microBatches
            .flat()
            .reduce((sum, index) => sum + labelCount(given[index] as TrainingRow), 0);
          assert.equal(labelTokens, labels);
          if (packTo === null) continue;
          for (const micro of microBatches) {
            const tokens = micro.reduce((sum, i) => sum + (given[i]?.tokens.length ?? 0), 0);
            assert.ok(tokens <= packTo * batchSize);
          }
        }
        // max_steps cuts the same plan short, or goes on into further epochs.
        const some = planSteps(given, { ...plan, maxSteps: 3 });
        assert.equal(some.length, 3);
        assert.deepEqual(some.slice(0, steps.length), steps.slice(0, 3));
      },
    ),
  );
});

test('a fractional epoch ends early', () => {
  const given = Array.from({ length: 10 }, (_, i) => ({
    id: String(i),
    tokens: [1, 2],
    labelsFrom: 0,
  }));
  const plan = {
    maxSteps: 0,
    batchSize: 1,
    accumulation: 1,
    packTo: null,
    order: () => [...given.keys()],
  };
  assert.equal(planSteps(given, { ...plan, epochs: 0.5 }).length, 5);
  assert.equal(planSteps(given, { ...plan, epochs: 1.25 }).length, 13);
});

test('short rows get short slots where that costs less', () => {
  const given = Array.from({ length: 8 }, (_, i) => ({
    id: String(i),
    tokens: Array<number>(16).fill(1),
    labelsFrom: 0,
  }));
  const cheapAttention = layOut(given, 1e9);
  assert.equal(cheapAttention.ids.length, 128);
  const batch = layOut(given, 16);
  assert.deepEqual([batch.slots, batch.length], [8, 16]);
});

test('dropout keeps 1 - p of the elements, by position and not by order', () => {
  const keepMask = (...key: readonly [number, ...number[]]): Uint8Array =>
    fillKeepMask(new Uint8Array(100_000), 0.05, ...key);
  const mask = keepMask(1, 2, 3);
  const kept = mask.reduce((sum, value) => sum + value, 0) / mask.length;
  // Four standard deviations of a share of 100,000.
  assert.ok(Math.abs(kept - 0.95) < 4 * Math.sqrt((0.05 * 0.95) / mask.length), `${kept}`);
  assert.deepEqual(keepMask(1, 2, 3), mask);
  assert.notDeepEqual(keepMask(1, 2, 4), mask);
  // Neighbours are independent: a drop is followed by a drop as often as any element is dropped.
  let pairs = 0;
  let drops = 0;
  for (let i = 0; i + 1 < mask.length; i++) {
    if (mask[i] !== 0) continue;
    drops += 1;
    if (mask[i + 1] === 0) pairs += 1;
  }
  assert.ok(Math.abs(pairs / drops - 0.05) < 4 * Math.sqrt((0.05 * 0.95) / drops));
});

test('NEFTune noise is uniform, of a size that goes by the row, and none on padding', () => {
  const given = [400, 300].map((length, i) => ({
    id: String(i),
    tokens: Array<number>(length).fill(1),
    labelsFrom: 0,
  }));
  const batch = layOut(given, 1);
  const width = 8;
  const noise = neftuneNoise(batch, width, 5, 1, 0, 0);
  for (const [row, length] of [400, 300].entries()) {
    const start = batch.segments.indexOf(row) * width;
    const own = noise.subarray(start, start + length * width);
    const size = 5 / Math.sqrt(length * width);
    const largest = own.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    assert.ok(largest <= size && largest > 0.98 * size, `${largest} of ${size}`);
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    assert.ok(Math.abs(mean) < (4 * size) / Math.sqrt(3 * own.length));
  }
  const padding = batch.segments.indexOf(-1);
  assert.ok(padding >= 0);
  assert.ok(noise.subarray(padding * width).every((value) => value === 0));
});
