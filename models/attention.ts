// Attention over whole sequences that lie in equal slots: what training and the log-likelihood of texts need. A slot
// may hold several rows; the mask keeps them apart. Decoding over a cache is another strategy (decode/).
//
//   queries of a group share keys without copying them:  q [S, L, kv, group, D] -> [S, kv, group * L, D]
//                                                        k [S, L, kv, D]        -> [S, kv, L, D]

import type { GraphBuilder } from '../tensor/builder.ts';
import type { Value } from '../tensor/graph.ts';
import type { ModelConfig } from './config.ts';
import { separate, type Attention } from './transformer.ts';

/** Inputs of a graph over S slots of length L. Flat token index = slot * L + place in the slot. */
export interface SlotInputs {
  /** int64 [S, L], restarting in every row. */
  readonly positions: Value;
  /** [S, 1, L, L]: 0 where a query (third axis) sees a key (fourth), very negative elsewhere. */
  readonly mask: Value;
  /** The same within a window, for layers that have one. */
  readonly windowMask: Value | null;
  /** [positions, rotated / 2]; null without rotary positions. */
  readonly rope: { readonly cos: Value; readonly sin: Value } | null;
}

/** Declares the inputs: `positions`, `mask`, `window_mask` and `cos`, `sin`, where the model has a use for them. */
export const slotInputs = (g: GraphBuilder, config: ModelConfig): SlotInputs => {
  const { positions, attention } = config;
  const windowed = attention.windows.some((window) => window !== null);
  const half = positions.kind === 'rope' ? positions.rope.dim / 2 : 0;
  return {
    positions: g.input('positions', 'int64', ['S', 'L']),
    mask: g.input('mask', 'float32', ['S', 1, 'L', 'L']),
    windowMask: windowed ? g.input('window_mask', 'float32', ['S', 1, 'L', 'L']) : null,
    rope:
      positions.kind === 'rope'
        ? {
            cos: g.input('cos', 'float32', ['P', half]),
            sin: g.input('sin', 'float32', ['P', half]),
          }
        : null,
  };
};

export const slotAttention = (
  g: GraphBuilder,
  config: ModelConfig,
  inputs: SlotInputs,
): Attention => ({
  attend: ({ layer, qkv }) => {
    const [q, k, v] = separate(g, config, qkv);
    const { heads, kvHeads, headDim, scales, windows, softcap } = config.attention;
    const group = heads / kvHeads;
    const rotate = (x: Value, count: number): Value => {
      const slots = g.reshape(x, ['S', 'L', count * headDim]);
      if (inputs.rope === null || config.positions.kind !== 'rope') return slots;
      const { dim } = config.positions.rope;
      return g.rotaryEmbedding(
        slots,
        { positions: inputs.positions, ...inputs.rope },
        { numHeads: count, rotaryDim: dim === headDim ? 0 : dim },
      );
    };
    const grouped = g.reshape(rotate(q, heads), ['S', 'L', kvHeads, group, headDim]);
    const queries = g.reshape(g.transpose(grouped, [0, 2, 3, 1, 4]), rows(kvHeads, group, headDim));
    const perHead = (x: Value): Value =>
      g.transpose(g.reshape(x, ['S', 'L', kvHeads, headDim]), [0, 2, 1, 3]);
    const mask = windows[layer] === null ? inputs.mask : (inputs.windowMask ?? inputs.mask);
    const mixed = core(g, {
      q: queries,
      k: perHead(rotate(k, kvHeads)),
      v: perHead(v),
      mask,
      scale: scales[layer] ?? 1,
      softcap,
      group,
    });
    const back = g.reshape(mixed, ['S', kvHeads, group, 'L', headDim]);
    return g.reshape(g.transpose(back, [0, 3, 1, 2, 4]), ['S*L', heads * headDim]);
  },
});

const rows = (kvHeads: number, group: number, width: number): readonly (string | number)[] => [
  'S',
  kvHeads,
  group === 1 ? 'L' : `${group}*L`,
  width,
];

interface CoreInputs {
  /** [S, kv, group * L, D] */
  readonly q: Value;
  /** [S, kv, L, D] */
  readonly k: Value;
  readonly v: Value;
  readonly mask: Value;
  readonly scale: number;
  readonly softcap: number | null;
  readonly group: number;
}

/**
 * softmax(q k^T scale + mask) v. Its gradient is written out: the probabilities are computed again rather than kept
 * (they are the largest thing a layer has), and the row sums of dP ∘ P equal those of dO ∘ O, which are L / D times
 * shorter (Dao 2022, FlashAttention, section B.2).
 */
const core = (g: GraphBuilder, inputs: CoreInputs): Value => {
  const { q, k, v, scale, softcap } = inputs;
  const weights = (): Value => probabilities(g, inputs);
  if (softcap !== null) return g.matmul(weights(), v);
  let output: Value | undefined;
  const [mixed] = g.composite(
    'core',
    [q, k, v],
    () => {
      output = g.matmul(weights(), v);
      return [output] as const;
    },
    ([dO]) => {
      if (dO === undefined || output === undefined) return [undefined, undefined, undefined];
      const o = output;
      const p = once(weights);
      const dScores = once(() => {
        const dP = g.fusedMatMul(dO, v, { transB: true });
        const rowSums = g.reduceSum(g.mul(dO, o), [-1], true);
        return g.mul(p(), g.sub(dP, rowSums));
      });
      return [
        () => g.fusedMatMul(dScores(), k, { alpha: scale }),
        () => g.fusedMatMul(dScores(), q, { transA: true, alpha: scale }),
        () => g.fusedMatMul(p(), dO, { transA: true }),
      ];
    },
  );
  return mixed;
};

const once = (make: () => Value): (() => Value) => {
  let made: Value | undefined;
  return () => (made ??= make());
};

/** [S, kv, group * L, L] */
const probabilities = (
  g: GraphBuilder,
  { q, k, mask, scale, softcap, group }: CoreInputs,
): Value => {
  const kvHeads = q.shape[1] as number;
  const raw = g.fusedMatMul(q, k, { transB: true, alpha: scale });
  const capped = softcap === null ? raw : g.mul(g.tanh(g.div(raw, softcap)), softcap);
  const perHead = g.reshape(capped, ['S', kvHeads * group, 'L', 'L']);
  const softmax = g.softmax(g.add(perHead, mask), -1);
  return g.reshape(softmax, rows(kvHeads, group, 1).with(3, 'L'));
};
