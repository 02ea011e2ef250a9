// Putting an adapter into the weights it adapts: W' = W + scale · B A, for DoRA with every row rescaled to its
// magnitude. For exporting a model without its adapter.

import type { FittedAdapter } from './linear-lora.ts';
import { sharedArrays } from './lora-parameters.ts';
import { tensorNames } from './lora.ts';
import type { NamedTensor } from './peft-files.ts';
import type { WeightSource } from './weights.ts';

/** The float32 weight `name` with the adapter in it. */
export const mergedWeight = (
  weights: Pick<WeightSource, 'read'>,
  adapter: FittedAdapter,
  tensors: ReadonlyMap<string, NamedTensor>,
  name: string,
): Float32Array => {
  const module = name.replace(/\.weight$/, '');
  const saved = adapter.tensors.find(
    (tensor) => tensor.role === 'saved' && tensor.module === module,
  );
  if (saved !== undefined && name.endsWith('.weight')) return dataOf(tensors, saved.name);
  const merged = weights.read(name);
  const target = name.endsWith('.weight') ? adapter.targets.get(module) : undefined;
  if (target === undefined) return merged;

  const { rank, scale, wrapper, share } = target;
  const whole = {
    a: dataOf(tensors, tensorNames.a(wrapper)),
    b: dataOf(tensors, tensorNames.b(wrapper)),
  };
  const { a, b } = share === null ? whole : sharedArrays(whole.a, whole.b, rank, share);
  const inputs = a.length / rank;
  const outputs = b.length / rank;
  for (let row = 0; row < outputs; row++) {
    for (let r = 0; r < rank; r++) {
      const factor = (b[row * rank + r] ?? 0) * scale;
      for (let column = 0; column < inputs; column++)
        merged[row * inputs + column] =
          (merged[row * inputs + column] ?? 0) + factor * (a[r * inputs + column] ?? 0);
    }
  }
  if (adapter.config.use_dora)
    rescaleRows(merged, inputs, dataOf(tensors, tensorNames.magnitude(module)));
  return merged;
};

const rescaleRows = (matrix: Float32Array, columns: number, magnitudes: Float32Array): void => {
  for (const [row, magnitude] of magnitudes.entries()) {
    const values = matrix.subarray(row * columns, (row + 1) * columns);
    const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    for (const [column, value] of values.entries()) values[column] = (value * magnitude) / norm;
  }
};

const dataOf = (tensors: ReadonlyMap<string, NamedTensor>, name: string): Float32Array => {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`the adapter lacks ${name}`);
  return tensor.data;
};
