// What GGUF has no word for, or llama.cpp computes in its own way whatever the file says: such a model is refused where
// its answers would be wrong, and noted where only long texts would differ.

import type { ModelConfig } from '../config.ts';

/** llama.cpp's own rule for Gemma 2 of 27B, which it knows by its layers (llama-model.cpp). */
export const gemma2Layers27B = 46;

/** What queries are divided by the root of, as llama.cpp has it. */
const queryScalar = ({ modelType, layers, hiddenSize, attention }: ModelConfig): number =>
  modelType === 'gemma2' && layers === gemma2Layers27B
    ? hiddenSize / attention.heads
    : attention.headDim;

/** Why llama.cpp would compute something else from a file of this model; null where it wouldn't. */
export const ggufObstacle = (config: ModelConfig): string | null => {
  const { modelType, attention, mlp, positions } = config;
  const scale = queryScalar(config) ** -0.5;
  if (attention.scales.some((each) => Math.abs(each / scale - 1) > 1e-6))
    return 'scales its attention in a way that llama.cpp does not';
  const activation = modelType === 'gpt2' || modelType.startsWith('gemma') ? 'gelu_tanh' : 'silu';
  if (mlp.activation !== activation)
    return `has the activation ${mlp.activation}, llama.cpp computes ${activation}`;
  if (modelType === 'gemma2' && (attention.softcap === null || config.finalSoftcap === null))
    return 'does not cap its logits, llama.cpp always does';
  if (
    positions.kind === 'rope' &&
    !['none', 'linear', 'llama3'].includes(positions.rope.scaling.kind)
  )
    return `has the rope scaling ${positions.rope.scaling.kind}, which is not written as GGUF`;
  return null;
};

/** What a person should know who runs the file. */
export const ggufNotes = ({
  modelType,
  attention,
  maxPositions,
}: ModelConfig): readonly string[] => {
  const windows = attention.windows.filter((window) => window !== null);
  const narrow = Math.min(...windows);
  // Gemma 2 and Phi-3 are the architectures that it gives their windows.
  return narrow < maxPositions && !['gemma2', 'phi3'].includes(modelType)
    ? [
        `llama.cpp has no window of ${narrow} tokens for this architecture: longer texts get other answers`,
      ]
    : [];
};
