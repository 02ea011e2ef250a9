// GGUF blocks as ONNX Runtime's MatMulNBits wants them (models/weights.ts, kind 'blocks'), without changing a value:
// (q - zero) * scale + offset in float32 gives the bits of ggml's own dequantisation. Formats with five or six bits
// become eight; formats with a minimum get an offset per block. It knows nothing of files.

import { halfTable } from '../checkpoint/half.ts';
import { fifthBit, q5kCode, q6kCode, scalesAndMinima, type BlockFormatName } from './blocks.ts';

export interface PackedForm {
  readonly bits: 4 | 8;
  readonly blockSize: number;
  /** Whether each block has a float offset; 4-bit blocks then have zero points as well. */
  readonly offsets: boolean;
}

export const packedForms: Readonly<Record<BlockFormatName, PackedForm>> = {
  Q4_0: { bits: 4, blockSize: 32, offsets: false },
  Q4_1: { bits: 4, blockSize: 32, offsets: true },
  Q5_0: { bits: 8, blockSize: 32, offsets: false },
  Q5_1: { bits: 8, blockSize: 32, offsets: true },
  Q8_0: { bits: 8, blockSize: 32, offsets: false },
  Q4_K: { bits: 4, blockSize: 32, offsets: true },
  Q5_K: { bits: 8, blockSize: 32, offsets: true },
  Q6_K: { bits: 8, blockSize: 16, offsets: false },
};

export interface PackedRows {
  /** uint8 [rows, K/blockSize, blockSize*bits/8], low nibble first. */
  readonly data: Uint8Array;
  /** float32 [rows, K/blockSize] */
  readonly scales: Float32Array;
  readonly offsets: Float32Array | null;
  /** uint8 [rows, ceil(K/blockSize/2)], low nibble first; only beside 4-bit blocks with offsets. */
  readonly zeroPoints: Uint8Array | null;
}

/** One small block's codes, scale and minimum, in the numbers of its format. */
interface Block {
  readonly codes: Uint8Array;
  scale: number;
  /** Added after scaling. */
  offset: number;
}

/** Reads small block `index` (of blockSize values) into `block`; codes are raw, before the format's own zero. */
type ReadBlock = (source: Uint8Array, index: number, block: Block) => void;

const half = (source: Uint8Array, at: number): number =>
  halfTable()[(source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)] ?? 0;

const nibbles = (source: Uint8Array, at: number, codes: Uint8Array): void => {
  for (let j = 0; j < 16; j++) {
    const byte = source[at + j] ?? 0;
    codes[j] = byte & 15;
    codes[j + 16] = byte >> 4;
  }
};

const kScales = new Uint8Array(16);

const readers: Readonly<Record<BlockFormatName, { zero: number; read: ReadBlock }>> = {
  Q4_0: {
    zero: 8,
    read: (source, index, block) => {
      const at = index * 18;
      block.scale = half(source, at);
      nibbles(source, at + 2, block.codes);
    },
  },
  Q4_1: {
    zero: 0,
    read: (source, index, block) => {
      const at = index * 20;
      block.scale = half(source, at);
      block.offset = half(source, at + 2);
      nibbles(source, at + 4, block.codes);
    },
  },
  Q5_0: {
    zero: 16,
    read: (source, index, block) => {
      const at = index * 22;
      block.scale = half(source, at);
      nibbles(source, at + 6, block.codes);
      for (let j = 0; j < 32; j++)
        block.codes[j] = (block.codes[j] ?? 0) | (fifthBit(source, at + 2, j) << 4);
    },
  },
  Q5_1: {
    zero: 0,
    read: (source, index, block) => {
      const at = index * 24;
      block.scale = half(source, at);
      block.offset = half(source, at + 2);
      nibbles(source, at + 8, block.codes);
      for (let j = 0; j < 32; j++)
        block.codes[j] = (block.codes[j] ?? 0) | (fifthBit(source, at + 4, j) << 4);
    },
  },
  Q8_0: {
    zero: 128,
    read: (source, index, block) => {
      const at = index * 34;
      block.scale = half(source, at);
      // Signed to unsigned with the zero at 128: flip the sign bit.
      for (let j = 0; j < 32; j++) block.codes[j] = (source[at + 2 + j] ?? 0) ^ 0x80;
    },
  },
  Q4_K: {
    zero: 0,
    read: (source, index, block) => {
      const at = (index >> 3) * 144;
      const sub = index & 7;
      scalesAndMinima(source, at + 4, kScales);
      block.scale = Math.fround(half(source, at) * (kScales[sub] ?? 0));
      block.offset = -Math.fround(half(source, at + 2) * (kScales[sub + 8] ?? 0));
      const bytes = at + 16 + (sub >> 1) * 32;
      const shift = (sub & 1) * 4;
      for (let j = 0; j < 32; j++) block.codes[j] = ((source[bytes + j] ?? 0) >> shift) & 15;
    },
  },
  Q5_K: {
    zero: 0,
    read: (source, index, block) => {
      const at = (index >> 3) * 176;
      const sub = index & 7;
      scalesAndMinima(source, at + 4, kScales);
      block.scale = Math.fround(half(source, at) * (kScales[sub] ?? 0));
      block.offset = -Math.fround(half(source, at + 2) * (kScales[sub + 8] ?? 0));
      for (let j = 0; j < 32; j++) block.codes[j] = q5kCode(source, at, sub, j);
    },
  },
  Q6_K: {
    zero: 32,
    read: (source, index, block) => {
      const at = (index >> 4) * 210;
      const sub = index & 15;
      const scale = ((source[at + 192 + sub] ?? 0) << 24) >> 24;
      block.scale = Math.fround(half(source, at + 208) * scale);
      for (let j = 0; j < 16; j++) block.codes[j] = q6kCode(source, at, sub * 16 + j);
    },
  },
};

