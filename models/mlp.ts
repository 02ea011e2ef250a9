// The feed-forward part of a block: plain, gated, or a mixture of experts.

import type { GraphBuilder } from '../tensor/builder.ts';
import type { Value } from '../tensor/graph.ts';
import type { Activation, ModelConfig } from './config.ts';
import type { Linears } from './linear.ts';
import type { LayerModules, MlpModules } from './modules.ts';

/** x [..., D] -> [..., D] */
export const mlp = (
  g: GraphBuilder,
  config: ModelConfig,
  linears: Linears,
  layer: LayerModules,
  x: Value,
): Value =>
  config.mlp.experts === null
    ? feedForward(g, config, linears, layer.mlp, x)
    : mixture(g, config, linears, layer, x, config.mlp.experts);

const feedForward = (
  g: GraphBuilder,
  config: ModelConfig,
  linears: Linears,
  modules: MlpModules,
  x: Value,
): Value => {
  const { activation, gated, size } = config.mlp;
  if (typeof modules.up !== 'string') {
    const [gate, up] = linears.applyAll(modules.up, x);
    if (gate === undefined || up === undefined) throw new Error('gate and up are two');
    return linears.apply(modules.down, gatedUnit(g, activation, gate, up));
  }
  const raised = linears.apply(modules.up, x);
  if (!gated) return linears.apply(modules.down, activate(g, activation, raised));
  const [gate, up] = g.split(raised, -1, [size, size]);
  if (gate === undefined || up === undefined) throw new Error('a split in two has two parts');
  return linears.apply(modules.down, gatedUnit(g, activation, gate, up));
};

/** act(gate) * up. With SiLU the backward pass computes act(gate) again instead of keeping it. */
const gatedUnit = (g: GraphBuilder, activation: Activation, gate: Value, up: Value): Value => {
  if (activation !== 'silu') return g.mul(activate(g, activation, gate), up);
  const [product] = g.composite(
    'gated',
    [gate, up],
    () => [g.mul(g.silu(gate), up)] as const,
    ([dy]) => {
      if (dy === undefined) return [undefined, undefined];
      // y = x s with s = sigmoid(x); y' = s + y (1 - s)
      const s = g.sigmoid(gate);
      const y = g.mul(gate, s);
      return [() => g.mul(g.mul(dy, up), g.add(s, g.mul(y, g.sub(1, s)))), () => g.mul(dy, y)];
    },
  );
  return product;
};

const activate = (g: GraphBuilder, activation: Activation, x: Value): Value => {
  switch (activation) {
    case 'silu':
      return g.silu(x);
    case 'gelu':
      return g.gelu(x, 'none');
    case 'gelu_tanh':
      return g.gelu(x, 'tanh');
    case 'relu':
      return g.relu(x);
  }
};

/**
 * Every expert sees every token; those not among a token's best count 0. Exact, differentiable, and `count /
 * perToken` times the work of a grouped kernel.
 */
const mixture = (
  g: GraphBuilder,
  config: ModelConfig,
  linears: Linears,
  layer: LayerModules,
  x: Value,
  experts: { readonly count: number; readonly perToken: number },
): Value => {
  const shares = g.softmax(linears.apply(layer.router, x));
  const [best] = g.topK(shares, experts.perToken);
  const least = g.slice(best, -1, -1);
  const kept = g.mul(shares, g.cast(g.greaterOrEqual(shares, least), 'float32'));
  const weights = g.div(kept, g.reduceSum(kept, [-1], true));
  return Array.from({ length: experts.count }, (_, index) => {
    const y = feedForward(g, config, linears, layer.expert(index), x);
    return g.mul(y, g.slice(weights, -1, index, index + 1));
  }).reduce((sum, part) => g.add(sum, part));
};
