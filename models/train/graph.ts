// The training step as one inference graph: loss of a micro-batch and its gradient for every trained tensor, both
// summed over tokens (the loop divides by the tokens of the whole accumulation window). What is trained comes in as
// inputs and so can be updated in place; what is frozen is mapped.

import { GraphBuilder } from '../../tensor/builder.ts';
import { gradient } from '../../tensor/gradient.ts';
import type { Graph, Value } from '../../tensor/graph.ts';
import { slotAttention, slotInputs } from '../attention.ts';
import type { ModelConfig } from '../config.ts';
import type { FittedAdapter } from '../linear-lora.ts';
import type { LoraDropout } from '../linear-lora.ts';
import { loraLinears, noDropout, savedSubstitutes } from '../linear-lora.ts';
import { storedLinears } from '../linear.ts';
import { ModelTensors } from '../tensors.ts';
import { hiddenStates, logits } from '../transformer.ts';
import type { WeightSource } from '../weights.ts';
import { recomputing } from './recompute.ts';
import type { Trainable } from './trainables.ts';

export interface TrainingGraphOptions {
  readonly config: ModelConfig;
  readonly weights: WeightSource;
  readonly trainables: readonly Trainable[];
  /** Null when every weight is trained. */
  readonly adapter: FittedAdapter | null;
  /** With gradients, or the loss alone (validation). */
  readonly gradients: boolean;
  /** Keep only the inputs of the layers, and compute the rest again in the backward pass. */
  readonly recompute: boolean;
  /** NEFTune's alpha; 0: no noise. */
  readonly noiseAlpha: number;
}

export const gradientName = (trainable: string): string => `grad:${trainable}`;
export const maskName = (module: string): string => `keep:${module}`;

/**
 * Inputs: `ids` int32 [S*L], those of slotInputs, `predict_at` int32 [R] (flat positions that predict a supervised
 * token), `labels` int64 [R, 1], every trainable by name, with dropout a `keep:<module>` bool [S*L, in] each, and with
 * NEFTune `noise` [S*L, D].
 * Outputs: `loss` (a scalar: the sum of -log p over the labels), and `grad:<name>` of every trainable.
 */
export const trainingGraph = (options: TrainingGraphOptions): Graph => {
  const { config, weights, trainables, adapter } = options;
  const g = new GraphBuilder();
  const inputs = slotInputs(g, config);
  const ids = g.input('ids', 'int32', ['S*L']);
  const predictAt = g.input('predict_at', 'int32', ['R']);
  const labels = g.input('labels', 'int64', ['R', 1]);
  const values = new Map(
    trainables.map(({ name, shape }) => [name, g.input(name, 'float32', shape)]),
  );
  const substitutes = adapter === null ? values : savedSubstitutes(adapter, values);
  const tensors = new ModelTensors(g, weights, substitutes);
  const stored = storedLinears(tensors, { activations: 'plain' });
  const parts = {
    config,
    tensors,
    linears:
      adapter === null
        ? stored
        : loraLinears(stored, tensors, adapter, values, dropout(g, options)),
    attention: slotAttention(g, config, inputs),
    noise:
      options.gradients && options.noiseAlpha > 0
        ? g.input('noise', 'float32', ['S*L', config.hiddenSize])
        : undefined,
  };
  const positions = g.reshape(inputs.positions, ['S*L']);
  const lossOf = (hidden: Value): Value => {
    const scores = logits(parts, g.gather(hidden, predictAt));
    return g.scope('loss', () => crossEntropy(g, scores, labels));
  };
  if (!options.gradients) {
    g.output('loss', lossOf(hiddenStates(parts, ids, positions)));
    return g.build();
  }
  if (options.recompute) {
    const { loss, gradients } = recomputing({ parts, values, ids, positions, lossOf });
    for (const [name, value] of gradients) g.output(gradientName(name), value);
    g.output('loss', loss);
    return g.build();
  }
  const loss = lossOf(hiddenStates(parts, ids, positions));
  const wanted = [...values];
  const names = new Map(wanted.map(([name, value]) => [value, name]));
  const found = gradient(
    g,
    loss,
    wanted.map(([, value]) => value),
    // Listed late, first layer first, each runs as soon as it can; listed where they are made, they run after the
    // whole backward pass and keep what they need until then.
    { stageOf: (leaf) => stageOf(names.get(leaf), config.layers) },
  );
  for (const [index, [name]] of wanted.entries()) {
    const value = found[index];
    if (value !== undefined) g.output(gradientName(name), value);
  }
  g.output('loss', loss);
  return g.build();
};

/** Stage of a trainable's gradient: layer by layer from 1, the head's after them. */
const stageOf = (name: string | undefined, layers: number): number => {
  const layer = /\.(?:layers|h)\.(\d+)\./.exec(name ?? '')?.[1];
  return layer === undefined ? layers + 1 : Number(layer) + 1;
};

/** Sum over rows of -log softmax(scores)[label]. Its gradient, softmax minus one at the label, is written in place. */
const crossEntropy = (g: GraphBuilder, scores: Value, labels: Value): Value => {
  let logProbabilities: Value | undefined;
  const [loss] = g.composite(
    'cross_entropy',
    [scores],
    () => {
      logProbabilities = g.logSoftmax(scores);
      return [g.neg(g.reduceSum(g.gatherElements(logProbabilities, labels, 1)))] as const;
    },
    () => [
      // The loss is the last node: its own gradient is 1.
      () => {
        if (logProbabilities === undefined) throw new Error('backward before forward');
        const rows = labels.shape[0] ?? 1;
        const minusOne = g.full(-1, 'float32', [rows, 1]);
        return g.scatterElements(g.exp(logProbabilities), labels, minusOne, 1, 'add');
      },
    ],
  );
  return loss;
};

/**
 * Dropout on the input of the low-rank branch only. The mask says what is kept; that kept values are multiplied by
 * 1 / (1 - p) is part of the branch's scale .
 */
const dropout = (g: GraphBuilder, { adapter, gradients }: TrainingGraphOptions): LoraDropout => {
  const p = adapter?.config.lora_dropout ?? 0;
  if (p === 0 || !gradients) return noDropout;
  const masks = new Map<string, Value>();
  const maskOf = (module: string, x: Value): Value => {
    // A layer that is computed again drops the same elements.
    const mask = masks.get(module) ?? g.input(maskName(module), 'bool', x.shape);
    masks.set(module, mask);
    return mask;
  };
  return { scale: 1 / (1 - p), apply: (module, x) => g.where(maskOf(module, x), x, 0) };
};
