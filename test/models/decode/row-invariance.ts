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

export interface ManyRows {
  readonly name: string;
  readonly skip: string | false;
  readonly open: () => GoldenModel;
  readonly activations: Activations;
}

export interface InvarianceCase extends ManyRows {
  /** Of the prompts. */
  readonly lengths: readonly number[];
  /** Batches tried. */
  readonly runs: number;
}

/** So many rows at once that one thread is left with a single one of them. */
export const manyRowsAreTheirOwn = ({ name, skip, open, activations }: ManyRows): void => {
  test(`${name}: 129 rows at once`, { skip }, async () => {
    const model = open();
    const runner = await tinyRunner(model, 'logits', { activations });
    // More than there are places: some end with their first token.
    const requests = Array.from({ length: 140 }, (_, index) => ({
      id: `row ${index}`,
      sequence: 0,
      prompt: tokens(model.config.vocabSize, 2, index),
    }));
    const expected = new Set<string>();
    for (const request of requests)
      for (const hash of (await generate(runner, [request], 1)).logits) expected.add(hash);
    const { logits } = await generate(runner, requests, 129);
    assert.deepEqual([...logits].sort(), [...expected].sort());
    await runner.release();
  });
};

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
      context: beginningAlike(vocabSize, length, index),
      choices: [1, 3, 2, 1, 40].map((size, choice) => tokens(vocabSize, size, 100 + choice)),
    }));
    type Row = (typeof rows)[number];
    const score = async (reader: LikelihoodReader, row: Row, next?: Row): Promise<string> => {
      const { context, choices } = row;
      const from = Math.ceil(context.length / 2);
      return JSON.stringify([
        await reader.continuations(context, choices, context),
        context.length < 2 ? null : await reader.sequence(context, 1, context),
        context.length < 2 ? null : await reader.sequence(context, from, next?.context),
        await reader.continuations(context, choices.slice(0, 1), next?.context),
      ]);
    };
    const alone = new Map<Row, string>();
    for (const row of rows) alone.set(row, await score(new LikelihoodReader(runner), row));
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(rows, { minLength: 1 }), async (chosen) => {
        const reader = new LikelihoodReader(runner);
        for (const [place, row] of chosen.entries())
          assert.equal(await score(reader, row, chosen[place + 1]), alone.get(row));
      }),
      { numRuns: runs },
    );
    await runner.release();
  });
};

/** Rows with beginnings in common that end before, on and behind the borders of chunks. */
const beginningAlike = (vocabulary: number, length: number, salt: number): number[] => {
  const shared = [0, 33, 120, 256, 290][salt % 5] ?? 0;
  return [...tokens(vocabulary, shared, 0), ...tokens(vocabulary, length, 1 + salt)].slice(
    0,
    length,
  );
};
