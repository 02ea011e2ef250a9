// A GGUF file's metadata in the keys of Hugging Face's config.json.

import { CheckpointError } from './error.ts';
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
  if (experts > 0)
    throw new CheckpointError(path, `has ${experts} experts: not read from GGUF yet`, {
      hint: 'use the safetensors files of the model',
    });
  const headDim = number('attention.key_length');
  return {
    ...common,
    hidden_size: hidden,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: number('attention.head_count_kv') ?? heads,
    ...(headDim === undefined ? {} : { head_dim: headDim }),
    max_position_embeddings: context,
    rms_norm_eps: shortest(needed('attention.layer_norm_rms_epsilon')),
    rope_theta: shortest(number('rope.freq_base') ?? 10000),
    rope_scaling: ropeScaling(gguf, architecture, number),
    attention_bias: has('blk.0.attn_output.bias'),
    mlp_bias: has('blk.0.ffn_down.bias'),
    sliding_window: number('attention.sliding_window') ?? null,
    ...(modelType === 'gemma2'
      ? {
          attn_logit_softcapping: number('attn_logit_softcapping') ?? 50,
          final_logit_softcapping: number('final_logit_softcapping') ?? 30,
          query_pre_attn_scalar: headDim ?? hidden / heads,
        }
      : {}),
  };
};

const ropeScaling = (
  { path, metadata, tensors }: GgufFile,
  architecture: string,
  number: (key: string) => number | undefined,
): Readonly<Record<string, unknown>> | null => {
  if (tensors.has('rope_freqs.weight'))
    throw new CheckpointError(path, 'gives rotary factors as a tensor, which MESA cannot apply', {
      tensor: 'rope_freqs.weight',
      hint: 'use the safetensors files of the model',
    });
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