/** Repacks whole rows of `columns` values. */
export const packRows = (
  format: BlockFormatName,
  source: Uint8Array,
  rows: number,
  columns: number,
): PackedRows => {
  const { bits, blockSize, offsets: hasOffsets } = packedForms[format];
  const { zero, read } = readers[format];
  const blocksPerRow = columns / blockSize;
  const count = rows * blocksPerRow;
  const bytesPerBlock = (blockSize * bits) / 8;
  const data = new Uint8Array(count * bytesPerBlock);
  const scales = new Float32Array(count);
  const offsets = hasOffsets ? new Float32Array(count) : null;
  const zeroBytes = Math.ceil(blocksPerRow / 2);
  const zeroPoints = hasOffsets && bits === 4 ? new Uint8Array(rows * zeroBytes) : null;
  const block: Block = { codes: new Uint8Array(32), scale: 0, offset: 0 };
  const { codes } = block;
  // Codes are moved so that the format's zero becomes the runtime's default one (8 bits only; 4 bits have no room).
  const shift = bits === 8 ? 128 - zero : 0;

  for (let index = 0; index < count; index++) {
    read(source, index, block);
    scales[index] = block.scale;
    if (offsets !== null) offsets[index] = block.offset;
    if (zeroPoints !== null && offsets !== null) {
      const centred = Math.fround(block.offset + 8 * block.scale);
      const exact = centred - 8 * block.scale === block.offset;
      // A zero in the middle keeps int8 activations precise; where the moved offset would round, the zero stays 0.
      if (exact) {
        offsets[index] = centred;
        const column = index % blocksPerRow;
        const at = Math.floor(index / blocksPerRow) * zeroBytes + (column >> 1);
        zeroPoints[at] = (zeroPoints[at] ?? 0) | (8 << ((column & 1) * 4));
      }
    }
    const at = index * bytesPerBlock;
    if (bits === 8) for (let j = 0; j < blockSize; j++) data[at + j] = (codes[j] ?? 0) + shift;
    else
      for (let j = 0; j < blockSize; j += 2)
        data[at + (j >> 1)] = (codes[j] ?? 0) | ((codes[j + 1] ?? 0) << 4);
  }
  return { data, scales, offsets, zeroPoints };
};

/** The values of packed rows: what MatMulNBits multiplies with, and the offsets added. */
export const unpackRows = (
  { bits, blockSize }: Pick<PackedForm, 'bits' | 'blockSize'>,
  { data, scales, offsets, zeroPoints }: PackedRows,
  rows: number,
  columns: number,
): Float32Array => {
  const out = new Float32Array(rows * columns);
  const blocksPerRow = columns / blockSize;
  const zeroBytes = Math.ceil((blocksPerRow * bits) / 8);
  for (let index = 0; index < rows * blocksPerRow; index++) {
    const scale = scales[index] ?? 0;
    const offset = offsets?.[index] ?? 0;
    const column = index % blocksPerRow;
    let zero = bits === 4 ? 8 : 128;
    if (zeroPoints !== null) {
      const row = Math.floor(index / blocksPerRow) * zeroBytes;
      zero =
        bits === 8
          ? (zeroPoints[row + column] ?? 0)
          : ((zeroPoints[row + (column >> 1)] ?? 0) >> ((column & 1) * 4)) & 15;
    }
    for (let j = 0; j < blockSize; j++) {
      const at = index * blockSize + j;
      const code = bits === 8 ? (data[at] ?? 0) : ((data[at >> 1] ?? 0) >> ((at & 1) * 4)) & 15;
      out[at] =
        offsets === null ? (code - zero) * scale : Math.fround((code - zero) * scale) + offset;
    }
  }
  return out;
};
