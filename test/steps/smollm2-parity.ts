// SmolLM2-135M against transformers and lm-evaluation-harness: greedy answers token for token, losses, likelihoods of
// continuations, and the medical tasks. How much of each is the caller's: a few rows in every run of the tests
// (smollm2.test.ts), all of them in the full suite (full/smollm2-decoding.test.ts).

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { InputArtifact } from '../../engine/step.ts';
import type { PredictionRow, PromptRow, ScoredChoice } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { loadRunner } from '../../models/decode/load.ts';
import { ChunkedCache } from '../../models/decode/prefill.ts';
import { int32 } from '../../models/decode/runner.ts';
import { openModel } from '../../models/model.ts';
import { generate } from '../../steps/generate/step.ts';
import { loadModel } from '../../steps/load-model/step.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../shared.ts';
import { folderArtifact, runStep, type StepRun } from './context.ts';

const file = 'models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf';
const root = mkdtempSync(join(tmpdir(), 'mesa-smollm2-'));
const tolerance = 1e-3;

interface Continuation {
  readonly context: string;
  readonly continuation: string;
  readonly continuation_ids: readonly number[];
  readonly loglikelihood: number;
  readonly is_greedy: boolean;
}
interface TaskSample {
  readonly context: string;
  readonly continuations: readonly string[];
  readonly loglikelihood: readonly number[];
  readonly is_greedy: readonly boolean[];
  readonly pred: number;
}

export interface Extent {
  /** float32: unpacked. auto: the file's 4-bit blocks, computed exactly. */
  readonly dtype: 'float32' | 'auto';
  readonly answers: number;
  readonly passages: number;
  readonly continuations: number;
  /** lm-evaluation-harness tasks and rows of each. */
  readonly tasks: Readonly<Record<string, number>>;
}

