// Opening a checkpoint of any format: its files in, its tensors under Hugging Face names out. Headers are read and
// checked here; no weight is.

import { asIs, countOf, type Arrangement, type StoredTensor } from './stored.ts';
import type { FileRange } from '../weights.ts';
import type { Quantized } from './quantized.ts';
import { readTorchFile, type TorchTensor } from './torch.ts';
import { CheckpointError } from './error.ts';
import { isEncoding } from './encoding.ts';
import { readGgufHeader, type GgufTensor } from './gguf.ts';
import { findBitsandbytes } from './bitsandbytes.ts';
import { readDescribed, type DescribedTensor } from './mesa-format.ts';
import { fromGgufName, fromHubName, ggufArchitectures } from './names.ts';
import { readSafetensorsHeader, type SafetensorsTensor } from './safetensors.ts';
import { checkIndex, readIndex } from './sharded.ts';
import { configFromGguf, ropeFactors, type HfConfig } from './gguf-config.ts';

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
      return openTorch(checkpoint, String(config['model_type']));
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
    // Rotary factors: the config says them.
    if (tensor.name === ropeFactors) continue;
    const experts = expertsOf(tensor);
    for (const expert of experts) tensors.set(expert.name, expert);
    if (experts.length > 0) continue;
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

const expertLayers: Readonly<Record<string, string>> = { gate: 'w1', down: 'w2', up: 'w3' };

/** Mixtral's experts lie in one tensor [experts, out, in]: one weight each. */
const expertsOf = ({ name, shape, encoding, data }: GgufTensor): readonly StoredTensor[] => {
  const match = /^blk\.(\d+)\.ffn_(gate|down|up)_exps\.weight$/.exec(name);
  const [count = 0, ...matrix] = shape;
  if (match === null || matrix.length !== 2) return [];
  const [, layer, part = ''] = match;
  const bytes = data.bytes / count;
  return Array.from({ length: count }, (_, expert) => ({
    name: `model.layers.${layer}.block_sparse_moe.experts.${expert}.${expertLayers[part]}.weight`,
    storedName: name,
    shape: matrix,
    encoding,
    arrangement: asIs,
    quantized: null,
    data: { path: data.path, offset: data.offset + expert * bytes, bytes },
  }));
};

const openSafetensors = ({ files, index }: CheckpointFiles, modelType: string): StoredTensors => {
  const stored = new Map<string, SafetensorsTensor>();
  const shards = new Map<string, ReadonlySet<string>>();
  const described = new Map<string, DescribedTensor>();
  const describedParts = new Set<string>();
  for (const { name: fileName, path } of files) {
    const header = readSafetensorsHeader(path);
    shards.set(fileName, new Set(header.tensors.keys()));
    for (const tensor of header.tensors.values()) addOnce(stored, tensor);
    const { tensors, parts } = readDescribed(header);
    for (const [name, tensor] of tensors) described.set(name, tensor);
    for (const name of parts) describedParts.add(name);
  }
  if (index !== null) checkIndex(index, readIndex(index), shards);

  const { quantized, parts } = findBitsandbytes(stored);
  const raw: RawTensor[] = [];
  for (const tensor of stored.values()) {
    if (parts.has(tensor.name) || describedParts.has(tensor.name)) continue;
    const packed = quantized.get(tensor.name) ?? described.get(tensor.name);
    raw.push({
      name: tensor.name,
      shape: packed?.shape ?? tensor.shape,
      encoding: described.get(tensor.name)?.encoding ?? tensor.dtype,
      arrangement: asIs,
      // Quantised layers are saved as linear layers, [out, in], even where the model has Conv1D.
      isLinear: packed !== undefined,
      quantized: packed?.quantized ?? null,
      data: tensor.data,
    });
  }
  return underHubNames(raw, modelType);
};

const openTorch = ({ files, index }: CheckpointFiles, modelType: string): StoredTensors => {
  const stored = new Map<string, TorchTensor>();
  const shards = new Map<string, ReadonlySet<string>>();
  for (const { name: fileName, path } of files) {
    const tensors = readTorchFile(path);
    shards.set(fileName, new Set(tensors.keys()));
    for (const tensor of tensors.values()) addOnce(stored, tensor);
  }
  if (index !== null) checkIndex(index, readIndex(index), shards);
  const raw = [...stored.values()].map((tensor): RawTensor => ({
    name: tensor.name,
    shape: tensor.shape,
    encoding: tensor.encoding,
    arrangement: arrangementOf(tensor),
    isLinear: false,
    quantized: null,
    data: tensor.data,
  }));
  return underHubNames(raw, modelType);
};

const addOnce = <T extends { readonly name: string; readonly data: FileRange }>(
  tensors: Map<string, T>,
  tensor: T,
): void => {
  const before = tensors.get(tensor.name);
  if (before !== undefined)
    throw new CheckpointError(tensor.data.path, `is also in ${before.data.path}`, {
      tensor: tensor.name,
    });
  tensors.set(tensor.name, tensor);
};

const arrangementOf = ({ shape, strides }: TorchTensor): Arrangement => {
  const contiguous = shape.map((_, axis) => countOf(shape.slice(axis + 1)));
  // The stride of an axis of one is never used.
  const matches = (wanted: readonly number[]): boolean =>
    shape.every((size, axis) => size <= 1 || strides[axis] === wanted[axis]);
  if (matches(contiguous)) return asIs;
  if (shape.length === 2 && matches([1, shape[0] ?? 0])) return { kind: 'transposed' };
  return { kind: 'strided', strides };
};

/** A tensor as a file names it. */
interface RawTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly encoding: string;
  readonly arrangement: Arrangement;
  /** Already [out, in], whatever the architecture's own layout. */
  readonly isLinear: boolean;
  readonly quantized: Quantized | null;
  readonly data: FileRange;
}

const underHubNames = (raw: readonly RawTensor[], modelType: string): StoredTensors => {
  const tensors = new Map<string, StoredTensor>();
  for (const tensor of raw) {
    const { name: storedName, encoding, data, quantized } = tensor;
    const named = fromHubName(modelType, storedName);
    if (named === null) continue;
    if (!isEncoding(encoding))
      throw new CheckpointError(data.path, `has dtype ${encoding}, which MESA cannot read`, {
        tensor: storedName,
      });
    const clash = tensors.get(named.name);
    if (clash !== undefined)
      throw new CheckpointError(data.path, `means the same weight as ${clash.storedName}`, {
        tensor: storedName,
      });
    const turned = named.arrangement.kind === 'transposed' && !tensor.isLinear;
    tensors.set(named.name, {
      name: named.name,
      storedName,
      shape: turned ? [...tensor.shape].reverse() : tensor.shape,
      encoding,
      arrangement: turned ? turn(tensor.arrangement) : tensor.arrangement,
      quantized,
      data,
    });
  }
  return tensors;
};

/** The arrangement of the transposed matrix. */
const turn = (arrangement: Arrangement): Arrangement => {
  if (arrangement.kind === 'transposed') return asIs;
  return arrangement.kind === 'strided'
    ? { kind: 'strided', strides: [...arrangement.strides].reverse() }
    : { kind: 'transposed' };
};
