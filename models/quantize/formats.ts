// The formats of the quantize step: for each, which tensors of a file one weight becomes and how they are filled.

import { decode } from '../checkpoint/encoding.ts';
import type { MesaTensor } from '../checkpoint/mesa-format.ts';
import type { DeclaredTensor, SafetensorsWriter } from '../checkpoint/safetensors.ts';
import { countOf, rowsOf } from '../checkpoint/stored.ts';
import {
  bnb4Codebooks,
  dequantizeAbsmax,
  dequantizeBnb4,
  dynamicMap,
  nestedBlockSize,
  quantizeAbsmax,
  quantizeBnb4,
  type Bnb4Type,
} from './bnb4.ts';
import { encodeBlocks, type EncodableFormat } from './encode-blocks.ts';
import { dequantizeInt4, quantizeInt4 } from './int4.ts';
import { dequantizeInt8, quantizeInt8 } from './int8.ts';

export type QuantizeFormat = 'nf4' | 'fp4' | 'int8' | 'int4' | 'q8_0' | 'q4_0' | 'q4_1';

export interface QuantizeOptions {
  readonly format: QuantizeFormat;
  /** nf4, fp4: 64 unless said; int4: 32. The other formats fix it. */
  readonly blockSize: number;
  readonly doubleQuant: boolean;
  readonly skipModules: readonly string[];
}

export interface TensorFormat {
  /** Why a matrix of this shape can't have the format, or null. `lookedUp`: its rows are embeddings as well. */
  refuses(shape: readonly number[], lookedUp: boolean): string | null;
  declare(name: string, shape: readonly number[]): readonly DeclaredTensor[];
  /** What MESA's header says of it; undefined for what bitsandbytes' own tensors say. */
  described?(shape: readonly number[]): MesaTensor;
  /** Writes all declared tensors; returns the values that a reader will see. */
  write(
    name: string,
    shape: readonly number[],
    values: Float32Array,
    writer: SafetensorsWriter,
  ): Float32Array;
}

export const formatOf = ({ format, blockSize, doubleQuant }: QuantizeOptions): TensorFormat => {
  switch (format) {
    case 'nf4':
    case 'fp4':
      return bnb4(format, blockSize, doubleQuant);
    case 'int8':
      return int8;
    case 'int4':
      return int4(blockSize);
    case 'q8_0':
      return blocks('Q8_0', 34);
    case 'q4_0':
      return blocks('Q4_0', 18);
    case 'q4_1':
      return blocks('Q4_1', 20);
  }
};

const notDivisible = (columns: number, blockSize: number): string | null =>
  columns % blockSize === 0
    ? null
    : `rows of ${columns} values are no whole number of blocks of ${blockSize}`;

const bnb4 = (type: Bnb4Type, blockSize: number, double: boolean): TensorFormat => {
  const stateName = (name: string): string => `${name}.quant_state.bitsandbytes__${type}`;
  /** Spaces fill it up to the same length whatever the offset, so that the header is known beforehand. */
  const state = (shape: readonly number[], offset: number): Uint8Array => {
    const json = {
      quant_type: type,
      blocksize: blockSize,
      dtype: 'float32',
      shape,
      ...(double
        ? { nested_blocksize: nestedBlockSize, nested_dtype: 'float32', nested_offset: offset }
        : {}),
    };
    const longest = JSON.stringify({ ...json, nested_offset: 0 }).length + 24;
    return new TextEncoder().encode(JSON.stringify(json).padEnd(longest));
  };
  return {
    // Blocks run across rows, so no row can be looked up; bitsandbytes never quantises embeddings either.
    refuses: (_shape, lookedUp) => (lookedUp ? `embeddings are not stored as ${type}` : null),
    declare: (name, shape) => {
      const count = countOf(shape);
      const blockCount = Math.ceil(count / blockSize);
      return [
        { name, dtype: 'U8', shape: [Math.ceil(count / 2), 1] },
        { name: `${name}.absmax`, dtype: double ? 'U8' : 'F32', shape: [blockCount] },
        { name: `${name}.quant_map`, dtype: 'F32', shape: [16] },
        { name: stateName(name), dtype: 'U8', shape: [state(shape, 0).length] },
        ...(double
          ? ([
              {
                name: `${name}.nested_absmax`,
                dtype: 'F32',
                shape: [Math.ceil(blockCount / nestedBlockSize)],
              },
              { name: `${name}.nested_quant_map`, dtype: 'F32', shape: [256] },
            ] as const)
          : []),
      ];
    },
    write: (name, shape, values, writer) => {
      const { data, absmax } = quantizeBnb4(type, values, blockSize);
      writer.write(name, data);
      writer.write(`${name}.quant_map`, bnb4Codebooks[type]);
      let restored = absmax;
      if (double) {
        const nested = quantizeAbsmax(absmax);
        writer.write(`${name}.absmax`, nested.codes);
        writer.write(`${name}.nested_absmax`, nested.absmax);
        writer.write(`${name}.nested_quant_map`, dynamicMap());
        writer.write(stateName(name), state(shape, nested.offset));
        restored = dequantizeAbsmax(
          nested.codes,
          nested.absmax,
          dynamicMap(),
          nestedBlockSize,
          nested.offset,
        );
      } else {
        writer.write(`${name}.absmax`, absmax);
        writer.write(stateName(name), state(shape, 0));
      }
      return dequantizeBnb4({ type, blockSize }, data, restored, values.length);
    },
  };
};

const moduleOf = (name: string): string => name.replace(/\.weight$/, '');

const int8: TensorFormat = {
  refuses: () => null,
  declare: (name, shape) => [
    { name, dtype: 'I8', shape },
    { name: `${moduleOf(name)}.SCB`, dtype: 'F32', shape: [rowsOf(shape)[0]] },
    { name: `${moduleOf(name)}.weight_format`, dtype: 'U8', shape: [] },
  ],
  write: (name, shape, values, writer) => {
    const [, columns] = rowsOf(shape);
    const { codes, absmax } = quantizeInt8(values, columns);
    writer.write(name, codes);
    writer.write(`${moduleOf(name)}.SCB`, absmax);
    writer.write(`${moduleOf(name)}.weight_format`, Uint8Array.of(0));
    return dequantizeInt8(codes, absmax, columns);
  },
};

const int4 = (blockSize: number): TensorFormat => ({
  refuses: (shape) => notDivisible(rowsOf(shape)[1], blockSize),
  described: (shape) => ({ shape, encoding: 'int4', block_size: blockSize }),
  declare: (name, shape) => {
    const [rows, columns] = rowsOf(shape);
    const perRow = columns / blockSize;
    return [
      { name, dtype: 'U8', shape: [rows, perRow, blockSize / 2] },
      { name: `${name}.scales`, dtype: 'F32', shape: [rows, perRow] },
    ];
  },
  write: (name, _shape, values, writer) => {
    const { data, scales } = quantizeInt4(values, blockSize);
    writer.write(name, data);
    writer.write(`${name}.scales`, scales);
    return dequantizeInt4(data, scales, blockSize);
  },
});

const blocks = (format: EncodableFormat, bytesPerBlock: number): TensorFormat => ({
  refuses: (shape) => notDivisible(rowsOf(shape)[1], 32),
  described: (shape) => ({ shape, encoding: format }),
  declare: (name, shape) => {
    const [rows, columns] = rowsOf(shape);
    return [{ name, dtype: 'U8', shape: [rows, (columns / 32) * bytesPerBlock] }];
  },
  write: (name, _shape, values, writer) => {
    const bytes = encodeBlocks(format, values);
    writer.write(name, bytes);
    return decode(format, bytes, values.length);
  },
});
