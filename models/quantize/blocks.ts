// GGUF's block formats in plain code: packed bytes to float32, to the same bits as ggml's dequantize_row_*
// (llama.cpp, ggml/src/ggml-quants.c; gguf-py agrees). It knows nothing of files or models.
// A block covers 32 (or 256) neighbouring values of a row; d and m are IEEE halves.

import { halfTable } from '../checkpoint/half.ts';

export interface BlockFormat {
  readonly values: number;
  readonly bytes: number;
  /** Decodes whole blocks: `out.length` is a multiple of `values`. */
  decode(source: Uint8Array, out: Float32Array): void;
}

/** Q4_0 {d; 16 bytes}: (q - 8) d. Byte j holds value j low and value j + 16 high. */
const q4_0: BlockFormat = {
  values: 32,
  bytes: 18,
  decode(source, out) {
    const half = halfTable();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 18) {
      const d = half[(source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)] ?? 0;
      for (let j = 0; j < 16; j++) {
        const byte = source[at + 2 + j] ?? 0;
        out[block + j] = ((byte & 15) - 8) * d;
        out[block + j + 16] = ((byte >> 4) - 8) * d;
      }
    }
  },
};

/** Q4_1 {d; m; 16 bytes}: q d + m. */
const q4_1: BlockFormat = {
  values: 32,
  bytes: 20,
  decode(source, out) {
    const half = halfTable();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 20) {
      const d = half[(source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)] ?? 0;
      const m = half[(source[at + 2] ?? 0) | ((source[at + 3] ?? 0) << 8)] ?? 0;
      for (let j = 0; j < 16; j++) {
        const byte = source[at + 4 + j] ?? 0;
        out[block + j] = (byte & 15) * d + m;
        out[block + j + 16] = (byte >> 4) * d + m;
      }
    }
  },
};

/** Q5_0 {d; 32 fifth bits; 16 bytes}: (q - 16) d. */
const q5_0: BlockFormat = {
  values: 32,
  bytes: 22,
  decode(source, out) {
    const half = halfTable();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 22) {
      const d = half[(source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)] ?? 0;
      for (let j = 0; j < 16; j++) {
        const byte = source[at + 6 + j] ?? 0;
        out[block + j] = ((byte & 15) + 16 * fifthBit(source, at + 2, j) - 16) * d;
        out[block + j + 16] = ((byte >> 4) + 16 * fifthBit(source, at + 2, j + 16) - 16) * d;
      }
    }
  },
};

/** Q5_1 {d; m; 32 fifth bits; 16 bytes}: q d + m. */
const q5_1: BlockFormat = {
  values: 32,
  bytes: 24,
  decode(source, out) {
    const half = halfTable();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 24) {
      const d = half[(source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)] ?? 0;
      const m = half[(source[at + 2] ?? 0) | ((source[at + 3] ?? 0) << 8)] ?? 0;
      for (let j = 0; j < 16; j++) {
        const byte = source[at + 8 + j] ?? 0;
        out[block + j] = ((byte & 15) + 16 * fifthBit(source, at + 4, j)) * d + m;
        out[block + j + 16] = ((byte >> 4) + 16 * fifthBit(source, at + 4, j + 16)) * d + m;
      }
    }
  },
};

export const fifthBit = (source: Uint8Array, at: number, index: number): number =>
  ((source[at + (index >> 3)] ?? 0) >> (index & 7)) & 1;

/** Q8_0 {d; 32 signed bytes}: q d. */
const q8_0: BlockFormat = {
  values: 32,
  bytes: 34,
  decode(source, out) {
    const half = halfTable();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 34) {
      const d = half[(source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)] ?? 0;
      for (let j = 0; j < 32; j++) out[block + j] = (((source[at + 2 + j] ?? 0) << 24) >> 24) * d;
    }
  },
};

/**
 * The eight 6-bit scales and minima of a Q4_K or Q5_K block, packed in 12 bytes (get_scale_min_k4).
 * Writes scales to out[0..7], minima to out[8..15].
 */
export const scalesAndMinima = (source: Uint8Array, at: number, out: Uint8Array): void => {
  for (let j = 0; j < 8; j++) {
    const a = source[at + j] ?? 0;
    if (j < 4) {
      out[j] = a & 63;
      out[j + 8] = (source[at + j + 4] ?? 0) & 63;
    } else {
      const b = source[at + j + 4] ?? 0;
      out[j] = (b & 15) | (((source[at + j - 4] ?? 0) >> 6) << 4);
      out[j + 8] = (b >> 4) | ((a >> 6) << 4);
    }
  }
};

