// Writing GGUF files, version 3: metadata with its types, tensors streamed at aligned offsets. It knows no architecture.

import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { encodedBytes, type EncodingName } from './encoding.ts';
import { countOf } from './stored.ts';

/** Integers are written as uint32, other numbers as float32; lists take one of the types. */
export type GgufMetadata =
  | { readonly type: 'uint32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'int32s' | 'float32s'; readonly value: ArrayLike<number> };

export interface GgufEntry {
  readonly name: string;
  readonly encoding: EncodingName;
  /** Slowest dimension first. */
  readonly shape: readonly number[];
  chunks(): Iterable<Uint8Array>;
}

const alignment = 32;
const typeNumbers: Readonly<Partial<Record<EncodingName, number>>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  BF16: 30,
};

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const string = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
};
const list = (type: number, items: readonly Uint8Array[]): Buffer =>
  Buffer.concat([u32(9), u32(type), u64(items.length), ...items]);

const encode = (metadata: GgufMetadata): Buffer => {
  switch (metadata.type) {
    case 'uint32':
      return Buffer.concat([u32(4), u32(metadata.value)]);
    case 'float32':
      return Buffer.concat([u32(6), new Uint8Array(Float32Array.of(metadata.value).buffer)]);
    case 'bool':
      return Buffer.concat([u32(7), Buffer.from([Number(metadata.value)])]);
    case 'string':
      return Buffer.concat([u32(8), string(metadata.value)]);
    case 'strings':
      return list(8, metadata.value.map(string));
    case 'int32s':
    case 'float32s': {
      const isFloat = metadata.type === 'float32s';
      const values = isFloat ? Float32Array.from(metadata.value) : Int32Array.from(metadata.value);
      const head = Buffer.concat([u32(9), u32(isFloat ? 6 : 5), u64(values.length)]);
      return Buffer.concat([head, new Uint8Array(values.buffer)]);
    }
  }
};

const aligned = (offset: number): number => Math.ceil(offset / alignment) * alignment;

/** The file is on disk when it returns. */
export const writeGguf = (
  path: string,
  metadata: ReadonlyMap<string, GgufMetadata>,
  tensors: readonly GgufEntry[],
): void => {
  let offset = 0;
  const headers: Buffer[] = [];
  const offsets: number[] = [];
  for (const { name, encoding, shape } of tensors) {
    const type = typeNumbers[encoding];
    if (type === undefined) throw new Error(`${name}: GGUF has no type for ${encoding}`);
    headers.push(
      Buffer.concat([
        string(name),
        u32(shape.length),
        ...[...shape].reverse().map(u64),
        u32(type),
        u64(offset),
      ]),
    );
    offsets.push(offset);
    offset = aligned(offset + encodedBytes(encoding, countOf(shape)));
  }
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(metadata.size),
    ...[...metadata].map(([key, value]) => Buffer.concat([string(key), encode(value)])),
    ...headers,
  ]);
  const start = aligned(head.length);
  const descriptor = openSync(path, 'wx');
  try {
    const put = (bytes: Uint8Array, position: number): void => {
      let done = 0;
      while (done < bytes.length)
        done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
    };
    put(head, 0);
    for (const [index, tensor] of tensors.entries()) {
      let position = start + (offsets[index] ?? 0);
      const end = position + encodedBytes(tensor.encoding, countOf(tensor.shape));
      for (const chunk of tensor.chunks()) {
        put(chunk, position);
        position += chunk.length;
      }
      if (position !== end) throw new Error(`${tensor.name}: ${end - position} bytes are missing`);
    }
    // The last tensor's padding belongs to the file.
    ftruncateSync(descriptor, start + offset);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
};
