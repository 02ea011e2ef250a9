// The GGUF container: metadata and the table of tensors, from files that may lie about every length.
// Counts and lengths are checked against what the file still holds before anything is allocated; it knows no
// architecture. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3).

import { CheckpointError } from './error.ts';
import { encodings, isEncoding, type EncodingName } from './encoding.ts';
import { Cursor } from './cursor.ts';
import { BinaryFile } from './file.ts';
import type { FileRange } from '../weights.ts';

export type GgufValue = number | boolean | string | readonly GgufValue[] | GgufNumbers;
/** Arrays of numbers stay typed: vocabularies have hundreds of thousands of scores and types. */
export type GgufNumbers = Float64Array;

export interface GgufTensor {
  readonly name: string;
  readonly encoding: EncodingName;
  /** Slowest dimension first, as in safetensors; the file lists them the other way round. */
  readonly shape: readonly number[];
  readonly data: FileRange;
}

export interface GgufFile {
  readonly path: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** ggml_type by number; what is named but not in `encodings` is refused by name. */
const ggmlTypes: Readonly<Record<number, string>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  30: 'BF16',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};

const valueTypes = { string: 8, array: 9 } as const;

/** Number types of metadata: bytes and reader. */
const numberTypes: Readonly<
  Record<number, { bytes: number; read(view: DataView, at: number): number }>
> = {
  0: { bytes: 1, read: (view, at) => view.getUint8(at) },
  1: { bytes: 1, read: (view, at) => view.getInt8(at) },
  2: { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  3: { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  4: { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  5: { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  6: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  7: { bytes: 1, read: (view, at) => view.getUint8(at) },
  10: { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
  11: { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  12: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};
const boolType = 7;

export const readGgufHeader = (path: string): GgufFile => {
  using file = new BinaryFile(path);
  const cursor = new Cursor(file);
  const magic = cursor.take(4, 'the magic number');
  if (magic.getUint32(0, true) !== 0x46554747)
    throw new CheckpointError(path, 'is no GGUF file: it does not start with "GGUF"');
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3)
    throw new CheckpointError(path, `has GGUF version ${version}; versions 2 and 3 are read`, {
      ...(version > 0xffff ? { hint: 'the file may be big-endian' } : {}),
    });
  // A tensor takes at least 32 bytes of header, a metadata pair at least 13.
  const tensorCount = cursor.size('the number of tensors', 24);
  const pairCount = cursor.size('the number of metadata pairs', 13);

  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairCount; i++) {
    const key = cursor.string(`metadata key ${i}`);
    if (metadata.has(key))
      throw new CheckpointError(path, `has metadata ${JSON.stringify(key)} twice`);
    metadata.set(key, readValue(cursor, cursor.u32(`type of ${key}`), key, 0));
  }
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || alignment < 1 || alignment % 8 !== 0 || alignment > 1 << 20)
    throw new CheckpointError(path, `has the unusable general.alignment ${String(alignment)}`);

  const headers = Array.from({ length: tensorCount }, (_, i) => readTensorHeader(cursor, i));
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const { name, type, dimensions, offset } of headers) {
    if (tensors.has(name)) throw new CheckpointError(path, 'is listed twice', { tensor: name });
    tensors.set(name, locate(path, file.size, dataStart, name, type, dimensions, offset));
  }
  checkOverlaps(path, tensors);
  return { path, version, metadata, tensors };
};

const readValue = (cursor: Cursor, type: number, key: string, depth: number): GgufValue => {
  const number = numberTypes[type];
  if (number !== undefined) {
    const value = number.read(cursor.take(number.bytes, key), 0);
    return type === boolType ? value !== 0 : value;
  }
  if (type === valueTypes.string) return cursor.string(key);
  if (type !== valueTypes.array)
    throw new CheckpointError(cursor.file.path, `has metadata ${key} of the unknown type ${type}`);
  if (depth > 2)
    throw new CheckpointError(cursor.file.path, `has metadata ${key} nested too deeply`);

  const elementType = cursor.u32(`element type of ${key}`);
  const element = numberTypes[elementType];
  const length = cursor.size(
    `length of ${key}`,
    element?.bytes ?? (elementType === valueTypes.string ? 8 : 12),
  );
  if (element !== undefined) {
    const bytes = cursor.take(element.bytes * length, key);
    const numbers = new Float64Array(length);
    for (let i = 0; i < length; i++) numbers[i] = element.read(bytes, i * element.bytes);
    return numbers;
  }
  const values: GgufValue[] = [];
  for (let i = 0; i < length; i++) values.push(readValue(cursor, elementType, key, depth + 1));
  return values;
};

interface TensorHeader {
  readonly name: string;
  readonly type: number;
  readonly dimensions: readonly number[];
  readonly offset: number;
}

const readTensorHeader = (cursor: Cursor, index: number): TensorHeader => {
  const name = cursor.string(`name of tensor ${index}`);
  const rank = cursor.u32(`rank of ${name}`);
  if (rank > 4)
    throw new CheckpointError(cursor.file.path, `has ${rank} dimensions, at most 4 are allowed`, {
      tensor: name,
    });
  const dimensions = Array.from({ length: rank }, () =>
    Number(cursor.take(8, `dimensions of ${name}`).getBigUint64(0, true)),
  );
  const type = cursor.u32(`type of ${name}`);
  const offset = Number(cursor.take(8, `offset of ${name}`).getBigUint64(0, true));
  return { name, type, dimensions, offset };
};

const locate = (
  path: string,
  fileSize: number,
  dataStart: number,
  name: string,
  type: number,
  dimensions: readonly number[],
  offset: number,
): GgufTensor => {
  const typeName = ggmlTypes[type];
  if (typeName === undefined || !isEncoding(typeName))
    throw new CheckpointError(
      path,
      `has type ${typeName ?? `number ${type}`}, which MESA cannot read`,
      {
        tensor: name,
        hint: 'F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K are read',
      },
    );
  const { values, bytes } = encodings[typeName];
  // An empty tensor says nothing, and its other dimensions could be anything.
  if (!dimensions.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new CheckpointError(
      path,
      `has the unusable shape [${[...dimensions].reverse().join(', ')}]`,
      { tensor: name },
    );
  const row = dimensions[0] ?? 1;
  if (row % values !== 0)
    throw new CheckpointError(
      path,
      `has rows of ${row} values, no whole number of ${typeName} blocks of ${values}`,
      { tensor: name },
    );
  const count = dimensions.reduce((a, b) => a * b, 1);
  const size = (count / values) * bytes;
  if (!Number.isSafeInteger(size) || dataStart + offset + size > fileSize)
    throw new CheckpointError(
      path,
      `of shape [${[...dimensions].reverse().join(', ')}] (${typeName}) needs ${size} bytes at ${dataStart + offset}, the file has ${fileSize}: truncated or damaged`,
      { tensor: name },
    );
  return {
    name,
    encoding: typeName,
    shape: [...dimensions].reverse(),
    data: { path, offset: dataStart + offset, bytes: size },
  };
};

const checkOverlaps = (path: string, tensors: ReadonlyMap<string, GgufTensor>): void => {
  const ordered = [...tensors.values()].sort((a, b) => a.data.offset - b.data.offset);
  for (const [i, tensor] of ordered.entries()) {
    const before = ordered[i - 1];
    if (before !== undefined && before.data.offset + before.data.bytes > tensor.data.offset)
      throw new CheckpointError(path, `overlaps ${before.name}`, { tensor: tensor.name });
  }
};
