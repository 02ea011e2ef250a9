// Greedy text and scored continuations of one tiny model per architecture, against transformers (goldens/generation).

import assert from 'node:assert/strict';
import { readdirSync, existsSync } from 'node:fs';
import { test } from 'node:test';
import { LikelihoodReader, sumOf } from '../../../models/decode/likelihood.ts';
import { greedy, isArgmax, type Decoding } from '../../../models/decode/parameters.ts';
import type { Runner } from '../../../models/decode/runner.ts';
import { generateText } from '../../../models/decode/text.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { openTiny, tinyRunner } from './tiny-models.ts';

interface GoldenOptions {
  readonly repetition_penalty?: number;
  readonly no_repeat_ngram_size?: number;
  readonly min_new_tokens?: number;
  readonly eos_token_id?: number | readonly number[];
}

interface Golden {
  readonly max_new_tokens: number;
  readonly prompts: readonly (readonly number[])[];
  readonly greedy: Readonly<
    Record<
      string,
      { readonly options: GoldenOptions; readonly alone: readonly (readonly number[])[] }
    >
  >;
  readonly scored: readonly {
    readonly context: readonly number[];
    readonly continuation: readonly number[];
    readonly token_logprobs: readonly number[];
    readonly sum: number;
    readonly is_greedy: boolean;
  }[];
}

const decodingOf = (golden: Golden, options: GoldenOptions): Decoding => ({
  ...greedy(golden.max_new_tokens, [options.eos_token_id ?? []].flat()),
  repetitionPenalty: options.repetition_penalty ?? 1,
  noRepeatNgramSize: options.no_repeat_ngram_size ?? 0,
  minNewTokens: options.min_new_tokens ?? 0,
});

const generateAll = async (
  runner: Runner,
  prompts: readonly (readonly number[])[],
  decoding: Decoding,
  places: number,
): Promise<readonly (readonly number[])[]> => {
  const answers: (readonly number[])[] = [];
  await generateText(
    runner,
    prompts.map((prompt, index) => ({ id: String(index), sequence: 0, prompt })),
    {
      decoding,
      seed: 1,
      places,
      stopped: () => false,
      signal: new AbortController().signal,
      onFinished: (index, { tokens }) => {
        answers[index] = tokens;
      },
    },
  );
  return answers;
};

const folder = 'goldens/generation/models';
const kinds = existsSync(sharedPath(folder)) ? readdirSync(sharedPath(folder)) : ['(none)'];

for (const kind of kinds) {
  test(
    `${kind}: text and likelihoods equal the reference`,
    { skip: skipUnlessShared(folder) },
    async (t) => {
      const golden = readSharedJson<Golden>(`goldens/generation/${kind}.json`);
      const model = openTiny(`${folder}/${kind}`);
      for (const head of ['next', 'logits'] as const) {
        const runner = await tinyRunner(model, head);
        for (const [name, { options, alone }] of Object.entries(golden.greedy)) {
          const decoding = decodingOf(golden, options);
          if (head === 'next' && !isArgmax(decoding)) continue;
          const argmaxOfLogits: Decoding =
            head === 'logits' && isArgmax(decoding)
              ? { ...decoding, topK: 1, temperature: 1 }
              : decoding;
          await t.test(`${name} (${head})`, async () => {
            // A temperature with top_k 1 is greedy too, by way of the logits.
            const answers = await generateAll(runner, golden.prompts, argmaxOfLogits, 2);
            assert.deepEqual(answers, alone);
          });
        }
        await runner.release();
      }
      const runner = await tinyRunner(model, 'scores');
      const reader = new LikelihoodReader(runner);
      for (const { context, continuation, token_logprobs, sum, is_greedy } of golden.scored) {
        const [alone, , among] = await reader.continuations(context, [
          continuation,
          [3],
          continuation,
        ]);
        const sequence = await reader.sequence([...context, ...continuation], context.length);
        // Its neighbours in the run shift where its sums are rounded, no more.
        for (const scored of [alone, among, sequence]) {
          assert.ok(scored);
          assert.equal(scored.isGreedy, is_greedy);
          assert.ok(Math.abs(sumOf(scored.logprobs) - sum) < 1e-4 * Math.max(1, Math.abs(sum)));
          scored.logprobs.forEach((value, index) => {
            assert.ok(Math.abs(value - (token_logprobs[index] ?? NaN)) < 1e-3);
          });
        }
      }
      await runner.release();
    },
  );
}
