// bitsandbytes tensors as transformers saves them: which tensors of a file belong together, checked against what
// their quant_state says. Reads headers and the small JSON blobs, no weights.
//
//   X.weight                               uint8 codes           X.weight   int8 codes [out, in]
//   X.weight.absmax                        float32 or uint8      X.SCB      float32 [out]
//   X.weight.nested_absmax, .nested_quant_map                    X.weight_format
//   X.weight.quant_map, .quant_state.bitsandbytes__nf4 (JSON)

import { bnb4Codebooks, type Bnb4Type } from '../quantize/bnb4.ts';
import { CheckpointError } from './error.ts';
import { OpenFiles } from './file.ts';
import { isRecord, parseJson, shown } from './json.ts';
import { floats, type Absmax, type Quantized } from './quantized.ts';
import type { SafetensorsDtype, SafetensorsTensor } from './safetensors.ts';
import { countOf } from './stored.ts';

export interface BitsandbytesTensor {
  readonly shape: readonly number[];
  readonly quantized: Quantized;
}

export interface Bitsandbytes {
  /** By the name of the weight. */
  readonly quantized: ReadonlyMap<string, BitsandbytesTensor>;
  /** Tensors that are parts of others. */
  readonly parts: ReadonlySet<string>;
}

const state = /^(.*)\.quant_state\.bitsandbytes__(nf4|fp4)$/;

export const findBitsandbytes = (stored: ReadonlyMap<string, SafetensorsTensor>): Bitsandbytes => {
  const quantized = new Map<string, BitsandbytesTensor>();
  const parts = new Set<string>();
  using files = new OpenFiles();
  for (const tensor of stored.values()) {
    const match = state.exec(tensor.name);
    if (match !== null) {
      const [, weight = '', type = ''] = match;
      quantized.set(weight, fourBit(weight, type as Bnb4Type, tensor, stored, files));
      parts.add(tensor.name);
      for (const suffix of ['absmax', 'quant_map', 'nested_absmax', 'nested_quant_map'])
        parts.add(`${weight}.${suffix}`);
    } else if (tensor.name.endsWith('.SCB')) {
      const module = tensor.name.slice(0, -'.SCB'.length);
      quantized.set(`${module}.weight`, eightBit(module, tensor, stored, files));
      parts.add(tensor.name).add(`${module}.weight_format`);
    }
  }
  return { quantized, parts };
};

const part = (
  stored: ReadonlyMap<string, SafetensorsTensor>,
  name: string,
  dtype: SafetensorsDtype,
  count: number,
  owner: SafetensorsTensor,
): SafetensorsTensor => {
  const tensor = stored.get(name);
  if (tensor === undefined)
    throw new CheckpointError(owner.data.path, `belongs to ${name}, which is missing`, {
      tensor: owner.name,
    });
  if (tensor.dtype !== dtype || countOf(tensor.shape) !== count)
    throw new CheckpointError(
      tensor.data.path,
      `is ${tensor.dtype} with ${countOf(tensor.shape)} values; ${owner.name} asks for ${dtype} with ${count}`,
      { tensor: name },
    );
  return tensor;
};

/** No quant_state is longer than this; a header that says so lies. */
const maxStateBytes = 65_536;

const fourBit = (
  weight: string,
  type: Bnb4Type,
  owner: SafetensorsTensor,
  stored: ReadonlyMap<string, SafetensorsTensor>,
  files: OpenFiles,
): BitsandbytesTensor => {
  const { path } = owner.data;
  const fail = (message: string): never => {
    throw new CheckpointError(path, message, { tensor: owner.name });
  };
  if (owner.data.bytes > maxStateBytes) return fail(`has ${owner.data.bytes} bytes of JSON`);
  const json = parseJson(path, files.read(owner.data));
  if (!isRecord(json)) return fail('holds no JSON object');
  const { shape, blocksize, quant_type: saidType } = json;
  const isSize = (value: unknown): value is number =>
    Number.isSafeInteger(value) && Number(value) > 0;
  if (saidType !== type) return fail(`says quant_type ${shown(saidType)}`);
  if (!Array.isArray(shape) || !shape.every(isSize)) return fail('has an unusable shape');
  if (!isSize(blocksize)) return fail('has an unusable blocksize');

  const count = countOf(shape);
  part(stored, weight, 'U8', Math.ceil(count / 2), owner);
  const map = part(stored, `${weight}.quant_map`, 'F32', 16, owner);
  const codebook = floats(map.data, files);
  if (codebook.some((value, code) => Math.abs(value - (bnb4Codebooks[type][code] ?? 0)) > 1e-6))
    return fail(`has a quant_map that is not ${type}'s`);
  const blocks = Math.ceil(count / blocksize);
  return {
    shape,
    quantized: {
      kind: 'bnb4',
      type,
      blockSize: blocksize,
      absmax: absmaxOf(weight, json, blocks, owner, stored),
    },
  };
};

const absmaxOf = (
  weight: string,
  json: Readonly<Record<string, unknown>>,
  blocks: number,
  owner: SafetensorsTensor,
  stored: ReadonlyMap<string, SafetensorsTensor>,
): Absmax => {
  const name = `${weight}.absmax`;
  const { nested_blocksize: size, nested_offset: offset } = json;
  if (size === undefined)
    return { kind: 'float32', data: part(stored, name, 'F32', blocks, owner).data };
  if (!Number.isSafeInteger(size) || Number(size) < 1 || typeof offset !== 'number')
    throw new CheckpointError(owner.data.path, 'has unusable nested values', {
      tensor: owner.name,
    });
  const nestedBlocks = Math.ceil(blocks / Number(size));
  return {
    kind: 'nested',
    codes: part(stored, name, 'U8', blocks, owner).data,
    absmax: part(stored, `${weight}.nested_absmax`, 'F32', nestedBlocks, owner).data,
    map: part(stored, `${weight}.nested_quant_map`, 'F32', 256, owner).data,
    blockSize: Number(size),
    // Written as the shortest decimal of a float32.
    offset: Math.fround(offset),
  };
};

const eightBit = (
  module: string,
  owner: SafetensorsTensor,
  stored: ReadonlyMap<string, SafetensorsTensor>,
  files: OpenFiles,
): BitsandbytesTensor => {
  const weight = stored.get(`${module}.weight`);
  const [rows, columns] = weight?.shape ?? [];
  if (weight?.dtype !== 'I8' || weight.shape.length !== 2 || rows === undefined)
    throw new CheckpointError(owner.data.path, `belongs to no int8 matrix ${module}.weight`, {
      tensor: owner.name,
    });
  part(stored, owner.name, 'F32', rows, owner);
  const format = stored.get(`${module}.weight_format`);
  // 0 is row by row; the others are layouts of one GPU generation.
  if (format?.data.bytes === 1 && files.read(format.data)[0] !== 0)
    throw new CheckpointError(format.data.path, 'is no row layout', { tensor: format.name });
  return {
    shape: [rows, columns ?? 0],
    quantized: { kind: 'int8', absmax: owner.data },
  };
};
