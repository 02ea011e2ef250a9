// One ModelConfig for every architecture: what a model *has*, read from the keys of Hugging Face's config.json.
// Everything derived (head size, windows, which norms stand where) is computed here and nowhere else; the code
// that builds graphs asks for features and never for a model's name.
//
//   grouped heads (heads = 6, kvHeads = 2):     q0 q1 q2 | q3 q4 q5
//                                               \  k0  /   \  k1  /
//   window W = 3 (a query sees itself and W-1 keys before it):   1 . . . .
//                                                                1 1 . . .
//                                                                1 1 1 . .
//                                                                . 1 1 1 .

import type { ConfigJson } from './config-json.ts';
import { ConfigError, maxLength, reader } from './config-json.ts';
import type { RopeConfig } from './rope.ts';
import { ropeConfig } from './rope.ts';
import { windows } from './windows.ts';

export type Activation = 'silu' | 'gelu' | 'gelu_tanh' | 'relu';

export interface NormConfig {
  readonly kind: 'rms' | 'layer';
  readonly eps: number;
  /** What is added to the stored weight (Gemma stores w - 1). */
  readonly offset: 0 | 1;
}

export type PositionConfig =
  | { readonly kind: 'rope'; readonly rope: RopeConfig }
  /** A learned table; row = position + offset (BioGPT: 2). */
  | { readonly kind: 'learned'; readonly offset: number };

