// target_parameters beside what PEFT's goldens show (parity.test.ts): names, refusals, packed experts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fitAdapter,
  changedWeights,
  checkAdapter,
  loraLinears,
} from '../../../models/linear-lora.ts';
import { mergedWeight } from '../../../models/lora-merge.ts';
import { AdapterError, defaultLoraConfig, type LoraConfig } from '../../../models/lora.ts';
import { openModel } from '../../../models/model.ts';
import {
  adapterPaths,
  readAdapter,
  writeAdapter,
  type NamedTensor,
} from '../../../models/peft-files.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { quantize } from '../../../steps/quantize/step.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { runStep } from '../../steps/context.ts';
import { temporaryFolder } from '../files.ts';
import { forward, openGolden, relativeDifference, type ForwardOptions } from '../golden-model.ts';

const root = 'goldens/lora';
const skip = skipUnlessShared(root);
const fit = (base: string, lora: Partial<LoraConfig>) => {
  const { config, weights } = openGolden(sharedPath(`${root}/models/${base}`));
  return fitAdapter({ ...defaultLoraConfig, target_modules: [], ...lora }, config, weights);
};
const namesOf = (lora: Partial<LoraConfig>): readonly string[] =>
  fit('mixtral', lora)
    .tensors.filter(({ name }) => name.includes('.layers.0.'))
    .map(({ name, shape }) => `${name.replace(/^.*layers\.0\./, '')} ${shape.join('x')}`);

test(
  'the last of a module’s parameters has its name, the one before it .base_layer',
  { skip },
  () => {
    const a = { r: 3, target_parameters: ['experts.gate_up_proj'] };
    assert.deepEqual(namesOf(a), [
      'mlp.experts.lora_A.weight 12x48',
      'mlp.experts.lora_B.weight 88x12',
    ]);
    assert.deepEqual(namesOf({ r: 3, target_parameters: ['down_proj'] }), [
      'mlp.experts.lora_A.weight 12x44',
      'mlp.experts.lora_B.weight 48x12',
    ]);
    assert.deepEqual(
      namesOf({ r: 2, target_parameters: ['mlp.experts.down_proj', 'gate_up_proj'] }),
      [
        'mlp.experts.base_layer.lora_A.weight 8x48',
        'mlp.experts.base_layer.lora_B.weight 88x8',
        'mlp.experts.lora_A.weight 8x44',
        'mlp.experts.lora_B.weight 48x8',
      ],
    );
    assert.deepEqual(namesOf({ r: 2, target_parameters: ['gate.weight', 'q_proj.weight'] }), [
      'self_attn.q_proj.lora_A.weight 2x48',
      'self_attn.q_proj.lora_B.weight 48x2',
      'mlp.gate.lora_A.weight 2x48',
      'mlp.gate.lora_B.weight 4x2',
    ]);
  },
);

test('what cannot be adapted as a parameter is refused', { skip }, () => {
  const refused = (base: string, lora: Partial<LoraConfig>, message: RegExp): void =>
    assert.throws(
      () => fit(base, lora),
      (error) => error instanceof AdapterError && message.test(error.message),
    );
  refused('mixtral', { target_parameters: ['up_proj'] }, /target_parameters: up_proj is no weight/);
  refused('mixtral', { target_parameters: ['norm.weight'] }, /norm\.weight is no weight/);
  refused('llama', { target_parameters: ['gate_up_proj'] }, /gate_up_proj is no weight/);
  // Conv1D.
  refused('gpt2', { target_parameters: ['c_attn.weight'] }, /c_attn\.weight is no weight/);
  refused(
    'mixtral',
    { target_parameters: ['down_proj'], target_modules: 'all-linear' },
    /experts\.0\.w2 is adapted by target_modules and by target_parameters/,
  );
  refused('mixtral', { target_parameters: ['down_proj'], lora_dropout: 0.1 }, /lora_dropout/);
  refused('mixtral', { target_parameters: ['down_proj'], use_dora: true }, /use_dora/);
});

const name = 'mixtral-all-linear';
test('written and read again', { skip: skip || skipUnlessShared(`${root}/${name}`) }, () => {
  using folder = temporaryFolder();
  const adapter = readAdapter(adapterPaths(sharedPath(`${root}/${name}/adapter`)));
  writeAdapter(folder.path, {
    ...adapter,
    fanInFanOut: false,
    tensors: [...adapter.tensors.values()],
  });
  const again = readAdapter(adapterPaths(folder.path));
  assert.deepEqual(again.config, adapter.config);
  assert.deepEqual(again.config.target_parameters, ['down_proj', 'gate.weight', 'gate_up_proj']);
});

for (const format of ['nf4', 'int8'])
  test(
    `experts in ${format}: the adapter beside packed weights equals the adapter in them`,
    { skip: skip || skipUnlessShared(`${root}/${name}`) },
    async () => {
      const base = await runStep(loadModel, {
        params: { source: 'path', path: sharedPath(`${root}/models/mixtral`) },
      });
      const packed = await runStep(quantize, {
        params: { format },
        inputs: { model: base.output('model', 'model') },
      });
      const opened = openModel(packed.output('model', 'model'));
      const model = {
        config: opened.config,
        weights: opened.weights('packed', packed.context.derived),
      };
      const expert = 'model.layers.0.block_sparse_moe.experts.1.w1.weight';
      assert.notEqual(model.weights.get(expert)?.kind, 'float');
      const { sequences } = readSharedJson<{ sequences: number[][] }>(`${root}/${name}/case.json`);
      const files = readAdapter(adapterPaths(sharedPath(`${root}/${name}/adapter`)));
      const adapter = fitAdapter(files.config, model.config, model.weights);
      checkAdapter(adapter, files.tensors);
      const logits = async (options: ForwardOptions): Promise<Float32Array> =>
        (await forward(model, sequences, options)).values.get('logits') ?? new Float32Array();
      const beside = await logits({
        initializers: files.tensors,
        wrap: (linears, tensors, values) => loraLinears(linears, tensors, adapter, values),
      });
      const merged = changedWeights(adapter).map((weight): [string, NamedTensor] => [
        weight,
        {
          name: weight,
          shape: model.weights.get(weight)?.shape ?? [],
          data: mergedWeight(model.weights, adapter, files.tensors, weight),
        },
      ]);
      const inside = await logits({
        initializers: new Map(merged),
        substitutes: (values) => values,
      });
      const difference = relativeDifference(beside, inside);
      assert.ok(difference < 1e-4, `differs by ${difference}`);
      packed.dispose();
      base.dispose();
    },
  );
