// Where rows are split, and what of the row before is used again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fixedChunks, freeChunks, WORTH } from '../../../models/decode/chunks.ts';
import { LikelihoodReader } from '../../../models/decode/likelihood.ts';
import type { Runner } from '../../../models/decode/runner.ts';
import { skipUnlessShared } from '../../shared.ts';
import { openTiny, tinyRunner } from './tiny-models.ts';

test('chunks follow each other to the end of the row', () => {
  const row = fc
    .integer({ min: 1, max: 5000 })
    .chain((length) =>
      fc.record({ length: fc.constant(length), shared: fc.integer({ min: 0, max: length - 1 }) }),
    );
  fc.assert(
    fc.property(row, fc.constantFrom(fixedChunks, freeChunks), ({ length, shared }, split) => {
      const chunks = split(shared, length);
      let end = chunks[0]?.start ?? -1;
      assert.ok(end >= 0 && end <= shared);
      for (const chunk of chunks) {
        assert.equal(chunk.start, end);
        assert.ok(chunk.length > 0);
        end += chunk.length;
      }
      assert.equal(end, length);
    }),
  );
});

test('fixed borders are multiples of 256 whatever is shared', () => {
  assert.deepEqual(fixedChunks(300, 600), [
    { start: 256, length: 256 },
    { start: 512, length: 88 },
  ]);
});

test('free chunks begin where rows differ, have equal lengths, and more than one token', () => {
  assert.deepEqual(freeChunks(300, 600), [{ start: 300, length: 300 }]);
  assert.deepEqual(freeChunks(0, 600), [
    { start: 0, length: 300 },
    { start: 300, length: 300 },
  ]);
  assert.deepEqual(freeChunks(599, 600), [{ start: 598, length: 2 }]);
  assert.deepEqual(freeChunks(WORTH - 1, 100), [{ start: 0, length: 100 }]);
  assert.deepEqual(freeChunks(0, 1), [{ start: 0, length: 1 }]);
});

const llama = 'goldens/generation/models/llama';

test(
  'questions after the same examples read these once',
  { skip: skipUnlessShared(llama) },
  async () => {
    const runner = await tinyRunner(openTiny(llama), 'scores');
    const read: number[] = [];
    const counting = (splitsFreely: boolean): Runner => ({
      ...runner,
      splitsFreely,
      run: (batch, outputs) => {
        read.push(batch.ids.data.length);
        return runner.run(batch, outputs);
      },
    });
    const examples = Array.from({ length: 300 }, (_, at) => 3 + (at % 50));
    const questions = [4, 7, 9].map((token) => [...examples, ...Array<number>(60).fill(token)]);
    const choices = [[5], [6]];
    for (const [free, expected] of [
      [true, [360, 60, 60]],
      [false, [256, 104, 104, 104]],
    ] as const) {
      const reader = new LikelihoodReader(counting(free));
      for (const [place, question] of questions.entries())
        await reader.continuations(question, choices, questions[place + 1]);
      assert.deepEqual(read.splice(0), expected);
    }
    // Nobody asks for the examples again: nothing is kept of them but for a row's own chunks.
    const reader = new LikelihoodReader(counting(true));
    for (const question of questions) await reader.continuations(question, choices);
    assert.deepEqual(read, [360, 360, 360]);
    await runner.release();
  },
);
