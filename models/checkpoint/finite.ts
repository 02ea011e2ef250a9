// Whether a checkpoint's weights are numbers: a NaN or an infinity in a file shows hours later as a loss of NaN, or never.
// Reads everything once, in pieces; float formats are looked at as bits.

import { CheckpointError } from './error.ts';
import { OpenFiles } from './file.ts';
import type { FileRange } from '../weights.ts';
import { decodedRows, type StoredTensor } from './stored.ts';

/** Bytes that are looked at at once. */
const PIECE = 4 << 20;

/** The exponent bits, all set in NaN and infinity only. */
const exponents = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const;

/** Throws CheckpointError for the first tensor with a value that is no number. */
export const checkFinite = (
  tensors: Iterable<StoredTensor>,
  onTensor: (done: number, name: string) => void,
): void => {
  using files = new OpenFiles();
  const scratch = new Uint8Array(PIECE);
  let done = 0;
  for (const tensor of tensors) {
    onTensor(done++, tensor.name);
    if (isFiniteTensor(tensor, files, scratch)) continue;
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

const isFiniteTensor = (
  tensor: StoredTensor,
  files: OpenFiles,
  scratch: Uint8Array<ArrayBuffer>,
): boolean => {
  const { encoding, quantized } = tensor;
  if (quantized === null && (encoding === 'F32' || encoding === 'F16' || encoding === 'BF16')) {
    const mask = exponents[encoding];
    const has = encoding === 'F32' ? has32 : has16;
    for (const piece of pieces(tensor.data, files, scratch)) if (has(piece, mask)) return false;
    return true;
  }
  for (const piece of decodedRows(tensor, files)) if (!allFinite(piece)) return false;
  return true;
};

/** The bytes of a range one after the other, each piece in the same buffer: new memory costs more than reading does. */
function* pieces(
  { path, offset, bytes }: FileRange,
  files: OpenFiles,
  scratch: Uint8Array<ArrayBuffer>,
): Generator<Uint8Array<ArrayBuffer>> {
  const file = files.get(path);
  file.requireRange(offset, bytes);
  for (let done = 0; done < bytes; done += scratch.length) {
    const piece = scratch.subarray(0, Math.min(scratch.length, bytes - done));
    file.readInto(offset + done, piece);
    yield piece;
  }
}

// One loop for each kind of array, by index: a loop that has seen two kinds, or an iterator, takes ten times as long.

const has32 = (bytes: Uint8Array<ArrayBuffer>, mask: number): boolean => {
  const words = new Uint32Array(bytes.buffer, 0, bytes.length / 4);
  for (let at = 0; at < words.length; at += 1) if (((words[at] ?? 0) & mask) === mask) return true;
  return false;
};

const has16 = (bytes: Uint8Array<ArrayBuffer>, mask: number): boolean => {
  const words = new Uint16Array(bytes.buffer, 0, bytes.length / 2);
  for (let at = 0; at < words.length; at += 1) if (((words[at] ?? 0) & mask) === mask) return true;
  return false;
};

const allFinite = (values: Float32Array): boolean => {
  for (let at = 0; at < values.length; at += 1) if (!Number.isFinite(values[at])) return false;
  return true;
};
