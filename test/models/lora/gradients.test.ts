// The gradient of every adapter tensor, and the loss, equal PEFT's; packed rows give what padded rows give.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAdapter, fitAdapter } from '../../../models/linear-lora.ts';
import { defaultLoraConfig } from '../../../models/lora.ts';
import type { NamedTensor } from '../../../models/peft-files.ts';
import { adapterPaths, readAdapter, readFloatTensors } from '../../../models/peft-files.ts';
import type { TrainingRow } from '../../../models/train/batches.ts';
import { createRunner } from '../../../models/train/runner.ts';
import {
  adapterTrainables,
  fromTensors,
  totalLength,
  viewOf,
} from '../../../models/train/trainables.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { openGolden, readJson, relativeDifference, rowOf } from '../golden-model.ts';
import type { LoraConfig } from '../../../models/lora.ts';

const tolerance = 1e-4;

/** Mean loss and gradients of `rows`, compared with the expected ones. */
const compare = async (
  base: string,
  lora: LoraConfig,
  tensors: ReadonlyMap<string, NamedTensor>,
  rows: readonly TrainingRow[],
  expected: { readonly loss: number; readonly gradients: ReadonlyMap<string, NamedTensor> },
): Promise<void> => {
  const model = openGolden(base);
  const adapter = fitAdapter(lora, model.config, model.weights);
  checkAdapter(adapter, tensors);
  const trainables = adapterTrainables(adapter);
  const compute = async (recompute: boolean): Promise<readonly [number, Float32Array]> => {
    const runner = await createRunner(
      { ...model, trainables, adapter, gradients: true, recompute, noiseAlpha: 0 },
      fromTensors(trainables, tensors),
      1,
    );
    const sums = new Float32Array(totalLength(trainables));
    const sum = await runner.run(rows, sums, null);
    await runner.release();
    return [sum, sums];
  };
  const [loss, gradients] = await compute(false);
  const [lossAgain, recomputed] = await compute(true);
  assert.equal(lossAgain, loss);
  assert.deepEqual(recomputed, gradients, 'gradient checkpointing');
  const labels = rows.reduce(
    (sum, row) => sum + row.tokens.length - Math.max(1, row.labelsFrom),
    0,
  );
  assert.ok(
    Math.abs(loss / labels - expected.loss) < tolerance * expected.loss,
    `loss ${loss / labels}, expected ${expected.loss}`,
  );
  for (const trainable of trainables) {
    const reference = expected.gradients.get(trainable.name);
    assert.ok(reference, trainable.name);
    const mean = viewOf(gradients, trainable).map((value) => value / labels);
    const difference = relativeDifference(mean, reference.data);
    assert.ok(difference < tolerance, `${trainable.name} differs by ${difference}`);
  }
};

const root = 'goldens/lora';
const skip = skipUnlessShared(root);
interface Case {
  readonly base: string;
  readonly sequences: readonly (readonly number[])[];
  readonly prompt_lengths: readonly number[];
  readonly loss: number;
}
const folders =
  skip === false
    ? readdirSync(sharedPath(root)).filter((name) =>
        existsSync(sharedPath(`${root}/${name}/adapter`)),
      )
    : ['lora'];

for (const name of folders) {
  test(`${name}: loss and gradients`, { skip }, async () => {
    const folder = sharedPath(`${root}/${name}`);
    const golden = readJson<Case>(join(folder, 'case.json'));
    const files = readAdapter(adapterPaths(join(folder, 'adapter')));
    await compare(
      join(folder, golden.base),
      files.config,
      files.tensors,
      golden.sequences.map((row, i) => rowOf(row, golden.prompt_lengths[i])),
      {
        loss: golden.loss,
        gradients: readFloatTensors(join(folder, 'grads.safetensors')),
      },
    );
  });
}

const packed = 'goldens/training/packed';
const skipPacked = skipUnlessShared(packed);
interface PackedCase {
  readonly base: string;
  readonly options: { readonly rank: number; readonly alpha: number; readonly targets: string[] };
  readonly rows: readonly { readonly prompt: number[]; readonly completion: number[] }[];
  readonly packed_loss: number;
}

for (const kind of skipPacked === false ? readdirSync(sharedPath(packed)) : ['llama']) {
  test(
    `packed ${kind}: loss and gradients of rows in one sequence`,
    { skip: skipPacked },
    async () => {
      const folder = sharedPath(`${packed}/${kind}`);
      const golden = readJson<PackedCase>(join(folder, 'case.json'));
      const { rank, alpha, targets } = golden.options;
      await compare(
        join(folder, golden.base),
        { ...defaultLoraConfig, r: rank, lora_alpha: alpha, target_modules: targets },
        readFloatTensors(join(folder, 'adapter.safetensors')),
        golden.rows.map(({ prompt, completion }) =>
          rowOf([...prompt, ...completion], prompt.length),
        ),
        {
          loss: golden.packed_loss,
          gradients: readFloatTensors(join(folder, 'grads-packed.safetensors')),
        },
      );
    },
  );
}
