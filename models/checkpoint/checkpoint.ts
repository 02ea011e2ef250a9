// Opening a checkpoint of any format: its files in, its tensors under Hugging Face names out. Headers are read and
// checked here; no weight is.

import { asIs, type StoredTensor } from './stored.ts';
import { CheckpointError } from './error.ts';
import { isEncoding } from './encoding.ts';
import { readGgufHeader } from './gguf.ts';
import { findBitsandbytes } from './bitsandbytes.ts';
import { readDescribed, type DescribedTensor } from './mesa-format.ts';
import { fromGgufName, fromHubName, ggufArchitectures } from './names.ts';
import { readSafetensorsHeader, type SafetensorsTensor } from './safetensors.ts';
import { checkIndex, readIndex } from './sharded.ts';
import { configFromGguf, type HfConfig } from './gguf-config.ts';

export interface CheckpointFiles {
  readonly format: 'safetensors' | 'gguf' | 'torch' | 'mesa';
  /** Weight files, by relative name. */
  readonly files: readonly { readonly name: string; readonly path: string }[];
  /** The index of a sharded checkpoint, where there is one. */
  readonly index: string | null;
}

/** Tensors by Hugging Face name. */
export type StoredTensors = ReadonlyMap<string, StoredTensor>;

export const openCheckpoint = (checkpoint: CheckpointFiles, config: HfConfig): StoredTensors => {
  switch (checkpoint.format) {
    case 'gguf':
      return openGguf(checkpoint);
    case 'safetensors':
    case 'mesa':
      return openSafetensors(checkpoint, String(config['model_type']));
    case 'torch':
      throw new Error('torch checkpoints are not read yet');
  }
};

const openGguf = ({ files }: CheckpointFiles): StoredTensors => {
  const [file, second] = files;
  if (file === undefined) throw new Error('a checkpoint without files');
  if (second !== undefined)
    throw new CheckpointError(second.path, 'is part of a split GGUF model, which is not read', {
      hint: 'join the parts with llama-gguf-split --merge',
    });
  const gguf = readGgufHeader(file.path);
  const config = configFromGguf(gguf);
  const name = gguf.metadata.get('general.architecture');
  const architecture = ggufArchitectures[String(name)];
  if (architecture === undefined)
    throw new Error('configFromGguf accepts known architectures only');
  const heads = Number(config['num_attention_heads'] ?? config['n_head']);
  const kvHeads = Number(config['num_key_value_heads'] ?? heads);
  const tensors = new Map<string, StoredTensor>();
  for (const tensor of gguf.tensors.values()) {
    const named = fromGgufName(architecture, tensor.name, { heads, kvHeads });
    if (named === null)
      throw new CheckpointError(file.path, `is unknown to the architecture ${String(name)}`, {
        tensor: tensor.name,
      });
    tensors.set(named.name, {
      name: named.name,
      storedName: tensor.name,
      shape: tensor.shape,
      encoding: tensor.encoding,
      arrangement: named.arrangement,
      quantized: null,
      data: tensor.data,
    });
  }
  return tensors;
};

const openSafetensors = ({ files, index }: CheckpointFiles, modelType: string): StoredTensors => {
  const stored = new Map<string, SafetensorsTensor>();
  const shards = new Map<string, ReadonlySet<string>>();
  const described = new Map<string, DescribedTensor>();
  const describedParts = new Set<string>();
  for (const { name: fileName, path } of files) {
    const header = readSafetensorsHeader(path);
    shards.set(fileName, new Set(header.tensors.keys()));
    for (const tensor of header.tensors.values()) {
      const before = stored.get(tensor.name);
      if (before !== undefined)
        throw new CheckpointError(path, `is also in ${before.data.path}`, { tensor: tensor.name });
      stored.set(tensor.name, tensor);
    }
    const { tensors, parts } = readDescribed(header);
    for (const [name, tensor] of tensors) described.set(name, tensor);
    for (const name of parts) describedParts.add(name);
  }
  if (index !== null) checkIndex(index, readIndex(index), shards);

  const { quantized, parts } = findBitsandbytes(stored);
  const tensors = new Map<string, StoredTensor>();
  for (const tensor of stored.values()) {
    if (parts.has(tensor.name) || describedParts.has(tensor.name)) continue;
    const named = fromHubName(modelType, tensor.name);
    if (named === null) continue;
    const { path } = tensor.data;
    if (!isEncoding(tensor.dtype))
      throw new CheckpointError(path, `has dtype ${tensor.dtype}, which MESA cannot read`, {
        tensor: tensor.name,
      });
    const clash = tensors.get(named.name);
    if (clash !== undefined)
      throw new CheckpointError(path, `means the same weight as ${clash.storedName}`, {
        tensor: tensor.name,
      });
    const packed = quantized.get(tensor.name) ?? described.get(tensor.name);
    // Quantised layers are saved as linear layers, [out, in], even where the model has Conv1D.
    const transposed = packed === undefined && named.arrangement.kind === 'transposed';
    tensors.set(named.name, {
      name: named.name,
      storedName: tensor.name,
      shape: packed?.shape ?? (transposed ? [...tensor.shape].reverse() : tensor.shape),
      encoding: described.get(tensor.name)?.encoding ?? tensor.dtype,
      arrangement: transposed ? named.arrangement : asIs,
      quantized: packed?.quantized ?? null,
      data: tensor.data,
    });
  }
  return tensors;
};
