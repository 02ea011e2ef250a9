// Quantised tensors whose parts lie in several tensors of a file: how to read their values. The formats are
// bitsandbytes' (as transformers saves them) and MESA's int4.

import type { FileRange } from '../weights.ts';
import { dequantizeAbsmax, dequantizeBnb4, type Bnb4Type } from '../quantize/bnb4.ts';
import { dequantizeInt4 } from '../quantize/int4.ts';
import { dequantizeInt8 } from '../quantize/int8.ts';
import type { OpenFiles } from './file.ts';

/** Where the absmax of 4-bit blocks comes from: float32 as it is, or quantised itself (double quantisation). */
export type Absmax =
  | { readonly kind: 'float32'; readonly data: FileRange }
  | {
      readonly kind: 'nested';
      readonly codes: FileRange;
      readonly absmax: FileRange;
      readonly map: FileRange;
      readonly blockSize: number;
      readonly offset: number;
    };

export type Quantized =
  | {
      readonly kind: 'bnb4';
      readonly type: Bnb4Type;
      readonly blockSize: number;
      readonly absmax: Absmax;
    }
  /** int8 rows; absmax float32 [rows]. */
  | { readonly kind: 'int8'; readonly absmax: FileRange }
  /** Blocks of 4 bits as MatMulNBits has them; scales float32 [rows, columns/blockSize]. */
  | { readonly kind: 'int4'; readonly blockSize: number; readonly scales: FileRange };

export const floats = (range: FileRange, files: OpenFiles): Float32Array =>
  new Float32Array(files.read(range).buffer);

export const readAbsmax = (absmax: Absmax, files: OpenFiles): Float32Array =>
  absmax.kind === 'float32'
    ? floats(absmax.data, files)
    : dequantizeAbsmax(
        files.read(absmax.codes),
        floats(absmax.absmax, files),
        floats(absmax.map, files),
        absmax.blockSize,
        absmax.offset,
      );

/** The whole tensor in memory: its codes are small. */
export const readQuantized = (
  quantized: Quantized,
  data: FileRange,
  shape: readonly number[],
  files: OpenFiles,
): Float32Array => {
  const codes = files.read(data);
  const columns = shape.at(-1) ?? 1;
  const count = shape.reduce((a, b) => a * b, 1);
  switch (quantized.kind) {
    case 'bnb4':
      return dequantizeBnb4(
        { type: quantized.type, blockSize: quantized.blockSize },
        codes,
        readAbsmax(quantized.absmax, files),
        count,
      );
    case 'int8':
      return dequantizeInt8(new Int8Array(codes.buffer), floats(quantized.absmax, files), columns);
    case 'int4':
      return dequantizeInt4(codes, floats(quantized.scales, files), quantized.blockSize);
  }
};
