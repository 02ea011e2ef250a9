// A model that can't fit is refused before any of its weights is read: its file here is one hole of many gigabytes.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { totalmem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { StepError } from '../../engine/step.ts';
import { expectedTensors } from '../../models/checkpoint/inventory.ts';
import { SafetensorsWriter } from '../../models/checkpoint/safetensors.ts';
import { countOf } from '../../models/checkpoint/stored.ts';
import { modelConfig } from '../../models/config.ts';
import { generate } from '../../steps/generate/step.ts';
import { folderArtifact, prepareStep } from './context.ts';

test('generate refuses a model that is larger than the memory, with both numbers', async () => {
  const root = mkdtempSync(join(tmpdir(), 'mesa-large-'));
  try {
    const config = {
      model_type: 'llama',
      vocab_size: 1000,
      hidden_size: 8192,
      intermediate_size: 32768,
      num_attention_heads: 64,
      num_hidden_layers: Math.ceil(totalmem() / (8192 * 32768 * 3 * 4)),
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
    };
    const declared = [...expectedTensors(modelConfig(config))].map(([name, { shape }]) => ({
      name,
      dtype: 'F32' as const,
      shape,
    }));
    const weights = join(root, 'model.safetensors');
    new SafetensorsWriter(weights, declared)[Symbol.dispose]();
    const bytes = declared.reduce((sum, { shape }) => sum + 4 * countOf(shape), 0);
    // So far it is all header.
    const header = statSync(weights).size;
    truncateSync(weights, header + bytes);
    const path = join(root, 'model.json');
    const file = { name: 'model.safetensors', size: header + bytes, sha256: '0'.repeat(64) };
    writeFileSync(
      path,
      JSON.stringify({
        architecture: 'llama',
        config,
        checkpoint: { format: 'safetensors', files: [file] },
        tokenizer: { kind: 'none', files: [] },
        chat_template: null,
        quantization: null,
        dtype: 'auto',
      }),
    );
    const prompts = mkdtempSync(join(root, 'prompts-'));
    const row = { id: 'a', item: 'a', prompt_tokens: [1, 2, 3] };
    writeFileSync(join(prompts, 'rows.jsonl'), `${JSON.stringify(row)}\n`);
    writeFileSync(
      join(prompts, 'format.json'),
      JSON.stringify({ digest: 'f', special_tokens_in_text: true }),
    );
    const model = {
      kind: 'model' as const,
      digest: 'm',
      label: null,
      names: ['model.json', 'model.safetensors'],
      file: (name: string) => join(root, name),
      sha256: () => '0'.repeat(64),
    };
    const step = prepareStep(generate, {
      params: { max_new_tokens: 4 },
      inputs: { model, prompts: folderArtifact('prompts', prompts) },
    });
    await assert.rejects(
      async () => {
        await generate.run(step.context);
      },
      (error: unknown) =>
        error instanceof StepError &&
        error.code === 'E584' &&
        /needs about [\d.]+ GiB of memory, this machine has [\d.]+ GiB/.test(error.message) &&
        /quantise/.test(error.hint ?? ''),
    );
    assert.deepEqual(readdirSync(join(step.root, 'derived')), []);
    step.dispose();
  } finally {
    rmSync(root, { recursive: true });
  }
});