/** Q4_K {d; dmin; 12 bytes of scales; 128 bytes}: eight sub-blocks of 32, q (d scale) - dmin min. */
const q4_k: BlockFormat = {
  values: 256,
  bytes: 144,
  decode(source, out) {
    const half = halfTable();
    const packed = new Uint8Array(16);
    for (let block = 0, at = 0; block < out.length; block += 256, at += 144) {
      const d = half[(source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)] ?? 0;
      const dmin = half[(source[at + 2] ?? 0) | ((source[at + 3] ?? 0) << 8)] ?? 0;
      scalesAndMinima(source, at + 4, packed);
      for (let sub = 0; sub < 8; sub++) {
        const scale = Math.fround(d * (packed[sub] ?? 0));
        const minimum = Math.fround(dmin * (packed[sub + 8] ?? 0));
        const bytes = at + 16 + (sub >> 1) * 32;
        const shift = (sub & 1) * 4;
        for (let j = 0; j < 32; j++)
          out[block + sub * 32 + j] =
            Math.fround((((source[bytes + j] ?? 0) >> shift) & 15) * scale) - minimum;
      }
    }
  },
};

/** Q5_K {d; dmin; 12 bytes of scales; 32 bytes of fifth bits; 128 bytes}. */
const q5_k: BlockFormat = {
  values: 256,
  bytes: 176,
  decode(source, out) {
    const half = halfTable();
    const packed = new Uint8Array(16);
    for (let block = 0, at = 0; block < out.length; block += 256, at += 176) {
      const d = half[(source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)] ?? 0;
      const dmin = half[(source[at + 2] ?? 0) | ((source[at + 3] ?? 0) << 8)] ?? 0;
      scalesAndMinima(source, at + 4, packed);
      for (let sub = 0; sub < 8; sub++) {
        const scale = Math.fround(d * (packed[sub] ?? 0));
        const minimum = Math.fround(dmin * (packed[sub + 8] ?? 0));
        for (let j = 0; j < 32; j++)
          out[block + sub * 32 + j] = Math.fround(q5kCode(source, at, sub, j) * scale) - minimum;
      }
    }
  },
};

/** Code 0..31 of value j of a sub-block: four bits from the nibbles, the fifth from bit `sub` of byte j. */
export const q5kCode = (source: Uint8Array, at: number, sub: number, j: number): number =>
  (((source[at + 48 + (sub >> 1) * 32 + j] ?? 0) >> ((sub & 1) * 4)) & 15) |
  ((((source[at + 16 + j] ?? 0) >> sub) & 1) << 4);

/** Q6_K {128 bytes of low bits; 64 of high bits; 16 signed scales; d}: (q - 32) (d scale), scale per 16 values. */
const q6_k: BlockFormat = {
  values: 256,
  bytes: 210,
  decode(source, out) {
    const half = halfTable();
    for (let block = 0, at = 0; block < out.length; block += 256, at += 210) {
      const d = half[(source[at + 208] ?? 0) | ((source[at + 209] ?? 0) << 8)] ?? 0;
      for (let j = 0; j < 256; j++) {
        const scale = Math.fround(d * (((source[at + 192 + (j >> 4)] ?? 0) << 24) >> 24));
        out[block + j] = (q6kCode(source, at, j) - 32) * scale;
      }
    }
  },
};

/** Code 0..63 of value j of a Q6_K block. */
export const q6kCode = (source: Uint8Array, at: number, j: number): number => {
  const part = j >> 7; // two halves of 128 values
  const quarter = (j >> 5) & 3;
  const l = j & 31;
  const low = source[at + part * 64 + (quarter & 1) * 32 + l] ?? 0;
  const high = source[at + 128 + part * 32 + l] ?? 0;
  return ((quarter < 2 ? low & 15 : low >> 4) | (((high >> (quarter * 2)) & 3) << 4)) & 63;
};

export const blockFormats = {
  Q4_0: q4_0,
  Q4_1: q4_1,
  Q5_0: q5_0,
  Q5_1: q5_1,
  Q8_0: q8_0,
  Q4_K: q4_k,
  Q5_K: q5_k,
  Q6_K: q6_k,
} as const satisfies Record<string, BlockFormat>;
export type BlockFormatName = keyof typeof blockFormats;
