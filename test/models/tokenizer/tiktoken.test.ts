// tokenizer.model as Meta wrote it for Llama 3: ranks instead of a SentencePiece model.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CheckpointError } from '../../../models/checkpoint/error.ts';
import { readGgufHeader } from '../../../models/checkpoint/gguf.ts';
import { exportGguf } from '../../../models/checkpoint/export-gguf.ts';
import { openModel } from '../../../models/model.ts';
import { hfTokenizer } from '../../../models/tokenizer/hf-tokenizer.ts';
import { tokenizerFromGguf } from '../../../models/tokenizer/gguf-tokenizer.ts';
import { loadTokenizer } from '../../../models/tokenizer/load.ts';
import type { Tokenizer } from '../../../models/tokenizer/tokenizer.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { runStep } from '../../steps/context.ts';
import { temporaryFolder } from '../files.ts';

const ranksPath = 'tokenizers/tiny/tiktoken_small.model';
const goldenPath = 'goldens/tokenizers/tiktoken-small.json';
const skip = skipUnlessShared(ranksPath, goldenPath);
interface Golden {
  readonly special_tokens: Readonly<Record<string, number>>;
  readonly cases: readonly {
    readonly text: string;
    readonly ids: number[];
    readonly decoded: string;
  }[];
}
const golden = (): Golden => readSharedJson<Golden>(goldenPath);

const load = (files: Readonly<Record<string, string>>, vocabSize?: number): Promise<Tokenizer> =>
  loadTokenizer({
    file: (name) => files[name],
    modelType: 'llama',
    modelEos: undefined,
    modelVocabSize: vocabSize,
    chatTemplate: null,
  });

/** The single bytes, which every such file starts with. */
const byteLines = Array.from(
  { length: 256 },
  (_, byte) => `${Buffer.of(byte).toString('base64')} ${byte}`,
);
const line = (token: string, rank: number): string =>
  `${Buffer.from(token).toString('base64')} ${rank}`;

test(
  'ids, decoded and streamed text of every golden; special tokens of the config',
  { skip },
  async () => {
    using folder = temporaryFolder();
    const { cases, special_tokens: special } = golden();
    const config = {
      bos_token: '<|begin_of_text|>',
      eos_token: { content: '<|end_of_text|>' },
      added_tokens_decoder: Object.fromEntries(
        Object.entries(special).map(([content, id]) => [id, { content, special: true }]),
      ),
    };
    const tokenizer = await load({
      'tokenizer.model': sharedPath(ranksPath),
      'tokenizer_config.json': folder.write('tokenizer_config.json', JSON.stringify(config)),
    });
    assert.equal(tokenizer.vocabSize, 2002);
    assert.equal(tokenizer.bosTokenId, 2000);
    assert.deepEqual(tokenizer.eosTokenIds, [2001]);
    for (const { text, ids, decoded } of cases) {
      assert.deepEqual(tokenizer.encode(text, { addSpecialTokens: false }), ids, text);
      assert.deepEqual(tokenizer.encode(text), [2000, ...ids], text);
      assert.equal(tokenizer.decode(ids), decoded);
      const stream = tokenizer.streamingDecoder();
      assert.equal(ids.map((id) => stream.push(id)).join('') + stream.end(), decoded);
    }
    const chat = '<|begin_of_text|>fever<|end_of_text|>';
    const ids = tokenizer.encode(chat, { addSpecialTokens: false });
    assert.deepEqual([ids[0], ids.at(-1)], [2000, 2001]);
    assert.equal(tokenizer.decode(ids), chat);
    assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), 'fever');
  },
);

test(
  'a llama with 256 ids beyond the ranks has Llama 3’s special tokens; others have none',
  { skip },
  async () => {
    const files = { 'tokenizer.model': sharedPath(ranksPath) };
    const tokenizer = await load(files, 2256);
    assert.equal(tokenizer.vocabSize, 2256);
    for (const [token, id] of [
      ['<|begin_of_text|>', 2000],
      ['<|end_of_text|>', 2001],
      ['<|reserved_special_token_3|>', 2005],
      ['<|start_header_id|>', 2006],
      ['<|end_header_id|>', 2007],
      ['<|reserved_special_token_4|>', 2008],
      ['<|eot_id|>', 2009],
      ['<|reserved_special_token_5|>', 2010],
      ['<|reserved_special_token_250|>', 2255],
    ] as const)
      assert.equal(tokenizer.tokenToId(token), id, token);
    assert.deepEqual(tokenizer.encode('a<|eot_id|>'), [2000, 97, 2009]);
    const plain = await load(files, 2000);
    assert.equal(plain.vocabSize, 2000);
    assert.equal(plain.bosTokenId, null);
    for (const { text, ids } of golden().cases) assert.deepEqual(plain.encode(text), ids, text);
  },
);

