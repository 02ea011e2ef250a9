// Linear layers by how their weight is stored: y = x W^T + b with W [out, in] in floats, in blocks, in bitsandbytes'
// 4-bit codes or in int8 rows. The transformer asks for a module by name and doesn't know which it gets; adapters
// wrap this interface (linear-lora.ts).

import type { GraphBuilder } from '../tensor/builder.ts';
import type { Value } from '../tensor/graph.ts';
import type { ModelTensors } from './tensors.ts';
import type { Weight } from './weights.ts';

export interface Linears {
  /** x [..., in] -> [..., out], with the module's bias if it has one. */
  apply(module: string, x: Value): Value;
}

type WeightOf<K extends Weight['kind']> = Weight & { readonly kind: K };

export interface LinearOptions {
  /** Activations of block weights: exact, or rounded to int8 (faster; design.md 5). */
  readonly activations: 'float' | 'int8';
}

/** The linear layers of a model as they are stored. `differentiable` forms only: gradients reach x in each. */
export const storedLinears = (tensors: ModelTensors, options: LinearOptions): Linears => ({
  apply: (module, x) => {
    const g = tensors.graph;
    const y = product(tensors, module, x, options);
    const bias = `${module}.bias`;
    return tensors.has(bias) ? g.add(y, tensors.float(bias)) : y;
  },
});

const product = (
  tensors: ModelTensors,
  module: string,
  x: Value,
  { activations }: LinearOptions,
): Value => {
  const g = tensors.graph;
  const name = `${module}.weight`;
  if (tensors.substitute(name) !== undefined)
    return g.fusedMatMul(x, tensors.float(name), { transB: true });
  const weight = tensors.weight(name);
  switch (weight.kind) {
    case 'float':
      return g.fusedMatMul(x, tensors.float(name), { transB: true });
    case 'blocks':
      return blocks(tensors, name, x, weight, activations);
    case 'bnb4':
      return bnb4(tensors, name, x, weight);
    case 'int8-rows':
      return g.fusedMatMul(x, int8Rows(tensors, name, weight), { transB: true });
  }
};

/** W as floats, for gradients and for products that have no packed kernel: [out, in]. */
export const floatWeight = (tensors: ModelTensors, name: string): Value => {
  if (tensors.substitute(name) !== undefined) return tensors.float(name);
  const weight = tensors.weight(name);
  switch (weight.kind) {
    case 'float':
      return tensors.float(name);
    case 'blocks':
      return unpackBlocks(tensors, name, weight);
    case 'bnb4':
      return unpackBnb4(tensors, name, weight);
    case 'int8-rows':
      return int8Rows(tensors, name, weight);
  }
};

/** A product with a packed kernel whose gradient goes through the same weights as floats. */
const packedProduct = (
  g: GraphBuilder,
  x: Value,
  forward: () => Value,
  weight: () => Value,
): Value => {
  const [y] = g.composite('packed', [x], () => [forward()] as const, ([dy]) => [
    dy === undefined ? undefined : () => g.matmul(dy, weight()),
  ]);
  return y;
};

const blocks = (
  tensors: ModelTensors,
  name: string,
  x: Value,
  weight: WeightOf<'blocks'>,
  activations: LinearOptions['activations'],
): Value => {
  const g = tensors.graph;
  const [n, k] = weight.shape;
  const { bits, blockSize } = weight;
  const perRow = Math.ceil(k / blockSize);
  const zeroPoints = weight.zeroPoints;
  const packed = {
    data: tensors.mapped(name, 'uint8', [n, perRow, (blockSize * bits) / 8], weight.data),
    scales: tensors.mapped(`${name}.scales`, 'float32', [n, perRow], weight.scales),
    ...(zeroPoints === null
      ? {}
      : {
          zeroPoints: tensors.mapped(
            `${name}.zeros`,
            'uint8',
            [n, Math.ceil((perRow * bits) / 8)],
            zeroPoints,
          ),
        }),
  };
  return packedProduct(
    g,
    x,
    () => {
      const accuracy = activations === 'int8' ? 4 : 1;
      const y = g.matMulNBits(x, packed, { n, k, bits, blockSize, accuracy });
      if (weight.offsets === null) return y;
      // x W^T with W = q s + o per block: the offsets see the sum of x over each block.
      const offsets = tensors.mapped(`${name}.offsets`, 'float32', [n, perRow], weight.offsets);
      const parts = g.reshape(x, [...x.shape.slice(0, -1), perRow, blockSize]);
      const sums = g.reduceSum(parts, [-1]);
      return g.add(y, g.fusedMatMul(sums, offsets, { transB: true }));
    },
    () => unpackBlocks(tensors, name, weight),
  );
};

