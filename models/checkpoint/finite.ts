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
      const words =
        encoding === 'F32' ? new Uint32Array(piece.buffer) : new Uint16Array(piece.buffer);
      for (const word of words) if ((word & mask) === mask) return false;
    }
    return true;
  }
  for (const piece of decodedRows(tensor, files))
    for (const value of piece) if (!Number.isFinite(value)) return false;
  return true;
};
