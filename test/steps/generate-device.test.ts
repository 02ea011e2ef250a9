// generate with `device`: what is refused and how, and all modes on WebGPU beside the CPU (with an adapter).

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { StepError, type InputArtifact } from '../../engine/step.ts';
import type { PredictionRow, PredictionsDocument, PromptRow } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { generate } from '../../steps/generate/step.ts';
import { weightMode } from '../../steps/generate/place.ts';
import { loadModel } from '../../steps/load-model/step.ts';
import { availableDevices } from '../../tensor/session.ts';
import { sharedPath, skipUnlessShared } from '../shared.ts';
import { noAdapter, noHalfPrecision } from '../tensor/adapter.ts';
import { folderArtifact, runStep, type StepRun } from './context.ts';

const folder = 'goldens/generation/models/llama';
const root = mkdtempSync(join(tmpdir(), 'mesa-device-'));
const runs: StepRun[] = [];
after(() => {
  for (const run of runs) run.dispose();
  rmSync(root, { recursive: true, force: true });
});

const rows: readonly PromptRow[] = Array.from({ length: 6 }, (_, index) => ({
  id: `q${index}`,
  item: `item${index}`,
  prompt_tokens: Array.from(
    { length: 3 + ((index * 7) % 11) },
    (_unused, at) => 3 + ((index * 31 + at * 17) % 180),
  ),
  completion_tokens: [9 + index, 20, 33 + index],
  choices: [
    { label: 'A', text: ' a', tokens: [40 + index] },
    { label: 'B', text: ' b', tokens: [50, 51] },
    { label: 'C', text: ' c', tokens: [60, 61, 62 + index] },
  ],
}));

describe('generate on a device', { skip: skipUnlessShared(folder) }, () => {
  let model: InputArtifact;
  let prompts: InputArtifact;
  before(async () => {
    const loaded = await runStep(loadModel, {
      params: { source: 'path', path: sharedPath(folder) },
    });
    runs.push(loaded);
    model = loaded.output('model', 'model');
    writeFileSync(join(root, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const format = { digest: 'format-1', special_tokens_in_text: true };
    writeFileSync(join(root, 'format.json'), JSON.stringify(format));
    prompts = folderArtifact('prompts', root);
  });

  const run = async (
    params: JsonObject,
  ): Promise<{ rows: readonly PredictionRow[]; document: PredictionsDocument; text: string }> => {
    const done = await runStep(generate, { params, inputs: { model, prompts } });
    runs.push(done);
    const artifact = done.output('predictions', 'predictions');
    const text = readFileSync(artifact.file('rows.jsonl'), 'utf8');
    return {
      text,
      rows: text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as PredictionRow),
      document: JSON.parse(
        readFileSync(artifact.file('predictions.json'), 'utf8'),
      ) as PredictionsDocument,
    };
  };

  test(
    'a device that is missing says what there is',
    {
      skip: availableDevices().includes('cuda') ? 'cuda is here' : false,
    },
    async () => {
      await assert.rejects(run({ device: 'cuda' }), (error) => {
        assert.ok(error instanceof StepError);
        assert.equal(error.code, 'E576');
        assert.match(error.message, /^no device cuda \(onnxruntime-node \d.* here has cpu/);
        assert.equal(error.hint, 'set device: cpu (or leave it out)');
        return true;
      });
    },
  );

  test('on the CPU nothing is said of precision', async () => {
    const { document } = await run({ mode: 'choices', device: 'cpu' });
    assert.equal(document.batch_invariant, true);
    assert.equal('compute' in document.decoding, false);
  });

  describe('webgpu', { skip: noAdapter }, () => {
    // In float32, so that the CPU's answers can be asked for.
    const gpu = { device: 'webgpu', compute: 'float32' };

    test('text: the greedy answers are the CPU’s, and the same again', async () => {
      const expected = await run({ max_new_tokens: 8 });
      const { rows: answers, document, text } = await run({ max_new_tokens: 8, ...gpu });
      assert.deepEqual(answers, expected.rows);
      assert.equal(document.batch_invariant, false);
      assert.equal(document.decoding['compute'], 'float32');
      assert.equal((await run({ max_new_tokens: 8, ...gpu })).text, text);
    });

    test('choices', async () => {
      const expected = await run({ mode: 'choices' });
      const actual = await run({ mode: 'choices', ...gpu });
      const scoresOf = (row: PredictionRow): readonly number[] =>
        (row.choices ?? []).map((choice) => ('logprob' in choice ? choice.logprob : NaN));
      actual.rows.forEach((row, index) => {
        const reference = expected.rows[index];
        assert.ok(reference);
        assert.equal(row.prediction, reference.prediction);
        scoresOf(row).forEach((score, at) => {
          assert.ok(Math.abs(score - (scoresOf(reference)[at] ?? NaN)) < 1e-3);
        });
      });
    });

    test('perplexity', async () => {
      const expected = await run({ mode: 'perplexity' });
      const actual = await run({ mode: 'perplexity', ...gpu });
      actual.rows.forEach(({ logprob = NaN }, index) => {
        assert.ok(Math.abs(logprob - (expected.rows[index]?.logprob ?? NaN)) < 1e-3);
      });
    });

    test('what isn’t asked for is half precision', { skip: noHalfPrecision }, async () => {
      const { document } = await run({ mode: 'choices', device: 'webgpu' });
      assert.equal(document.decoding['compute'], 'float16');
    });

    test(
      'half precision that isn’t there',
      {
        skip: noHalfPrecision === false ? 'the adapter has half precision' : false,
      },
      async () => {
        const { document } = await run({ mode: 'choices', device: 'webgpu' });
        assert.equal(document.decoding['compute'], 'float32');
        await assert.rejects(
          run({ device: 'webgpu', compute: 'float16' }),
          (error) => error instanceof StepError && error.code === 'E576',
        );
      },
    );
  });
});

describe('device parameters', () => {
  const pointers = (params: JsonObject): readonly string[] =>
    (generate.check?.(params, ['model', 'prompts']) ?? []).map(({ pointer }) => pointer);

  test('what doesn’t go together', () => {
    assert.deepEqual(pointers({ device: 'webgpu' }), []);
    assert.deepEqual(pointers({ device: 'cuda', compute: 'float16' }), []);
    assert.deepEqual(pointers({ compute: 'float32' }), []);
    assert.deepEqual(pointers({ compute: 'float16' }), ['/compute']);
    assert.deepEqual(pointers({ device: 'coreml', compute: 'float16' }), ['/compute']);
    assert.deepEqual(pointers({ device: 'webgpu', activations: 'int8', batch_tokens: 100 }), [
      '/activations',
      '/batch_tokens',
    ]);
    assert.deepEqual(pointers({ activations: 'int8', batch_tokens: 100 }), []);
  });

  test('the resolved device enters the key', () => {
    assert.equal(generate.device?.({}), 'cpu');
    assert.equal(generate.device?.({ device: 'auto' }), 'cpu');
    assert.equal(generate.device?.({ device: 'webgpu' }), 'webgpu');
  });

  test('how weights are mapped', () => {
    const half = { device: 'webgpu', compute: 'float16' } as const;
    const single = { device: 'webgpu', compute: 'float32' } as const;
    const cpu = { device: 'cpu', compute: 'float32' } as const;
    assert.equal(weightMode('auto', half), 'stored');
    assert.equal(weightMode('auto', single), 'packed');
    assert.equal(weightMode('auto', cpu), 'stored');
    assert.equal(weightMode('float32', half), 'float32');
  });
});
