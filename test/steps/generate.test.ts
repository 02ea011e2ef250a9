// The generate step on tiny models: what it writes, that batches and interruptions leave no trace, what it refuses.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { StepError, type InputArtifact } from '../../engine/step.ts';
import type { PredictionRow, PredictionsDocument, PromptRow } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { generate } from '../../steps/generate/step.ts';
import { loadModel } from '../../steps/load-model/step.ts';
import { sharedPath, skipUnlessShared } from '../shared.ts';
import { folderArtifact, prepareStep, runStep, type StepRun } from './context.ts';

const folder = 'goldens/generation/models/llama';
const root = mkdtempSync(join(tmpdir(), 'mesa-generate-'));
const runs: StepRun[] = [];
after(() => {
  for (const run of runs) run.dispose();
  rmSync(root, { recursive: true, force: true });
});

let made = 0;
const promptsOf = (rows: readonly PromptRow[], digest = 'format-1'): InputArtifact => {
  made += 1;
  const path = join(root, `prompts-${made}`);
  mkdirSync(path);
  writeFileSync(join(path, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const format = { digest, special_tokens_in_text: true };
  writeFileSync(join(path, 'format.json'), JSON.stringify(format));
  return folderArtifact('prompts', path);
};

const filesOf = (run: StepRun): Readonly<Record<string, string>> => {
  const artifact = run.output('predictions', 'predictions');
  return Object.fromEntries(
    artifact.names.map((name) => [name, readFileSync(artifact.file(name), 'utf8')]),
  );
};
const rowsOf = (run: StepRun): readonly PredictionRow[] =>
  (filesOf(run)['rows.jsonl'] ?? '')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PredictionRow);
const documentOf = (run: StepRun): PredictionsDocument =>
  JSON.parse(filesOf(run)['predictions.json'] ?? '') as PredictionsDocument;

/** Rows of different lengths, so that they finish in another order than they stand. */
const rows: readonly PromptRow[] = Array.from({ length: 9 }, (_, index) => ({
  id: `q${index}`,
  item: `item${index}`,
  prompt_tokens: Array.from(
    { length: 3 + ((index * 7) % 11) },
    (_unused, at) => 3 + ((index * 31 + at * 17) % 180),
  ),
  completion_tokens: [9 + index, 20, 33 + index],
  answer: 'A',
  references: ['a', 'b'],
  group: { kind: index % 2 === 0 ? 'even' : 'odd' },
  choices: [
    { label: 'A', text: ' a', tokens: [40 + index] },
    { label: 'B', text: ' b', tokens: [50, 51] },
    { label: 'C', text: ' c', tokens: [60, 61, 62 + index] },
  ],
}));

describe('generate', { skip: skipUnlessShared(folder) }, () => {
  let model: InputArtifact;
  before(async () => {
    const loaded = await runStep(loadModel, {
      params: { source: 'path', path: sharedPath(folder) },
    });
    runs.push(loaded);
    model = loaded.output('model', 'model');
  });
  const run = async (params: JsonObject, prompts = promptsOf(rows), adapter?: InputArtifact) => {
    const done = await runStep(generate, {
      params,
      inputs: { model, prompts, ...(adapter === undefined ? {} : { adapter }) },
    });
    runs.push(done);
    return done;
  };

  const text = { max_new_tokens: 12, temperature: 0.8, top_k: 40 };
  const modes: Readonly<Record<string, JsonObject>> = {
    text,
    beams: { max_new_tokens: 8, num_beams: 3, num_return_sequences: 2 },
    choices: { mode: 'choices' },
    perplexity: { mode: 'perplexity' },
  };

  test('rows keep their order and what scoring needs', async () => {
    const answers = rowsOf(await run({ max_new_tokens: 5 }));
    assert.deepEqual(
      answers.map(({ id }) => id),
      rows.map(({ id }) => id),
    );
    answers.forEach((answer, index) => {
      const row = rows[index];
      assert.equal(answer.item, row?.item);
      assert.equal(answer.answer, 'A');
      assert.deepEqual(answer.references, row?.references);
      assert.deepEqual(answer.group, row?.group);
      assert.deepEqual(answer.choices, row?.choices);
      const length = Array.isArray(answer.tokens) ? answer.tokens.length : 0;
      assert.ok(answer.finish_reason === 'eos' ? length <= 5 : length === 5);
    });
    const scored = rowsOf(await run({ mode: 'choices' }));
    for (const { choices = [], prediction } of scored) {
      const likelihoods = choices.map((choice) => ('logprob' in choice ? choice.logprob : NaN));
      assert.deepEqual(
        choices.map((choice) => ('tokens' in choice ? choice.tokens : null)),
        [1, 2, 3],
      );
      assert.ok(likelihoods.every((value) => value < 0));
      const best = likelihoods.indexOf(Math.max(...likelihoods));
      assert.equal(prediction, ['A', 'B', 'C'][best]);
    }
    const measured = rowsOf(await run({ mode: 'perplexity' }));
    assert.ok(measured.every(({ logprob = 0, tokens }) => logprob < 0 && tokens === 3));
  });

  for (const mode of ['text', 'choices'])
    test(`${mode}: rows that lose their beginning are counted`, async () => {
      const of = async (max_length: number): Promise<readonly string[]> =>
        (await run({ mode, max_new_tokens: 4, max_length })).warnings;
      assert.deepEqual(await of(64), []);
      const [warning = '', ...others] = await of(6);
      assert.match(
        warning,
        /^\d+ (?:prompts|rows) are longer than \d tokens.* lost their beginning$/,
      );
      assert.deepEqual(others, []);
    });

  for (const [name, params] of Object.entries(modes)) {
    test(`${name}: batch_tokens changes no byte`, async () => {
      const expected = filesOf(await run(params));
      for (const batch_tokens of [1, 60, 100_000]) {
        assert.deepEqual(filesOf(await run({ ...params, batch_tokens })), expected);
      }
    });

    test(`${name}: interrupted after any row and resumed, the same bytes`, async () => {
      const expected = filesOf(await run(params));
      for (let rowsDone = 1; rowsDone < rows.length; rowsDone += 1) {
        const first = prepareStep(generate, {
          params: { ...params, batch_tokens: 60 },
          inputs: { model, prompts: promptsOf(rows) },
        });
        runs.push(first);
        await runUntil(first, rowsDone);
        const second = await runStep(generate, {
          params,
          inputs: { model, prompts: promptsOf(rows) },
          resume: first,
        });
        runs.push(second);
        assert.deepEqual(filesOf(second), expected);
      }
    });
  }

  /** Runs until the journal has so many rows, then aborts where the step looks whether it shall stop. */
  const runUntil = async ({ context }: StepRun, rowsDone: number): Promise<void> => {
    const { journal } = context.checkpoint;
    const reached = (): boolean => readFileSync(journal, 'utf8').split('\n').length > rowsDone;
    const stop = new AbortController();
    const signal = Object.assign(stop.signal, {
      throwIfAborted: () => {
        if (reached() && !stop.signal.aborted) stop.abort(new Error('stop'));
        AbortSignal.prototype.throwIfAborted.call(stop.signal);
      },
    });
    await generate.run({ ...context, signal }).catch((error: unknown) => {
      assert.equal((error as Error).message, 'stop');
    });
    assert.ok(reached());
  };

  test('several answers to a prompt are drawn apart and named', async () => {
    const done = await run({ ...text, num_return_sequences: 3 });
    const answers = rowsOf(done);
    assert.deepEqual(
      answers.map(({ id }) => id),
      rows.flatMap(({ id }) => [`${id}#0`, `${id}#1`, `${id}#2`]),
    );
    const first = answers.slice(0, 3).map(({ tokens }) => JSON.stringify(tokens));
    assert.equal(new Set(first).size, 3);
    assert.equal(documentOf(done).count, 27);
  });

  test('an adapter of another template is refused unless asked for', async () => {
    const path = join(root, 'adapter');
    mkdirSync(path);
    writeFileSync(join(path, 'training.json'), JSON.stringify({ format: 'format-2' }));
    writeFileSync(join(path, 'adapter_config.json'), '{}');
    writeFileSync(join(path, 'adapter_model.safetensors'), '');
    await assert.rejects(
      run({ max_new_tokens: 2 }, promptsOf(rows), folderArtifact('adapter', path)),
      (error) => error instanceof StepError && error.code === 'E570',
    );
    // With the mismatch allowed the (empty) adapter itself is what is wrong.
    await assert.rejects(
      run(
        { max_new_tokens: 2, allow_template_mismatch: true },
        promptsOf(rows),
        folderArtifact('adapter', path),
      ),
      (error) => error instanceof StepError && error.code === 'E577',
    );
  });

  test('rows that cannot be done are named', async () => {
    const refused = async (
      params: JsonObject,
      row: Partial<PromptRow>,
      code: string,
    ): Promise<void> => {
      await assert.rejects(
        run(params, promptsOf([{ id: 'bad', item: 'x', ...row }])),
        (error) =>
          error instanceof StepError && error.code === code && error.message.includes('bad'),
      );
    };
    await refused({ max_new_tokens: 2 }, { prompt: 'text, but no tokenizer' }, 'E571');
    await refused({ max_new_tokens: 2 }, { prompt_tokens: [3, 192] }, 'E572');
    await refused({ mode: 'choices' }, { prompt_tokens: [3] }, 'E574');
    await refused({ mode: 'perplexity' }, { prompt_tokens: [3] }, 'E575');
    await assert.rejects(
      run({ max_new_tokens: 64 }),
      (error) => error instanceof StepError && error.code === 'E573',
    );
  });

  test('perplexity of a long text goes through windows', async () => {
    const long: PromptRow = {
      id: 'long',
      item: 'x',
      prompt_tokens: Array.from({ length: 150 }, (_, at) => 3 + ((at * 29) % 180)),
    };
    const values = await Promise.all(
      [{}, { stride: 1 }, { stride: 64 }, { max_length: 20 }].map(async (params) => {
        const [row] = rowsOf(await run({ mode: 'perplexity', ...params }, promptsOf([long])));
        assert.equal(row?.tokens, 149);
        return row.logprob ?? NaN;
      }),
    );
    assert.ok(values.every(Number.isFinite));
    assert.equal(new Set(values).size, 4);
  });
});
