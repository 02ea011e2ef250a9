// A row's bits are its own: the logits behind every token are the same bits whether a row runs alone, in any batch
// and order, with more threads, or after its neighbours have left. As a property of any model.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Activations } from '../../../models/digits.ts';
import { LikelihoodReader } from '../../../models/decode/likelihood.ts';
import { greedy, type Decoding } from '../../../models/decode/parameters.ts';
import type { Runner } from '../../../models/decode/runner.ts';
import { generateText, type TextRequest, type TextResult } from '../../../models/decode/text.ts';
import { stream } from '../../../random/threefry.ts';
import type { GoldenModel } from '../golden-model.ts';
import { tinyRunner } from './tiny-models.ts';

const sampling: Decoding = { ...greedy(9, [5]), temperature: 1.3, topP: 0.95 };

interface Seen {
  readonly results: ReadonlyMap<string, TextResult>;
  /** SHA-256 of the logits of every token made. */
  readonly logits: ReadonlySet<string>;
}

/** The runner, and what it computed for rows in work (not for idle places). */
const recording = (runner: Runner, logits: Set<string>): Runner => ({
  ...runner,
  run: async (batch, outputs) => {
    const result = await runner.run(batch, outputs);
    const positions = batch.positions.data as BigInt64Array;
    const prefill = batch.ids.shape[0] === 1;
    const width = runner.config.vocabSize;
    for (let row = 0; row < result.logits.length / width; row += 1) {
      if (!prefill && positions[row] === 0n) continue;
      const bits = result.logits.subarray(row * width, (row + 1) * width);
      logits.add(createHash('sha256').update(new Uint8Array(bits.slice().buffer)).digest('hex'));
    }
    return result;
  },
});

const generate = async (
  runner: Runner,
  requests: readonly TextRequest[],
  places: number,
): Promise<Seen> => {
  const results = new Map<string, TextResult>();
  const logits = new Set<string>();
  await generateText(recording(runner, logits), requests, {
    decoding: sampling,
    seed: 3,
    places,
    stopped: () => false,
    signal: new AbortController().signal,
    onFinished: (index, result) => {
      results.set(requests[index]?.id ?? '', result);
    },
  });
  return { results, logits };
};

const tokens = (vocabulary: number, length: number, salt: number): number[] => {
  const random = stream(11, 'test prompt', salt);
  return Array.from({ length }, () => random.below(vocabulary));
};

export interface InvarianceCase {
  readonly name: string;
  readonly skip: string | false;
  readonly open: () => GoldenModel;
  readonly activations: Activations;
  /** Of the prompts. */
  readonly lengths: readonly number[];
  /** Batches tried. */
  readonly runs: number;
}

export const rowsAreTheirOwn = ({
  name,
  skip,
  open,
  activations,
  lengths,
  runs,
}: InvarianceCase): void => {
  test(`${name}: text in any batch`, { skip }, async () => {
    const model = open();
    const runner = await tinyRunner(model, 'logits', { activations });
    const single = await tinyRunner(model, 'logits', { activations, threads: 1 });
    const { vocabSize } = model.config;
    const requests = lengths.map((length, index) => ({
      id: `row ${index}`,
      sequence: 0,
      // Two prompts that begin alike share chunks.
      prompt: tokens(vocabSize, length, length > 255 ? 0 : index),
    }));
    const alone = new Map<string, Seen>();
    for (const request of requests) alone.set(request.id, await generate(runner, [request], 1));
    const check = async (
      chosen: readonly TextRequest[],
      places: number,
      by: Runner,
    ): Promise<void> => {
      const together = await generate(by, chosen, places);
      const expected = new Set<string>();
      for (const { id } of chosen) {
        const own = alone.get(id);
        assert.deepEqual(together.results.get(id), own?.results.get(id), id);
        for (const hash of own?.logits ?? []) expected.add(hash);
      }
      assert.deepEqual([...together.logits].sort(), [...expected].sort());
    };
    await check(requests, 3, single);
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(requests, { minLength: 1 }),
        fc.integer({ min: 1, max: 9 }),
        (chosen, places) => check(chosen, places, runner),
      ),
      { numRuns: runs },
    );
    await single.release();
    await runner.release();
  });

  test(`${name}: likelihoods in any order`, { skip }, async () => {
    const model = open();
    const { vocabSize } = model.config;
    const runner = await tinyRunner(model, 'scores', { activations });
    const rows = lengths.map((length, index) => ({
      context: tokens(vocabSize, length, length > 255 ? 0 : index),
      choices: [1, 3, 2, 1, 40].map((size, choice) => tokens(vocabSize, size, 100 + choice)),
    }));
    const score = async (reader: LikelihoodReader, row: (typeof rows)[number]): Promise<string> =>
      JSON.stringify([
        await reader.continuations(row.context, row.choices),
        row.context.length < 2 ? null : await reader.sequence(row.context, 1),
      ]);
    const alone = new Map<(typeof rows)[number], string>();
    for (const row of rows) alone.set(row, await score(new LikelihoodReader(runner), row));
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(rows, { minLength: 1 }), async (chosen) => {
        const reader = new LikelihoodReader(runner);
        for (const row of chosen) assert.equal(await score(reader, row), alone.get(row));
      }),
      { numRuns: runs },
    );
    await runner.release();
  });
};
