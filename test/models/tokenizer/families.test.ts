// Every kind of tokenizer file gives the ids and texts of its reference implementation.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { vocabOfFairseq } from '../../../models/tokenizer/biogpt.ts';
import { loadTokenizer } from '../../../models/tokenizer/load.ts';
import { mosesDetokenize, mosesTokenize } from '../../../models/tokenizer/moses.ts';
import {
  pieceTypes,
  writeSentencePieceModel,
} from '../../../models/tokenizer/sentencepiece-model.ts';
import type { Tokenizer } from '../../../models/tokenizer/tokenizer.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { temporaryFolder } from '../files.ts';

interface Case {
  readonly text: string;
  readonly ids: number[];
  readonly decoded: string;
  readonly ids_with_special?: number[];
  readonly decoded_without_special?: string;
}

const load = (files: Readonly<Record<string, string>>, modelType = 'llama'): Promise<Tokenizer> =>
  loadTokenizer({
    file: (name) => files[name],
    modelType,
    modelEos: undefined,
    chatTemplate: null,
  });

const cases = (name: string): readonly Case[] =>
  readSharedJson<{ cases: Case[] }>(`goldens/tokenizers/${name}.json`).cases;

/** Streaming says the same as decoding at once, and takes nothing back. */
const checkStream = (tokenizer: Tokenizer, ids: readonly number[], skipSpecialTokens: boolean) => {
  const whole = tokenizer.decode(ids, { skipSpecialTokens });
  const stream = tokenizer.streamingDecoder({ skipSpecialTokens });
  let streamed = '';
  for (const id of ids) {
    streamed += stream.push(id);
    assert.ok(
      whole.startsWith(streamed),
      `${JSON.stringify(streamed)} of ${JSON.stringify(whole)}`,
    );
  }
  assert.equal(streamed + stream.end(), whole);
};

const jsonFiles: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  phi3: {
    'tokenizer.json': 'tokenizers/phi3/tokenizer.json',
    'tokenizer_config.json': 'tokenizers/phi3/tokenizer_config.json',
  },
  'tiny-bpe': { 'tokenizer.json': 'tokenizers/tiny/tiny_bpe_tokenizer.json' },
  'tiny-llama3-style': { 'tokenizer.json': 'tokenizers/tiny/tokenizer.json' },
  'tiny-gemma-cropped': { 'tokenizer.json': 'tokenizers/tiny/tokenizer_gemma_cropped.json' },
  unigram: { 'tokenizer.json': 'goldens/tokenizers/trained/unigram.tokenizer.json' },
  'metaspace-bpe': { 'tokenizer.json': 'goldens/tokenizers/trained/metaspace-bpe.tokenizer.json' },
  gpt2: {
    'vocab.json': 'tokenizers/gpt2-pure/encoder.json',
    'merges.txt': 'tokenizers/gpt2-pure/vocab.bpe',
  },
};
for (const [name, paths] of Object.entries(jsonFiles))
  test(
    `${name}: ids, decoded and streamed text of every golden`,
    {
      skip: skipUnlessShared(`goldens/tokenizers/${name}.json`, ...Object.values(paths)),
    },
    async () => {
      const files = Object.fromEntries(
        Object.entries(paths).map(([file, path]) => [file, sharedPath(path)]),
      );
      const tokenizer = await load(files, name);
      for (const each of cases(name)) {
        const { text, ids, decoded, ids_with_special: full = ids } = each;
        assert.deepEqual(tokenizer.encode(text, { addSpecialTokens: false }), ids, text);
        assert.deepEqual(tokenizer.encode(text), full, text);
        assert.equal(tokenizer.decode(ids), decoded);
        if (each.decoded_without_special !== undefined)
          assert.equal(
            tokenizer.decode(full, { skipSpecialTokens: true }),
            each.decoded_without_special,
          );
        checkStream(tokenizer, ids, false);
      }
    },
  );

for (const [name, file] of [
  ['sentencepiece-m', 'm.model'],
  ['sentencepiece-large', 'sentencepiece.model'],
] as const)
  test(
    `${name}: a tokenizer.model alone`,
    {
      skip: skipUnlessShared(`tokenizers/tiny/${file}`, `goldens/tokenizers/${name}.json`),
    },
    async () => {
      const tokenizer = await load({ 'tokenizer.model': sharedPath(`tokenizers/tiny/${file}`) });
      for (const { text, ids, decoded } of cases(name)) {
        assert.deepEqual(tokenizer.encode(text, { addSpecialTokens: false }), ids, text);
        assert.equal(tokenizer.decode(ids), decoded);
        checkStream(tokenizer, ids, false);
      }
    },
  );

