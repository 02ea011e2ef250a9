// PEFT's adapter folders: adapter_config.json and adapter_model.safetensors. What is read is understood in full or
// refused: an adapter that is half applied looks like a bad adapter.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bfloat16ToFloat32, float16ToFloat32 } from '../tensor/dtype.ts';
import { BinaryFile } from './checkpoint/file.ts';
import { bytesOf, readSafetensorsHeader, writeSafetensors } from './checkpoint/safetensors.ts';
import type { LoraConfig } from './lora.ts';
import { AdapterError } from './lora.ts';

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface AdapterFiles {
  readonly config: LoraConfig;
  /** As written by whoever trained it; empty when unknown. */
  readonly baseModel: string;
  readonly tensors: ReadonlyMap<string, NamedTensor>;
}

export interface AdapterPaths {
  readonly config: string;
  readonly weights: string;
}

export const adapterPaths = (folder: string): AdapterPaths => ({
  config: join(folder, 'adapter_config.json'),
  weights: join(folder, 'adapter_model.safetensors'),
});

export const readAdapter = (paths: AdapterPaths): AdapterFiles => {
  const json = parseConfig(paths.config);
  return {
    config: loraConfig(json),
    baseModel:
      typeof json['base_model_name_or_path'] === 'string' ? json['base_model_name_or_path'] : '',
    tensors: readFloatTensors(paths.weights),
  };
};

/** All tensors of a safetensors file as float32. */
export const readFloatTensors = (path: string): ReadonlyMap<string, NamedTensor> => {
  const header = readSafetensorsHeader(path);
  using file = new BinaryFile(path);
  const tensors = new Map<string, NamedTensor>();
  for (const { name, dtype, shape, data } of header.tensors.values()) {
    const bytes = file.read(data.offset, data.bytes);
    tensors.set(name, { name, shape, data: floats(bytes, dtype, `${path}: ${name}`) });
  }
  return tensors;
};

const floats = (bytes: Uint8Array<ArrayBuffer>, dtype: string, what: string): Float32Array => {
  if (dtype === 'F32') return new Float32Array(bytes.buffer);
  const halves = (): Uint16Array => new Uint16Array(bytes.buffer);
  if (dtype === 'F16') return Float32Array.from(halves(), float16ToFloat32);
  if (dtype === 'BF16') return Float32Array.from(halves(), bfloat16ToFloat32);
  throw new AdapterError(`${what} has dtype ${dtype}; adapters are F32, F16 or BF16`);
};

/** Writes a float32 safetensors file the way PEFT and transformers do (metadata format: pt). */
export const writeFloatTensors = (path: string, tensors: Iterable<NamedTensor>): void => {
  const entries = [...tensors].map(({ name, shape, data }) => ({
    name,
    dtype: 'F32' as const,
    shape,
    chunks: () => [bytesOf(data)],
  }));
  writeSafetensors(path, entries, { format: 'pt' });
};

export const writeAdapter = (
  folder: string,
  adapter: {
    readonly config: LoraConfig;
    readonly baseModel: string;
    readonly fanInFanOut: boolean;
    readonly tensors: Iterable<NamedTensor>;
  },
): void => {
  const paths = adapterPaths(folder);
  const { config, baseModel, fanInFanOut } = adapter;
  // The keys that every version of PEFT since 0.10 understands, sorted as PEFT sorts them.
  const json = {
    alpha_pattern: config.alpha_pattern,
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    bias: 'none',
    fan_in_fan_out: fanInFanOut,
    inference_mode: true,
    init_lora_weights: config.init_lora_weights,
    layers_pattern: null,
    layers_to_transform: config.layers_to_transform,
    lora_alpha: config.lora_alpha,
    lora_dropout: config.lora_dropout,
    modules_to_save: config.modules_to_save,
    peft_type: 'LORA',
    r: config.r,
    rank_pattern: config.rank_pattern,
    revision: null,
    target_modules: config.target_modules,
    // PEFT before 0.17 doesn't know it.
    ...(config.target_parameters.length === 0
      ? {}
      : { target_parameters: config.target_parameters }),
    task_type: 'CAUSAL_LM',
    use_dora: config.use_dora,
    use_rslora: config.use_rslora,
  };
  writeFileSync(paths.config, `${JSON.stringify(json, null, 2)}\n`);
  writeFloatTensors(paths.weights, adapter.tensors);
};

