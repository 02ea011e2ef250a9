// The graph in half precision, run on the CPU, which computes in float32 between its casts: what is rounded where, and
// that a number too large is an error. And which operators of decode graphs WebGPU lacks, which needs no adapter.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeGraph } from '../../../models/decode/graph.ts';
import { loadRunner } from '../../../models/decode/load.ts';
import { storedLinears } from '../../../models/linear.ts';
import { readFloatTensors } from '../../../models/peft-files.ts';
import { ModelTensors } from '../../../models/tensors.ts';
import type { GraphBuilder } from '../../../tensor/builder.ts';
import { fallbacks, lower } from '../../../tensor/lower.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { relativeDifference } from '../golden-model.ts';
import { cachedLogits } from './cached-logits.ts';
import { isOverflow, openTiny, scaledRunner } from './tiny-models.ts';

const architectures = [
  'llama',
  'llama-bf16',
  'gpt2',
  'biogpt',
  'gemma',
  'qwen2',
  'mixtral',
  'phi3',
];

for (const name of architectures) {
  const folder = `goldens/architectures/${name}`;
  test(`${name}: logits in half precision`, { skip: skipUnlessShared(folder) }, async () => {
    const { sequences } = readSharedJson<{ sequences: number[][] }>(`${folder}/inputs.json`);
    const [sequence = []] = sequences;
    const { config, weights } = openTiny(folder, 'stored');
    const runner = await loadRunner({
      config,
      weights,
      adapter: null,
      head: 'logits',
      activations: 'float',
      maxLength: sequence.length,
      threads: 1,
      compute: 'float16',
    });
    assert.equal(runner.cacheShape.dtype, 'float16');
    const logits = await cachedLogits(runner, sequence, Math.ceil(sequence.length / 3));
    await runner.release();
    const references = readFloatTensors(sharedPath(`${folder}/logits.safetensors`));
    const difference = relativeDifference(
      logits,
      references.get('seq.0')?.data ?? new Float32Array(),
    );
    // 2^-11 is half a unit in the last place; two or three layers of it, on random weights.
    assert.ok(difference < 5e-3, `logits differ by ${difference}`);
    assert.ok(difference > 1e-5, 'nothing was rounded');
  });
}

const llama = 'goldens/architectures/llama';
test('a logit that is no number is an error', { skip: skipUnlessShared(llama) }, async () => {
  // The CPU's own arithmetic doesn't overflow: see webgpu-logits.test.ts.
  const runner = await scaledRunner(openTiny(llama), Infinity, 'cpu');
  await assert.rejects(cachedLogits(runner, [3, 4, 5], 3), isOverflow);
  await runner.release();
});

/** Index arithmetic for masks: small, and from numbers that the CPU has. */
const known = ['range'];

const everyKind = [
  ...architectures.map((name) => `goldens/architectures/${name}`),
  'goldens/architectures/mistral',
  'goldens/architectures/gemma2',
  'goldens/quantization/llama-nf4',
  'goldens/quantization/llama-int8',
  'goldens/quantization/gguf/llama-q4_0.gguf',
  'goldens/quantization/gguf/llama-q8_0.gguf',
];
for (const path of everyKind) {
  test(
    `${path}: nothing is carried to the CPU from WebGPU`,
    {
      skip: skipUnlessShared(path),
    },
    () => {
      for (const compute of ['float32', 'float16'] as const) {
        const { config, weights } = openTiny(path, compute === 'float16' ? 'stored' : 'packed');
        const model = (g: GraphBuilder) => {
          const tensors = new ModelTensors(g, weights, new Map(), compute);
          return { tensors, linears: storedLinears(tensors, { activations: 'plain' }) };
        };
        for (const head of ['next', 'logits', 'scores'] as const) {
          const graph = decodeGraph({ config, head, compute, device: 'webgpu', model });
          assert.deepEqual(fallbacks(graph, 'webgpu'), known);
          // What isn't a weight, and goes in or out, is never bfloat16, which WebGPU doesn't know.
          const lowered = lower(graph, 'webgpu');
          const narrow = lowered.nodes.filter(({ outputs }) =>
            outputs.some(({ dtype }) => dtype === 'bfloat16'),
          );
          assert.deepEqual(narrow, []);
        }
      }
    },
  );
}
