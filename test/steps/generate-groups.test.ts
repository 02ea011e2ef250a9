// Where a row's bits depend on its batch and on the cache's capacity (GPUs), a resumed run still gives the bytes of the
// uninterrupted one. Here on the CPU, with a runner whose every number depends on all that is run together.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { PredictionRow, PromptRow } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import type { Batch, Runner } from '../../models/decode/runner.ts';
import { scoreChoices } from '../../steps/generate/choices.ts';
import { openJournal } from '../../steps/generate/journal.ts';
import { scoreTexts } from '../../steps/generate/perplexity.ts';
import { promptEncoder } from '../../steps/generate/prompts.ts';
import { settingsOf } from '../../steps/generate/settings.ts';
import { generate } from '../../steps/generate/step.ts';
import { groupsOf } from '../../steps/generate/text-groups.ts';
import { answerAll } from '../../steps/generate/text.ts';
import type { Work } from '../../steps/generate/work.ts';
import { openTiny, tinyRunner } from '../models/decode/tiny-models.ts';
import { skipUnlessShared } from '../shared.ts';
import { prepareStep, type StepRun } from './context.ts';

const folder = 'goldens/generation/models/llama';
const root = mkdtempSync(join(tmpdir(), 'mesa-groups-'));
const runs: StepRun[] = [];
after(() => {
  for (const run of runs) run.dispose();
  rmSync(root, { recursive: true, force: true });
});

/** Of everything in a batch but the cache's content: ids, positions, sizes, capacity. */
const hashOf = (batch: Batch): number => {
  let hash = 2166136261;
  const mix = (value: number): void => {
    hash = Math.imul(hash ^ value, 16777619) >>> 0;
  };
  for (const feed of [batch.ids, batch.positions, batch.lengths, batch.select]) {
    feed.shape.forEach(mix);
    for (const value of feed.data) mix(Number(value));
  }
  batch.cache?.[0]?.shape.forEach(mix);
  return hash;
};

/** Every number a little off, by the whole batch: keys and values too, so that what was read how stays visible. */
const sensitive = (runner: Runner, batchInvariant: boolean, longest: number): Runner => ({
  ...runner,
  batchInvariant,
  splitsFreely: false,
  longest,
  run: async (batch, outputs) => {
    const result = await runner.run(batch, outputs);
    const hash = hashOf(batch);
    const off = (hash % 1009) / 1e5;
    const shifted = (values: Float32Array): Float32Array => values.map((value) => value + off);
    return {
      present: shifted(result.present as Float32Array),
      next: result.next.map((id) => 3 + ((id + hash) % (runner.config.vocabSize - 3))),
      logits: result.logits.map((value, at) => value + ((hash >>> (at % 24)) & 7) / 10),
      scores: shifted(result.scores),
    };
  },
});

/** Some begin alike for more than a chunk (256); the longest comes first and makes the cache grow for those after it. */
const rows: readonly PromptRow[] = Array.from({ length: 7 }, (_, index) => ({
  id: `q${index}`,
  item: `item${index}`,
  prompt_tokens: Array.from(
    { length: index % 3 === 0 ? 460 - 30 * index : 3 + ((index * 7) % 11) },
    (_unused, at) => 3 + ((at * 17 + (at < 260 ? 0 : index)) % 180),
  ),
  completion_tokens: [9 + index, 20, 33 + index],
  choices: [
    { label: 'A', text: ' a', tokens: [40 + index] },
    { label: 'B', text: ' b', tokens: [50, 51] },
  ],
}));

const mostTokens = 480;
/** Three places for the longest row. */
const text = { max_new_tokens: 7, batch_tokens: 1440 };
const modes: Readonly<Record<string, JsonObject>> = {
  greedy: text,
  sampled: { ...text, temperature: 0.8, num_return_sequences: 2 },
  beams: { max_new_tokens: 5, num_beams: 3, num_return_sequences: 2 },
  choices: { mode: 'choices' },
  perplexity: { mode: 'perplexity' },
};

describe('batches by the whole input', { skip: skipUnlessShared(folder) }, () => {
  let made = 0;
  /** The journal after a run that began with these lines of it. */
  const runFrom = async (
    params: JsonObject,
    lines: readonly string[],
    batchInvariant: boolean,
  ): Promise<readonly string[]> => {
    made += 1;
    const path = join(root, `journal-${made}`);
    writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
    const prepared = prepareStep(generate, { params });
    runs.push(prepared);
    const { context } = prepared;
    const model = openTiny(folder);
    const format = { digest: 'format-1', special_tokens_in_text: true };
    const work: Work = {
      context,
      settings: settingsOf(context),
      rows,
      encoder: promptEncoder(null, format as never, model.config.vocabSize),
      endTokens: [],
      maxLength: mostTokens,
      journal: openJournal(path),
      open: async (head, length) =>
        sensitive(await tinyRunner(model, head), batchInvariant, length),
    };
    const mode = work.settings.mode;
    if (mode === 'choices') await scoreChoices(work);
    else if (mode === 'perplexity') await scoreTexts(work, 100);
    else await answerAll(work);
    work.journal.close();
    return readFileSync(path, 'utf8').trim().split('\n');
  };

  /** The rows a journal stands for: of several lines for one row the last. */
  const rowsIn = (lines: readonly string[]): string => {
    const found = new Map<number, PredictionRow>();
    for (const line of lines) {
      const { index, row } = JSON.parse(line) as { index: number; row: PredictionRow };
      found.set(index, row);
    }
    return JSON.stringify([...found].sort(([a], [b]) => a - b));
  };

  for (const [name, params] of Object.entries(modes)) {
    test(`${name}: resumed after any row, the same bytes`, async () => {
      const whole = await runFrom(params, [], false);
      for (let done = 1; done < whole.length; done += whole.length > 7 ? 3 : 1) {
        const resumed = await runFrom(params, whole.slice(0, done), false);
        assert.equal(rowsIn(resumed), rowsIn(whole), `after ${done} rows`);
      }
    });
  }

  for (const name of ['greedy', 'sampled'] as const) {
    test(`${name}: the runner of this test does tell batches apart`, async () => {
      const params = modes[name] ?? {};
      const whole = await runFrom(params, [], true);
      const resumed = await Promise.all(
        [1, 2, 5].map((done) => runFrom(params, whole.slice(0, done), true)),
      );
      assert.ok(resumed.some((lines) => rowsIn(lines) !== rowsIn(whole)));
    });
  }

  test('a group is done when all of it is', () => {
    const requests = Array.from({ length: 7 }, (_, index) => ({ index }));
    const open = (...finished: readonly number[]): number[][] =>
      groupsOf(requests, 3, new Set(finished)).map((group) => group.map(({ index }) => index));
    assert.deepEqual(open(), [[0, 1, 2], [3, 4, 5], [6]]);
    assert.deepEqual(open(0, 1, 2, 4), [[3, 4, 5], [6]]);
    assert.deepEqual(open(0, 2, 3, 4, 5, 6), [[0, 1, 2]]);
    assert.deepEqual(open(0, 1, 2, 3, 4, 5, 6), []);
  });
});
