// GGUF files of families without a golden: written here from a Hugging Face checkpoint, as llama.cpp's converter
// would, and read back to the same weights and config.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCheckpoint } from '../../../models/checkpoint/checkpoint.ts';
import { CheckpointError } from '../../../models/checkpoint/error.ts';
import { configFromGguf } from '../../../models/checkpoint/gguf-config.ts';
import { readGgufHeader } from '../../../models/checkpoint/gguf.ts';
import {
  writeGguf,
  type GgufEntry,
  type GgufMetadata,
} from '../../../models/checkpoint/gguf-writer.ts';
import { OpenFiles } from '../../../models/checkpoint/file.ts';
import { bytesOf } from '../../../models/checkpoint/safetensors.ts';
import { readTensor } from '../../../models/checkpoint/stored.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { goldenTensors, temporaryFolder } from '../files.ts';

const integer = (value: number): GgufMetadata => ({ type: 'uint32', value });
const float = (value: number): GgufMetadata => ({ type: 'float32', value });
const entry = (name: string, shape: readonly number[], values: Float32Array): GgufEntry => ({
  name,
  shape,
  encoding: 'F32',
  chunks: () => [bytesOf(values)],
});

/** llama.cpp interleaves the halves of each head's rows of q and k. */
const interleave = (values: Float32Array, heads: number, columns: number): Float32Array => {
  const out = new Float32Array(values.length);
  const rows = values.length / columns / heads;
  for (let head = 0; head < heads; head++)
    for (let half = 0; half < 2; half++)
      for (let i = 0; i < rows / 2; i++) {
        const from = (head * rows + half * (rows / 2) + i) * columns;
        out.set(values.subarray(from, from + columns), (head * rows + 2 * i + half) * columns);
      }
  return out;
};

const base = (config: Readonly<Record<string, number>>): Map<string, GgufMetadata> =>
  new Map<string, GgufMetadata>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['llama.embedding_length', integer(config['hidden_size'] ?? 0)],
    ['llama.feed_forward_length', integer(config['intermediate_size'] ?? 0)],
    ['llama.block_count', integer(config['num_hidden_layers'] ?? 0)],
    ['llama.attention.head_count', integer(config['num_attention_heads'] ?? 0)],
    ['llama.attention.head_count_kv', integer(config['num_key_value_heads'] ?? 0)],
    ['llama.context_length', integer(config['max_position_embeddings'] ?? 0)],
    ['llama.attention.layer_norm_rms_epsilon', float(config['rms_norm_eps'] ?? 0)],
  ]);