test(
  'a SentencePiece BPE model: Llama 2’s vocabulary merges as its tokenizer.json does',
  {
    skip: skipUnlessShared('tokenizers/phi3', 'goldens/tokenizers/phi3.json'),
  },
  async () => {
    using folder = temporaryFolder();
    const { vocab, merges } = readSharedJson<{
      model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
    }>('tokenizers/phi3/tokenizer.json').model;
    // transformers made the merges by sorting pairs by the score of what they make: here the way back.
    const scores = new Map<string, number>();
    for (const [rank, merge] of merges.entries()) {
      const piece = typeof merge === 'string' ? merge.replace(' ', '') : merge.join('');
      if (!scores.has(piece)) scores.set(piece, -rank);
    }
    const pieces = Object.entries(vocab)
      .sort(([, a], [, b]) => a - b)
      .map(([text, id]) => ({
        text,
        // 0 unknown, two control pieces, 256 bytes, then the rest.
        score: scores.get(text) ?? -1e9,
        type:
          id === 0
            ? pieceTypes.unknown
            : id < 3
              ? pieceTypes.control
              : id < 259
                ? pieceTypes.byte
                : pieceTypes.normal,
      }));
    const path = folder.write(
      'tokenizer.model',
      writeSentencePieceModel({
        pieces,
        modelType: 'bpe',
        unkSurface: ' \u2047 ',
        byteFallback: true,
        addDummyPrefix: true,
        removeExtraWhitespaces: false,
        escapeWhitespaces: true,
        charsmap: new Uint8Array(),
      }),
    );
    const tokenizer = await load({ 'tokenizer.model': path });
    for (const { text, ids, decoded } of cases('phi3')) {
      // Special tokens in a text are text to SentencePiece alone.
      if (/<\/?s>|<\|/.test(text)) continue;
      assert.deepEqual(tokenizer.encode(text), text === '' ? [1] : [1, ...ids], text);
      assert.equal(tokenizer.decode(ids), decoded);
      checkStream(tokenizer, ids, true);
    }
  },
);

for (const name of ['biogpt', 'biogpt-large'])
  test(
    `${name}: Moses words, then BPE`,
    {
      skip: skipUnlessShared(`tokenizers/${name}`, `goldens/tokenizers/${name}.json`),
    },
    async () => {
      const file = (part: string): string => sharedPath(`tokenizers/${name}/${part}`);
      const tokenizer = await load({ 'dict.txt': file('dict.txt'), bpecodes: file('bpecodes') });
      for (const { text, ids, decoded } of cases(name)) {
        assert.deepEqual(tokenizer.encode(text), ids, text);
        assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), decoded, text);
        checkStream(tokenizer, ids, true);
      }
      const golden = readSharedJson<
        Record<string, { vocab: number; rows: { text: string; ids: number[]; decoded: string }[] }>
      >('goldens/biogpt-tokenizer.json')[name === 'biogpt' ? 'BioGPT' : 'BioGPT-Large'];
      assert.equal(tokenizer.vocabSize, golden?.vocab);
      for (const { text, ids, decoded } of golden?.rows ?? []) {
        assert.deepEqual(tokenizer.encode(text), ids, text);
        assert.equal(tokenizer.decode(ids.slice(1)), decoded, text);
      }
    },
  );

test(
  'vocab.json and merges.txt of a converted BioGPT give the same ids',
  {
    skip: skipUnlessShared('tokenizers/biogpt'),
  },
  async () => {
    using folder = temporaryFolder();
    const dictionary = readFileSync(sharedPath('tokenizers/biogpt/dict.txt'), 'utf8');
    const vocab = JSON.stringify(Object.fromEntries(vocabOfFairseq(dictionary)));
    const tokenizer = await load(
      {
        'vocab.json': folder.write('vocab.json', vocab),
        'merges.txt': sharedPath('tokenizers/biogpt/bpecodes'),
      },
      'biogpt',
    );
    assert.deepEqual(tokenizer.encode('COVID-19 is'), [2, 4805, 9, 656, 21]);
  },
);

test('Moses: words and back', { skip: skipUnlessShared('goldens/moses.json') }, () => {
  const golden =
    readSharedJson<{ text: string; tokens: string[]; detok: string }[]>('goldens/moses.json');
  for (const { text, tokens, detok } of golden) {
    assert.deepEqual(mosesTokenize(text), tokens);
    assert.equal(mosesDetokenize(tokens), detok);
  }
});