export interface AttentionConfig {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Factor on q·k, per layer (GPT-2 may divide by the layer's index + 1). */
  readonly scales: readonly number[];
  /** Keys a query sees, itself included, per layer; null: all before it. */
  readonly windows: readonly (number | null)[];
  /** scores = cap * tanh(scores / cap) (Gemma 2). */
  readonly softcap: number | null;
  /** An RMS norm over headDim on q and k, before the rotation (Qwen3). */
  readonly qkNorm: boolean;
  readonly bias: { readonly qkv: boolean; readonly output: boolean };
}

export interface MlpConfig {
  readonly size: number;
  readonly activation: Activation;
  /** down(act(gate(x)) * up(x)); otherwise down(act(up(x))). */
  readonly gated: boolean;
  readonly bias: boolean;
  /** Mixture of experts: softmax over all, the best `perToken`, renormalised. */
  readonly experts: { readonly count: number; readonly perToken: number } | null;
}

export interface ModelConfig {
  /** `model_type`: names tensors (modules.ts) and nothing else. */
  readonly modelType: ModelType;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  /** Longest sequence the model was made for. */
  readonly maxPositions: number;
  readonly norm: NormConfig;
  /** Norms after attention and MLP as well, before the residual sum (Gemma 2). */
  readonly postNorms: boolean;
  readonly positions: PositionConfig;
  readonly attention: AttentionConfig;
  readonly mlp: MlpConfig;
  /** Factor on the embeddings (Gemma, BioGPT: sqrt(hiddenSize)). */
  readonly embeddingScale: number;
  /** The head is the embedding matrix. */
  readonly tied: boolean;
  /** logits = cap * tanh(logits / cap) (Gemma 2). */
  readonly finalSoftcap: number | null;
}

export const modelTypes = [
  'llama',
  'mistral',
  'mixtral',
  'qwen2',
  'qwen3',
  'gemma',
  'gemma2',
  'phi3',
  'gpt2',
  'biogpt',
] as const;
export type ModelType = (typeof modelTypes)[number];

const isModelType = (name: string): name is ModelType =>
  (modelTypes as readonly string[]).includes(name);

/** Reads a config.json (transformers 4 and 5 keys). Throws ConfigError, which names the key. */
export const modelConfig = (json: ConfigJson): ModelConfig => {
  const modelType = reader(json).string('model_type');
  if (!isModelType(modelType))
    throw new ConfigError(
      `model_type '${modelType}' is not supported (supported: ${modelTypes.join(', ')})`,
    );
  if (modelType === 'gpt2') return gpt2(json);
  if (modelType === 'biogpt') return biogpt(json);
  return llamaLike(modelType, json);
};

const llamaLike = (
  modelType: Exclude<ModelType, 'gpt2' | 'biogpt'>,
  json: ConfigJson,
): ModelConfig => {
  const key = reader(json);
  const hiddenSize = key.size('hidden_size');
  const layers = key.size('num_hidden_layers', { limit: maxLayers });
  const heads = key.size('num_attention_heads');
  const headDim =
    key.optionalSize('head_dim') ??
    (modelType.startsWith('gemma') ? 256 : divided(json, 'hidden_size', 'num_attention_heads'));
  const kvHeads = key.optionalSize('num_key_value_heads') ?? heads;
  if (heads % kvHeads !== 0)
    throw new ConfigError(
      `num_attention_heads is ${heads}, which num_key_value_heads (${kvHeads}) does not divide`,
    );
  const maxPositions = key.size('max_position_embeddings', { fallback: 2048, limit: maxLength });
  const gemma = modelType === 'gemma' || modelType === 'gemma2';
  const attentionBias = key.boolean('attention_bias', false);
  const queryScale = modelType === 'gemma2' ? key.positive('query_pre_attn_scalar', 256) : headDim;
  const experts = modelType === 'mixtral' ? expertsOf(json) : null;
  return {
    modelType,
    vocabSize: key.size('vocab_size'),
    hiddenSize,
    layers,
    maxPositions,
    norm: { kind: 'rms', eps: key.positive('rms_norm_eps', 1e-6), offset: gemma ? 1 : 0 },
    postNorms: modelType === 'gemma2',
    positions: { kind: 'rope', rope: ropeConfig(json, headDim, maxPositions) },
    attention: {
      heads,
      kvHeads,
      headDim,
      scales: Array<number>(layers).fill(queryScale ** -0.5),
      windows: windows(modelType, json, layers),
      softcap:
        modelType === 'gemma2'
          ? (key.optionalPositive('attn_logit_softcapping', 50) ?? null)
          : null,
      qkNorm: modelType === 'qwen3',
      bias: { qkv: attentionBias || modelType === 'qwen2', output: attentionBias },
    },
    mlp: {
      size: key.size('intermediate_size'),
      // Gemma's first configs say `gelu` and mean the tanh form (transformers reads them so).
      activation: gemma
        ? 'gelu_tanh'
        : activation(key.string('hidden_act', key.string('hidden_activation', 'silu'))),
      gated: true,
      bias: key.boolean('mlp_bias', false),
      experts,
    },
    embeddingScale: gemma ? Math.fround(Math.sqrt(hiddenSize)) : 1,
    tied: key.boolean('tie_word_embeddings', gemma),
    finalSoftcap:
      modelType === 'gemma2' ? (key.optionalPositive('final_logit_softcapping', 30) ?? null) : null,
  };
};

const gpt2 = (json: ConfigJson): ModelConfig => {
  const key = reader(json);
  const hiddenSize = key.size('n_embd');
  const layers = key.size('n_layer', { limit: maxLayers });
  const heads = key.size('n_head');
  const headDim = divided(json, 'n_embd', 'n_head');
  const base = key.boolean('scale_attn_weights', true) ? headDim ** -0.5 : 1;
  const inverse = key.boolean('scale_attn_by_inverse_layer_idx', false);
  return {
    modelType: 'gpt2',
    vocabSize: key.size('vocab_size'),
    hiddenSize,
    layers,
    maxPositions: key.size('n_positions', { fallback: 1024 }),
    norm: { kind: 'layer', eps: key.positive('layer_norm_epsilon', 1e-5), offset: 0 },
    postNorms: false,
    positions: { kind: 'learned', offset: 0 },
    attention: {
      heads,
      kvHeads: heads,
      headDim,
      scales: Array.from({ length: layers }, (_, layer) => base / (inverse ? layer + 1 : 1)),
      windows: Array<null>(layers).fill(null),
      softcap: null,
      qkNorm: false,
      bias: { qkv: true, output: true },
    },
    mlp: {
      size: key.optionalSize('n_inner') ?? 4 * hiddenSize,
      activation: activation(key.string('activation_function', 'gelu_new')),
      gated: false,
      bias: true,
      experts: null,
    },
    embeddingScale: 1,
    tied: key.boolean('tie_word_embeddings', true),
    finalSoftcap: null,
  };
};

const biogpt = (json: ConfigJson): ModelConfig => {
  const key = reader(json);
  const hiddenSize = key.size('hidden_size');
  const layers = key.size('num_hidden_layers', { limit: maxLayers });
  const heads = key.size('num_attention_heads');
  const headDim = divided(json, 'hidden_size', 'num_attention_heads');
  return {
    modelType: 'biogpt',
    vocabSize: key.size('vocab_size'),
    hiddenSize,
    layers,
    maxPositions: key.size('max_position_embeddings', { fallback: 1024 }),
    // The config's layer_norm_eps (1e-12) is never used: nn.LayerNorm's default is what runs.
    norm: { kind: 'layer', eps: 1e-5, offset: 0 },
    postNorms: false,
    positions: { kind: 'learned', offset: 2 },
    attention: {
      heads,
      kvHeads: heads,
      headDim,
      scales: Array<number>(layers).fill(headDim ** -0.5),
      windows: Array<null>(layers).fill(null),
      softcap: null,
      qkNorm: false,
      bias: { qkv: true, output: true },
    },
    mlp: {
      size: key.size('intermediate_size'),
      activation: activation(key.string('hidden_act', 'gelu')),
      gated: false,
      bias: true,
      experts: null,
    },
    embeddingScale: key.boolean('scale_embedding', true) ? Math.fround(Math.sqrt(hiddenSize)) : 1,
    tied: key.boolean('tie_word_embeddings', true),
    finalSoftcap: null,
  };
};

const activations: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
};

const activation = (name: string): Activation => {
  const known = activations[name];
  if (known === undefined)
    throw new ConfigError(
      `activation '${name}' is not supported (supported: ${Object.keys(activations).join(', ')})`,
    );
  return known;
};

/** Far above any model there is; what is said to have more is damaged, and each layer costs memory to list. */
const maxLayers = 1000;

const divided = (json: ConfigJson, key: string, by: string): number => {
  const [size, parts] = [reader(json).size(key), reader(json).size(by)];
  if (size % parts !== 0)
    throw new ConfigError(`${key} is ${size}, which ${by} (${parts}) does not divide`);
  return size / parts;
};

const expertsOf = (json: ConfigJson): { readonly count: number; readonly perToken: number } => {
  const key = reader(json);
  const count = key.size('num_local_experts', { fallback: 8, limit: 1000 });
  const perToken = key.size('num_experts_per_tok', { fallback: 2 });
  if (perToken > count)
    throw new ConfigError(
      `num_experts_per_tok is ${perToken}, more than num_local_experts (${count})`,
    );
  return { count, perToken };
};
