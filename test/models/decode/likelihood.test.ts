// Choices after one context: together they give what each gives alone, also where they are longer than any row.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LikelihoodReader } from '../../../models/decode/likelihood.ts';
import { loadRunner } from '../../../models/decode/load.ts';
import { skipUnlessShared } from '../../shared.ts';
import { openTiny } from './tiny-models.ts';

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
        const { config, weights } = openTiny(`${root}/${name}`);
        const runner = await loadRunner({
          config,
          weights,
          adapter: null,
          head: 'scores',
          activations: 'float',
          maxLength: length + 1,
          threads: 1,
        });
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
