// A model nobody made for MESA, from file to text: a llama2.c checkpoint is converted to safetensors and
// tokenizer.json, loaded, and tells the story that llama2.c tells.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeFloatTensors, type NamedTensor } from '../../models/peft-files.ts';
import type { PredictionRow } from '../../schemas/artifact.ts';
import { generate } from '../../steps/generate/step.ts';
import { loadModel } from '../../steps/load-model/step.ts';
import { sharedPath, skipUnlessShared } from '../shared.ts';
import { folderArtifact, runStep } from './context.ts';

const source = 'models/stories260k';
const root = mkdtempSync(join(tmpdir(), 'mesa-stories-'));
after(() => {
  rmSync(root, { recursive: true, force: true });
});

/** llama2.c rotates neighbouring dimensions, Hugging Face's layout halves: rows of q and k change places. */
const halves = (weight: Float32Array, heads: number, columns: number): Float32Array => {
  const size = weight.length / columns / heads;
  const out = new Float32Array(weight.length);
  for (let head = 0; head < heads; head += 1)
    for (let row = 0; row < size; row += 1) {
      const from = head * size + (row % (size / 2)) * 2 + Math.floor(row / (size / 2));
      out.set(weight.subarray(from * columns, (from + 1) * columns), (head * size + row) * columns);
    }
  return out;
};

/** run.c `memory_map_weights`: seven int32 of header, then the weights of each kind for all layers. */
const convertWeights = (path: string, folder: string): number => {
  const bytes = readFileSync(path);
  const [dim = 0, hidden = 0, layers = 0, heads = 0, kvHeads = 0, vocab = 0, positions = 0] =
    new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 28));
  const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 28));
  let at = 0;
  const tensors: NamedTensor[] = [];
  const take = (count: number): Float32Array => {
    at += count;
    return floats.subarray(at - count, at);
  };
  const kv = (dim / heads) * kvHeads;
  const perLayer = (
    name: string,
    shape: readonly number[],
    change: (data: Float32Array) => Float32Array = (data) => data,
  ): void => {
    for (let layer = 0; layer < layers; layer += 1) {
      const data = change(take(shape.reduce((a, b) => a * b)));
      tensors.push({ name: `model.layers.${layer}.${name}.weight`, shape, data });
    }
  };
  tensors.push({ name: 'model.embed_tokens.weight', shape: [vocab, dim], data: take(vocab * dim) });
  perLayer('input_layernorm', [dim]);
  perLayer('self_attn.q_proj', [dim, dim], (data) => halves(data, heads, dim));
  perLayer('self_attn.k_proj', [kv, dim], (data) => halves(data, kvHeads, dim));
  perLayer('self_attn.v_proj', [kv, dim]);
  perLayer('self_attn.o_proj', [dim, dim]);
  perLayer('post_attention_layernorm', [dim]);
  perLayer('mlp.gate_proj', [hidden, dim]);
  perLayer('mlp.down_proj', [dim, hidden]);
  perLayer('mlp.up_proj', [hidden, dim]);
  tensors.push({ name: 'model.norm.weight', shape: [dim], data: take(dim) });
  writeFloatTensors(join(folder, 'model.safetensors'), tensors);
  const config = {
    model_type: 'llama',
    hidden_size: dim,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    vocab_size: vocab,
    max_position_embeddings: positions,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: true,
    bos_token_id: 1,
    eos_token_id: 2,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return vocab;
};

/** tokenizer.bin: longest length, then (score, length, bytes) of every piece; SentencePiece's BPE by scores. */
const convertTokenizer = (path: string, folder: string, vocab: number): void => {
  const bytes = readFileSync(path);
  const pieces: { text: string; score: number }[] = [];
  for (let at = 4; pieces.length < vocab;) {
    const length = bytes.readInt32LE(at + 4);
    const text = bytes.toString('utf8', at + 8, at + 8 + length).replaceAll(' ', '\u2581');
    pieces.push({
      text: ['<unk>', '<s>', '</s>'][pieces.length] ?? text,
      score: bytes.readFloatLE(at),
    });
    at += 8 + length;
  }
  const ids = new Map(pieces.map(({ text }, id) => [text, id]));
  const merges = pieces
    .flatMap(({ text, score }) => {
      const characters = [...text];
      return characters.slice(1).flatMap((_, cut) => {
        const [left, right] = [
          characters.slice(0, cut + 1).join(''),
          characters.slice(cut + 1).join(''),
        ];
        return ids.has(left) && ids.has(right) ? [{ merge: [left, right], score }] : [];
      });
    })
    .sort((a, b) => b.score - a.score)
    .map(({ merge }) => merge);
  const special = ['<unk>', '<s>', '</s>'].map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const tokenizer = {
    version: '1.0',
    added_tokens: special,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '\u2581' },
        { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(ids),
      merges,
    },
  };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  const names = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' };
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(names));
};

test('stories260k tells its greedy story', { skip: skipUnlessShared(source) }, async () => {
  const folder = join(root, 'model');
  mkdirSync(folder);
  const vocab = convertWeights(sharedPath(`${source}/stories260K.bin`), folder);
  convertTokenizer(sharedPath(`${source}/tok512.bin`), folder, vocab);
  const expected =
    readFileSync(sharedPath(`${source}/greedy.txt`), 'utf8')
      .split('\n}\n')[1]
      ?.trimEnd() ?? '';
  assert.ok(expected.startsWith('Once upon a time'));

  const prompts = join(root, 'prompts');
  mkdirSync(prompts);
  const half = expected.slice(0, expected.indexOf('She loved'));
  const rows = [
    { id: 'from nothing', item: '0', prompt: '' },
    { id: 'from a sentence', item: '1', prompt: half.trimEnd() },
    { id: 'to the ball', item: '2', prompt: '' },
  ];
  writeFileSync(
    join(prompts, 'rows.jsonl'),
    rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
  );
  const format = { digest: 'none', special_tokens_in_text: false };
  writeFileSync(join(prompts, 'format.json'), JSON.stringify(format));

  const loaded = await runStep(loadModel, { params: { source: 'path', path: folder } });
  const model = loaded.output('model', 'model');
  const answer = async (
    params: Record<string, number | string[]>,
  ): Promise<readonly PredictionRow[]> => {
    const run = await runStep(generate, {
      params,
      inputs: { model, prompts: folderArtifact('prompts', prompts) },
    });
    const path = run.output('predictions', 'predictions').file('rows.jsonl');
    const answers = readFileSync(path, 'utf8').trim().split('\n');
    run.dispose();
    return answers.map((line) => JSON.parse(line) as PredictionRow);
  };
  const [story, continued] = await answer({ max_new_tokens: 256 });
  assert.equal(story?.text?.slice(0, expected.length), expected);
  // A SentencePiece decoder takes the space off the first word of a text.
  assert.ok(`${half.trimEnd()} ${continued?.text ?? ''}`.startsWith(expected.slice(0, 300)));
  const stopped = await answer({ max_new_tokens: 256, stop: ['red ball', 'never there'] });
  assert.equal(stopped[0]?.finish_reason, 'stop');
  assert.equal(stopped[0].text, expected.slice(0, expected.indexOf('red ball')));
  loaded.dispose();
});
