// The one transformer: a decoder built into a graph from a ModelConfig. How a linear layer is stored (Linears) and
// how attention sees its keys (Attention) are strategies, so that training, prefill and decoding share this file.
// Shapes are [..., D] throughout: ids [N] or [B, T] both work, and it is the attention strategy that knows which.
//
//        ids ── embeddings (· scale, + learned positions) ── x
//   per layer:  x = x + [norm] attention(norm(x));   x = x + [norm] mlp(norm(x))
//        final norm ── hidden ── head ── logits

import type { GraphBuilder } from '../tensor/builder.ts';
import type { Value } from '../tensor/graph.ts';
import type { ModelConfig } from './config.ts';
import { embed } from './embeddings.ts';
import type { Linears } from './linear.ts';
import { mlp } from './mlp.ts';
import { headModule, modelModules, type LayerModules } from './modules.ts';
import { norm } from './norm.ts';
import type { ModelTensors } from './tensors.ts';

/** [..., heads * headDim], and twice [..., kvHeads * headDim]. */
export type Parts = readonly [q: Value, k: Value, v: Value];

/** Queries, keys and values of one layer, before any rotation. */
export interface AttentionInputs {
  readonly layer: number;
  /** Three values, or one of them side by side: [..., (heads + 2 kvHeads) * headDim]. */
  readonly qkv: Value | Parts;
}

export const isJoined = (qkv: AttentionInputs['qkv']): qkv is Value => 'shape' in qkv;

export const separate = (
  g: GraphBuilder,
  { attention: { heads, kvHeads, headDim } }: ModelConfig,
  qkv: AttentionInputs['qkv'],
): Parts => {
  if (!isJoined(qkv)) return qkv;
  const sizes = [heads * headDim, kvHeads * headDim, kvHeads * headDim];
  return three(g.split(qkv, -1, sizes));
};

/**
 * How attention is computed. A strategy rotates q and k if the model says so, applies the layer's scale, window and
 * soft cap (config.attention), and decides where keys and values come from: this batch (attention.ts) or a cache.
 */
export interface Attention {
  /** -> [..., heads * headDim] */
  attend(inputs: AttentionInputs): Value;
}

export interface TransformerParts {
  readonly config: ModelConfig;
  readonly tensors: ModelTensors;
  readonly linears: Linears;
  readonly attention: Attention;
  /** Sees the residual stream: `embeddings`, `layer.0` ... as they are made. */
  readonly onHidden?: (name: string, value: Value) => void;
  /** Added to the embeddings (training with noise). */
  readonly noise?: Value | undefined;
}

/**
 * ids int32 or int64 [...]; positions (same shape) are read by learned position tables only. -> [..., D]; with `select`
 * [R] (indices into ids [N]) -> [R, D], and what the last layer does to other positions, which nobody sees, is left out.
 */
export const hiddenStates = (
  parts: TransformerParts,
  ids: Value,
  positions: Value,
  select?: Value,
): Value => {
  let x = embedded(parts, ids, positions);
  parts.onHidden?.('embeddings', x);
  for (let index = 0; index < parts.config.layers; index++) {
    x = block(parts, index, x, index === parts.config.layers - 1 ? select : undefined);
    parts.onHidden?.(`layer.${index}`, x);
  }
  return x;
};

/** What the first layer reads. */
export const embedded = (parts: TransformerParts, ids: Value, positions: Value): Value => {
  const x = embed(parts.config, parts.tensors, ids, positions);
  return parts.noise === undefined ? x : parts.tensors.graph.add(x, parts.noise);
};

/** The final norm and the head: x [..., D] from hiddenStates -> logits [..., vocab]. */
export const logits = (parts: TransformerParts, x: Value): Value =>
  headLogits(parts, finalNorm(parts, x));

export const finalNorm = ({ config, tensors }: TransformerParts, x: Value): Value =>
  norm(tensors, config.norm, modelModules(config.modelType).finalNorm, x);

export const headLogits = ({ config, tensors, linears }: TransformerParts, x: Value): Value => {
  const g = tensors.graph;
  const raw = g.scope('head', () => linears.apply(headModule(config), x));
  const cap = config.finalSoftcap;
  return cap === null ? raw : g.mul(g.tanh(g.div(raw, cap)), cap);
};

/** One layer: x [..., D] -> [..., D]; with `select` [R], x [N, D] -> [R, D]. */
export const block = (parts: TransformerParts, index: number, x: Value, select?: Value): Value =>
  parts.tensors.graph.scope(`layers.${index}`, () => layerOf(parts, index, x, select));

const layerOf = (
  parts: TransformerParts,
  index: number,
  x: Value,
  select: Value | undefined,
): Value => {
  const { config, tensors, linears } = parts;
  const g: GraphBuilder = tensors.graph;
  const layer = modelModules(config.modelType).layer(index);
  const after = (module: string, y: Value): Value =>
    config.postNorms ? norm(tensors, config.norm, module, y) : y;
  // Other positions are needed by attention, as keys and values, and by nothing behind it.
  const selected = (y: Value): Value => (select === undefined ? y : g.gather(y, select));

  const attended = g.scope('attention', () => {
    const normed = norm(tensors, config.norm, layer.attentionNorm, x);
    const qkv = projections(parts, layer, normed);
    const mixed = parts.attention.attend({ layer: index, qkv });
    return linears.apply(layer.attention.output, selected(mixed));
  });
  const middle = g.add(selected(x), after(layer.afterAttentionNorm, attended));
  const raised = g.scope('mlp', () =>
    mlp(g, config, linears, layer, norm(tensors, config.norm, layer.mlpNorm, middle)),
  );
  return g.add(middle, after(layer.afterMlpNorm, raised));
};

const projections = (
  { config, tensors, linears }: TransformerParts,
  layer: LayerModules,
  x: Value,
): AttentionInputs['qkv'] => {
  const g = tensors.graph;
  const { heads, kvHeads, headDim, qkNorm } = config.attention;
  const { qkv, qNorm, kNorm } = layer.attention;
  const joined = typeof qkv === 'string' ? linears.apply(qkv, x) : linears.applyJoined(qkv, x);
  if (joined !== null && !qkNorm) return joined;
  const [q, k, v] =
    joined === null ? three(linears.applyAll([qkv].flat(), x)) : separate(g, config, joined);
  if (!qkNorm) return [q, k, v];
  const perHead = (y: Value, count: number, module: string): Value => {
    const split = g.reshape(y, [...y.shape.slice(0, -1), count, headDim]);
    return g.reshape(norm(tensors, config.norm, module, split), y.shape);
  };
  return [perHead(q, heads, qNorm), perHead(k, kvHeads, kNorm), v];
};

export const three = ([q, k, v]: readonly Value[]): Parts => {
  if (q === undefined || k === undefined || v === undefined)
    throw new Error('queries, keys and values are three');
  return [q, k, v];
};
