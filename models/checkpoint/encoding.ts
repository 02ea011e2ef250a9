// How stored bytes mean numbers: one table for plain number types and block formats. Everything decodes to float32.

import { blockFormats, type BlockFormat } from '../quantize/blocks.ts';
import { halfTable } from './half.ts';

const plain = (bytes: number, decode: BlockFormat['decode']): BlockFormat => ({
  values: 1,
  bytes,
  decode,
});

const view = (source: Uint8Array): DataView =>
  new DataView(source.buffer, source.byteOffset, source.byteLength);

/** A typed array over the bytes, without a copy where they are aligned. */
const aligned = <T>(
  source: Uint8Array,
  bytes: number,
  make: (buffer: ArrayBufferLike, offset: number, length: number) => T,
): T => {
  const start = source.byteOffset % bytes === 0 ? source : Uint8Array.from(source);
  return make(start.buffer, start.byteOffset, Math.floor(start.byteLength / bytes));
};

export const encodings = {
  F32: plain(4, (source, out) => {
    out.set(aligned(source, 4, (buffer, at, length) => new Float32Array(buffer, at, length)));
  }),
  F16: plain(2, (source, out) => {
    const half = halfTable();
    const words = aligned(source, 2, (buffer, at, length) => new Uint16Array(buffer, at, length));
    for (let i = 0; i < out.length; i++) out[i] = half[words[i] ?? 0] ?? 0;
  }),
  BF16: plain(2, (source, out) => {
    const words = aligned(source, 2, (buffer, at, length) => new Uint16Array(buffer, at, length));
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < bits.length; i++) bits[i] = (words[i] ?? 0) << 16;
  }),
  F64: plain(8, (source, out) => {
    out.set(aligned(source, 8, (buffer, at, length) => new Float64Array(buffer, at, length)));
  }),
  I8: plain(1, (source, out) => {
    out.set(new Int8Array(source.buffer, source.byteOffset, source.byteLength));
  }),
  U8: plain(1, (source, out) => {
    out.set(source);
  }),
  BOOL: plain(1, (source, out) => {
    out.set(source);
  }),
  I16: plain(2, (source, out) => {
    const data = view(source);
    for (let i = 0; i < out.length; i++) out[i] = data.getInt16(i * 2, true);
  }),
  I32: plain(4, (source, out) => {
    const data = view(source);
    for (let i = 0; i < out.length; i++) out[i] = data.getInt32(i * 4, true);
  }),
  I64: plain(8, (source, out) => {
    const data = view(source);
    for (let i = 0; i < out.length; i++) out[i] = Number(data.getBigInt64(i * 8, true));
  }),
  ...blockFormats,
} as const satisfies Record<string, BlockFormat>;

export type EncodingName = keyof typeof encodings;

export const isEncoding = (name: string): name is EncodingName => Object.hasOwn(encodings, name);

/** Bytes that `values` values take; a row is a whole number of blocks. */
export const encodedBytes = (name: EncodingName, values: number): number => {
  const { values: perBlock, bytes } = encodings[name];
  return (values / perBlock) * bytes;
};

export const decode = (name: EncodingName, source: Uint8Array, values: number): Float32Array => {
  const out = new Float32Array(values);
  encodings[name].decode(source, out);
  return out;
};
