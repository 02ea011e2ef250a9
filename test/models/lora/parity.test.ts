// Adapters that PEFT wrote give PEFT's logits, as an adapter and merged. A folder dropped into goldens/lora is a test.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  changedWeights,
  checkAdapter,
  fitAdapter,
  loraLinears,
  savedSubstitutes,
} from '../../../models/linear-lora.ts';
import { mergedWeight } from '../../../models/lora-merge.ts';
import type { NamedTensor } from '../../../models/peft-files.ts';
import { adapterPaths, readAdapter, readFloatTensors } from '../../../models/peft-files.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import type { ForwardOptions } from '../golden-model.ts';
import { forward, openGolden, readJson, relativeDifference, rowValues } from '../golden-model.ts';

const root = 'goldens/lora';
const skip = skipUnlessShared(root);
const folders =
  skip === false
    ? readdirSync(sharedPath(root)).filter((name) =>
        existsSync(sharedPath(`${root}/${name}/case.json`)),
      )
    : ['lora'];

interface Case {
  readonly base: string;
  readonly sequences: readonly (readonly number[])[];
}

const tolerance = 1e-4;

for (const name of folders) {
  test(`${name}: logits of base, adapter and merged model`, { skip }, async () => {
    const folder = sharedPath(`${root}/${name}`);
    const { base, sequences } = readJson<Case>(join(folder, 'case.json'));
    const model = openGolden(join(folder, base));
    const expected = readFloatTensors(join(folder, 'logits.safetensors'));
    const paths = adapterPaths(join(folder, 'adapter'));
    const files = readAdapter(paths);
    const adapter = fitAdapter(files.config, model.config, model.weights);
    checkAdapter(adapter, files.tensors);

    const compare = async (prefix: string, options: ForwardOptions): Promise<void> => {
      const result = await forward(model, sequences, options);
      const logits = result.values.get('logits') ?? new Float32Array();
      for (const index of sequences.keys()) {
        const reference = expected.get(`${prefix}.${index}`);
        assert.ok(reference, `${prefix}.${index}`);
        const difference = relativeDifference(rowValues(result, logits, index), reference.data);
        assert.ok(difference < tolerance, `${prefix}.${index} differs by ${difference}`);
      }
    };
    await compare('base', {});
    await compare('seq', {
      initializers: files.tensors,
      substitutes: (values) => savedSubstitutes(adapter, values),
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
    await compare('merged', { initializers: new Map(merged), substitutes: (values) => values });
  });
}
