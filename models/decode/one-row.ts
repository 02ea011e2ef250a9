// Some kernels give a row other bits when it is alone than among others. Which do is a matter of the processor: with
// AVX2, products of 4-bit blocks with rounded activations; with AVX-512 none of those that round. So it is tried.

import { GraphBuilder } from '../../tensor/builder.ts';
import { createSession } from '../../tensor/session.ts';
import { hasExactKernel, type LinearOptions } from '../linear.ts';
import type { Weight, WeightSource } from '../weights.ts';
import { uneven } from './uneven.ts';

/**
 * How many rows each product needs at least so that a row's bits are its own (and how many more than whole tiles: see
 * rowsFor). Prepacked fp32 products and sums of integers are the same for one row everywhere; kernels that unpack
 * weights as they go, without rounding, differ.
 */
export const leastRowsOf = async (
  weights: WeightSource,
  { activations }: LinearOptions,
): Promise<1 | 2> => {
  const kinds = new Map<string, Blocks>();
  for (const name of weights.names) {
    const weight = weights.get(name);
    // 16-bit floats are float32 by the time they are multiplied with (runner.ts).
    if (weight === undefined || weight.kind === 'float' || weight.kind === 'int8-rows') continue;
    if (weight.kind === 'bnb4' || hasExactKernel(weight, activations)) return 2;
    kinds.set([weight.bits, weight.blockSize, weight.zeroPoints !== null].join(), weight);
  }
  for (const kind of kinds.values()) if (!(await isSteady(kind))) return 2;
  return 1;
};

type Blocks = Weight & { readonly kind: 'blocks' };

const N = 64;
const BLOCKS = 6;

/** Whether the first of two rows has the bits it has alone, in a small product with blocks of this kind. */
const isSteady = async ({ bits, blockSize, zeroPoints }: Blocks): Promise<boolean> => {
  const k = BLOCKS * blockSize;
  const zeroBytes = Math.ceil((BLOCKS * bits) / 8);
  const g = new GraphBuilder();
  const x = g.input('x', 'float32', ['M', k]);
  const packed = {
    data: g.initializer('data', 'uint8', [N, BLOCKS, (blockSize * bits) / 8]),
    scales: g.initializer('scales', 'float32', [N, BLOCKS]),
    ...(zeroPoints === null ? {} : { zeroPoints: g.initializer('zeros', 'uint8', [N, zeroBytes]) }),
  };
  g.output('y', g.matMulNBits(x, packed, { n: N, k, bits, blockSize, accuracy: 4 }));
  const session = await createSession(g.build(), {
    initializers: {
      data: Uint8Array.from({ length: (N * k * bits) / 8 }, (_, at) => (at * 167 + 41) % 251),
      scales: uneven(N * BLOCKS),
      ...(zeroPoints === null ? {} : { zeros: new Uint8Array(N * zeroBytes).fill(0x77) }),
    },
  });
  try {
    const row = uneven(k);
    const two = new Float32Array(2 * k);
    two.set(row);
    two.set(row, k);
    const alone = await session.run({ x: { data: row, shape: [1, k] } });
    const among = await session.run({ x: { data: two, shape: [2, k] } });
    const [a, b] = [alone['y']?.data, among['y']?.data];
    return a !== undefined && b !== undefined && a.every((value, at) => value === b[at]);
  } finally {
    await session.release();
  }
};
