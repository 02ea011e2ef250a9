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
import { ConfigError, reader } from './config-json.ts';
import type { RopeConfig } from './rope.ts';
import { ropeConfig } from './rope.ts';

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
  const hiddenSize = key.positive('hidden_size');
  const layers = key.positive('num_hidden_layers');
  const heads = key.positive('num_attention_heads');
  const headDim =
    key.optionalPositive('head_dim') ?? (modelType.startsWith('gemma') ? 256 : hiddenSize / heads);
  const maxPositions = key.positive('max_position_embeddings', 2048);
  const gemma = modelType === 'gemma' || modelType === 'gemma2';
  const attentionBias = key.boolean('attention_bias', false);
  const queryScale = modelType === 'gemma2' ? key.positive('query_pre_attn_scalar', 256) : headDim;
  const experts = modelType === 'mixtral' ? key.positive('num_local_experts', 8) : null;
  return checked({
    modelType,
    vocabSize: key.positive('vocab_size'),
    hiddenSize,
    layers,
    maxPositions,
    norm: { kind: 'rms', eps: key.positive('rms_norm_eps', 1e-6), offset: gemma ? 1 : 0 },
    postNorms: modelType === 'gemma2',
    positions: { kind: 'rope', rope: ropeConfig(json, headDim, maxPositions) },
    attention: {
      heads,
      kvHeads: key.optionalPositive('num_key_value_heads') ?? heads,
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
      size: key.positive('intermediate_size'),
      // Gemma's first configs say `gelu` and mean the tanh form (transformers reads them so).
      activation: gemma
        ? 'gelu_tanh'
        : activation(key.string('hidden_act', key.string('hidden_activation', 'silu'))),
      gated: true,
      bias: key.boolean('mlp_bias', false),
      experts:
        experts === null
          ? null
          : { count: experts, perToken: key.positive('num_experts_per_tok', 2) },
    },
    embeddingScale: gemma ? Math.fround(Math.sqrt(hiddenSize)) : 1,
    tied: key.boolean('tie_word_embeddings', gemma),
    finalSoftcap:
      modelType === 'gemma2' ? (key.optionalPositive('final_logit_softcapping', 30) ?? null) : null,
  });
};

const gpt2 = (json: ConfigJson): ModelConfig => {
  const key = reader(json);
  const hiddenSize = key.positive('n_embd');
  const layers = key.positive('n_layer');
  const heads = key.positive('n_head');
  const headDim = hiddenSize / heads;
  const base = key.boolean('scale_attn_weights', true) ? headDim ** -0.5 : 1;
  const inverse = key.boolean('scale_attn_by_inverse_layer_idx', false);
  return checked({
    modelType: 'gpt2',
    vocabSize: key.positive('vocab_size'),
    hiddenSize,
    layers,
    maxPositions: key.positive('n_positions', 1024),
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
      size: key.optionalPositive('n_inner') ?? 4 * hiddenSize,
      activation: activation(key.string('activation_function', 'gelu_new')),
      gated: false,
      bias: true,
      experts: null,
    },
    embeddingScale: 1,
    tied: key.boolean('tie_word_embeddings', true),
    finalSoftcap: null,
  });
};

const biogpt = (json: ConfigJson): ModelConfig => {
  const key = reader(json);
  const hiddenSize = key.positive('hidden_size');
  const layers = key.positive('num_hidden_layers');
  const heads = key.positive('num_attention_heads');
  const headDim = hiddenSize / heads;
  return checked({
    modelType: 'biogpt',
    vocabSize: key.positive('vocab_size'),
    hiddenSize,
    layers,
    maxPositions: key.positive('max_position_embeddings', 1024),
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
      size: key.positive('intermediate_size'),
      activation: activation(key.string('hidden_act', 'gelu')),
      gated: false,
      bias: true,
      experts: null,
    },
    embeddingScale: key.boolean('scale_embedding', true) ? Math.fround(Math.sqrt(hiddenSize)) : 1,
    tied: key.boolean('tie_word_embeddings', true),
    finalSoftcap: null,
  });
};

const windows = (
  modelType: ModelType,
  json: ConfigJson,
  layers: number,
): readonly (number | null)[] => {
  const key = reader(json);
  const all = (window: number | null): readonly (number | null)[] =>
    Array<number | null>(layers).fill(window);
  if (modelType === 'llama' || modelType === 'gemma') return all(null);
  const usual = modelType === 'gemma2' || modelType === 'mistral' ? 4096 : undefined;
  const window = key.optionalPositive('sliding_window', usual);
  if (window === undefined) return all(null);
  const qwen = modelType === 'qwen2' || modelType === 'qwen3';
  if (qwen && !key.boolean('use_sliding_window', false)) return all(null);
  const types = key.optionalStrings('layer_types');
  if (types !== undefined) {
    if (types.length !== layers)
      throw new ConfigError(`layer_types has ${types.length} entries for ${layers} layers`);
    return types.map((type) => (type === 'sliding_attention' ? window : null));
  }
  if (modelType === 'gemma2')
    return Array.from({ length: layers }, (_, layer) => (layer % 2 === 0 ? window : null));
  if (qwen) {
    const first = key.positive('max_window_layers', 28);
    return Array.from({ length: layers }, (_, layer) => (layer >= first ? window : null));
  }
  return all(window);
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

const checked = (config: ModelConfig): ModelConfig => {
  const { heads, kvHeads, headDim } = config.attention;
  if (heads % kvHeads !== 0)
    throw new ConfigError(`${heads} attention heads can't share ${kvHeads} key/value heads`);
  if (!Number.isInteger(headDim))
    throw new ConfigError(`hidden size ${config.hiddenSize} isn't divisible by ${heads} heads`);
  return config;
};
