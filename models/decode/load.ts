// From a checkpoint, and an adapter where there is one, to a runner. Adapters are applied as they are (low-rank
// products beside the packed or plain weights), so that one set of mapped weights serves every adapter.

import type { GraphBuilder } from '../../tensor/builder.ts';
import type { Value } from '../../tensor/graph.ts';
import type { ModelConfig } from '../config.ts';
import { storedLinears, type LinearOptions } from '../linear.ts';
import { checkAdapter, fitAdapter, loraLinears, savedSubstitutes } from '../linear-lora.ts';
import type { AdapterFiles } from '../peft-files.ts';
import { ModelTensors } from '../tensors.ts';
import type { WeightSource } from '../weights.ts';
import type { Head } from './graph.ts';
import { headModule } from '../transformer.ts';
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
 * Prepacked fp32 products and 4- or 8-bit blocks with int8 activations give a row the same bits alone and among
 * others; every other product needs a second row (measured: see docs/design).
 */
const leastRowsOf = (weights: WeightSource, { activations }: LinearOptions): 1 | 2 => {
  const steady = weights.names.every((name) => {
    const weight = weights.get(name);
    return (
      weight === undefined ||
      (weight.kind === 'float' && weight.dtype === 'float32') ||
      ((weight.kind === 'blocks' || weight.kind === 'int8-rows') && activations === 'int8')
    );
  });
  return steady ? 1 : 2;
};

/** Unpacked floats at most. A number of the model, not of the machine: bits depend on it. */
const UNPACKED_BYTES = 2 ** 30;

/**
 * Weights that are computed with as fp32 although they are stored in 8 bits. Their exact products unpack all of them in
 * every run, at a tenth of the speed of 4 bits: 105 ms a step for the head of SmolLM2-135M alone.
 */
const unpackedNames = (
  weights: WeightSource,
  config: ModelConfig,
  { activations }: LinearOptions,
): readonly string[] => {
  if (activations === 'int8') return [];
  const head = `${headModule(config)}.weight`;
  const names = [head, ...weights.names.filter((name) => name !== head)];
  // A tied head has two names and is one weight.
  const seen = new Set<string>();
  let bytes = 0;
  return names.filter((name) => {
    const weight = weights.get(name);
    if (weight?.kind !== 'int8-rows' && !(weight?.kind === 'blocks' && weight.bits === 8)) {
      return false;
    }
    const place = `${weight.data.path} ${weight.data.offset}`;
    if (seen.has(place)) return false;
    seen.add(place);
    const own = weight.shape[0] * weight.shape[1] * Float32Array.BYTES_PER_ELEMENT;
    if (bytes + own > UNPACKED_BYTES) return false;
    bytes += own;
    return true;
  });
};

/** Throws AdapterError where the adapter doesn't fit, to the last tensor. */
export const loadRunner = async (options: DecoderOptions): Promise<Runner> => {
  const { config, weights, adapter, head, maxLength, threads } = options;
  const linearOptions = { activations: options.activations };
  const fitted = adapter === null ? null : fitAdapter(adapter.config, config, weights);
  if (adapter !== null && fitted !== null) checkAdapter(fitted, adapter.tensors);
  const unpacked = unpackedNames(weights, config, linearOptions);
  const arrays = new Map<
    string,
    { readonly shape: readonly number[]; readonly data: Float32Array }
  >();
  for (const name of unpacked) {
    arrays.set(name, { shape: weights.get(name)?.shape ?? [], data: weights.read(name) });
  }
  for (const { name, shape, data } of adapter?.tensors.values() ?? []) {
    arrays.set(name, { shape, data });
  }
  return createRunner({
    config,
    head,
    maxLength,
    leastRows: leastRowsOf(weights, linearOptions),
    threads,
    initializers: Object.fromEntries([...arrays].map(([name, { data }]) => [name, data])),
    model: (g: GraphBuilder) => {
      const values = new Map<string, Value>(
        [...arrays].map(([name, { shape }]) => [name, g.initializer(name, 'float32', shape)]),
      );
      const substitutes = new Map(fitted === null ? [] : savedSubstitutes(fitted, values));
      for (const name of unpacked) {
        const value = values.get(name);
        if (value !== undefined && !substitutes.has(name)) substitutes.set(name, value);
      }
      const tensors = new ModelTensors(g, weights, substitutes);
      const stored = storedLinears(tensors, linearOptions);
      const linears = fitted === null ? stored : loraLinears(stored, tensors, fitted, values);
      return { tensors, linears };
    },
  });
};