export const smollm2Parity = (extent: Extent): void => {
  describe(
    `SmolLM2-135M, ${extent.dtype}`,
    { skip: skipUnlessShared(file, 'goldens/lm-eval') },
    () => {
      let loaded: StepRun;
      let model: InputArtifact;
      before(async () => {
        loaded = await runStep(loadModel, {
          params: { source: 'path', path: sharedPath(file), dtype: extent.dtype },
        });
        model = loaded.output('model', 'model');
      });
      after(() => {
        loaded.dispose();
        rmSync(root, { recursive: true, force: true });
      });

      let made = 0;
      const run = async (
        params: JsonObject,
        rows: readonly Partial<PromptRow>[],
      ): Promise<readonly PredictionRow[]> => {
        made += 1;
        const folder = join(root, `prompts-${made}`);
        mkdirSync(folder);
        const whole = rows.map((row, index) => ({
          id: String(index),
          item: String(index),
          ...row,
        }));
        writeFileSync(
          join(folder, 'rows.jsonl'),
          whole.map((row) => `${JSON.stringify(row)}\n`).join(''),
        );
        const format = { digest: 'none', special_tokens_in_text: true };
        writeFileSync(join(folder, 'format.json'), JSON.stringify(format));
        const done = await runStep(generate, {
          params,
          inputs: { model, prompts: folderArtifact('prompts', folder) },
          derived: join(root, 'derived'),
        });
        const path = done.output('predictions', 'predictions').file('rows.jsonl');
        const answers = readFileSync(path, 'utf8').trim().split('\n');
        done.dispose();
        return answers.map((line) => JSON.parse(line) as PredictionRow);
      };

      test('greedy answers, token for token', async () => {
        const golden = readSharedJson<{
          cases: {
            prompt_ids: number[];
            new_ids: number[];
            text: string;
            stopped: boolean;
            smallest_lead_over_second: number;
          }[];
        }>('goldens/smollm2/generations.json');
        const cases = golden.cases.slice(0, extent.answers);
        const rows = await run(
          { max_new_tokens: 40 },
          cases.map(({ prompt_ids }) => ({ prompt_tokens: prompt_ids })),
        );
        cases.forEach(({ new_ids, text, stopped, smallest_lead_over_second }, index) => {
          if (smallest_lead_over_second < tolerance) return;
          assert.deepEqual(rows[index]?.tokens, new_ids);
          assert.equal(rows[index].text, text);
          assert.equal(rows[index].finish_reason, stopped ? 'eos' : 'length');
        });
      });

      test('log-probabilities at every position', async () => {
        const { cases } = readSharedJson<{
          cases: {
            ids: number[];
            positions: { top_ids: number[]; logprobs: number[] }[];
          }[];
        }>('goldens/smollm2/logits.json');
        const opened = openModel(model);
        const { config } = opened;
        const runner = await loadRunner({
          config,
          weights: opened.weights(
            extent.dtype === 'float32' ? 'float32' : 'stored',
            join(root, 'derived'),
          ),
          adapter: null,
          head: 'logits',
          activations: 'float',
          maxLength: 256,
          threads: 2,
        });
        for (const { ids, positions } of cases) {
          const logits = new Float32Array(ids.length * config.vocabSize);
          await new ChunkedCache(runner).read(ids, 0, {
            outputs: ['logits'],
            keep: 0,
            ask: (_start, length) => ({
              select: int32(
                Array.from({ length }, (_, at) => at),
                [length],
              ),
            }),
            take: (result, start) => {
              logits.set(result.logits, start * config.vocabSize);
            },
          });
          positions.forEach(({ top_ids, logprobs }, position) => {
            const row = logits.subarray(
              position * config.vocabSize,
              (position + 1) * config.vocabSize,
            );
            const best = row.reduce((most, value) => Math.max(most, value), -Infinity);
            const sum = row.reduce((total, value) => total + Math.exp(value - best), 0);
            top_ids.forEach((id, rank) => {
              const logprob = (row[id] ?? NaN) - best - Math.log(sum);
              assert.ok(Math.abs(logprob - (logprobs[rank] ?? NaN)) < tolerance);
            });
            assert.equal(row.indexOf(best), top_ids[0]);
          });
        }
        await runner.release();
      });

      test('loss of passages', async () => {
        const golden = readSharedJson<{
          passages: { text: string; scored_tokens: number; nll: number }[];
        }>('goldens/smollm2/loss.json');
        const passages = golden.passages.slice(0, extent.passages);
        const rows = await run(
          { mode: 'perplexity' },
          passages.map(({ text }) => ({ prompt: text })),
        );
        passages.forEach(({ scored_tokens, nll }, index) => {
          assert.equal(rows[index]?.tokens, scored_tokens);
          assert.ok(Math.abs((rows[index].logprob ?? NaN) + nll) < tolerance * scored_tokens);
        });
      });

      test('likelihoods of continuations', async () => {
        const { loglikelihoods } = readSharedJson<{ loglikelihoods: Continuation[] }>(
          'goldens/smollm2/loss.json',
        );
        const chosen = loglikelihoods.slice(-extent.continuations);
        const byContext = Map.groupBy(chosen, ({ context }) => context);
        const rows = await run(
          { mode: 'choices' },
          [...byContext].map(([prompt, members]) => ({
            prompt,
            choices: members.map(({ continuation }, index) => ({
              label: String(index),
              text: continuation,
            })),
          })),
        );
        [...byContext.values()].forEach((members, row) => {
          members.forEach((expected, index) => {
            const choice = rows[row]?.choices?.[index] as ScoredChoice;
            assert.equal(choice.tokens, expected.continuation_ids.length);
            assert.equal(choice.is_greedy, expected.is_greedy);
            assert.ok(
              Math.abs(choice.logprob - expected.loglikelihood) < tolerance,
              expected.continuation,
            );
          });
        });
      });

      for (const [task, count] of Object.entries(extent.tasks)) {
        test(`lm-evaluation-harness: ${task}`, async () => {
          const golden = readSharedJson<{ samples: TaskSample[] }>(`goldens/lm-eval/${task}.json`);
          const samples = golden.samples.slice(0, count);
          const rows = await run(
            { mode: 'choices' },
            samples.map(({ context, continuations }) => ({
              prompt: context,
              choices: continuations.map((text, index) => ({ label: String(index), text })),
            })),
          );
          samples.forEach(({ loglikelihood, is_greedy, pred }, row) => {
            const { choices = [], prediction } = rows[row] ?? {};
            loglikelihood.forEach((expected, index) => {
              const choice = choices[index] as ScoredChoice;
              assert.ok(
                Math.abs(choice.logprob - expected) < tolerance,
                `row ${row}, choice ${index}`,
              );
              assert.equal(choice.is_greedy, is_greedy[index]);
            });
            const [best = 0, second = 0] = [...loglikelihood].sort((a, b) => b - a);
            if (best - second > 2 * tolerance) assert.equal(prediction, String(pred), `row ${row}`);
          });
        });
      }
    },
  );
};