/** W [n, k] = (q - zero) * scale + offset, block by block. */
const unpackBlocks = (tensors: ModelTensors, name: string, weight: WeightOf<'blocks'>): Value => {
  const g = tensors.graph;
  const [n, k] = weight.shape;
  const { bits, blockSize } = weight;
  const perRow = Math.ceil(k / blockSize);
  const scales = tensors.mapped(`${name}.scales`, 'float32', [n, perRow], weight.scales);
  // The same bytes seen as rows of 4- or 8-bit numbers: low nibble first in both.
  const dtype = bits === 4 ? 'uint4' : 'uint8';
  const q = tensors.mapped(`${name}.codes`, dtype, [n * perRow, blockSize], weight.data);
  const middle = g.constant([2 ** (bits - 1)], dtype, [1]);
  const codes = g.sub(
    g.cast(q, 'float32'),
    weight.zeroPoints === null
      ? g.cast(middle, 'float32')
      : zeros(tensors, name, weight, weight.zeroPoints, perRow),
  );
  const scaled = g.mul(codes, g.reshape(scales, [n * perRow, 1]));
  if (weight.offsets === null) return g.reshape(scaled, [n, k]);
  const offsets = tensors.mapped(`${name}.offsets`, 'float32', [n, perRow], weight.offsets);
  return g.reshape(g.add(scaled, g.reshape(offsets, [n * perRow, 1])), [n, k]);
};

const zeros = (
  tensors: ModelTensors,
  name: string,
  { bits, shape: [n] }: WeightOf<'blocks'>,
  range: NonNullable<WeightOf<'blocks'>['zeroPoints']>,
  perRow: number,
): Value => {
  const g = tensors.graph;
  const padded = bits === 4 ? perRow + (perRow % 2) : perRow;
  const dtype = bits === 4 ? 'uint4' : 'uint8';
  const all = g.cast(tensors.mapped(`${name}.zeroCodes`, dtype, [n, padded], range), 'float32');
  return g.reshape(g.slice(all, 1, 0, perRow), [n * perRow, 1]);
};

const bnb4 = (
  tensors: ModelTensors,
  name: string,
  x: Value,
  weight: WeightOf<'bnb4'>,
): Value => {
  const g = tensors.graph;
  const [n, k] = weight.shape;
  const { type, blockSize } = weight;
  const count = Math.ceil((n * k) / blockSize);
  const codes = tensors.mapped(name, 'uint8', [Math.ceil((n * k) / 2)], weight.data);
  const absmax = tensors.mapped(`${name}.absmax`, 'float32', [count], weight.absmax);
  return packedProduct(
    g,
    x,
    () => g.matMulBnb4(x, { codes, absmax }, { n, k, type, blockSize }),
    () => unpackBnb4(tensors, name, weight),
  );
};

/** Values of the 16 codes: bitsandbytes functional.py. */
const codebooks = {
  nf4: [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1,
  ],
  fp4: [0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3].map((x) => x / 12),
} as const;

/**
 * W [n, k] by looking each byte up in a table of its two values (high nibble first): MatMulBnb4 has no correct
 * product with W itself on the CPU.
 */
const unpackBnb4 = (tensors: ModelTensors, name: string, weight: WeightOf<'bnb4'>): Value => {
  const g = tensors.graph;
  const [n, k] = weight.shape;
  const { blockSize } = weight;
  if ((n * k) % blockSize !== 0)
    throw new Error(`${name}: ${n} x ${k} elements don't fill blocks of ${blockSize}`);
  const values = codebooks[weight.type];
  const pairs = Array.from({ length: 256 }, (_, byte) => [
    values[byte >> 4] ?? 0,
    values[byte & 15] ?? 0,
  ]).flat();
  const table = g.constant(pairs, 'float32', [256, 2]);
  const codes = tensors.mapped(name, 'uint8', [(n * k) / 2], weight.data);
  const absmax = tensors.mapped(`${name}.absmax`, 'float32', [(n * k) / blockSize], weight.absmax);
  const looked = g.gather(table, g.cast(codes, 'int32'));
  const blocksOf = g.reshape(looked, [(n * k) / blockSize, blockSize]);
  return g.reshape(g.mul(blocksOf, g.unsqueeze(absmax, [1])), [n, k]);
};

const int8Rows = (tensors: ModelTensors, name: string, weight: WeightOf<'int8-rows'>): Value => {
  const g = tensors.graph;
  const [n] = weight.shape;
  const q = tensors.mapped(name, 'int8', weight.shape, weight.data);
  const scales = tensors.mapped(`${name}.scales`, 'float32', [n], weight.scales);
  return g.dequantizeLinear(q, scales, { axis: 0 });
};
