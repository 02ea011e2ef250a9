// A Llama-shaped checkpoint of any size, sharded, in any float type: for benches of loading and quantising.
//   node bench/checkpoint.ts FOLDER --shape 7b [--dtype BF16] [--layers 32]
// Weights are normally distributed, repeated every 8 million values: what matters is how many there are.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { expectedTensors } from '../models/checkpoint/inventory.ts';
import { SafetensorsWriter, type DeclaredTensor } from '../models/checkpoint/safetensors.ts';
import { countOf } from '../models/checkpoint/stored.ts';
import { modelConfig } from '../models/config.ts';
import { stream } from '../random/threefry.ts';

const shapes = {
  '7b': {
    hidden_size: 4096,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    intermediate_size: 11008,
  },
  '1b': {
    hidden_size: 2048,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    intermediate_size: 8192,
  },
  '500m': {
    hidden_size: 1024,
    num_hidden_layers: 28,
    num_attention_heads: 16,
    intermediate_size: 3584,
  },
} as const;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shape: { type: 'string', default: '7b' },
    dtype: { type: 'string', default: 'BF16' },
    layers: { type: 'string' },
  },
});
const [folder] = positionals;
if (folder === undefined) throw new Error('a folder to write to');
const shape = shapes[flags.shape as keyof typeof shapes];
const dtype = flags.dtype as 'F32' | 'F16' | 'BF16';
const json = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 32000,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: 2,
  torch_dtype: { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }[dtype],
  ...shape,
  num_key_value_heads: shape.num_attention_heads,
  ...(flags.layers === undefined ? {} : { num_hidden_layers: Number(flags.layers) }),
};

const BLOCK = 8 << 20;
const floats = new Float32Array(BLOCK);
stream(1, 'bench weights').fillNormal(floats, 0, 0.02);
const bytesPer = dtype === 'F32' ? 4 : 2;
const block = new Uint8Array(BLOCK * bytesPer);
if (dtype === 'F32') new Float32Array(block.buffer).set(floats);
else if (dtype === 'F16') new Float16Array(block.buffer).set(floats);
else {
  const words = new Uint32Array(floats.buffer);
  new Uint16Array(block.buffer).set(words.map((word) => word >>> 16));
}

const SHARD_BYTES = 5e9;
const shards: DeclaredTensor[][] = [[]];
let size = 0;
for (const [name, expected] of expectedTensors(modelConfig(json))) {
  const bytes = countOf(expected.shape) * bytesPer;
  if (size > 0 && size + bytes > SHARD_BYTES) {
    shards.push([]);
    size = 0;
  }
  size += bytes;
  shards.at(-1)?.push({ name, dtype, shape: expected.shape });
}
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'config.json'), JSON.stringify(json, null, 1));
const places: Record<string, string> = {};
for (const [index, tensors] of shards.entries()) {
  const number = (value: number): string => String(value).padStart(5, '0');
  const file =
    shards.length === 1
      ? 'model.safetensors'
      : `model-${number(index + 1)}-of-${number(shards.length)}.safetensors`;
  using writer = new SafetensorsWriter(join(folder, file), tensors, {
    metadata: { format: 'pt' },
  });
  for (const { name, shape: dimensions } of tensors) {
    // Every tensor begins elsewhere in the block: the runtime shares the packed copies of equal ones.
    let from = ((Object.keys(places).length * 104729 * 64) % BLOCK) * bytesPer;
    places[name] = file;
    for (let left = countOf(dimensions) * bytesPer; left > 0; from = 0) {
      const piece = block.subarray(from, from + left);
      writer.write(name, piece);
      left -= piece.length;
    }
  }
  writer.finish();
}
if (shards.length > 1)
  writeFileSync(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: places }),
  );