type Json = Readonly<Record<string, unknown>>;

const parseConfig = (path: string): Json => {
  const json: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new AdapterError(`${path} is no JSON object`);
  return json as Json;
};

/** Features of PEFT that change what an adapter computes and that aren't here; each with the value that means "off". */
const refused: readonly (readonly [key: string, off: (value: unknown) => boolean])[] = [
  ['bias', (value) => value === 'none'],
  ['lora_bias', (value) => value === false],
  ['layer_replication', isEmpty],
  ['trainable_token_indices', isEmpty],
  ['exclude_modules', isEmpty],
  ['layers_pattern', isEmpty],
  ['use_qalora', (value) => value === false],
  ['use_bdlora', isEmpty],
  ['velora_config', isEmpty],
  ['monteclora_config', isEmpty],
  ['kasa_config', isEmpty],
  ['arrow_config', isEmpty],
  ['alora_invocation_tokens', isEmpty],
];

function isEmpty(value: unknown): boolean {
  return (
    value === null ||
    value === false ||
    (Array.isArray(value) && value.length === 0) ||
    (typeof value === 'object' && Object.keys(value).length === 0)
  );
}

export const loraConfig = (json: Json): LoraConfig => {
  if (json['peft_type'] !== 'LORA')
    throw new AdapterError(
      `peft_type ${JSON.stringify(json['peft_type'])} is not supported (LORA is)`,
    );
  for (const [key, off] of refused) {
    const value = json[key];
    if (value !== undefined && value !== null && !off(value))
      throw new AdapterError(
        `the adapter uses ${key}: ${JSON.stringify(value)}, which is not supported`,
      );
  }
  const r = positive(json, 'r');
  const parameters = names(json, 'target_parameters');
  return {
    r,
    lora_alpha: positive(json, 'lora_alpha'),
    lora_dropout: typeof json['lora_dropout'] === 'number' ? json['lora_dropout'] : 0,
    target_modules: targets(json['target_modules'], parameters.length > 0),
    use_rslora: json['use_rslora'] === true,
    use_dora: json['use_dora'] === true,
    init_lora_weights: json['init_lora_weights'] === 'gaussian' ? 'gaussian' : true,
    rank_pattern: pattern(json['rank_pattern']),
    alpha_pattern: pattern(json['alpha_pattern']),
    layers_to_transform: layerList(json['layers_to_transform']),
    target_parameters: parameters,
    modules_to_save: strings(json['modules_to_save']),
  };
};

const positive = (json: Json, key: string): number => {
  const value = json[key];
  if (typeof value !== 'number' || !(value > 0))
    throw new AdapterError(`${key} is ${JSON.stringify(value)}, expected a positive number`);
  return value;
};

const strings = (value: unknown): readonly string[] | null =>
  Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : null;

const names = (json: Json, key: string): readonly string[] => {
  const value = json[key];
  const list = value === undefined || value === null ? [] : strings(value);
  if (list === null)
    throw new AdapterError(`${key} is ${JSON.stringify(value)}, expected a list of names`);
  return list;
};

const targets = (value: unknown, optional: boolean): string | readonly string[] => {
  if (optional && (value === undefined || value === null)) return [];
  const list = typeof value === 'string' ? value : strings(value);
  if (list === null)
    throw new AdapterError(
      `target_modules is ${JSON.stringify(value)}, expected names or a pattern`,
    );
  return list;
};

const pattern = (value: unknown): Readonly<Record<string, number>> => {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && Object.values(value).every((item) => typeof item === 'number'))
    return value as Readonly<Record<string, number>>;
  throw new AdapterError(`${JSON.stringify(value)} is no map from patterns to numbers`);
};

const layerList = (value: unknown): readonly number[] | null => {
  if (typeof value === 'number') return [value];
  return Array.isArray(value) && value.every((item) => typeof item === 'number') ? value : null;
};
