// MESA's own quantised files: a safetensors file whose header says which tensors hold GGUF blocks or int4 blocks.
// Everything else in it is as in any safetensors file, under Hugging Face's names, [out, in].

import { CheckpointError } from './error.ts';
import { encodedBytes, isEncoding } from './encoding.ts';
import { isRecord } from './json.ts';
import { readSafetensorsHeader, type SafetensorsFile } from './safetensors.ts';
import { asIs, countOf, rowsOf, type StoredTensor } from './stored.ts';

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

export const readMesaTensors = (path: string): Map<string, StoredTensor> => {
  const file = readSafetensorsHeader(path);
  const described = readMesaHeader(path, file);
  const tensors = new Map<string, StoredTensor>();
  const parts = new Set([...described.keys()].map((name) => `${name}.scales`));
  for (const { name, dtype, shape, data } of file.tensors.values()) {
    if (parts.has(name)) continue;
    const fail = (message: string): never => {
      throw new CheckpointError(path, message, { tensor: name });
    };
    const common = { name, storedName: name, arrangement: asIs, quantized: null, data };
    const description = described.get(name);
    if (description === undefined) {
      if (!isEncoding(dtype)) return fail(`has dtype ${dtype}, which MESA cannot read`);
      tensors.set(name, { ...common, shape, encoding: dtype });
      continue;
    }
    const { encoding, blockSize } = description;
    const count = countOf(description.shape);
    const [, columns] = rowsOf(description.shape);
    if (encoding === 'int4') {
      const scales = file.tensors.get(`${name}.scales`);
      const whole = Number.isInteger(columns / blockSize);
      if (!whole || data.bytes * 2 !== count || scales?.dtype !== 'F32')
        return fail('does not fit its description');
      if (countOf(scales.shape) !== count / blockSize) return fail('has the wrong scales');
      tensors.set(name, {
        ...common,
        shape: description.shape,
        encoding: 'U8',
        quantized: { kind: 'int4', blockSize, scales: scales.data },
      });
    } else {
      if (!isEncoding(encoding)) return fail(`has the unknown encoding ${encoding}`);
      if (encodedBytes(encoding, columns) * (count / columns) !== data.bytes)
        return fail('does not fit its description');
      tensors.set(name, { ...common, shape: description.shape, encoding });
    }
  }
  return tensors;
};

interface Description {
  readonly shape: readonly number[];
  readonly encoding: string;
  readonly blockSize: number;
}

const readMesaHeader = (path: string, file: SafetensorsFile): ReadonlyMap<string, Description> => {
  const fail = (): never => {
    throw new CheckpointError(path, 'has no usable description of its quantised tensors');
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
    const sizes = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size > 0);
    if (!sizes || typeof encoding !== 'string' || typeof blockSize !== 'number') return fail();
    found.set(name, { shape: shape as number[], encoding, blockSize });
  }
  return found;
};
