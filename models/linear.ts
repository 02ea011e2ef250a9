// Linear layers by how their weight is stored: y = x W^T + b with W [out, in] in floats, in blocks, in bitsandbytes'
// 4-bit codes or in int8 rows. The transformer asks for a module by name and doesn't know which it gets; adapters
// wrap this interface (linear-lora.ts).

import { unpackBlocks, unpackBnb4 } from '../tensor/gradients/unpack.ts';
import type { GraphBuilder } from '../tensor/builder.ts';
import type { Value } from '../tensor/graph.ts';
import type { Compute, ModelTensors } from './tensors.ts';
import type { Weight } from './weights.ts';

export interface Linears {
  /** x [..., in] -> [..., out], with the module's bias if it has one. */
  apply(module: string, x: Value): Value;
}

type WeightOf<K extends Weight['kind']> = Weight & { readonly kind: K };

export interface LinearOptions {
  /** Activations of products with packed weights: exact, or rounded to int8 (faster; design.md 5; no gradient). */
  readonly activations: 'float' | 'int8';
}

/** The linear layers of a model as they are stored. */
export const storedLinears = (tensors: ModelTensors, options: LinearOptions): Linears => {
  const products: Products = { ...options, rounded: int8Activations(tensors.graph) };
  return {
    apply: (module, x) => {
      const g = tensors.graph;
      // In half precision a product takes and gives float16; all between products stays float32.
      const y = g.cast(product(tensors, module, g.cast(x, tensors.compute), products), 'float32');
      const bias = `${module}.bias`;
      return tensors.has(bias) ? g.add(y, tensors.float(bias)) : y;
    },
  };
};

interface Products extends LinearOptions {
  readonly rounded: (x: Value) => RoundedActivations;
}

const product = (
  tensors: ModelTensors,
  module: string,
  x: Value,
  { activations, rounded }: Products,
): Value => {
  const g = tensors.graph;
  const name = `${module}.weight`;
  if (tensors.substitute(name) !== undefined)
    return g.fusedMatMul(x, tensors.float(name, tensors.compute), { transB: true });
  const weight = tensors.weight(name);
  switch (weight.kind) {
    case 'float':
      return g.fusedMatMul(x, tensors.float(name, tensors.compute), { transB: true });
    case 'blocks':
      return blocks(tensors, name, x, weight, activations);
    case 'bnb4': {
      const { shape, type, blockSize } = weight;
      const attributes = { n: shape[0], k: shape[1], type, blockSize };
      const { codes, absmax } = packedCodes(tensors, name, weight);
      return g.matMulBnb4(x, { codes, absmax: g.cast(absmax, x.dtype) }, attributes);
    }
    case 'int8-rows':
      return activations === 'int8'
        ? int8Product(tensors, name, x, weight, rounded(x))
        : g.fusedMatMul(x, int8Rows(tensors, name, weight, tensors.compute), { transB: true });
  }
};

interface RoundedActivations {
  /** uint8 [M, K], 128 is 0 */
  readonly codes: Value;
  /** [M, 1]: a row's largest magnitude / 127, so that a row doesn't depend on others. */
  readonly scales: Value;
}

/** Rounds each input once, however many layers read it. */
const int8Activations = (g: GraphBuilder): ((x: Value) => RoundedActivations) => {
  const known = new Map<Value, RoundedActivations>();
  return (x) => {
    const before = known.get(x);
    if (before !== undefined) return before;
    const rows = g.reshape(x, [-1, x.shape.at(-1) ?? 1]);
    const largest = g.reduceMax(g.abs(rows), [-1]);
    // A row of zeros divides by something.
    const scales = g.max(g.mul(largest, 1 / 127), 1e-30);
    const zero = g.full(ZERO, 'uint8', largest.shape);
    const codes = g.quantizeLinear(rows, scales, { to: 'uint8', zero, axis: 0 });
    const result = { codes, scales: g.unsqueeze(scales, [1]) };
    known.set(x, result);
    return result;
  };
};

const ZERO = 128;

