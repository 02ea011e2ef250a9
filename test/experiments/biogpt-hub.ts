// What experiments/biogpt.yaml finds on the hub, small: a BioGPT of random weights with BioGPT-Large's own tokenizer, in
// the files of microsoft/BioGPT-Large, and rows of PubMedQA in the layout of qiaojin/PubMedQA.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from '../../datasets/read/json.ts';
import type { Value } from '../../datasets/row.ts';
import { writeRandomCheckpoint } from '../../models/checkpoint/initialise.ts';
import { modelConfig } from '../../models/config.ts';
import { vocabOfFairseq } from '../../models/tokenizer/biogpt.ts';
import { parquetFile, type ParquetColumn } from '../datasets/parquet-file.ts';
import type { HostedRepository } from '../hub/server.ts';
import { goldenTensors, temporaryFolder } from '../models/files.ts';
import { torchFile } from '../models/torch-file.ts';
import { sharedPath } from '../shared.ts';

export const TABLES = 'tokenizers/biogpt-large';
export const QUESTIONS = 'data/pubmedqa/ori_pqal.json';

/** As microsoft/BioGPT-Large says it, but for the sizes. */
const config = {
  activation_dropout: 0.0,
  architectures: ['BioGptForCausalLM'],
  attention_probs_dropout_prob: 0.1,
  bos_token_id: 0,
  eos_token_id: 2,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0.1,
  hidden_size: 40,
  initializer_range: 0.02,
  intermediate_size: 160,
  layer_norm_eps: 1e-12,
  layerdrop: 0.0,
  max_position_embeddings: 2048,
  model_type: 'biogpt',
  num_attention_heads: 5,
  num_hidden_layers: 2,
  pad_token_id: 1,
  scale_embedding: true,
  torch_dtype: 'float32',
  transformers_version: '4.25.0.dev0',
  use_cache: true,
  vocab_size: 57717,
};

/** Every linear layer of the model with its input and output. */
export const linearLayers = Array.from({ length: config.num_hidden_layers }, (_, layer) =>
  [
    ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].map((name) => [`self_attn.${name}`, 40, 40]),
    ['fc1', 40, 160],
    ['fc2', 160, 40],
  ].map(([name, width, height]) => ({
    name: `biogpt.layers.${layer}.${String(name)}`,
    in: Number(width),
    out: Number(height),
  })),
).flat();

/** The published checkpoint is a pickle that repeats the tied head. */
const weights = (): Buffer => {
  using folder = temporaryFolder();
  const path = join(folder.path, 'model.safetensors');
  writeRandomCheckpoint(path, config, modelConfig(config), 7);
  const stored = goldenTensors(path);
  const tensors = stored.names.map((name) => ({
    name,
    shape: stored.shape(name),
    storage: stored.values(name),
  }));
  const embedding = tensors.find(({ name }) => name === 'biogpt.embed_tokens.weight')!;
  return torchFile([...tensors, { ...embedding, name: 'output_projection.weight' }]);
};

export const model = (): HostedRepository => {
  const table = (name: string): string => readFileSync(sharedPath(`${TABLES}/${name}`), 'utf8');
  return {
    type: 'model',
    id: 'microsoft/BioGPT-Large',
    branches: {
      main: {
        '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
        'README.md': '---\nlicense: mit\n---\n',
        'config.json': JSON.stringify(config),
        'vocab.json': JSON.stringify(Object.fromEntries(vocabOfFairseq(table('dict.txt')))),
        'merges.txt': table('bpecodes'),
        'pytorch_model.bin': weights(),
      },
    },
  };
};

const columns: readonly ParquetColumn[] = [
  { name: 'pubid', type: 'int32' },
  { name: 'question', type: 'text' },
  {
    name: 'context',
    fields: ['contexts', 'labels', 'meshes', 'reasoning_required_pred', 'reasoning_free_pred'].map(
      (name) => ({ name, type: 'texts' }),
    ),
  },
  { name: 'long_answer', type: 'text' },
  { name: 'final_decision', type: 'text' },
];

const card = `---
language: [en]
license: mit
configs:
${['pqa_artificial', 'pqa_labeled', 'pqa_unlabeled']
  .map(
    (name) =>
      `- config_name: ${name}\n  data_files:\n  - split: train\n    path: ${name}/train-*\n`,
  )
  .join('')}---
# Dataset Card for PubMedQA
`;

/** As the hub has what was meant to be one word. */
const letters = (value: Value | undefined): readonly string[] =>
  typeof value === 'string' ? [...value] : [];

export const questions = (): HostedRepository => {
  // In the order of the file, as on the hub.
  const rows = readJson(sharedPath(QUESTIONS)).map((row) => ({
    pubid: Number(row['key']),
    question: row['QUESTION'],
    context: {
      contexts: row['CONTEXTS'],
      labels: row['LABELS'],
      meshes: row['MESHES'],
      reasoning_required_pred: letters(row['reasoning_required_pred']),
      reasoning_free_pred: letters(row['reasoning_free_pred']),
    },
    long_answer: row['LONG_ANSWER'],
    final_decision: row['final_decision'],
  }));
  const file = (name: string): string => `${name}/train-00000-of-00001.parquet`;
  return {
    type: 'dataset',
    id: 'qiaojin/PubMedQA',
    branches: {
      main: {
        'README.md': card,
        [file('pqa_artificial')]: parquetFile(columns, rows.slice(0, 1)),
        [file('pqa_labeled')]: parquetFile(columns, rows),
        [file('pqa_unlabeled')]: parquetFile(columns, rows.slice(0, 1)),
      },
    },
  };
};
