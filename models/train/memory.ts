// What training costs in memory, and the choices that follow from it. The choices depend on the model and the
// parameters only, never on the machine, because they change the bits of a result.

import type { WeightMode } from '../checkpoint/layout.ts';
import type { ModelConfig } from '../config.ts';
import { headModule, linearModules } from '../modules.ts';
import type { Weight, WeightSource } from '../weights.ts';

/** Up to this size of fp32 weights both directions are packed: about 10 % faster, at twice the weights' memory. */
const prepackLimitBytes = 2 * 2 ** 30;

const weightBytes = (weight: Weight): number => {
  switch (weight.kind) {
    case 'float':
      return weight.data.bytes;
    case 'blocks':
      return (
        weight.data.bytes +
        weight.scales.bytes +
        (weight.zeroPoints?.bytes ?? 0) +
        (weight.offsets?.bytes ?? 0)
      );
    case 'bnb4':
      return weight.data.bytes + weight.absmax.bytes;
    case 'int8-rows':
      return weight.data.bytes + weight.scales.bytes;
  }
};

const bytesOf = (weights: WeightSource, modules: readonly string[]): number =>
  modules.reduce((sum, module) => {
    const weight = weights.get(`${module}.weight`);
    return sum + (weight === undefined ? 0 : weightBytes(weight));
  }, 0);

const multiplied = (config: ModelConfig): readonly string[] => [
  ...linearModules(config),
  headModule(config),
];

/** Parameters of the whole model as float32. */
export const floatBytes = (config: ModelConfig): number =>
  4 * (linearParameters(config) + config.vocabSize * config.hiddenSize * (config.tied ? 1 : 2));

/**
 * In which form a model is opened for training. A model that was quantised on purpose stays packed (QLoRA); another is
 * float32, unless that is so large that its 16-bit weights had better stay mapped as they are.
 */
export const trainingWeights = (config: ModelConfig, quantised: boolean): WeightMode => {
  if (quantised) return 'packed';
  return floatBytes(config) <= prepackLimitBytes ? 'float32' : 'stored';
};

export const prepacked = (config: ModelConfig, weights: WeightSource): boolean =>
  bytesOf(weights, multiplied(config)) <= prepackLimitBytes;

/** Elements of the linear layers' weights, the head's left out. */
const linearParameters = (config: ModelConfig): number => {
  const { hiddenSize, layers, attention, mlp } = config;
  const { heads, kvHeads, headDim } = attention;
  const attended = hiddenSize * headDim * (2 * heads + 2 * kvHeads);
  const raised = hiddenSize * mlp.size * (mlp.gated ? 3 : 2) * (mlp.experts?.count ?? 1);
  return layers * (attended + raised);
};

/**
 * The length of a slot at which attention takes as long as the linear layers do: 4 operations a parameter and token
 * against 12 a key, query feature and layer, which run at about half the rate (small products and softmax).
 */
export const attentionLength = (config: ModelConfig): number => {
  const { heads, headDim } = config.attention;
  return (4 * linearParameters(config)) / (2 * 12 * heads * headDim * config.layers);
};

/**
 * Bytes a run will need, for micro-batches of `tokens` in slots of `length`. On SmolLM2-135M with rank 16 it says 2.16 GB
 * for 512 tokens with 32 labels where 2.17 were measured, and 3.1 for 4 x 250 tokens with dropout where 3.2 were.
 */
export const estimateMemory = (
  config: ModelConfig,
  weights: WeightSource,
  run: {
    readonly tokens: number;
    readonly length: number;
    readonly labels: number;
    readonly trainedElements: number;
    readonly full: boolean;
    readonly recompute: boolean;
    readonly dropout: boolean;
  },
): number => {
  const { hiddenSize, layers, attention, mlp, vocabSize } = config;
  const copies = !run.full && !run.recompute && prepacked(config, weights) ? 2 : 1;
  const weightCopies = bytesOf(weights, multiplied(config)) * copies;
  // Kept for the backward pass, per token and layer: inputs of norms and linears; gate, up and their product.
  const inner = mlp.size * (mlp.experts?.count ?? 1);
  const width = 6 * hiddenSize + 3 * attention.heads * attention.headDim + 3 * inner;
  // What dropout leaves of each input, and a byte of mask for every element.
  const dropped = run.dropout ? 3 * hiddenSize + (6 * hiddenSize + inner) / 4 : 0;
  const scores = 4 * attention.heads * run.length;
  const perToken = run.recompute
    ? layers * hiddenSize + 2 * (width + dropped) + scores
    : layers * (width + dropped) + scores;
  const logits = 4 * run.labels * vocabSize * 3;
  // Parameters, two moments, the accumulated gradient, and the runtime's gradients with their copy.
  const optimizer = 4 * run.trainedElements * 6;
  const fixed = 300 * 2 ** 20;
  return fixed + weightCopies + 4 * run.tokens * perToken + logits + optimizer;
};
