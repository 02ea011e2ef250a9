// A GGUF file's metadata in the keys of Hugging Face's config.json.

import { CheckpointError } from './error.ts';
import { OpenFiles } from './file.ts';
import { gemma2Layers27B } from './gguf-limits.ts';
import type { GgufFile, GgufValue } from './gguf.ts';
import { ggufArchitectures } from './names.ts';

export type HfConfig = Readonly<Record<string, unknown>>;

/** The shortest decimal number that is this float32: metadata says 1e-5 as 9.999999747378752e-6. */
const shortest = (single: number): number => {
  for (let digits = 6; digits < 9; digits++) {
    const decimal = Number(single.toPrecision(digits));
    if (Math.fround(decimal) === Math.fround(single)) return decimal;
  }
  return single;
};

const activations: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  gpt2: { activation_function: 'gelu_new' },
  gemma: { hidden_act: 'gelu_pytorch_tanh', hidden_activation: 'gelu_pytorch_tanh' },
  gemma2: { hidden_act: 'gelu_pytorch_tanh', hidden_activation: 'gelu_pytorch_tanh' },
};

const classNames: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  gemma: 'GemmaForCausalLM',
  gemma2: 'Gemma2ForCausalLM',
  phi3: 'Phi3ForCausalLM',
  gpt2: 'GPT2LMHeadModel',
};

export const configFromGguf = (gguf: GgufFile): HfConfig => {
  const { path, metadata, tensors } = gguf;
  const architecture = metadata.get('general.architecture');
  const known = typeof architecture === 'string' ? ggufArchitectures[architecture] : undefined;
  if (typeof architecture !== 'string' || known === undefined)
    throw new CheckpointError(path, `has the unknown architecture ${String(architecture)}`, {
      hint: `known are ${Object.keys(ggufArchitectures).join(', ')}`,
    });
  const modelType = known.modelType;
  const number = (key: string): number | undefined => {
    const value: GgufValue | undefined = metadata.get(`${architecture}.${key}`);
    if (typeof value === 'number') return value;
    // Some converters write one value per layer; a model whose layers differ is not one of these architectures.
    if (value instanceof Float64Array && value.every((each) => each === value[0])) return value[0];
    return undefined;
  };
  const needed = (key: string): number => {
    const value = number(key);
    if (value === undefined)
      throw new CheckpointError(path, `lacks the metadata ${architecture}.${key}`);
    return value;
  };
  const token = (key: string): number | null => {
    const value = metadata.get(`tokenizer.ggml.${key}_token_id`);
    return typeof value === 'number' ? value : null;
  };
  const hidden = needed('embedding_length');
  const heads = needed('attention.head_count');
  const layers = needed('block_count');
  const context = needed('context_length');
  const inner = number('feed_forward_length') ?? 4 * hidden;
  const embedding = tensors.get('token_embd.weight');
  const vocabulary = metadata.get('tokenizer.ggml.tokens');
  const vocab =
    embedding?.shape[0] ?? (Array.isArray(vocabulary) ? vocabulary.length : needed('vocab_size'));
  const has = (name: string): boolean => tensors.has(name);

  const common = {
    architectures: [classNames[modelType]],
    model_type: modelType,
    vocab_size: vocab,
    bos_token_id: token('bos'),
    eos_token_id: token('eos'),
    pad_token_id: token('padding'),
    tie_word_embeddings: !has('output.weight'),
    ...(activations[modelType] ?? { hidden_act: 'silu' }),
  };
  if (modelType === 'gpt2')
    return {
      ...common,
      n_embd: hidden,
      n_head: heads,
      n_layer: layers,
      n_positions: context,
      n_inner: inner,
      layer_norm_epsilon: shortest(needed('attention.layer_norm_epsilon')),
      scale_attn_weights: true,
      scale_attn_by_inverse_layer_idx: false,
    };

  const experts = number('expert_count') ?? 0;
  const headDim = number('attention.key_length');
  const rope = shortest(number('rope.freq_base') ?? 10000);
  return {
    ...common,
    ...(experts > 0 ? mixtral(gguf, experts, needed('expert_used_count')) : {}),
    hidden_size: hidden,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: number('attention.head_count_kv') ?? heads,
    ...(headDim === undefined ? {} : { head_dim: headDim }),
    max_position_embeddings: context,
    rms_norm_eps: shortest(needed('attention.layer_norm_rms_epsilon')),
    rope_theta: rope,
    rope_scaling: ropeScaling(gguf, architecture, number, rope),
    attention_bias: has('blk.0.attn_output.bias'),
    mlp_bias: has('blk.0.ffn_down.bias'),
    sliding_window: number('attention.sliding_window') ?? null,
    ...(modelType === 'gemma2'
      ? {
          attn_logit_softcapping: number('attn_logit_softcapping') ?? 50,
          final_logit_softcapping: number('final_logit_softcapping') ?? 30,
          query_pre_attn_scalar:
            layers === gemma2Layers27B ? hidden / heads : (headDim ?? hidden / heads),
        }
      : {}),
  };
};

