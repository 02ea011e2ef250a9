// Float32 to GGUF's Q4_0, Q4_1 and Q8_0 blocks, to the same bytes as ggml's quantize_row_*_ref
// (llama.cpp, ggml/src/ggml-quants.c). Arithmetic is float32 throughout; scales are rounded to halves only as stored.

import { singleToHalf } from '../checkpoint/half.ts';

export type EncodableFormat = 'Q4_0' | 'Q4_1' | 'Q8_0';

const f = Math.fround;

/** `values.length` is a multiple of 32. */
export const encodeBlocks = (format: EncodableFormat, values: Float32Array): Uint8Array =>
  encoders[format](values);

const put16 = (out: Uint8Array, at: number, half: number): void => {
  out[at] = half & 255;
  out[at + 1] = half >> 8;
};

const inverse = (value: number): number => (value === 0 ? 0 : f(1 / value));

const encoders: Readonly<Record<EncodableFormat, (values: Float32Array) => Uint8Array>> = {
  Q4_0: (values) => {
    const out = new Uint8Array((values.length / 32) * 18);
    for (let start = 0, at = 0; start < values.length; start += 32, at += 18) {
      let extreme = 0;
      for (let j = 0; j < 32; j++) {
        const value = values[start + j] ?? 0;
        if (Math.abs(value) > Math.abs(extreme)) extreme = value;
      }
      const d = f(extreme / -8);
      const id = inverse(d);
      put16(out, at, singleToHalf(d));
      const code = (value: number): number => Math.min(15, Math.trunc(f(f(value * id) + 8.5)));
      for (let j = 0; j < 16; j++)
        out[at + 2 + j] = code(values[start + j] ?? 0) | (code(values[start + j + 16] ?? 0) << 4);
    }
    return out;
  },
  Q4_1: (values) => {
    const out = new Uint8Array((values.length / 32) * 20);
    for (let start = 0, at = 0; start < values.length; start += 32, at += 20) {
      let low = Infinity;
      let high = -Infinity;
      for (let j = 0; j < 32; j++) {
        const value = values[start + j] ?? 0;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      const d = f(f(high - low) / 15);
      const id = inverse(d);
      put16(out, at, singleToHalf(d));
      put16(out, at + 2, singleToHalf(low));
      const code = (value: number): number =>
        Math.min(15, Math.trunc(f(f(f(value - low) * id) + 0.5)));
      for (let j = 0; j < 16; j++)
        out[at + 4 + j] = code(values[start + j] ?? 0) | (code(values[start + j + 16] ?? 0) << 4);
    }
    return out;
  },
  Q8_0: (values) => {
    const out = new Uint8Array((values.length / 32) * 34);
    for (let start = 0, at = 0; start < values.length; start += 32, at += 34) {
      let largest = 0;
      for (let j = 0; j < 32; j++) largest = Math.max(largest, Math.abs(values[start + j] ?? 0));
      const d = f(largest / 127);
      const id = inverse(d);
      put16(out, at, singleToHalf(d));
      for (let j = 0; j < 32; j++) {
        const scaled = f((values[start + j] ?? 0) * id);
        // roundf: half away from zero.
        out[at + 2 + j] = Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5);
      }
    }
    return out;
  },
};