test(
  'through load-model, and out to GGUF and in again',
  { skip: skip || skipUnlessShared('goldens/architectures/llama') },
  async () => {
    using folder = temporaryFolder();
    const config = {
      ...readSharedJson<Record<string, unknown>>('goldens/architectures/llama/config.json'),
      vocab_size: 2256,
    };
    const made = await runStep(loadModel, { params: { source: 'init', config }, seed: 1 });
    folder.write('config.json', JSON.stringify(config));
    folder.write(
      'model.safetensors',
      readFileSync(made.output('model', 'model').file('model.safetensors')),
    );
    folder.write('tokenizer.model', readFileSync(sharedPath(ranksPath)));
    made.dispose();
    const run = await runStep(loadModel, { params: { source: 'path', path: folder.path } });
    const artifact = run.output('model', 'model');
    const model = openModel(artifact);
    assert.deepEqual(model.document.tokenizer, { kind: 'tiktoken', files: ['tokenizer.model'] });
    const tokenizer = await model.tokenizer();
    assert.equal(tokenizer?.vocabSize, 2256);
    const path = join(folder.path, 'out.gguf');
    await exportGguf(model, path, (name) => artifact.file(name));
    const { json, config: own } = tokenizerFromGguf(readGgufHeader(path));
    const again = hfTokenizer({ json, config: own, eosTokenIds: [], chatTemplate: null });
    for (const { text } of golden().cases)
      assert.deepEqual(again.encode(text), tokenizer.encode(text), text);
    run.dispose();
  },
);

test('damaged ranks are told with file and line', async () => {
  using folder = temporaryFolder();
  const attempt = async (lines: readonly string[], config?: object): Promise<string> => {
    const files: Record<string, string> = {
      'tokenizer.model': folder.write('tokenizer.model', lines.join('\n')),
    };
    if (config !== undefined)
      files['tokenizer_config.json'] = folder.write('config.json', JSON.stringify(config));
    try {
      await load(files);
    } catch (error) {
      assert.ok(error instanceof CheckpointError, String(error));
      assert.equal(error.file, files['tokenizer.model']);
      return error.message;
    }
    return 'accepted';
  };
  assert.equal(await attempt([...byteLines, line('ab', 256), '']), 'accepted');
  assert.equal(
    await attempt([...byteLines, line('ab', 256)].map((each) => `${each}\r`)),
    'accepted',
  );
  assert.match(await attempt([]), /is empty$/);
  assert.match(await attempt(['  ', '']), /holds no tokens$/);
  assert.match(await attempt([...byteLines, 'YWI 256']), /line 257 is no token in base64/);
  assert.match(await attempt([...byteLines, 'Y!I= 256']), /line 257 is no token in base64/);
  assert.match(
    await attempt([...byteLines, 'YWI=']),
    /line 257 is no token in base64 and its rank/,
  );
  assert.match(await attempt([...byteLines, 'YWI= -1']), /line 257 is no token/);
  assert.match(await attempt([...byteLines, ' 256']), /line 257 is no token/);
  assert.match(
    await attempt([...byteLines, line('ab', 255)]),
    /line 257 gives the rank 255 again, after line 256/,
  );
  assert.match(
    await attempt([...byteLines, line('a', 256)]),
    /line 257 gives the token of line 98 again/,
  );
  assert.match(
    await attempt([...byteLines, line('ab', 1e15)]),
    /line 257 gives the rank 1000000000000000, but the ranks below have a gap/,
  );
  assert.match(
    await attempt([...byteLines, '', line('ab', 257)]),
    /gives no token the rank 256, though line 258 gives the rank 257/,
  );
  assert.match(await attempt(byteLines.slice(0, 200)), /has no token for the byte 200$/);
  // Cut in the middle of a line.
  assert.match(
    await attempt([...byteLines, line('abcdef', 256).slice(0, 5)]),
    /line 257 is no token/,
  );
  const listed = (id: string, token: unknown): Promise<string> =>
    attempt(byteLines, { added_tokens_decoder: { [id]: token } });
  assert.match(
    await listed('255', { content: '<x>' }),
    /gives the rank 255 to another token than .*<x>/,
  );
  assert.match(await listed('256', { special: true }), /entry "256" has no id and content/);
  assert.match(await listed('x', { content: '<x>' }), /entry "x" has no id and content/);
});
