// Speed and memory of one LoRA step on the shape of SmolLM2-135M (random weights): rank 16 on every linear layer, one
// row of 512 tokens, fp32. The peer is PyTorch + PEFT on the same shape, in the same run, where Python has them.
// The loss is on every position in both, unless --labels says on how many at the end of each row.
//   node bench/train-lora.ts [--threads 2] [--labels 32] [--tokens 512] [--steps 5] [--rows 1] [--dropout 0]

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { processBytes } from './measures.ts';
import { openCheckpoint } from '../models/checkpoint/checkpoint.ts';
import { openWeights } from '../models/checkpoint/layout.ts';
import { modelConfig } from '../models/config.ts';
import { fitAdapter } from '../models/linear-lora.ts';
import { defaultLoraConfig } from '../models/lora.ts';
import type { NamedTensor } from '../models/peft-files.ts';
import { writeFloatTensors } from '../models/peft-files.ts';
import { createRunner } from '../models/train/runner.ts';
import { adapterTrainables, initialAdapter } from '../models/train/trainables.ts';
import { adamW, adamWState, gradientNorm } from '../models/train/optimizer.ts';
import { stream } from '../random/threefry.ts';

const { values: flags } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    labels: { type: 'string', default: '' },
    tokens: { type: 'string', default: '512' },
    rows: { type: 'string', default: '1' },
    steps: { type: 'string', default: '5' },
    dropout: { type: 'string', default: '0' },
    layers: { type: 'string', default: '30' },
    recompute: { type: 'boolean', default: false },
  },
});
const [threads, someLabels, tokens, rowCount, steps, dropout, layers] = [
  flags.threads,
  flags.labels,
  flags.tokens,
  flags.rows,
  flags.steps,
  flags.dropout,
  flags.layers,
].map(Number) as [number, number, number, number, number, number, number];

const labels = someLabels === 0 ? tokens - 1 : someLabels;

const json = {
  model_type: 'llama',
  vocab_size: 49152,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: layers,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  tie_word_embeddings: true,
};
const config = modelConfig(json);

function* shapes(): Generator<readonly [name: string, shape: readonly number[]]> {
  yield ['model.embed_tokens.weight', [json.vocab_size, json.hidden_size]];
  yield ['model.norm.weight', [json.hidden_size]];
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    const { hidden_size: d, intermediate_size: inner } = json;
    yield [`${at}.input_layernorm.weight`, [d]];
    yield [`${at}.post_attention_layernorm.weight`, [d]];
    yield [`${at}.self_attn.q_proj.weight`, [d, d]];
    yield [`${at}.self_attn.k_proj.weight`, [192, d]];
    yield [`${at}.self_attn.v_proj.weight`, [192, d]];
    yield [`${at}.self_attn.o_proj.weight`, [d, d]];
    yield [`${at}.mlp.gate_proj.weight`, [inner, d]];
    yield [`${at}.mlp.up_proj.weight`, [inner, d]];
    yield [`${at}.mlp.down_proj.weight`, [d, inner]];
  }
}

const peakMb = (): number => processBytes('VmHWM') / 1e6;
const residentMb = (): string => {
  const mb = (key: 'VmRSS' | 'RssAnon'): number => Math.round(processBytes(key) / 1e6);
  return `resident ${mb('VmRSS')} MB (anonymous ${mb('RssAnon')})`;
};

const folder = join(tmpdir(), `mesa-bench-train-${process.pid}`);
mkdirSync(folder);
const file = join(folder, 'model.safetensors');
try {
  const tensors = [...shapes()].map(([name, shape]): NamedTensor => {
    const count = shape.reduce((a, b) => a * b, 1);
    const data = new Float32Array(count);
    if (shape.length === 1) data.fill(1);
    else stream(1, name).fillUniform(data, -0.05, 0.05);
    return { name, shape, data };
  });
  writeFloatTensors(file, tensors);
  tensors.length = 0;

  const weights = openWeights(
    {
      tensors: openCheckpoint(
        { format: 'safetensors', files: [{ name: 'model.safetensors', path: file }], index: null },
        json,
      ),
      aliases: new Map(),
      digests: [],
    },
    'float32',
    folder,
  );
  const lora = { ...defaultLoraConfig, r: 16, lora_alpha: 32, lora_dropout: dropout };
  const adapter = fitAdapter(lora, config, weights);
  const trainables = adapterTrainables(adapter);
  const optimizer = adamWState(initialAdapter(adapter, trainables, weights, 1));
  const started = performance.now();
  const runner = await createRunner(
    {
      config,
      weights,
      trainables,
      adapter,
      gradients: true,
      recompute: flags.recompute,
      noiseAlpha: 0,
    },
    optimizer.parameters,
    threads,
  );
  console.log(`session created in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  const random = stream(2, 'tokens');
  const rows = Array.from({ length: rowCount }, (_, i) => ({
    id: String(i),
    tokens: Array.from({ length: tokens }, () => random.below(json.vocab_size)),
    labelsFrom: tokens - labels,
  }));
  const gradients = new Float32Array(optimizer.parameters.length);
  const seconds: number[] = [];
  for (let step = 0; step < steps; step++) {
    const begin = performance.now();
    const loss = await runner.run(rows, gradients, { seed: 1, step, micro: 0 });
    const norm = gradientNorm(gradients);
    adamW(
      optimizer,
      gradients,
      trainables,
      { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
      { step: step + 1, learningRate: 1e-4, scale: 1 / (labels * rowCount) },
    );
    gradients.fill(0);
    const took = (performance.now() - begin) / 1000;
    seconds.push(took);
    console.log(
      `step ${step + 1}: loss ${(loss / labels / rowCount).toFixed(4)}, norm ${norm.toFixed(2)}, ${((tokens * rowCount) / took).toFixed(0)} tokens/s`,
    );
  }
  const best = Math.min(...seconds.slice(1));
  const median = seconds.slice(1).sort((a, b) => a - b)[(seconds.length - 1) >> 1] ?? best;
  console.log(
    `MESA: ${((tokens * rowCount) / median).toFixed(0)} tokens/s (best ${((tokens * rowCount) / best).toFixed(0)}), peak ${peakMb().toFixed(0)} MB, ${residentMb()}`,
  );
  await runner.release();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const python = process.env['MESA_PEER_PYTHON'] ?? 'python3';
const peer = spawnSync(
  python,
  [
    join(import.meta.dirname, 'peers/peft_lora.py'),
    ...['--steps', String(steps + 1), '--tokens', String(tokens), '--threads', String(threads)],
  ],
  { encoding: 'utf8' },
);
console.log(
  peer.status === 0
    ? `peer: ${peer.stdout.trim()}`
    : `peer not measured: ${python} lacks torch, transformers or peft (MESA_PEER_PYTHON names another)`,
);
