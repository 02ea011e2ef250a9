// Attention over a cache and the new positions: prefill (one row, many new tokens) and decoding (many rows, one new
// token each) are the same graph. Where it decodes, the cache is read where it lies, and scores are joined, never keys;
// where it only reads, scores are far larger than keys, and keys are joined:
//
//     scores: q . cached keys [.., C] ++ q . new keys [.., T]  -> mask -> softmax -> . cached values + . new values
//     keys:   q . (cached ++ new keys) [.., C + T]             -> mask -> softmax -> . (cached ++ new values)
//
// Where the device is the CPU, a graph that only reads has one kernel for all of it (fusedAttention): its scores stay in
// the processor's cache. It adds up in an order that depends on the cache's capacity, so it isn't for decoding.
//
// Heads of a group share keys without copying them: q [B, heads, T, D] is read as [B, kvHeads, group * T, D].
// New keys and values leave the graph, and whoever runs it writes them into the cache.

import type { GraphBuilder } from '../../tensor/builder.ts';
import type { Value } from '../../tensor/graph.ts';
import type { ModelConfig } from '../config.ts';
import type { Compute } from '../tensors.ts';
import {
  isJoined,
  three,
  type Attention,
  type AttentionInputs,
  type Parts,
} from '../transformer.ts';

/** Names of cache inputs: `key.0`, `value.0`, `key.1` ... in the order of KeyValueCache.arrays. */
export const cacheNames = (layers: number): readonly string[] =>
  Array.from({ length: layers }, (_, layer) => [`key.${layer}`, `value.${layer}`]).flat();

export interface CacheInputs {
  /** int64 [B, T]; a cached key's position is its index. */
  readonly positions: Value;
  /** int64 [B, 1]: how many positions of the cache are a row's own. */
  readonly lengths: Value;
  /** int32 [B, T]: new tokens see each other within a segment only; null: they are one text. */
  readonly segments: Value | null;
  /** [positions, rotated / 2]; null without rotary positions. */
  readonly rope: { readonly cos: Value; readonly sin: Value } | null;
  /** 2 * layers values [B, kvHeads, C, headDim]; float16 in half precision. */
  readonly cache: readonly Value[];
}

export const cacheInputs = (
  g: GraphBuilder,
  config: ModelConfig,
  options: { readonly segments: boolean; readonly dtype: Compute },
): CacheInputs => {
  const { kvHeads, headDim } = config.attention;
  const half = config.positions.kind === 'rope' ? config.positions.rope.dim / 2 : 0;
  return {
    positions: g.input('positions', 'int64', ['B', 'T']),
    lengths: g.input('lengths', 'int64', ['B', 1]),
    segments: options.segments ? g.input('segments', 'int32', ['B', 'T']) : null,
    rope:
      config.positions.kind === 'rope'
        ? {
            cos: g.input('cos', 'float32', ['P', half]),
            sin: g.input('sin', 'float32', ['P', half]),
          }
        : null,
    cache: cacheNames(config.layers).map((name) =>
      g.input(name, options.dtype, ['B', kvHeads, 'C', headDim]),
    ),
  };
};

/** The strategy, and the new keys and values it has seen, as the cache has them: [B, 2 * layers * kvHeads, T, headDim]. */
export interface CachedAttention extends Attention {
  present(): Value;
}

