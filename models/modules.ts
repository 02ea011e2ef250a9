// Names: how Hugging Face's checkpoints call the parts of each architecture. The only table by model type;
// it says nothing about how the parts compute.

import type { ModelConfig, ModelType } from './config.ts';

export interface AttentionModules {
  /** One projection each, or one whose rows are [q; k; v]. */
  readonly qkv: readonly [q: string, k: string, v: string] | string;
  readonly output: string;
  readonly qNorm: string;
  readonly kNorm: string;
}

export interface MlpModules {
  /** [gate, up], one whose rows are [gate; up], or (not gated) [up]. */
  readonly up: readonly [gate: string, up: string] | string;
  readonly down: string;
}

export interface LayerModules {
  readonly attentionNorm: string;
  readonly attention: AttentionModules;
  /** Only with postNorms. */
  readonly afterAttentionNorm: string;
  readonly mlpNorm: string;
  readonly mlp: MlpModules;
  readonly afterMlpNorm: string;
  readonly router: string;
  /** What transformers 5 calls router and experts, whose weights it keeps stacked: names in adapters, not in checkpoints. */
  readonly stacked: { readonly router: string; readonly experts: string };
  expert(index: number): MlpModules;
}

export interface ModelModules {
  readonly embeddings: string;
  /** Learned positions. */
  readonly positions: string;
  layer(index: number): LayerModules;
  readonly finalNorm: string;
  readonly head: string;
}

export const modelModules = (modelType: ModelType): ModelModules => {
  if (modelType === 'gpt2') return gpt2;
  if (modelType === 'biogpt') return biogpt;
  return {
    embeddings: 'model.embed_tokens',
    positions: '',
    layer: (index) => llamaLayer(modelType, `model.layers.${index}`),
    finalNorm: 'model.norm',
    head: 'lm_head',
  };
};

const llamaLayer = (modelType: ModelType, at: string): LayerModules => {
  const separate = {
    up: [`${at}.mlp.gate_proj`, `${at}.mlp.up_proj`],
    down: `${at}.mlp.down_proj`,
  } as const;
  const fused = { up: `${at}.mlp.gate_up_proj`, down: `${at}.mlp.down_proj` };
  const attention = `${at}.self_attn`;
  const twoNorms = modelType !== 'gemma2';
  return {
    attentionNorm: `${at}.input_layernorm`,
    attention: {
      qkv:
        modelType === 'phi3'
          ? `${attention}.qkv_proj`
          : [`${attention}.q_proj`, `${attention}.k_proj`, `${attention}.v_proj`],
      output: `${attention}.o_proj`,
      qNorm: `${attention}.q_norm`,
      kNorm: `${attention}.k_norm`,
    },
    afterAttentionNorm: `${at}.post_attention_layernorm`,
    mlpNorm: twoNorms ? `${at}.post_attention_layernorm` : `${at}.pre_feedforward_layernorm`,
    mlp: modelType === 'phi3' ? fused : separate,
    afterMlpNorm: `${at}.post_feedforward_layernorm`,
    router: `${at}.block_sparse_moe.gate`,
    stacked: { router: `${at}.mlp.gate`, experts: `${at}.mlp.experts` },
    expert: (index) => {
      const expert = `${at}.block_sparse_moe.experts.${index}`;
      return { up: [`${expert}.w1`, `${expert}.w3`], down: `${expert}.w2` };
    },
  };
};

const noExperts = (): never => {
  throw new Error('this architecture has no experts');
};

const gpt2: ModelModules = {
  embeddings: 'transformer.wte',
  positions: 'transformer.wpe',
  layer: (index) => {
    const at = `transformer.h.${index}`;
    return {
      attentionNorm: `${at}.ln_1`,
      attention: {
        qkv: `${at}.attn.c_attn`,
        output: `${at}.attn.c_proj`,
        qNorm: '',
        kNorm: '',
      },
      afterAttentionNorm: '',
      mlpNorm: `${at}.ln_2`,
      mlp: { up: `${at}.mlp.c_fc`, down: `${at}.mlp.c_proj` },
      afterMlpNorm: '',
      router: '',
      stacked: { router: '', experts: '' },
      expert: noExperts,
    };
  },
  finalNorm: 'transformer.ln_f',
  head: 'lm_head',
};

const biogpt: ModelModules = {
  embeddings: 'biogpt.embed_tokens',
  positions: 'biogpt.embed_positions',
  layer: (index) => {
    const at = `biogpt.layers.${index}`;
    const attention = `${at}.self_attn`;
    return {
      attentionNorm: `${at}.self_attn_layer_norm`,
      attention: {
        qkv: [`${attention}.q_proj`, `${attention}.k_proj`, `${attention}.v_proj`],
        output: `${attention}.out_proj`,
        qNorm: '',
        kNorm: '',
      },
      afterAttentionNorm: '',
      mlpNorm: `${at}.final_layer_norm`,
      mlp: { up: `${at}.fc1`, down: `${at}.fc2` },
      afterMlpNorm: '',
      router: '',
      stacked: { router: '', experts: '' },
      expert: noExperts,
    };
  },
  finalNorm: 'biogpt.layer_norm',
  head: 'output_projection',
};

/** The module whose weight the head multiplies with: where it is tied, the embeddings. */
export const headModule = (config: ModelConfig): string => {
  const modules = modelModules(config.modelType);
  return config.tied ? modules.embeddings : modules.head;
};

/** Every linear layer but the head and routers, in the order of computation: what `all-linear` means. */
export const linearModules = (config: ModelConfig): readonly string[] => {
  const modules = modelModules(config.modelType);
  return Array.from({ length: config.layers }, (_, index) => {
    const layer = modules.layer(index);
    const experts = config.mlp.experts;
    const mlps =
      experts === null
        ? [layer.mlp]
        : Array.from({ length: experts.count }, (_unused, expert) => layer.expert(expert));
    return [
      layer.attention.qkv,
      layer.attention.output,
      ...mlps.flatMap(({ up, down }) => [up, down]),
    ].flat();
  }).flat();
};
