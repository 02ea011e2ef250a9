// The graph that decoding runs: ids and cache in, new keys and values out, and one of three heads over the selected
// positions. One session serves prefill and decoding, so weights are in memory once.

import { GraphBuilder } from '../../tensor/builder.ts';
import type { Graph, Value } from '../../tensor/graph.ts';
import type { Device } from '../../tensor/session.ts';
import type { ModelConfig } from '../config.ts';
import type { Linears } from '../linear.ts';
import type { Compute, ModelTensors } from '../tensors.ts';
import { hiddenStates, logits } from '../transformer.ts';
import { cachedAttention, cacheInputs, fusedAttention } from './attention.ts';

/**
 * next: `next` int32 [R], the most probable token of each selected position.
 * logits: `logits` [R, V] as well.
 * scores: `scores` [S], log-probabilities of the picked (position, token) pairs, and `next`.
 */
export type Head = 'next' | 'logits' | 'scores';

export interface DecodeGraphParts {
  readonly config: ModelConfig;
  /** In half precision the cache is stored so too. */
  readonly compute: Compute;
  readonly head: Head;
  readonly device: Device;
  /** Makes the weights' side of the graph. */
  readonly model: (g: GraphBuilder) => {
    readonly tensors: ModelTensors;
    readonly linears: Linears;
  };
}

/** Whether attention is one kernel: in graphs that only read, where it can do what the model asks. */
export const readsFused = ({
  config,
  head,
  device,
}: Pick<DecodeGraphParts, 'config' | 'head' | 'device'>): boolean =>
  head === 'scores' && device === 'cpu' && config.attention.softcap === null;

/**
 * Inputs: `ids` int32 [B, T], `positions` int64 [B, T], `lengths` int64 [B, 1], `select` int32 [R] (indices into
 * B * T), the cache, `cos` and `sin` with rotary positions; for scores also `segments` int32 [B, T] and `picks`
 * int64 [S] (selected position * V + token). Outputs: `present` (attention.ts) and the head's; in half precision also
 * `sums` [R], of each position's logits, which are finite where no product overflowed.
 */
export const decodeGraph = ({ config, head, compute, device, model }: DecodeGraphParts): Graph => {
  const g = new GraphBuilder();
  const ids = g.input('ids', 'int32', ['B', 'T']);
  const inputs = cacheInputs(g, config, { segments: head === 'scores', dtype: compute });
  const select = g.input('select', 'int32', ['R']);
  const attention = readsFused({ config, head, device })
    ? fusedAttention(g, config, inputs)
    : cachedAttention(g, config, inputs, head === 'scores' ? 'keys' : 'scores');
  const parts = { config, attention, ...model(g) };
  // Tokens of all rows in one list: products are of two matrices, and only attention knows rows.
  const [tokens, positions] = [g.reshape(ids, ['B*T']), g.reshape(inputs.positions, ['B*T'])];
  const scores = logits(parts, hiddenStates(parts, tokens, positions, select));
  g.output('present', attention.present());
  const next = g.cast(g.argMax(scores, -1), 'int32');
  g.output('next', next);
  if (compute === 'float16') g.output('sums', g.reduceSum(scores, [-1]));
  if (head === 'logits') g.output('logits', scores);
  if (head === 'scores') g.output('scores', picked(g, scores));
  return g.build();
};

/** Log-probabilities at `picks` in [R * V]. */
const picked = (g: GraphBuilder, scores: Value): Value => {
  const picks = g.input('picks', 'int64', ['S']);
  return g.gather(g.reshape(g.logSoftmax(scores), [-1]), picks);
};
