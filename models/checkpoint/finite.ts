// Whether a checkpoint's weights are numbers: a NaN or an infinity in a file shows hours later as a loss of NaN, or never.
// Reads everything once, in pieces; float formats are looked at as bits.

import { CheckpointError } from './error.ts';
import { OpenFiles } from './file.ts';
import { decodedRows, storedRows, type StoredTensor } from './stored.ts';

/** The exponent bits, all set in NaN and infinity only. */
const exponents = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const;

/** Throws CheckpointError for the first tensor with a value that is no number. */
export const checkFinite = (
  tensors: Iterable<StoredTensor>,
  onTensor: (done: number, name: string) => void,
): void => {
  using files = new OpenFiles();
  let done = 0;
  for (const tensor of tensors) {
    onTensor(done++, tensor.name);
    if (isFiniteTensor(tensor, files)) continue;
    throw new CheckpointError(
      tensor.data.path,
      'holds values that are no numbers (NaN or infinite)',
      {
        tensor: tensor.storedName,
        hint: 'the file is damaged, or the training that made it diverged',
      },
    );
  }
};

const isFiniteTensor = (tensor: StoredTensor, files: OpenFiles): boolean => {
  const { encoding, quantized } = tensor;
  if (quantized === null && (encoding === 'F32' || encoding === 'F16' || encoding === 'BF16')) {
    const mask = exponents[encoding];
    for (const piece of storedRows(tensor, files)) {
      const { buffer } = piece;
      const found =
        encoding === 'F32'
          ? has32(new Uint32Array(buffer), mask)
          : has16(new Uint16Array(buffer), mask);
      if (found) return false;
    }
    return true;
  }
  for (const piece of decodedRows(tensor, files)) if (!allFinite(piece)) return false;
  return true;
};

// One loop for each kind of array, by index: one loop over both kinds, by iterator, took ten times as long.

const has32 = (words: Uint32Array, mask: number): boolean => {
  for (let at = 0; at < words.length; at += 1) if (((words[at] ?? 0) & mask) === mask) return true;
  return false;
};

const has16 = (words: Uint16Array, mask: number): boolean => {
  for (let at = 0; at < words.length; at += 1) if (((words[at] ?? 0) & mask) === mask) return true;
  return false;
};

const allFinite = (values: Float32Array): boolean => {
  for (let at = 0; at < values.length; at += 1) if (!Number.isFinite(values[at])) return false;
  return true;
};