const mixtral = 'goldens/architectures/mixtral';
test(
  'Mixtral: experts in one tensor become one weight each',
  {
    skip: skipUnlessShared(mixtral),
  },
  () => {
    using folder = temporaryFolder();
    const config = readSharedJson<Record<string, number>>(`${mixtral}/config.v4.json`);
    const golden = goldenTensors(sharedPath(`${mixtral}/model.safetensors`));
    const heads = config['num_attention_heads'] ?? 1;
    const kvHeads = config['num_key_value_heads'] ?? 1;
    const experts = config['num_local_experts'] ?? 0;
    const columns = config['hidden_size'] ?? 1;
    const take = (name: string, hub: string): GgufEntry => {
      const values = golden.values(hub);
      const perHead = hub.includes('q_proj') ? heads : hub.includes('k_proj') ? kvHeads : 0;
      return entry(
        name,
        golden.shape(hub),
        perHead > 0 ? interleave(values, perHead, columns) : values,
      );
    };
    const layers = Array.from({ length: config['num_hidden_layers'] ?? 0 }, (_, i) => {
      const hub = `model.layers.${i}`;
      const stacked = (name: string, part: string): GgufEntry => {
        const all = Array.from({ length: experts }, (_unused, e) =>
          golden.values(`${hub}.block_sparse_moe.experts.${e}.${part}.weight`),
        );
        const shape = golden.shape(`${hub}.block_sparse_moe.experts.0.${part}.weight`);
        const values = new Float32Array(all.flatMap((each) => [...each]));
        return entry(`blk.${i}.${name}.weight`, [experts, ...shape], values);
      };
      return [
        take(`blk.${i}.attn_norm.weight`, `${hub}.input_layernorm.weight`),
        take(`blk.${i}.ffn_norm.weight`, `${hub}.post_attention_layernorm.weight`),
        take(`blk.${i}.ffn_gate_inp.weight`, `${hub}.block_sparse_moe.gate.weight`),
        ...(['q', 'k', 'v'] as const).map((each) =>
          take(`blk.${i}.attn_${each}.weight`, `${hub}.self_attn.${each}_proj.weight`),
        ),
        take(`blk.${i}.attn_output.weight`, `${hub}.self_attn.o_proj.weight`),
        stacked('ffn_gate_exps', 'w1'),
        stacked('ffn_down_exps', 'w2'),
        stacked('ffn_up_exps', 'w3'),
      ];
    }).flat();
    const metadata = base(config)
      .set('llama.expert_count', integer(experts))
      .set('llama.expert_used_count', integer(config['num_experts_per_tok'] ?? 0));
    const path = `${folder.path}/mixtral.gguf`;
    writeGguf(path, metadata, [
      take('token_embd.weight', 'model.embed_tokens.weight'),
      take('output_norm.weight', 'model.norm.weight'),
      take('output.weight', 'lm_head.weight'),
      ...layers,
    ]);
    const read = configFromGguf(readGgufHeader(path));
    for (const key of ['model_type', 'num_local_experts', 'num_experts_per_tok', 'rms_norm_eps'])
      assert.deepEqual(read[key], config[key], key);
    const files = [{ name: 'mixtral.gguf', path }];
    const tensors = openCheckpoint({ format: 'gguf', files, index: null }, read);
    assert.deepEqual([...tensors.keys()].sort(), [...golden.names].sort());
    using open = new OpenFiles();
    for (const [name, tensor] of tensors) {
      assert.deepEqual(tensor.shape, golden.shape(name));
      assert.deepEqual(readTensor(tensor, open), golden.values(name), name);
    }
  },
);

/** llama.cpp, convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors. */
const llama3Factors = (theta: number, headDim: number, factor: number): Float32Array =>
  Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    if (wavelength < 8192 / 4) return 1;
    if (wavelength > 8192) return factor;
    const smooth = (8192 / wavelength - 1) / 3;
    return 1 / ((1 - smooth) / factor + smooth);
  });

test('Llama 3: the scaling comes back from its factors, any other factors are refused', () => {
  using folder = temporaryFolder();
  const write = (name: string, factors: Float32Array): string => {
    const path = `${folder.path}/${name}.gguf`;
    const metadata = base({
      hidden_size: 256,
      intermediate_size: 64,
      num_hidden_layers: 0,
      num_attention_heads: 2,
      num_key_value_heads: 2,
      max_position_embeddings: 131072,
      rms_norm_eps: 1e-5,
    }).set('llama.rope.freq_base', float(500000));
    const embeddings = entry('token_embd.weight', [2, 256], new Float32Array(512));
    writeGguf(path, metadata, [embeddings, entry('rope_freqs.weight', [64], factors)]);
    return path;
  };
  for (const factor of [8, 32]) {
    const config = configFromGguf(
      readGgufHeader(write(`f${factor}`, llama3Factors(500000, 128, factor))),
    );
    assert.deepEqual(config['rope_scaling'], {
      rope_type: 'llama3',
      factor,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    });
  }
  const other = llama3Factors(500000, 128, 8).map((each, i) => each + (i === 40 ? 0.1 : 0));
  const path = write('other', other);
  assert.throws(() => configFromGguf(readGgufHeader(path)), CheckpointError);
});
