// Choices after one context: together they give what each gives alone, also where they are longer than any row.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LikelihoodReader } from '../../../models/decode/likelihood.ts';
import { skipUnlessShared } from '../../shared.ts';
import { openTiny, tinyRunner } from './tiny-models.ts';

const root = 'goldens/generation/models';
const tokens = (count: number, from: number): number[] =>
  Array.from({ length: count }, (_, at) => 3 + ((from + at * 7) % 90));

for (const name of ['llama', 'gpt2'])
  for (const [choices, length] of [
    [4, 8],
    [60, 9],
  ] as const)
    test(
      `${name}: ${choices} choices of ${length} tokens after a context of one`,
      { skip: skipUnlessShared(`${root}/${name}`) },
      async () => {
        const model = openTiny(`${root}/${name}`);
        const runner = await tinyRunner(model, 'scores', { maxLength: length + 1, threads: 1 });
        const continuations = Array.from({ length: choices }, (_, at) => tokens(length, at * 11));
        const together = await new LikelihoodReader(runner).continuations([5], continuations);
        for (const [at, continuation] of continuations.entries()) {
          const [alone] = await new LikelihoodReader(runner).continuations([5], [continuation]);
          const { logprobs = [] } = together[at] ?? {};
          assert.equal(logprobs.length, length);
          for (const [index, logprob] of logprobs.entries())
            assert.ok(Math.abs(logprob - (alone?.logprobs[index] ?? NaN)) < 1e-4, `${at} ${index}`);
        }
        await runner.release();
      },
    );

for (const name of ['llama', 'gpt2'])
  test(
    `${name}: likelihoods in several sessions have the bits of one`,
    { skip: skipUnlessShared(`${root}/${name}`) },
    async () => {
      const model = openTiny(`${root}/${name}`);
      const choices = [tokens(3, 0), tokens(4, 20), tokens(1, 40)];
      const likelihoodsIn = async (parts: number) => {
        const runner = await tinyRunner(model, 'scores', { maxLength: 64, parts });
        assert.equal(runner.cacheShape.shared, parts > 1);
        const reader = new LikelihoodReader(runner);
        // The second shares its beginning with the first, which is read from the cache.
        const first = await reader.continuations(tokens(40, 0), choices);
        const second = await reader.continuations([...tokens(30, 0), 5, 6], choices);
        await runner.release();
        return [...first, ...second];
      };
      assert.deepEqual(await likelihoodsIn(2), await likelihoodsIn(1));
    },
  );