export const cachedAttention = (
  g: GraphBuilder,
  config: ModelConfig,
  inputs: CacheInputs,
  joins: 'scores' | 'keys',
): CachedAttention => {
  const { heads, kvHeads, headDim, scales, windows, softcap } = config.attention;
  const group = heads / kvHeads;
  const maskOf = rememberedMasks(g, inputs, group);
  const fresh: Value[] = [];
  /** [B, count, T, headDim] */
  const rotate = (x: Value): Value => rotated(g, config, inputs, x, 0);
  const perHead = (x: Value, count: number): Value =>
    g.transpose(g.reshape(x, ['B', 'T', count, headDim]), [0, 2, 1, 3]);
  /** Rotated queries and keys, and values: [B, heads or kvHeads, T, headDim]. */
  const split = (qkv: AttentionInputs['qkv']): Parts => {
    if (!isJoined(qkv)) {
      const [q, k, v] = qkv;
      return [rotate(perHead(q, heads)), rotate(perHead(k, kvHeads)), perHead(v, kvHeads)];
    }
    const options = { heads, kvHeads, rotate: inputs.rope === null ? null : rotate };
    return splitRotated(g, perHead(qkv, heads + 2 * kvHeads), 1, options);
  };

  return {
    attend: ({ layer, qkv }) => {
      // Half-precision products are often summed in half precision: over thousands of positions that is too little.
      const cachedKeys = g.cast(at(inputs.cache, 2 * layer), 'float32');
      const cachedValues = g.cast(at(inputs.cache, 2 * layer + 1), 'float32');
      const [queries, keys, values] = split(qkv);
      const rows = g.reshape(queries, ['B', kvHeads, times(group), headDim]);
      fresh.push(keys, values);
      const scores = (against: Value): Value => {
        const raw = g.fusedMatMul(rows, against, { transB: true, alpha: scales[layer] ?? 1 });
        return softcap === null ? raw : g.mul(g.tanh(g.div(raw, softcap)), softcap);
      };
      const mask = maskOf(windows[layer] ?? null);
      const overKeys = (): Value => {
        const all = scores(g.concat([cachedKeys, keys], 2));
        return g.matmul(g.softmax(g.add(all, mask)), g.concat([cachedValues, values], 2));
      };
      const overScores = (): Value => {
        const all = g.concat([scores(cachedKeys), scores(keys)], -1);
        const [onCached, onFresh] = g.split(g.softmax(g.add(all, mask)), -1, ['C', 'T']);
        return g.add(g.matmul(present(onCached), cachedValues), g.matmul(present(onFresh), values));
      };
      const mixed = joins === 'keys' ? overKeys() : overScores();
      const perToken = g.transpose(g.reshape(mixed, ['B', heads, 'T', headDim]), [0, 2, 1, 3]);
      return g.reshape(perToken, ['B*T', heads * headDim]);
    },
    present: () => g.cast(g.concat(fresh, 1), at(inputs.cache, 0).dtype),
  };

  function times(count: number): string {
    return count === 1 ? 'T' : `${count}*T`;
  }
};

/** The CPU's own kernel, in float32, over keys as they come out of their product: heads are never transposed. */
export const fusedAttention = (
  g: GraphBuilder,
  config: ModelConfig,
  inputs: CacheInputs,
): CachedAttention => {
  const { heads, kvHeads, headDim, scales, windows } = config.attention;
  const maskOf = rememberedMasks(g, inputs, 1);
  const fresh: Value[] = [];
  const perToken = (x: Value): Value => g.reshape(x, ['B', 'T', at(x.shape, -1)]);
  /** [B, T, heads or kvHeads * headDim] */
  const split = (qkv: AttentionInputs['qkv']): Parts => {
    if (!isJoined(qkv)) {
      const [q, k, v] = qkv;
      const rotate = (x: Value, count: number): Value => rotated(g, config, inputs, x, count);
      return [rotate(perToken(q), heads), rotate(perToken(k), kvHeads), perToken(v)];
    }
    const turn = (x: Value): Value => rotated(g, config, inputs, x, heads + kvHeads);
    const rotate = inputs.rope === null ? null : turn;
    return splitRotated(g, perToken(qkv), -1, { heads, kvHeads, rotate, width: headDim });
  };
  return {
    attend: ({ layer, qkv }) => {
      const [q, k, v] = split(qkv);
      fresh.push(k, v);
      const [pastKey, pastValue] = [at(inputs.cache, 2 * layer), at(inputs.cache, 2 * layer + 1)];
      const mixed = g.attention(
        { q, k, v, mask: maskOf(windows[layer] ?? null), pastKey, pastValue },
        { heads, kvHeads, scale: scales[layer] ?? 1 },
      );
      return g.reshape(mixed, ['B*T', heads * headDim]);
    },
    present: () => {
      const shape = ['B', 'T', 2 * config.layers * kvHeads, headDim];
      return g.transpose(g.reshape(g.concat(fresh, -1), shape), [0, 2, 1, 3]);
    },
  };
};

