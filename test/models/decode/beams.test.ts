// Beam search of one tiny model per architecture, against transformers (goldens/generation).

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { BeamSearch } from '../../../models/decode/beams.ts';
import { greedy } from '../../../models/decode/parameters.ts';
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

const folder = 'goldens/generation/models';
const kinds = existsSync(sharedPath(folder)) ? readdirSync(sharedPath(folder)) : ['(none)'];

for (const kind of kinds) {
  test(`${kind}: beams equal the reference`, { skip: skipUnlessShared(folder) }, async () => {
    const golden = readSharedJson<Golden>(`goldens/generation/${kind}.json`);
    const runner = await tinyRunner(openTiny(`${folder}/${kind}`), 'logits');
    for (const [name, { options, batch, scores }] of Object.entries(golden.beams)) {
      const search = new BeamSearch(runner, {
        decoding: greedy(options.max_new_tokens, options.eos_token_id),
        beams: options.num_beams,
        lengthPenalty: options.length_penalty,
        earlyStopping: options.early_stopping ?? false,
        stopped: () => false,
        signal: new AbortController().signal,
      });
      for (const [row, prompt] of golden.prompts.entries()) {
        const [best] = await search.run(prompt);
        const expected = batch[row] ?? [];
        assert.ok(best);
        // Shorter rows of the reference's batch are filled up with the padding token.
        const padded = [...best.tokens];
        while (padded.length < expected.length) padded.push(golden.pad_token_id);
        assert.deepEqual(padded, expected, `${name}, row ${row}`);
        const score = scores[row] ?? NaN;
        assert.ok(Math.abs(best.score - score) < 1e-4 * Math.max(1, Math.abs(score)), name);
      }
    }
    await runner.release();
  });
}
