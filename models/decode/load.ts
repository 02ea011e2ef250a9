// From a checkpoint, and an adapter where there is one, to a runner. Adapters are applied as they are (low-rank
// products beside the packed or plain weights), so that one set of mapped weights serves every adapter.

import type { GraphBuilder } from '../../tensor/builder.ts';
import type { Value } from '../../tensor/graph.ts';
import type { ModelConfig } from '../config.ts';
import { hasExactKernel, storedLinears, type LinearOptions } from '../linear.ts';
import { checkAdapter, fitAdapter, loraLinears, savedSubstitutes } from '../linear-lora.ts';
import type { AdapterFiles } from '../peft-files.ts';
import { ModelTensors } from '../tensors.ts';
import type { WeightSource } from '../weights.ts';
import type { Head } from './graph.ts';
import { createRunner, type Runner } from './runner.ts';

export interface DecoderOptions {
  readonly config: ModelConfig;
  readonly weights: WeightSource;
  readonly adapter: AdapterFiles | null;
  readonly head: Head;
  readonly activations: LinearOptions['activations'];
  /** Longest row, in tokens. */
  readonly maxLength: number;
  readonly threads: number;
}

/**
 * Prepacked fp32 products and integer ones give a row the same bits alone and among others; a kernel that unpacks
 * weights as it goes needs a second row (measured: see docs/design).
 */
const leastRowsOf = (weights: WeightSource, { activations }: LinearOptions): 1 | 2 => {
  const unsteady = weights.names.some((name) => {
    const weight = weights.get(name);
    if (weight === undefined) return false;
    // 16-bit floats are float32 by the time they are multiplied with (runner.ts).
    return weight.kind !== 'float' && hasExactKernel(weight, activations);
  });
  return unsteady ? 2 : 1;
};

/** Throws AdapterError where the adapter doesn't fit, to the last tensor. */
export const loadRunner = async (options: DecoderOptions): Promise<Runner> => {
  const { config, weights, adapter, head, maxLength, threads } = options;
  const linearOptions = { activations: options.activations };
  const fitted = adapter === null ? null : fitAdapter(adapter.config, config, weights);
  if (adapter !== null && fitted !== null) checkAdapter(fitted, adapter.tensors);
  const arrays = [...(adapter?.tensors.values() ?? [])];
  return createRunner({
    config,
    head,
    maxLength,
    leastRows: leastRowsOf(weights, linearOptions),
    threads,
    initializers: Object.fromEntries(arrays.map(({ name, data }) => [name, data])),
    model: (g: GraphBuilder) => {
      const values = new Map<string, Value>(
        arrays.map(({ name, shape }) => [name, g.initializer(name, 'float32', shape)]),
      );
      const substitutes = fitted === null ? undefined : savedSubstitutes(fitted, values);
      const tensors = new ModelTensors(g, weights, substitutes);
      const stored = storedLinears(tensors, linearOptions);
      const linears = fitted === null ? stored : loraLinears(stored, tensors, fitted, values);
      return { tensors, linears };
    },
  });
};
