// Linear layers by how their weight is stored: y = x W^T + b with W [out, in] in floats, in blocks, in bitsandbytes'
// 4-bit codes or in int8 rows. The transformer asks for a module by name and doesn't know which it gets; adapters
// wrap this interface (linear-lora.ts).

import { unpackBlocks, unpackBnb4 } from '../tensor/gradients/unpack.ts';
import type { GraphBuilder } from '../tensor/builder.ts';
import type { Value } from '../tensor/graph.ts';
import {
  blockDigits,
  digitsOf,
  rowDigitsOf,
  sumOfBlockDigits,
  sumOfRowDigits,
  ZERO,
  type Activations,
  type BlockDigits,
  type RowDigits,
} from './digits.ts';
import { mergedWeight } from './merged.ts';
import type { Compute, ModelTensors } from './tensors.ts';
import type { Weight } from './weights.ts';

export interface Linears {
  /** x [..., in] -> [..., out], with the module's bias if it has one. */
  apply(module: string, x: Value): Value;
  /** Several modules over the same x, in one product where their weights allow it (merged.ts). */
  applyAll(modules: readonly string[], x: Value): readonly Value[];
  /** The same with results side by side, [..., sum of all out]; null where they aren't one product. */
  applyJoined(modules: readonly string[], x: Value): Value | null;
}

type WeightOf<K extends Weight['kind']> = Weight & { readonly kind: K };

export interface LinearOptions {
  /**
   * How products with packed weights treat their input (digits.ts). plain: no rounding anywhere, and weights unpacked
   * where they have no exact kernel; slower, and the only one with gradients.
   */
  readonly activations: Activations | 'plain';
}

/** The linear layers of a model as they are stored. */
export const storedLinears = (tensors: ModelTensors, options: LinearOptions): Linears => {
  const products: Products = {
    ...options,
    digits: rememberedDigits(tensors.graph, options.activations),
  };
  const g = tensors.graph;
  const withBias = (module: string, y: Value): Value => {
    const bias = `${module}.bias`;
    return tensors.has(bias) ? g.add(y, tensors.float(bias)) : y;
  };
  // In half precision a product takes and gives float16; all between products stays float32.
  const multiplied = (name: string, weight: Weight, x: Value): Value =>
    g.cast(product(tensors, name, weight, g.cast(x, tensors.compute), products), 'float32');
  const apply = (module: string, x: Value): Value => {
    const name = `${module}.weight`;
    if (tensors.substitute(name) === undefined)
      return withBias(module, multiplied(name, tensors.weight(name), x));
    const trained = tensors.float(name, tensors.compute);
    const y = g.fusedMatMul(g.cast(x, tensors.compute), trained, { transB: true });
    return withBias(module, g.cast(y, 'float32'));
  };
  const applyJoined = (modules: readonly string[], x: Value): Value | null => {
    const names = modules.map((module) => `${module}.weight`);
    // Gradients are those of single layers.
    if (options.activations === 'plain') return null;
    if (names.some((name) => tensors.substitute(name) !== undefined)) return null;
    const biases = modules.map((module) => `${module}.bias`).filter((bias) => tensors.has(bias));
    if (biases.length > 0 && biases.length < modules.length) return null;
    const merged = mergedWeight(names.map((name) => tensors.weight(name)));
    if (merged === null) return null;
    const y = multiplied(names.join('+'), merged, x);
    if (biases.length === 0) return y;
    return g.add(
      y,
      g.concat(
        biases.map((bias) => tensors.float(bias)),
        0,
      ),
    );
  };
  return {
    apply,
    applyJoined,
    applyAll: (modules, x) => {
      const joined = applyJoined(modules, x);
      if (joined === null) return modules.map((module) => apply(module, x));
      const sizes = modules.map((module) => tensors.weight(`${module}.weight`).shape[0]);
      return g.split(joined, -1, sizes);
    },
  };
};

interface Products extends LinearOptions {
  readonly digits: Digits;
}

/** `name`: what the weight is called in the graph. */
const product = (
  tensors: ModelTensors,
  name: string,
  weight: Weight,
  x: Value,
  { activations, digits }: Products,
): Value => {
  const g = tensors.graph;
  switch (weight.kind) {
    case 'float':
      return g.fusedMatMul(x, tensors.asFloat(name, weight, tensors.compute), { transB: true });
    case 'blocks':
      return blocks(tensors, name, x, weight, { activations, digits });
    case 'bnb4': {
      const { shape, type, blockSize } = weight;
      const attributes = { n: shape[0], k: shape[1], type, blockSize };
      const { codes, absmax } = packedCodes(tensors, name, weight);
      return g.matMulBnb4(x, { codes, absmax: g.cast(absmax, x.dtype) }, attributes);
    }
    case 'int8-rows':
      return activations === 'plain'
        ? g.fusedMatMul(x, int8Rows(tensors, name, weight, tensors.compute), { transB: true })
        : int8Product(tensors, name, x, weight, digits.rows(x));
  }
};

