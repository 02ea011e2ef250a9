// GGUF's tensor names and arrangements in Hugging Face's terms, per GGUF architecture; and the spellings of names
// that Hugging Face checkpoints themselves differ in. Sources: llama.cpp convert_hf_to_gguf.py, gguf-py's
// tensor_mapping.py; transformers' modeling_gguf_pytorch_utils.py.

import { asIs, type Arrangement } from './stored.ts';

export interface GgufHeads {
  readonly heads: number;
  readonly kvHeads: number;
}

export interface NamedTensor {
  readonly name: string;
  readonly arrangement: Arrangement;
}

/** GGUF's name inside `blk.N.`, without `.weight` or `.bias` -> Hugging Face's inside its layer. */
type LayerNames = Readonly<Record<string, string>>;

const llamaLayer: LayerNames = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
  ffn_gate_inp: 'block_sparse_moe.gate',
};
const llamaTop = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

export interface GgufArchitecture {
  /** Hugging Face's model_type. */
  readonly modelType: string;
  readonly layerPrefix: string;
  readonly layer: LayerNames;
  readonly top: LayerNames;
  /** Whether llama.cpp interleaved the rows of q and k. */
  readonly interleaved?: boolean;
  /** Whether llama.cpp added 1 to the norms. */
  readonly normsPlusOne?: boolean;
}

const llamaLike = (modelType: string, more: Partial<GgufArchitecture> = {}): GgufArchitecture => ({
  modelType,
  layerPrefix: 'model.layers',
  layer: llamaLayer,
  top: llamaTop,
  ...more,
});

export const ggufArchitectures: Readonly<Record<string, GgufArchitecture>> = {
  llama: llamaLike('llama', { interleaved: true }),
  mistral: llamaLike('mistral', { interleaved: true }),
  qwen2: llamaLike('qwen2'),
  qwen3: llamaLike('qwen3', {
    layer: { ...llamaLayer, attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' },
  }),
  gemma: llamaLike('gemma', { normsPlusOne: true }),
  gemma2: llamaLike('gemma2', {
    normsPlusOne: true,
    layer: {
      ...llamaLayer,
      post_attention_norm: 'post_attention_layernorm',
      ffn_norm: 'pre_feedforward_layernorm',
      post_ffw_norm: 'post_feedforward_layernorm',
    },
  }),
  phi3: llamaLike('phi3', {
    layer: { ...llamaLayer, attn_qkv: 'self_attn.qkv_proj', ffn_up: 'mlp.gate_up_proj' },
  }),
  gpt2: {
    modelType: 'gpt2',
    layerPrefix: 'transformer.h',
    layer: {
      attn_norm: 'ln_1',
      attn_qkv: 'attn.c_attn',
      attn_output: 'attn.c_proj',
      ffn_norm: 'ln_2',
      ffn_up: 'mlp.c_fc',
      ffn_down: 'mlp.c_proj',
    },
    top: {
      token_embd: 'transformer.wte',
      position_embd: 'transformer.wpe',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
  },
};

/** Hugging Face's name of a GGUF tensor; null where the architecture has no such tensor. */
export const fromGgufName = (
  architecture: GgufArchitecture,
  name: string,
  { heads, kvHeads }: GgufHeads,
): NamedTensor | null => {
  const match = /^(?:blk\.(\d+)\.)?([a-z0-9_]+)\.(weight|bias)$/.exec(name);
  if (match === null) return null;
  const [, layer, part = '', suffix = ''] = match;
  const module = layer === undefined ? architecture.top[part] : architecture.layer[part];
  if (module === undefined) return null;
  const full = layer === undefined ? module : `${architecture.layerPrefix}.${layer}.${module}`;
  let arrangement = asIs;
  if (architecture.interleaved === true && part === 'attn_q')
    arrangement = { kind: 'interleaved', heads };
  if (architecture.interleaved === true && part === 'attn_k')
    arrangement = { kind: 'interleaved', heads: kvHeads };
  if (architecture.normsPlusOne === true && part.endsWith('norm'))
    arrangement = { kind: 'plus-one' };
  return { name: `${full}.${suffix}`, arrangement };
};

/** The way back of fromGgufName; null where GGUF has no name for it. */
export const toGgufName = (
  architecture: GgufArchitecture,
  name: string,
  heads: GgufHeads,
): NamedTensor | null => {
  const dot = name.lastIndexOf('.');
  const module = name.slice(0, dot);
  const find = (names: LayerNames, wanted: string): string | undefined =>
    Object.keys(names).find((part) => names[part] === wanted);
  const inLayer = module.startsWith(`${architecture.layerPrefix}.`)
    ? /^(\d+)\.(.+)$/.exec(module.slice(architecture.layerPrefix.length + 1))
    : null;
  const part =
    inLayer === null ? find(architecture.top, module) : find(architecture.layer, inLayer[2] ?? '');
  if (part === undefined) return null;
  const full = `${inLayer === null ? '' : `blk.${inLayer[1]}.`}${part}${name.slice(dot)}`;
  const arrangement = fromGgufName(architecture, full, heads)?.arrangement ?? asIs;
  return { name: full, arrangement };
};

/** GPT-2's Conv1D layers are stored [in, out]. */
const gpt2Transposed = /\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight$/;
/** Buffers that old checkpoints carry: masks, and rotary frequencies that the config gives. */
const buffers =
  /(^|\.)(attn\.(bias|masked_bias)|rotary_emb\.inv_freq|embed_positions\.position_ids)$/;

/** The canonical name of a Hugging Face checkpoint's tensor; null for a buffer that is no weight. */
export const fromHubName = (modelType: string, name: string): NamedTensor | null => {
  if (buffers.test(name)) return null;
  if (modelType !== 'gpt2') return { name, arrangement: asIs };
  const full = /^(wte|wpe|h|ln_f)\./.test(name) ? `transformer.${name}` : name;
  return { name: full, arrangement: gpt2Transposed.test(full) ? { kind: 'transposed' } : asIs };
};
