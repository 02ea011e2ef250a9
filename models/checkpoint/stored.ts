// A tensor as it lies in a checkpoint, under its Hugging Face name, with what must be done to its rows to get
// Hugging Face's matrix. The common language of all readers; nothing is read here but on demand, in pieces.

import type { FileRange } from '../weights.ts';
import { encodings, type EncodingName } from './encoding.ts';
import { CheckpointError } from './error.ts';
import type { OpenFiles } from './file.ts';
import { readQuantized, type Quantized } from './quantized.ts';

export type Arrangement =
  | { readonly kind: 'as-is' }
  /** Stored [in, out] (GPT-2's Conv1D); `shape` is [out, in]. */
  | { readonly kind: 'transposed' }
  /**
   * llama.cpp interleaves the two halves of every head's rows: stored row 2i + half of a head is row
   * half * headDim / 2 + i here.
   */
  | { readonly kind: 'interleaved'; readonly heads: number }
  /** Rows are not one after the other (PyTorch's views): strides in values. */
  | { readonly kind: 'strided'; readonly strides: readonly number[] }
  /** llama.cpp stores Gemma's norms with 1 added. */
  | { readonly kind: 'plus-one' };

export interface StoredTensor {
  /** Hugging Face's name. */
  readonly name: string;
  /** The name in the file, for messages. */
  readonly storedName: string;
  /** As the model uses it: [out, in] for every linear layer. */
  readonly shape: readonly number[];
  readonly encoding: EncodingName;
  readonly arrangement: Arrangement;
  /** Formats whose scales lie in tensors of their own; `data` then holds the codes alone. */
  readonly quantized: Quantized | null;
  readonly data: FileRange;
}

export const asIs: Arrangement = { kind: 'as-is' };

export const countOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** [rows, columns]: the last dimension is the row. */
export const rowsOf = (shape: readonly number[]): readonly [number, number] => {
  const columns = shape.at(-1) ?? 1;
  return [columns === 0 ? 0 : countOf(shape) / columns, columns];
};

/** Pieces stay near this size, so that memory does not grow with the checkpoint. */
const pieceBytes = 8 << 20;

/**
 * The stored bytes, a piece of whole rows at a time, rows in the model's order. `transposed` and `strided` have no rows
 * to give: their one piece is the whole matrix as stored.
 */
export function* storedRows(tensor: StoredTensor, files: OpenFiles): Generator<Uint8Array> {
  const { data, arrangement } = tensor;
  if (arrangement.kind === 'transposed' || arrangement.kind === 'strided') {
    yield files.read(data);
    return;
  }
  // The bias of an interleaved matrix is interleaved like its rows.
  const rows =
    arrangement.kind === 'interleaved' ? (tensor.shape[0] ?? 0) : rowsOf(tensor.shape)[0];
  if (rows === 0) return;
  const rowBytes = data.bytes / rows;
  const group = arrangement.kind === 'interleaved' ? rows / arrangement.heads : 1;
  if (!Number.isInteger(group) || (group % 2 !== 0 && arrangement.kind === 'interleaved'))
    throw new CheckpointError(data.path, `has ${rows} rows, which do not make heads`, {
      tensor: tensor.storedName,
    });
  const rowsAtOnce = Math.max(1, Math.floor(pieceBytes / (rowBytes * group))) * group;
  const file = files.get(data.path);
  for (let row = 0; row < rows; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - row);
    const piece = file.read(data.offset + row * rowBytes, count * rowBytes);
    yield arrangement.kind === 'interleaved' ? separateHalves(piece, group, rowBytes) : piece;
  }
}

const separateHalves = (piece: Uint8Array, headRows: number, rowBytes: number): Uint8Array => {
  const out = new Uint8Array(piece.length);
  for (let row = 0; row * rowBytes < piece.length; row++) {
    const head = row - (row % headRows);
    const inHead = row - head;
    const source = head + (inHead % (headRows / 2)) * 2 + Math.floor(inHead / (headRows / 2));
    out.set(piece.subarray(source * rowBytes, (source + 1) * rowBytes), row * rowBytes);
  }
  return out;
};

/** The values as float32, a piece of whole rows at a time, rows in the model's order. */
export function* decodedRows(tensor: StoredTensor, files: OpenFiles): Generator<Float32Array> {
  if (tensor.quantized !== null) {
    yield readQuantized(tensor.quantized, tensor.data, tensor.shape, files);
    return;
  }
  const format = encodings[tensor.encoding];
  for (const piece of storedRows(tensor, files)) {
    const out = new Float32Array((piece.length / format.bytes) * format.values);
    format.decode(piece, out);
    const { arrangement } = tensor;
    if (arrangement.kind === 'strided') yield gather(out, tensor.shape, arrangement.strides);
    else if (arrangement.kind === 'transposed') yield transpose(out, tensor.shape);
    else if (arrangement.kind === 'plus-one') yield out.map((value) => value - 1);
    else yield out;
  }
}

/** [columns, rows] -> [rows, columns] */
const transpose = (source: Float32Array, shape: readonly number[]): Float32Array => {
  const [rows, columns] = rowsOf(shape);
  const out = new Float32Array(source.length);
  for (let column = 0; column < columns; column++)
    for (let row = 0; row < rows; row++)
      out[row * columns + column] = source[column * rows + row] ?? 0;
  return out;
};

const gather = (
  source: Float32Array,
  shape: readonly number[],
  strides: readonly number[],
): Float32Array => {
  const out = new Float32Array(countOf(shape));
  const index = shape.map(() => 0);
  for (let at = 0, from = 0; at < out.length; at++) {
    out[at] = source[from] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      from += strides[axis] ?? 0;
      index[axis] = next;
      if (next < (shape[axis] ?? 0)) break;
      from -= next * (strides[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return out;
};

export const readTensor = (tensor: StoredTensor, files: OpenFiles): Float32Array => {
  const out = new Float32Array(countOf(tensor.shape));
  let at = 0;
  for (const piece of decodedRows(tensor, files)) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
};
