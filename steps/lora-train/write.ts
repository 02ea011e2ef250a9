// What lora-train leaves: a PEFT folder, or with method: full a model. Pure functions of the key.

import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InputArtifact, OutputArtifact } from '../../engine/step.ts';
import { fromHubName } from '../../models/checkpoint/names.ts';
import type { FittedAdapter } from '../../models/linear-lora.ts';
import type { LoraConfig } from '../../models/lora.ts';
import type { Model } from '../../models/model.ts';
import { linearModules } from '../../models/modules.ts';
import type { NamedTensor } from '../../models/peft-files.ts';
import { writeAdapter, writeFloatTensors } from '../../models/peft-files.ts';
import type { ModelDocument } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';

export const writeTrainedAdapter = (
  output: OutputArtifact,
  model: Model,
  adapter: FittedAdapter,
  tensors: readonly NamedTensor[],
): void => {
  writeAdapter(output.folder, {
    config: {
      ...adapter.config,
      target_modules: targetNames(adapter, linearModules(model.config)),
    },
    baseModel: '',
    // PEFT wants it said for GPT-2, whose Conv1D holds its weight as [in, out].
    fanInFanOut: model.config.modelType === 'gpt2',
    tensors,
  });
};

/** Last names where they say the same, as people write them; else whole names. */
const targetNames = (
  adapter: FittedAdapter,
  linears: readonly string[],
): LoraConfig['target_modules'] => {
  // An adapter that was gone on with: its parameters are no layers, so the names it came with stay.
  if (adapter.config.target_parameters.length > 0) return adapter.config.target_modules;
  const last = (module: string): string => module.slice(module.lastIndexOf('.') + 1);
  const names = new Set([...adapter.targets.keys()].map(last));
  const { layers_to_transform: layers } = adapter.config;
  const meant = linears.filter((module) => {
    const layer = /\.(\d+)\./.exec(module)?.[1];
    return names.has(last(module)) && (layers === null || layers.includes(Number(layer)));
  });
  return meant.length === adapter.targets.size
    ? [...names].sort()
    : [...adapter.targets.keys()].sort();
};

const weightsName = 'model.safetensors';

export const writeTrainedModel = async (
  output: OutputArtifact,
  input: InputArtifact,
  model: Model,
  tensors: readonly NamedTensor[],
): Promise<void> => {
  const path = join(output.folder, weightsName);
  writeFloatTensors(
    path,
    tensors.map((tensor) => asStoredByHub(model.config.modelType, tensor)),
  );
  const { document } = model;
  for (const name of document.tokenizer.files)
    copyFileSync(input.file(name), join(output.folder, name));
  const file = { name: weightsName, size: statSync(path).size, sha256: await sha256(path) };
  const record: ModelDocument = {
    architecture: document.architecture,
    config: plainConfig(document.config as JsonObject),
    checkpoint: { format: 'safetensors', files: [file] },
    tokenizer: document.tokenizer,
    chat_template: document.chat_template,
    quantization: null,
    dtype: 'float32',
  };
  writeFileSync(join(output.folder, 'model.json'), `${JSON.stringify(record, null, 1)}\n`);
};

const plainConfig = (config: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(config).filter(([key]) => key !== 'quantization_config'));

const sha256 = async (path: string): Promise<string> => {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
};

/** Hugging Face's layout of a tensor: GPT-2's Conv1D layers are [in, out]. */
const asStoredByHub = (modelType: string, tensor: NamedTensor): NamedTensor => {
  if (fromHubName(modelType, tensor.name)?.arrangement.kind !== 'transposed') return tensor;
  const [rows = 0, columns = 0] = tensor.shape;
  const data = new Float32Array(tensor.data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      data[column * rows + row] = tensor.data[row * columns + column] ?? 0;
  return { name: tensor.name, shape: [columns, rows], data };
};
