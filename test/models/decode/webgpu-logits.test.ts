// The decode graph on the WebGPU provider: the goldens' logits for several architectures, the CPU's for every way of
// storing weights; in half precision too where the adapter has it. Needs an adapter (../../tensor/adapter.ts).

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadRunner } from '../../../models/decode/load.ts';
import { readFloatTensors } from '../../../models/peft-files.ts';
import type { Compute } from '../../../models/tensors.ts';
import type { Device } from '../../../tensor/session.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { noAdapter, noHalfPrecision } from '../../tensor/adapter.ts';
import { relativeDifference } from '../golden-model.ts';
import { cachedLogits } from './cached-logits.ts';
import { isOverflow, openTiny, scaledRunner } from './tiny-models.ts';

/**
 * Largest difference to fp32, relative to the largest logit. Half precision: kernels sum in it too; 1.1e-2 was the
 * most seen (llama, on lavapipe of Mesa 25.0), 2.6e-3 where sums are float32 (half-precision.test.ts).
 */
const tolerance: Readonly<Record<Compute, number>> = { float32: 1e-4, float16: 3e-2 };

const architectures = ['llama', 'gpt2', 'biogpt', 'gemma', 'qwen2', 'mixtral', 'phi3'];
const stored = [
  'goldens/architectures/llama-bf16',
  'goldens/architectures/llama-fp16',
  'goldens/quantization/llama-nf4',
  'goldens/quantization/llama-int8',
  'goldens/quantization/gguf/llama-q4_0.gguf',
  'goldens/quantization/gguf/llama-q8_0.gguf',
];

const logitsOn = async (
  path: string,
  sequence: readonly number[],
  device: Device,
  compute: Compute,
): Promise<Float32Array> => {
  const { config, weights } = openTiny(path, compute === 'float16' ? 'stored' : 'packed');
  const runner = await loadRunner({
    config,
    weights,
    adapter: null,
    head: 'logits',
    activations: 'float',
    maxLength: sequence.length,
    threads: 1,
    device,
    compute,
  });
  const logits = await cachedLogits(runner, sequence, Math.ceil(sequence.length / 3));
  await runner.release();
  return logits;
};

const precisions = [
  { compute: 'float32', skip: noAdapter },
  { compute: 'float16', skip: noHalfPrecision },
] as const;

for (const { compute, skip } of precisions) {
  describe(`webgpu, ${compute}`, { skip }, () => {
    for (const name of architectures) {
      const folder = `goldens/architectures/${name}`;
      test(name, { skip: skipUnlessShared(folder) }, async () => {
        const { sequences } = readSharedJson<{ sequences: number[][] }>(`${folder}/inputs.json`);
        const expected = readFloatTensors(sharedPath(`${folder}/logits.safetensors`)).get('seq.0');
        const logits = await logitsOn(folder, sequences[0] ?? [], 'webgpu', compute);
        const difference = relativeDifference(logits, expected?.data ?? new Float32Array());
        assert.ok(difference < tolerance[compute], `logits differ by ${difference}`);
      });
    }

    if (compute === 'float16') {
      const path = 'goldens/architectures/llama';
      test('too large a number is an error', { skip: skipUnlessShared(path) }, async () => {
        const runner = await scaledRunner(openTiny(path), 1e6, 'webgpu');
        await assert.rejects(cachedLogits(runner, [3, 4, 5], 3), isOverflow);
        await runner.release();
      });
    }

    for (const path of stored) {
      test(path.split('/').at(-1), { skip: skipUnlessShared(path) }, async () => {
        const sequence = [63, 54, 31, 80, 43, 125, 85, 21, 62, 45, 40, 38, 56, 75, 105, 84];
        const expected = await logitsOn(path, sequence, 'cpu', 'float32');
        const logits = await logitsOn(path, sequence, 'webgpu', compute);
        const difference = relativeDifference(logits, expected);
        assert.ok(difference < tolerance[compute], `logits differ by ${difference}`);
      });
    }
  });
}
