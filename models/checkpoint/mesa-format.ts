// MESA's own quantised files: a safetensors file whose header says which tensors hold GGUF blocks or int4 blocks.
// Everything else in it is as in any safetensors file, under Hugging Face's names, [out, in].

import { CheckpointError } from './error.ts';
import { encodedBytes, isEncoding, type EncodingName } from './encoding.ts';
import { isRecord } from './json.ts';
import type { Quantized } from './quantized.ts';
import type { SafetensorsFile } from './safetensors.ts';
import { countOf, rowsOf } from './stored.ts';

/** The value of `mesa` in the header's metadata. */
export interface MesaHeader {
  readonly version: 1;
  readonly tensors: Readonly<Record<string, MesaTensor>>;
}
export type MesaTensor =
  /** Bytes of GGUF blocks, row by row. */
  | { readonly shape: readonly number[]; readonly encoding: string }
  /** `NAME` and `NAME.scales` (models/quantize/int4.ts). */
  | { readonly shape: readonly number[]; readonly encoding: 'int4'; readonly block_size: number };

export const mesaMetadata = (tensors: MesaHeader['tensors']): Record<string, string> => ({
  format: 'mesa',
  mesa: JSON.stringify({ version: 1, tensors } satisfies MesaHeader),
});

export interface DescribedTensor {
  readonly shape: readonly number[];
  readonly encoding: EncodingName;
  readonly quantized: Quantized | null;
}

export interface Described {
  readonly tensors: ReadonlyMap<string, DescribedTensor>;
  /** Tensors that are parts of others. */
  readonly parts: ReadonlySet<string>;
}

/** What the header says about tensors that are not what their dtype says; empty for any other safetensors file. */
export const readDescribed = (file: SafetensorsFile): Described => {
  const tensors = new Map<string, DescribedTensor>();
  const parts = new Set<string>();
  if (file.metadata['mesa'] === undefined) return { tensors, parts };
  for (const [name, description] of readMesaHeader(file)) {
    const { shape, encoding, blockSize } = description;
    const fail = (message: string): never => {
      throw new CheckpointError(file.path, message, { tensor: name });
    };
    const stored = file.tensors.get(name);
    if (stored?.dtype !== 'U8') return fail('is described, but not there');
    const count = countOf(shape);
    const [rows, columns] = rowsOf(shape);
    if (encoding === 'int4') {
      const scales = file.tensors.get(`${name}.scales`);
      const whole = Number.isInteger(columns / blockSize);
      if (!whole || stored.data.bytes * 2 !== count || scales?.dtype !== 'F32')
        return fail('does not fit its description');
      if (countOf(scales.shape) !== count / blockSize)
        return fail('has the wrong number of scales');
      parts.add(scales.name);
      const quantized = { kind: 'int4', blockSize, scales: scales.data } as const;
      tensors.set(name, { shape, encoding: 'U8', quantized });
    } else {
      if (!isEncoding(encoding)) return fail(`has the unknown encoding ${encoding}`);
      if (encodedBytes(encoding, columns) * rows !== stored.data.bytes)
        return fail('does not fit its description');
      tensors.set(name, { shape, encoding, quantized: null });
    }
  }
  return { tensors, parts };
};

interface Description {
  readonly shape: readonly number[];
  readonly encoding: string;
  readonly blockSize: number;
}

const readMesaHeader = (file: SafetensorsFile): ReadonlyMap<string, Description> => {
  const fail = (): never => {
    throw new CheckpointError(file.path, 'has no usable description of its quantised tensors');
  };
  let json: unknown;
  try {
    json = JSON.parse(file.metadata['mesa'] ?? '');
  } catch {
    return fail();
  }
  if (!isRecord(json) || json['version'] !== 1 || !isRecord(json['tensors'])) return fail();
  const found = new Map<string, Description>();
  for (const [name, entry] of Object.entries(json['tensors'])) {
    if (!isRecord(entry)) return fail();
    const { shape, encoding, block_size: blockSize = 1 } = entry;
    const sizes =
      Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size > 0);
    if (!sizes || typeof encoding !== 'string' || typeof blockSize !== 'number') return fail();
    found.set(name, { shape: shape as number[], encoding, blockSize });
  }
  return found;
};