/** GGUF knows Mixtral as a llama with experts. */
const mixtral = (
  { path, metadata }: GgufFile,
  experts: number,
  used: number,
): Readonly<Record<string, unknown>> => {
  if (metadata.get('general.architecture') !== 'llama')
    throw new CheckpointError(path, `has ${experts} experts, which only Mixtral may have here`);
  return {
    architectures: ['MixtralForCausalLM'],
    model_type: 'mixtral',
    num_local_experts: experts,
    num_experts_per_tok: used,
  };
};

/** Llama 3's rotary scaling comes as a tensor of divisors, one per pair of values of a head. */
export const ropeFactors = 'rope_freqs.weight';

/** What every Llama 3.1, 3.2 and 3.3 has; only the factor differs (8 or 32). */
const llama3Scaling = { low_freq_factor: 1, high_freq_factor: 4, original: 8192 } as const;

/** By how much each rotary frequency is divided (llama.cpp, convert_hf_to_gguf.py, Llama 3 rope). */
export const llama3Factors = (
  scaling: {
    readonly factor: number;
    readonly low: number;
    readonly high: number;
    readonly original: number;
  },
  theta: number,
  count: number,
): Float32Array => {
  const { factor, low, high, original } = scaling;
  return Float32Array.from({ length: count }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** (i / count);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
};

/**
 * The largest divisor is the factor; computed again from it they must be the file's, or it is another scaling.
 */
const llama3FromFactors = (
  path: string,
  factors: Float32Array,
  theta: number,
): Readonly<Record<string, unknown>> => {
  const factor = factors.reduce((a, b) => Math.max(a, b), 0);
  const { low_freq_factor: low, high_freq_factor: high, original } = llama3Scaling;
  const wanted = llama3Factors({ factor, low, high, original }, theta, factors.length);
  if (!wanted.every((each, i) => Math.abs(each - (factors[i] ?? 0)) <= 1e-4 * each))
    throw new CheckpointError(path, 'holds rotary factors that are not Llama 3’s', {
      tensor: ropeFactors,
      hint: 'use the safetensors files of the model',
    });
  return {
    rope_type: 'llama3',
    factor: shortest(factor),
    low_freq_factor: low,
    high_freq_factor: high,
    original_max_position_embeddings: original,
  };
};

const ropeScaling = (
  { path, metadata, tensors }: GgufFile,
  architecture: string,
  number: (key: string) => number | undefined,
  theta: number,
): Readonly<Record<string, unknown>> | null => {
  const factors = tensors.get(ropeFactors);
  if (factors?.encoding === 'F32') {
    using files = new OpenFiles();
    const values = new Float32Array(files.read(factors.data).buffer);
    return llama3FromFactors(path, values, theta);
  }
  const type = metadata.get(`${architecture}.rope.scaling.type`);
  if (type === undefined || type === 'none') return null;
  const factor = number('rope.scaling.factor');
  if (typeof type !== 'string' || factor === undefined || !['linear', 'yarn'].includes(type))
    throw new CheckpointError(path, `has the unknown rope scaling ${String(type)}`);
  const original = number('rope.scaling.original_context_length');
  return {
    rope_type: type,
    factor: shortest(factor),
    ...(original === undefined ? {} : { original_max_position_embeddings: original }),
  };
};
