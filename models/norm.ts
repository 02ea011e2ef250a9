// Normalisation over the last axis, by the configuration's kind.

import type { Value } from '../tensor/graph.ts';
import type { NormConfig } from './config.ts';
import type { ModelTensors } from './tensors.ts';

/** x [..., D] -> [..., D] */
export const norm = (
  tensors: ModelTensors,
  config: NormConfig,
  module: string,
  x: Value,
): Value => {
  const g = tensors.graph;
  const weight = tensors.float(`${module}.weight`);
  const scale = config.offset === 0 ? weight : g.add(weight, config.offset);
  if (config.kind === 'rms') return g.rmsNormalization(x, scale, config.eps);
  const bias = `${module}.bias`;
  return g.layerNormalization(
    x,
    scale,
    tensors.has(bias) ? tensors.float(bias) : undefined,
    config.eps,
  );
};
