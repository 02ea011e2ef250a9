// Beam search of one tiny model per architecture, against transformers (goldens/generation).

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { searchBeams, type BeamOptions, type BeamResult } from '../../../models/decode/beams.ts';
import { greedy } from '../../../models/decode/parameters.ts';
import type { Runner } from '../../../models/decode/runner.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { openTiny, tinyRunner } from './tiny-models.ts';

interface Golden {
  readonly pad_token_id: number;
  readonly prompts: readonly (readonly number[])[];
  readonly beams: Readonly<
    Record<
      string,
      {
        readonly options: {
          readonly num_beams: number;
          readonly max_new_tokens: number;
          readonly eos_token_id: readonly number[];
          readonly length_penalty: number;
          readonly early_stopping?: boolean;
        };
        readonly batch: readonly (readonly number[])[];
        readonly scores: readonly number[];
      }
    >
  >;
}

type Found = readonly BeamResult[];

const searchAll = async (
  runner: Runner,
  prompts: Golden['prompts'],
  options: Omit<BeamOptions, 'stopped' | 'signal' | 'onFinished'>,
): Promise<readonly Found[]> => {
  const found: (Found | undefined)[] = prompts.map(() => undefined);
  await searchBeams(runner, prompts, {
    ...options,
    stopped: () => false,
    signal: new AbortController().signal,
    onFinished: (index, results) => {
      assert.equal(found[index], undefined, 'told twice');
      found[index] = results;
    },
  });
  return found.map((results) => results ?? []);
};

const folder = 'goldens/generation/models';
const kinds = existsSync(sharedPath(folder)) ? readdirSync(sharedPath(folder)) : ['(none)'];

for (const kind of kinds) {
  test(`${kind}: beams equal the reference`, { skip: skipUnlessShared(folder) }, async () => {
    const golden = readSharedJson<Golden>(`goldens/generation/${kind}.json`);
    const runner = await tinyRunner(openTiny(`${folder}/${kind}`), 'logits');
    for (const [name, { options, batch, scores }] of Object.entries(golden.beams)) {
      const search = (searches: number): Promise<readonly Found[]> =>
        searchAll(runner, golden.prompts, {
          decoding: greedy(options.max_new_tokens, options.eos_token_id),
          beams: options.num_beams,
          lengthPenalty: options.length_penalty,
          earlyStopping: options.early_stopping ?? false,
          searches,
        });
      const found = await search(1);
      for (const [row, [best]] of found.entries()) {
        const expected = batch[row] ?? [];
        assert.ok(best);
        // Shorter rows of the reference's batch are filled up with the padding token.
        const padded = [...best.tokens];
        while (padded.length < expected.length) padded.push(golden.pad_token_id);
        assert.deepEqual(padded, expected, `${name}, row ${row}`);
        const score = scores[row] ?? NaN;
        assert.ok(Math.abs(best.score - score) < 1e-4 * Math.max(1, Math.abs(score)), name);
      }
      // To the bit, whatever runs beside.
      for (const searches of [2, golden.prompts.length])
        assert.deepEqual(await search(searches), found, `${name}, ${searches} at once`);
    }
    await runner.release();
  });
}

test(
  'where bits depend on the batch, a prompt is searched for alone, whatever came before',
  { skip: skipUnlessShared(folder) },
  async () => {
    const runner = await tinyRunner(openTiny(`${folder}/llama`), 'logits');
    const shapes: string[] = [];
    const dependent: Runner = {
      ...runner,
      batchInvariant: false,
      run: (batch, outputs) => {
        shapes.push(`${batch.ids.shape.join()} ${batch.cache?.[0]?.shape.join() ?? ''}`);
        return runner.run(batch, outputs);
      },
    };
    const seen = async (...lengths: readonly number[]): Promise<readonly string[]> => {
      shapes.length = 0;
      const prompts = lengths.map((length) => Array.from({ length }, (_, at) => 5 + (at % 50)));
      const options = { beams: 3, lengthPenalty: 1, earlyStopping: false, searches: 4 };
      await searchAll(dependent, prompts, { ...options, decoding: greedy(4, []) });
      return [...shapes];
    };
    assert.deepEqual(await seen(150, 100), [...(await seen(150)), ...(await seen(100))]);
    await runner.release();
  },
);
