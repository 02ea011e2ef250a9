// Packed weights as fp32 inside a graph: each byte picks its pair of numbers from a table of 256, then the blocks are
// scaled. Exactly the numbers that the packed products use.
import type { GraphBuilder } from '../builder.ts';
import type { Value } from '../graph.ts';
import { GraphError } from '../graph.ts';
import type { OpAttributes } from '../ops.ts';

/** The 16 values of bitsandbytes' formats by code (functional.py, csrc/kernels.cu), as ONNX Runtime has them. */
const bnb4Values = {
  nf4: [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1,
  ],
  fp4: [
    0, 0.005208333333, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25, 0, -0.005208333333,
    -0.66666667, -1, -0.33333333, -0.5, -0.16666667, -0.25,
  ],
} as const;

/** [256, 2]: what the two halves of each byte stand for, in the order they are stored. */
function pairs(values: readonly number[], highFirst: boolean): number[] {
  const table: number[] = [];
  for (let byte = 0; byte < 256; byte++) {
    const [low, high] = [values[byte & 15] ?? 0, values[byte >> 4] ?? 0];
    table.push(...(highFirst ? [high, low] : [low, high]));
  }
  return table;
}

const lookUp = (b: GraphBuilder, table: number[], bytes: Value): Value =>
  b.gather(b.constant(table, 'float32', [256, 2]), b.cast(bytes, 'int32'));

/** [N, K] of MatMulBnb4's weight: high half first, blocks over the row-major flatten. */
export function unpackBnb4(
  b: GraphBuilder,
  weight: { codes: Value; absmax: Value },
  { n, k, blockSize, type }: OpAttributes['matMulBnb4'],
): Value {
  if ((n * k) % blockSize !== 0) {
    throw new GraphError(`a ${n} x ${k} weight doesn't divide into blocks of ${blockSize}`);
  }
  const values = lookUp(b, pairs(bnb4Values[type], true), weight.codes);
  const blocks = b.reshape(values, [(n * k) / blockSize, blockSize]);
  return b.reshape(b.mul(blocks, b.unsqueeze(weight.absmax, [-1])), [n, k]);
}

/** [N, K] of MatMulNBits' weight: low half first, (code - zero) * scale by block. */
export function unpackBlocks(
  b: GraphBuilder,
  weight: { data: Value; scales: Value; zeroPoints: Value | undefined },
  { n, k, blockSize, bits }: OpAttributes['matMulNBits'],
): Value {
  if (bits === 2) throw new GraphError('no gradient through weights of 2 bits');
  const blocks = Math.ceil(k / blockSize);
  const nibbles = pairs(
    Array.from({ length: 16 }, (_, code) => code),
    false,
  );
  const unpack = (bytes: Value): Value =>
    bits === 8 ? b.cast(bytes, 'float32') : lookUp(b, nibbles, bytes);
  const codes = b.reshape(unpack(weight.data), [n, blocks, blockSize]);
  const scales = b.reshape(weight.scales, [n, blocks, 1]);
  let zero: Value | number = 2 ** (bits - 1);
  if (weight.zeroPoints !== undefined) {
    // An odd number of 4-bit zero points ends with half a byte to spare.
    const stored = b.reshape(unpack(weight.zeroPoints), [n, -1]);
    zero = b.unsqueeze(b.slice(stored, 1, 0, blocks), [-1]);
  }
  const padded = b.reshape(b.mul(b.sub(codes, zero), scales), [n, blocks * blockSize]);
  return b.slice(padded, 1, 0, k);
}
