// A model as a Hugging Face folder: weights as safetensors under the hub's names and in its arrangement, config,
// tokenizer, chat template. Safetensors files are copied (bitsandbytes' too: transformers reads them); any other
// checkpoint is written out in float32, or in the 16-bit floats that it holds.

import { constants, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Model } from '../model.ts';
import { linearModules, modelModules } from '../modules.ts';
import { OpenFiles } from './file.ts';
import { isRecord } from './json.ts';
import { fromHubName } from './names.ts';
import {
  bytesOf,
  readSafetensorsHeader,
  writeSafetensors,
  type SafetensorsEntry,
  type SafetensorsTensor,
} from './safetensors.ts';
import { countOf, readTensor, rowsOf, storedRows, type StoredTensor } from './stored.ts';

/** `folder` exists and is empty; `file` gives the path of the model's own files. Returns what was written. */
export const exportHf = (
  model: Model,
  folder: string,
  file: (name: string) => string,
): readonly string[] => {
  const { document } = model;
  const written: string[] = [];
  const put = (name: string, content: string): void => {
    writeFileSync(join(folder, name), content, { flag: 'wx' });
    written.push(name);
  };
  const copy = (name: string): void => {
    const mode = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE;
    copyFileSync(file(name), join(folder, name), mode);
    written.push(name);
  };
  const weights = document.checkpoint.files.map(({ name }) => name);
  if (document.checkpoint.format === 'safetensors') {
    for (const name of weights) copy(name);
    if (weights.length > 1) put('model.safetensors.index.json', indexOf(weights, file));
  } else {
    writeWeights(join(folder, 'model.safetensors'), model);
    written.push('model.safetensors');
  }
  put('config.json', `${JSON.stringify(configOf(model), null, 2)}\n`);
  for (const name of document.tokenizer.files) copy(name);
  if (document.chat_template !== null) put('chat_template.jinja', document.chat_template);
  return written;
};

const indexOf = (names: readonly string[], file: (name: string) => string): string => {
  const map: [string, string][] = [];
  let size = 0;
  for (const name of names)
    for (const tensor of readSafetensorsHeader(file(name)).tensors.values()) {
      map.push([tensor.name, name]);
      size += tensor.data.bytes;
    }
  map.sort(([a], [b]) => (a < b ? -1 : 1));
  const index = { metadata: { total_size: size }, weight_map: Object.fromEntries(map) };
  return `${JSON.stringify(index, null, 2)}\n`;
};

/** Where blocks became floats nothing is packed; bitsandbytes' layers stay, and others are named as floats beside them. */
const configOf = (model: Model): Readonly<Record<string, unknown>> => {
  const { config: whole, checkpoint } = model.document;
  if (checkpoint.format === 'safetensors') return whole;
  const { quantization_config: quantization, ...config } = whole;
  if (checkpoint.format !== 'mesa') return { ...config, torch_dtype: 'float32' };
  const packed = new Set(bitsandbytesLayers(model).map(({ name }) => name));
  if (!isRecord(quantization) || packed.size === 0) return config;
  const { llm_int8_skip_modules: skipped } = quantization;
  const floats = linearModules(model.config).filter((module) => !packed.has(`${module}.weight`));
  const known: readonly unknown[] = Array.isArray(skipped) ? skipped : [];
  return {
    ...config,
    quantization_config: {
      ...quantization,
      llm_int8_skip_modules: [...new Set([...known, ...floats])],
    },
  };
};

const writeWeights = (path: string, model: Model): void => {
  using files = new OpenFiles();
  const { modelType } = model.config;
  const own = bitsandbytesParts(model);
  const entries = [...model.tensors().values()].flatMap(
    (tensor) =>
      own.get(tensor.storedName)?.map((part) => rawEntry(part, files)) ??
      entryOf(tensor, modelType, files),
  );
  writeSafetensors(path, entries, { format: 'pt' });
};

/** Layers of a file of MESA's that stay as bitsandbytes quantises them; it never does so with embeddings. */
const bitsandbytesLayers = (model: Model): readonly StoredTensor[] => {
  if (model.document.checkpoint.format !== 'mesa') return [];
  const embeddings = `${modelModules(model.config.modelType).embeddings}.weight`;
  return [...model.tensors().values()].filter(
    ({ name, quantized }) =>
      (quantized?.kind === 'bnb4' || quantized?.kind === 'int8') && name !== embeddings,
  );
};

/** Those layers, with the tensors that make them up. */
const bitsandbytesParts = (model: Model): ReadonlyMap<string, readonly SafetensorsTensor[]> => {
  const layers = new Map<string, readonly SafetensorsTensor[]>();
  const headers = new Map<string, readonly SafetensorsTensor[]>();
  for (const { storedName, data } of bitsandbytesLayers(model)) {
    const module = storedName.replace(/weight$/, '');
    const all = headers.get(data.path) ?? [...readSafetensorsHeader(data.path).tensors.values()];
    headers.set(data.path, all);
    const parts = all.filter(
      ({ name }) =>
        name === storedName ||
        name.startsWith(`${storedName}.`) ||
        name === `${module}SCB` ||
        name === `${module}weight_format`,
    );
    layers.set(storedName, parts);
  }
  return layers;
};

const rawEntry = ({ name, dtype, shape, data }: SafetensorsTensor, files: OpenFiles) => ({
  name,
  dtype,
  shape,
  chunks: () => [files.read(data)],
});

const entryOf = (tensor: StoredTensor, modelType: string, files: OpenFiles): SafetensorsEntry => {
  const { name, shape, encoding, arrangement, quantized } = tensor;
  // Conv1D is [in, out] in a hub's file.
  const turned = fromHubName(modelType, name)?.arrangement.kind === 'transposed';
  const inPlace = turned ? 'transposed' : 'as-is';
  const isFloat = encoding === 'F32' || encoding === 'F16' || encoding === 'BF16';
  const stored = turned ? [...shape].reverse() : shape;
  if (quantized === null && isFloat && arrangement.kind === inPlace)
    return { name, dtype: encoding, shape: stored, chunks: () => storedRows(tensor, files) };
  return {
    name,
    dtype: 'F32',
    shape: stored,
    *chunks() {
      const values = readTensor(tensor, files);
      yield bytesOf(turned ? transpose(values, shape) : values);
    },
  };
};

/** [rows, columns] -> [columns, rows] */
const transpose = (values: Float32Array, shape: readonly number[]): Float32Array => {
  const [rows, columns] = rowsOf(shape);
  const out = new Float32Array(countOf(shape));
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      out[column * rows + row] = values[row * columns + column] ?? 0;
  return out;
};
