// Damaged config.json and tokenizers as users meet them: each an error of load-model that names file and key.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { copyOf } from '../models/files.ts';
import { sharedPath, skipUnlessShared } from '../shared.ts';
import { failure, withBytes } from './damaged-models.ts';

const llama = 'goldens/architectures/llama';

describe('config.json', { skip: skipUnlessShared(llama) }, () => {
  const nonsense = [-1, 0, 1.5, 1e9, 1e300, '48', null, [48], {}, true];
  const withConfig = async (golden: string, change: Record<string, unknown>): Promise<string> => {
    using folder = copyOf(golden);
    const config = JSON.parse(readFileSync(join(folder.path, 'config.json'), 'utf8')) as object;
    folder.write('config.json', JSON.stringify({ ...config, ...change }));
    return await failure(folder.path);
  };

  test('sizes that are none are told with file and key', async () => {
    const keys: Record<string, readonly string[]> = {
      llama: [
        'hidden_size',
        'num_hidden_layers',
        'num_attention_heads',
        'intermediate_size',
        'vocab_size',
      ],
      gpt2: ['n_embd', 'n_layer', 'n_head', 'vocab_size'],
      mixtral: ['num_local_experts', 'num_experts_per_tok'],
    };
    for (const [architecture, names] of Object.entries(keys))
      for (const key of names)
        for (const value of nonsense) {
          // Null is "not said", and these have a usual value.
          if (architecture === 'mixtral' && value === null) continue;
          const message = await withConfig(`goldens/architectures/${architecture}`, {
            [key]: value,
          });
          assert.ok(
            message.includes('config.json: '),
            `${key} ${JSON.stringify(value)}: ${message}`,
          );
          assert.ok(message.includes(key), `${key} ${JSON.stringify(value)}: ${message}`);
        }
  });

  test('values that contradict one another', async () => {
    const cases: readonly [string, Record<string, unknown>, RegExp][] = [
      ['llama', { head_dim: null, num_attention_heads: 7 }, /num_attention_heads/],
      ['llama', { num_key_value_heads: 3 }, /num_attention_heads is 4, which num_key_value_heads/],
      ['llama', { head_dim: 13 }, /head_dim/],
      ['llama', { head_dim: 2 ** 40 }, /head_dim/],
      ['llama', { partial_rotary_factor: 3 }, /partial_rotary_factor/],
      ['llama', { rope_parameters: 'linear' }, /rope_scaling is "linear"/],
      ['llama', { rope_parameters: { rope_type: 'spiral' } }, /rope_type 'spiral'/],
      ['llama', { rope_parameters: { rope_type: 'linear', factor: -2 } }, /factor is -2/],
      ['llama', { rms_norm_eps: -1 }, /rms_norm_eps/],
      ['llama', { hidden_act: 'step' }, /activation 'step'/],
      ['llama', { tie_word_embeddings: 'yes' }, /tie_word_embeddings/],
      ['llama', { attention_bias: 1 }, /attention_bias/],
      ['llama', { model_type: 'mamba' }, /model_type 'mamba'/],
      ['llama', { model_type: 7 }, /model_type is 7/],
      ['llama', { model_type: undefined }, /model_type is missing/],
      ['llama', { hidden_size: Array(5000).fill(1) }, /hidden_size is \[1,1.*\.\.\., expected/],
      ['gpt2', { n_head: 5 }, /n_embd is 48, which n_head \(5\) does not divide/],
      ['biogpt', { num_attention_heads: 5 }, /hidden_size is 48, which num_attention_heads \(5\)/],
      ['gemma2', { layer_types: ['full_attention'] }, /layer_types has 1 entries/],
      ['gemma2', { layer_types: ['mystery', 'x', 'x', 'x'] }, /layer_types holds 'mystery'/],
      ['mistral', { sliding_window: -4 }, /sliding_window is -4/],
      ['mixtral', { num_experts_per_tok: 9 }, /num_experts_per_tok is 9, more than/],
    ];
    for (const [architecture, change, message] of cases) {
      const said = await withConfig(`goldens/architectures/${architecture}`, change);
      assert.match(said, message);
      assert.ok(said.includes('config.json: '), said);
    }
  });

  test('what is no JSON object', async () => {
    for (const text of ['', '{', '[]', 'null', '{"hidden_size": 48', '\u0000'])
      assert.match(
        await withBytes(llama, 'config.json', () => Buffer.from(text)),
        /config\.json: (?:does not hold valid JSON|must hold a JSON object)/,
      );
  });
});

describe('tokenizers', { skip: skipUnlessShared(llama, 'tokenizers/tiny') }, () => {
  const withTokenizer = async (files: Record<string, string | Buffer>): Promise<string> => {
    using folder = copyOf(llama);
    for (const [name, content] of Object.entries(files)) folder.write(name, content);
    return await failure(folder.path);
  };
  const good = (): Buffer => readFileSync(sharedPath('tokenizers/tiny/tiny_bpe_tokenizer.json'));

  test('a tokenizer.json that is cut off, of an unknown kind, or no tokenizer', async () => {
    assert.equal(await withTokenizer({ 'tokenizer.json': good() }), 'accepted');
    for (const length of [0, 10, good().length >> 1, good().length - 3])
      assert.match(
        await withTokenizer({ 'tokenizer.json': good().subarray(0, length) }),
        /tokenizer\.json: does not hold valid JSON/,
      );
    const json = JSON.parse(good().toString()) as Record<string, unknown>;
    const changed = (change: Record<string, unknown>): Promise<string> =>
      withTokenizer({ 'tokenizer.json': JSON.stringify({ ...json, ...change }) });
    const model = json['model'] as Record<string, unknown>;
    for (const change of [
      { model: { ...model, merges: 3 } },
      { pre_tokenizer: { type: 'Nonsense' } },
      { normalizer: { type: 'Nonsense' } },
      { decoder: { type: 'Nonsense' } },
      { post_processor: { type: 'Nonsense' } },
      { added_tokens: 'none' },
    ])
      assert.match(
        await changed(change),
        /tokenizer\.json: is no tokenizer that can be read \(/,
        JSON.stringify(change).slice(0, 60),
      );
    for (const [change, message] of [
      [{ model: { ...model, type: 'Transducer' } }, /a model of the unknown type "Transducer"/],
      [{ model: { ...model, type: [] } }, /a model of the unknown type \[\]/],
      [{ model: null }, /has no vocabulary/],
      [{ model: 'BPE' }, /has no vocabulary/],
      [{ model: { ...model, vocab: null } }, /has no vocabulary/],
      [{ model: { ...model, vocab: { a: 1e9 } } }, /gives the token "a" no usable id/],
      [{ model: { ...model, vocab: { a: 0.5 } } }, /gives the token "a" no usable id/],
    ] as const)
      assert.match(await changed(change), message);
    assert.match(
      await withTokenizer({ 'tokenizer.json': '[]' }),
      /tokenizer\.json: must hold a JSON object/,
    );
  });

  test('other files of tokenizers', async () => {
    assert.match(
      await withTokenizer({ 'tokenizer.json': good(), 'tokenizer_config.json': '{' }),
      /tokenizer_config\.json: does not hold valid JSON/,
    );
    assert.match(
      await withTokenizer({ 'vocab.json': '{"a": -1}', 'merges.txt': '' }),
      /vocab\.json: gives the token "a" no usable id/,
    );
    assert.match(await withTokenizer({ 'tokenizer.model': '' }), /tokenizer\.model: is empty/);
    assert.match(
      await withTokenizer({ 'tokenizer.model': 'AA== 0\nAQ== 7\n' }),
      /tokenizer\.model: line 2 gives the rank 7/,
    );
    const model = readFileSync(sharedPath('tokenizers/tiny/m.model'));
    assert.match(
      await withTokenizer({ 'tokenizer.model': model.subarray(0, 1000) }),
      /tokenizer\.model: /,
    );
  });
});