/** LLM.int8 without its outlier columns: uint8 activations times int8 rows, summed in integers. */
const int8Product = (
  tensors: ModelTensors,
  name: string,
  x: Value,
  weight: WeightOf<'int8-rows'>,
  { codes, scales }: RoundedActivations,
): Value => {
  const g = tensors.graph;
  const [n] = weight.shape;
  const y = g.qGemm(
    { data: codes, scale: g.constant(1), zero: g.constant(ZERO, 'uint8') },
    {
      data: tensors.mapped(name, 'int8', weight.shape, weight.data),
      scales: tensors.mapped(`${name}.scales`, 'float32', [n], weight.scales),
      zeros: g.constant(new Int8Array(n), 'int8'),
    },
  );
  return g.reshape(g.mul(y, scales), [...x.shape.slice(0, -1), n]);
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
  const parts = packedBlocks(tensors, name, weight);
  const packed = { ...parts, scales: g.cast(parts.scales, x.dtype) };
  const accuracy = activations === 'int8' ? 4 : 1;
  const y = g.matMulNBits(x, packed, { n, k, bits, blockSize, accuracy });
  if (weight.offsets === null) return y;
  // x W^T with W = q s + o per block: the offsets see the sum of x over each block.
  const offsets = tensors.mapped(`${name}.offsets`, 'float32', [n, perRow], weight.offsets);
  const split = g.reshape(g.cast(x, 'float32'), [...x.shape.slice(0, -1), perRow, blockSize]);
  const shift = g.fusedMatMul(g.reduceSum(split, [-1]), offsets, { transB: true });
  return g.add(g.cast(y, 'float32'), shift);
};

/** The parts of a block weight in MatMulNBits' layout. */
const packedBlocks = (
  tensors: ModelTensors,
  name: string,
  { shape: [n, k], bits, blockSize, data, scales, zeroPoints }: WeightOf<'blocks'>,
): { readonly data: Value; readonly scales: Value; readonly zeroPoints?: Value } => {
  const perRow = Math.ceil(k / blockSize);
  const parts = {
    data: tensors.mapped(name, 'uint8', [n, perRow, (blockSize * bits) / 8], data),
    scales: tensors.mapped(`${name}.scales`, 'float32', [n, perRow], scales),
  };
  if (zeroPoints === null) return parts;
  const shape = [n, Math.ceil((perRow * bits) / 8)];
  return { ...parts, zeroPoints: tensors.mapped(`${name}.zeros`, 'uint8', shape, zeroPoints) };
};

const packedCodes = (
  tensors: ModelTensors,
  name: string,
  { shape: [n, k], blockSize, data, absmax }: WeightOf<'bnb4'>,
): { readonly codes: Value; readonly absmax: Value } => ({
  codes: tensors.mapped(name, 'uint8', [Math.ceil((n * k) / 2)], data),
  absmax: tensors.mapped(`${name}.absmax`, 'float32', [Math.ceil((n * k) / blockSize)], absmax),
});

/** W as floats [out, in], for what has no packed kernel. */
export const floatWeight = (tensors: ModelTensors, name: string): Value => {
  const g = tensors.graph;
  if (tensors.substitute(name) !== undefined) return tensors.float(name);
  const weight = tensors.weight(name);
  switch (weight.kind) {
    case 'float':
      return tensors.float(name);
    case 'blocks': {
      const { shape, bits, blockSize } = weight;
      const [n, k] = shape;
      const attributes = { n, k, bits, blockSize, accuracy: 1 } as const;
      const packed = packedBlocks(tensors, name, weight);
      const unpacked = unpackBlocks(g, { zeroPoints: undefined, ...packed }, attributes);
      if (weight.offsets === null) return unpacked;
      const perRow = Math.ceil(k / blockSize);
      const offsets = tensors.mapped(`${name}.offsets`, 'float32', [n, perRow], weight.offsets);
      const shifted = g.add(
        g.reshape(unpacked, [n, perRow, blockSize]),
        g.unsqueeze(offsets, [-1]),
      );
      return g.reshape(shifted, [n, k]);
    }
    case 'bnb4': {
      const { shape, type, blockSize } = weight;
      const attributes = { n: shape[0], k: shape[1], type, blockSize };
      return unpackBnb4(g, packedCodes(tensors, name, weight), attributes);
    }
    case 'int8-rows':
      return int8Rows(tensors, name, weight);
  }
};

const int8Rows = (
  tensors: ModelTensors,
  name: string,
  weight: WeightOf<'int8-rows'>,
  dtype: Compute = 'float32',
): Value => {
  const g = tensors.graph;
  const [n] = weight.shape;
  const q = tensors.mapped(name, 'int8', weight.shape, weight.data);
  const scales = tensors.mapped(`${name}.scales`, 'float32', [n], weight.scales);
  return g.dequantizeLinear(q, g.cast(scales, dtype), { axis: 0 });
};