/** x [B, count, T, headDim], or [B, T, count * headDim] where `numHeads` is count. */
const rotated = (
  g: GraphBuilder,
  config: ModelConfig,
  { rope, positions }: CacheInputs,
  x: Value,
  numHeads: number,
): Value => {
  if (rope === null || config.positions.kind !== 'rope') return x;
  const { dim } = config.positions.rope;
  const rotaryDim = dim === config.attention.headDim ? 0 : dim;
  return g.rotaryEmbedding(x, { positions, ...rope }, { rotaryDim, numHeads });
};

/** Queries, keys and values that lie side by side along `axis`, in heads of `width`; the first two rotated as one. */
const splitRotated = (
  g: GraphBuilder,
  qkv: Value,
  axis: number,
  options: {
    readonly heads: number;
    readonly kvHeads: number;
    /** null: positions aren't rotary. */
    readonly rotate: ((x: Value) => Value) | null;
    readonly width?: number;
  },
): Parts => {
  const { heads, kvHeads, rotate, width = 1 } = options;
  const sizes = [heads * width, kvHeads * width];
  if (rotate === null) return three(g.split(qkv, axis, [...sizes, kvHeads * width]));
  const [turned, values] = g.split(qkv, axis, [(heads + kvHeads) * width, kvHeads * width]);
  const [queries, keys] = g.split(rotate(present(turned)), axis, sizes);
  return [present(queries), present(keys), present(values)];
};

const rememberedMasks = (
  g: GraphBuilder,
  inputs: CacheInputs,
  group: number,
): ((window: number | null) => Value) => {
  const masks = new Map<number | null, Value>();
  return (window) => {
    const known = masks.get(window) ?? buildMask(g, inputs, window, group);
    masks.set(window, known);
    return known;
  };
};

/** exp(x - max) is 0 for anything this is added to, and no arithmetic on it overflows. */
export const HIDDEN = -1e9;

/**
 * Added to scores against cached and new keys: [B, 1, group * T, C + T]. Positions are compared in the graph, once for
 * all layers with the same window.
 */
const buildMask = (
  g: GraphBuilder,
  { positions, lengths, segments }: CacheInputs,
  window: number | null,
  group: number,
): Value =>
  g.scope(window === null ? 'mask' : `mask${window}`, () => {
    const queries = g.unsqueeze(positions, [1, 3]); // [B, 1, T, 1]
    const near = (visible: Value, keys: Value): Value =>
      window === null ? visible : g.and(visible, g.less(g.sub(queries, keys), window));
    const cachedAt = g.range('C');
    const filled = g.unsqueeze(g.less(cachedAt, g.unsqueeze(lengths, [1])), [2]); // [B, 1, 1, C]
    const order = g.range('T');
    const causal = g.lessOrEqual(order, g.unsqueeze(order, [1])); // [T, T]
    const within =
      segments === null
        ? g.unsqueeze(causal, [0, 1])
        : g.and(causal, g.equal(g.unsqueeze(segments, [1, 3]), g.unsqueeze(segments, [1, 2])));
    const additive = (visible: Value, keys: 'C' | 'T'): Value =>
      g.expand(g.where(visible, 0, HIDDEN), ['B', 1, 'T', keys]);
    const both = g.concat(
      [
        additive(near(filled, cachedAt), 'C'),
        additive(near(within, g.unsqueeze(positions, [1, 2])), 'T'),
      ],
      -1,
    );
    return g.concat(
      Array.from({ length: group }, () => both),
      2,
    );
  });

const at = <T>(values: readonly T[], index: number): T => present(values.at(index));

const present = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('a layer without its cache');
  return value;
};
