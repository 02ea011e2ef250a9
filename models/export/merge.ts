// A model with an adapter put into its weights (lora-merge.ts), as a model that any exporter takes: the changed matrices
// lie in one file of their own, written one at a time; everything else stays where the base model has it.

import { join } from 'node:path';
import { aliasesOf } from '../checkpoint/inventory.ts';
import { OpenFiles } from '../checkpoint/file.ts';
import { singleToBfloat, singleToHalf } from '../checkpoint/half.ts';
import {
  bytesOf,
  readSafetensorsHeader,
  writeSafetensors,
  type SafetensorsEntry,
} from '../checkpoint/safetensors.ts';
import { asIs, readTensor, type StoredTensor } from '../checkpoint/stored.ts';
import { changedWeights, checkAdapter, fitAdapter } from '../linear-lora.ts';
import { mergedWeight } from '../lora-merge.ts';
import type { Model } from '../model.ts';
import type { AdapterFiles } from '../peft-files.ts';

type PlainDtype = 'F32' | 'F16' | 'BF16';

export interface MergedModel {
  readonly model: Model;
  /** How many matrices changed. */
  readonly changed: number;
  /** Changed matrices by what they are written as: the base model's own floats, or F32 where it was packed. */
  readonly dtypes: ReadonlyMap<PlainDtype, number>;
}

/**
 * `scratch`: an empty folder, to be kept as long as the result is used. Throws AdapterError where the adapter doesn't
 * fit the model, to the last tensor.
 */
export const mergeAdapter = (model: Model, adapter: AdapterFiles, scratch: string): MergedModel => {
  const stored = model.tensors();
  const aliases = aliasesOf(model.config);
  using files = new OpenFiles();
  const find = (name: string): StoredTensor | undefined => stored.get(aliases.get(name) ?? name);
  const source = {
    get: (name: string) => find(name),
    read: (name: string): Float32Array => {
      const tensor = find(name);
      if (tensor === undefined) throw new Error(`the model has no ${name}`);
      return readTensor(tensor, files);
    },
  };
  const fitted = fitAdapter(adapter.config, model.config, source);
  checkAdapter(fitted, adapter.tensors);

  const names = changedWeights(fitted);
  const dtypes = new Map<PlainDtype, number>();
  const entries = names.map((name): SafetensorsEntry => {
    const tensor = find(name);
    const dtype = plainDtype(tensor);
    dtypes.set(dtype, (dtypes.get(dtype) ?? 0) + 1);
    return {
      name,
      dtype,
      shape: tensor?.shape ?? [],
      *chunks() {
        yield bytesOf(encoded(mergedWeight(source, fitted, adapter.tensors, name), dtype));
      },
    };
  });
  const path = join(scratch, 'merged.safetensors');
  writeSafetensors(path, entries, { format: 'pt' });
  const merged = new Map(
    [...readSafetensorsHeader(path).tensors.values()].map((tensor): [string, StoredTensor] => [
      tensor.name,
      {
        name: tensor.name,
        storedName: tensor.name,
        shape: tensor.shape,
        encoding: plainDtype(find(tensor.name)),
        arrangement: asIs,
        quantized: null,
        data: tensor.data,
      },
    ]),
  );
  const tensors = new Map([...stored].map(([name, tensor]) => [name, merged.get(name) ?? tensor]));
  return { model: withTensors(model, tensors), changed: names.length, dtypes };
};

const plainDtype = (tensor: StoredTensor | undefined): PlainDtype => {
  if (tensor?.quantized !== null) return 'F32';
  return tensor.encoding === 'F16' || tensor.encoding === 'BF16' ? tensor.encoding : 'F32';
};

const encoded = (values: Float32Array, dtype: PlainDtype): ArrayBufferView => {
  if (dtype === 'F32') return values;
  return Uint16Array.from(values, dtype === 'F16' ? singleToHalf : singleToBfloat);
};

/** Its weights are no longer those of one checkpoint: whoever writes it asks for tensors. */
const withTensors = (model: Model, tensors: ReadonlyMap<string, StoredTensor>): Model => {
  const { document } = model;
  return {
    ...model,
    document: {
      ...document,
      checkpoint: { format: 'mesa', files: [] },
      quantization: null,
    },
    tensors: () => tensors,
    weights: () => {
      throw new Error('a merged model is written, not run');
    },
  };
};
