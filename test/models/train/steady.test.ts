// Loss and gradients have the same bits with any number of threads: on a model wide enough that its products are cut up.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { fitAdapter } from '../../../models/linear-lora.ts';
import { defaultLoraConfig, type LoraConfig } from '../../../models/lora.ts';
import { openModel, type Model } from '../../../models/model.ts';
import type { TrainingGraphOptions } from '../../../models/train/graph.ts';
import { createRunner } from '../../../models/train/runner.ts';
import {
  adapterTrainables,
  initialAdapter,
  modelTrainables,
  storedValues,
} from '../../../models/train/trainables.ts';
import { stream } from '../../../random/threefry.ts';
import type { JsonObject } from '../../../schemas/json.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { quantize } from '../../../steps/quantize/step.ts';
import { runStep } from '../../steps/context.ts';
import { rowOf } from '../golden-model.ts';

const THREADS = [2, 3, 8, 16];

const config = {
  model_type: 'llama',
  vocab_size: 400,
  hidden_size: 320,
  intermediate_size: 448,
  num_hidden_layers: 1,
  num_attention_heads: 5,
  num_key_value_heads: 5,
  max_position_embeddings: 256,
  initializer_range: 0.05,
};

const base = await runStep(loadModel, { params: { source: 'init', config } });
const runs = [base];
after(() => {
  for (const run of runs) run.dispose();
});

const quantised = async (params: JsonObject): Promise<Model> => {
  const inputs = { model: base.output('model', 'model') };
  const run = await runStep(quantize, { params, inputs });
  runs.push(run);
  return openModel(run.output('model', 'model'));
};

const random = stream(7, 'tokens');
const rows = (...lengths: readonly number[]) =>
  lengths.map((length) => rowOf(Array.from({ length }, () => random.uint32() % config.vocab_size)));

const batches = {
  'a short row': rows(29),
  'two rows': rows(70, 41),
  'one token more than a tile': rows(129),
  'more tokens than the model is wide': rows(190, 190, 190),
};

/** Loss and all gradients. */
const gradients = async (
  options: TrainingGraphOptions,
  initial: Float32Array,
  batch: (typeof batches)[keyof typeof batches],
  threads: number,
): Promise<Float32Array> => {
  const runner = await createRunner(options, initial, threads);
  const into = new Float32Array(initial.length + 1);
  const loss = await runner.run(batch, into.subarray(1), { seed: 3, step: 0, micro: 0 });
  await runner.release();
  into[0] = loss;
  return into;
};

const differing = (a: Float32Array, b: Float32Array): number =>
  a.reduce((count, value, at) => count + (Object.is(value, b[at]) ? 0 : 1), 0);

interface Case {
  readonly quantize?: JsonObject;
  /** Null: every weight is trained. */
  readonly lora: Partial<LoraConfig> | null;
  readonly recompute?: boolean;
}

const cases: Readonly<Record<string, Case>> = {
  'packed weights': { lora: { r: 8 } },
  'rank 128': { lora: { r: 128, lora_dropout: 0.1 } },
  'rank 256': { lora: { r: 256 } },
  DoRA: { lora: { r: 8, use_dora: true } },
  'gradient checkpointing, weights as they lie': { lora: { r: 8 }, recompute: true },
  nf4: { quantize: { format: 'nf4' }, lora: { r: 8 } },
  q4_1: { quantize: { format: 'q4_1' }, lora: { r: 8 } },
  q8_0: { quantize: { format: 'q8_0' }, lora: { r: 8 } },
  int8: { quantize: { format: 'int8' }, lora: { r: 8 } },
  'every weight': { lora: null },
};

for (const [name, { quantize: format, lora, recompute = false }] of Object.entries(cases))
  describe(name, async () => {
    const model =
      format === undefined ? openModel(base.output('model', 'model')) : await quantised(format);
    const weights = model.weights(
      format === undefined ? 'float32' : 'packed',
      base.context.derived,
    );
    const wanted = { ...defaultLoraConfig, init_lora_weights: false, target_modules: 'all-linear' };
    const adapter =
      lora === null ? null : fitAdapter({ ...wanted, ...lora }, model.config, weights);
    const trainables =
      adapter === null ? modelTrainables(model.config, weights) : adapterTrainables(adapter);
    const initial =
      adapter === null
        ? storedValues(trainables, weights)
        : initialAdapter(adapter, trainables, weights, 5);
    const options: TrainingGraphOptions = {
      config: model.config,
      weights,
      trainables,
      adapter,
      gradients: true,
      recompute,
      noiseAlpha: 5,
    };
    for (const [what, batch] of Object.entries(batches))
      test(what, async () => {
        const one = await gradients(options, initial, batch, 1);
        for (const threads of THREADS) {
          const found = await gradients(options, initial, batch, threads);
          assert.equal(differing(found, one), 0, `of ${one.length}, ${threads} threads`);
        }
      });
  });
