// From a checkpoint, and an adapter where there is one, to a runner. Adapters are applied as they are (low-rank
// products beside the packed or plain weights), so that one set of mapped weights serves every adapter.

import type { GraphBuilder } from '../../tensor/builder.ts';
import type { Value } from '../../tensor/graph.ts';
import type { Device } from '../../tensor/session.ts';
import type { ModelConfig } from '../config.ts';
import type { Activations } from '../digits.ts';
import { storedLinears } from '../linear.ts';
import { checkAdapter, fitAdapter, loraLinears, savedSubstitutes } from '../linear-lora.ts';
import type { AdapterFiles } from '../peft-files.ts';
import { ModelTensors, type Compute } from '../tensors.ts';
import type { WeightSource } from '../weights.ts';
import { readsFused, type Head } from './graph.ts';
import { leastRowsOf } from './one-row.ts';
import { createRunner, type Runner } from './runner.ts';
import { splitsFreely } from './splits.ts';
import { steadyThreads } from './steady.ts';

export interface DecoderOptions {
  readonly config: ModelConfig;
  readonly weights: WeightSource;
  readonly adapter: AdapterFiles | null;
  readonly head: Head;
  readonly activations: Activations;
  /** Positions at most. */
  readonly maxLength: number;
  /** Tokens of the longest row there is, answers included; maxLength unless said. */
  readonly longest?: number;
  readonly threads: number;
  /** Sessions that share the graph; as many as pay unless said. */
  readonly parts?: number;
  readonly device?: Device;
  readonly compute?: Compute;
}

/** Throws AdapterError where the adapter doesn't fit, to the last tensor. */
export const loadRunner = async (options: DecoderOptions): Promise<Runner> => {
  const { config, weights, adapter, head, maxLength } = options;
  const { device = 'cpu', compute = 'float32', longest = maxLength } = options;
  const threads = device === 'cpu' ? steadyThreads(weights, options.threads) : options.threads;
  // Integer products are for float32 on the CPU; elsewhere kernels round nothing.
  const integers = device === 'cpu' && compute === 'float32';
  const linearOptions = { activations: integers ? options.activations : 'plain' } as const;
  const fitted = adapter === null ? null : fitAdapter(adapter.config, config, weights);
  if (adapter !== null && fitted !== null) checkAdapter(fitted, adapter.tensors);
  const arrays = [...(adapter?.tensors.values() ?? [])];
  return createRunner({
    config,
    head,
    maxLength,
    longest,
    // Where no kernel keeps a row's bits, a second row is no help.
    leastRows: device === 'cpu' ? await leastRowsOf(weights, linearOptions) : 1,
    splitsFreely: readsFused({ config, head, device }) && (await splitsFreely(config, threads)),
    threads,
    ...(options.parts === undefined ? {} : { parts: options.parts }),
    device,
    compute,
    initializers: Object.fromEntries(arrays.map(({ name, data }) => [name, data])),
    model: (g: GraphBuilder) => {
      const values = new Map<string, Value>(
        arrays.map(({ name, shape }) => [name, g.initializer(name, 'float32', shape)]),
      );
      const substitutes = fitted === null ? undefined : savedSubstitutes(fitted, values);
      const tensors = new ModelTensors(g, weights, substitutes, compute);
      const stored = storedLinears(tensors, linearOptions);
      const linears = fitted === null ? stored : loraLinears(stored, tensors, fitted, values);
      return { tensors, linears };
    },
  });
};