/** Digits of inputs, made once however many layers read them. */
interface Digits {
  rows(x: Value): RowDigits;
  blocks(x: Value, blockSize: number): BlockDigits;
}

const rememberedDigits = (g: GraphBuilder, activations: LinearOptions['activations']): Digits => {
  const count = activations === 'plain' ? 0 : digitsOf(activations);
  const ofRows = rowDigitsOf(g, count);
  const rows = new Map<Value, RowDigits>();
  const blocks = new Map<Value, Map<number, BlockDigits>>();
  return {
    rows: (x) => {
      const digits = rows.get(x) ?? ofRows(x);
      rows.set(x, digits);
      return digits;
    },
    blocks: (x, blockSize) => {
      const bySize = blocks.get(x) ?? new Map<number, BlockDigits>();
      const digits = bySize.get(blockSize) ?? blockDigits(g, x, blockSize, count);
      blocks.set(x, bySize.set(blockSize, digits));
      return digits;
    },
  };
};

/** LLM.int8 without its outlier columns: uint8 digits times int8 rows, summed in integers. */
const int8Product = (
  tensors: ModelTensors,
  name: string,
  x: Value,
  weight: WeightOf<'int8-rows'>,
  digits: RowDigits,
): Value => {
  const g = tensors.graph;
  const [n] = weight.shape;
  const products = g.qGemm(
    { data: digits.codes, scale: g.constant(1), zero: g.constant(ZERO, 'uint8') },
    {
      data: tensors.mapped(name, weight.codes, weight.shape, weight.data),
      scales: tensors.mapped(`${name}.scales`, 'float32', [n], weight.scales),
    },
  );
  return g.reshape(sumOfRowDigits(g, products, digits), [...x.shape.slice(0, -1), n]);
};

const blocks = (
  tensors: ModelTensors,
  name: string,
  x: Value,
  weight: WeightOf<'blocks'>,
  products: Products,
): Value => {
  const g = tensors.graph;
  const [n, k] = weight.shape;
  const { blockSize } = weight;
  const perRow = Math.ceil(k / blockSize);
  const y = blockProduct(tensors, name, x, weight, products);
  if (weight.offsets === null) return y;
  // x W^T with W = q s + o per block: the offsets see the sum of x over each block.
  const offsets = tensors.mapped(`${name}.offsets`, 'float32', [n, perRow], weight.offsets);
  const sums = g.reduceSum(g.reshape(g.cast(x, 'float32'), [-1, perRow, blockSize]), [-1]);
  const shifted = g.gemm(sums, offsets, g.reshape(g.cast(y, 'float32'), [-1, n]));
  return g.reshape(shifted, [...x.shape.slice(0, -1), n]);
};

/**
 * The exact kernel is quick with 4 bits and unpacks all weights in every run with 8 (105 ms for the head of
 * SmolLM2-135M), so 8 bits are multiplied with by digits. It is slow for one row, too, but exact for all (load.ts).
 */
const blockProduct = (
  tensors: ModelTensors,
  name: string,
  x: Value,
  weight: WeightOf<'blocks'>,
  { activations, digits }: Products,
): Value => {
  const g = tensors.graph;
  const [n, k] = weight.shape;
  const { bits, blockSize } = weight;
  const parts = packedBlocks(tensors, name, weight);
  const packed = { ...parts, scales: g.cast(parts.scales, x.dtype) };
  if (hasExactKernel(weight, activations))
    return g.matMulNBits(x, packed, { n, k, bits, blockSize, accuracy: 1 });
  // One digit is what the kernel makes of x itself.
  if (activations === 'int8')
    return g.matMulNBits(x, packed, { n, k, bits, blockSize, accuracy: 4 });
  const input = digits.blocks(x, blockSize);
  const products = g.matMulNBits(input.values, packed, { n, k, bits, blockSize, accuracy: 4 });
  return g.reshape(sumOfBlockDigits(g, products, input), [...x.shape.slice(0, -1), n]);
};

/** Whether a product runs in a kernel that rounds nothing; it gives other bits for one row than for several. */
export const hasExactKernel = (
  weight: Weight,
  activations: LinearOptions['activations'],
): boolean =>
  activations === 'plain' ||
  weight.kind === 'bnb4' ||
  (weight.kind === 'blocks' && weight.bits === 4 && activations === 'float');

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
  const q = tensors.mapped(name, weight.codes, weight.shape, weight.data);
  const scales = tensors.mapped(`${name}.scales`, 'float32', [n], weight.scales);
  if (weight.codes === 'int8') return g.dequantizeLinear(q, g.cast(scales, dtype), { axis: 0 });
  const zero = g.constant(new Uint8Array(n).fill(ZERO), 'uint8', [n]);
  return g.dequantizeLinear(q, g.cast(scales, dtype), { axis: 0, zero });
};
