// Texts that end in the middle of a character, as generation does at max_new_tokens: what is intended is what the
// reference decodes, U+FFFD included; nobody "repairs" the end. While a text grows, half a character is never shown and
// matches no stop string. Expected texts: tokenizers 0.23.3 (Rust) and sentencepiece 0.2.3 on the same ids.

import assert from 'node:assert/strict';
import { AutoTokenizer, env } from '@huggingface/transformers';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { findStop, stopWatch } from '../../../models/decode/stop.ts';
import { byteCharacters } from '../../../models/tokenizer/byte-level.ts';
import { hfTokenizer } from '../../../models/tokenizer/hf-tokenizer.ts';
import { loadTokenizer } from '../../../models/tokenizer/load.ts';
import {
  pieceTypes,
  writeSentencePieceModel,
} from '../../../models/tokenizer/sentencepiece-model.ts';
import type { Tokenizer } from '../../../models/tokenizer/tokenizer.ts';
import { temporaryFolder } from '../files.ts';

const hex = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
const bytes = Array.from({ length: 256 }, (_, byte) => byte);
const common = { eosTokenIds: [], chatTemplate: null, config: {} };

/** Every byte a token (of id 3 + byte), as Llama 2's tokenizer.json spells characters that it lacks. */
const byteFallback = (): Tokenizer =>
  hfTokenizer({
    ...common,
    json: {
      version: '1.0',
      added_tokens: [],
      normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      pre_tokenizer: null,
      post_processor: null,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
        ],
      },
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        fuse_unk: true,
        byte_fallback: true,
        vocab: Object.fromEntries(
          ['<unk>', '<s>', '</s>', ...bytes.map(hex), '▁', 'a', 'b', '▁a', 'é'].map((token, id) => [
            token,
            id,
          ]),
        ),
        merges: [['▁', 'a']],
      },
    },
  });

/** The same as a SentencePiece model alone. */
const sentencePiece = async (): Promise<Tokenizer> => {
  using folder = temporaryFolder();
  const control = (text: string) => ({ text, score: 0, type: pieceTypes.control });
  const pieces = [
    { text: '<unk>', score: 0, type: pieceTypes.unknown },
    control('<s>'),
    control('</s>'),
    ...bytes.map((byte) => ({ text: hex(byte), score: 0, type: pieceTypes.byte })),
    ...['▁', 'a', 'b', '▁a', 'é'].map((text, at) => ({
      text,
      score: -at,
      type: pieceTypes.normal,
    })),
  ];
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
  return await loadTokenizer({
    file: (name) => (name === 'tokenizer.model' ? path : undefined),
    modelType: 'llama',
    modelEos: undefined,
    chatTemplate: null,
  });
};

/** Byte-level BPE with the first two bytes of some characters as one token. */
const byteLevel = (): Tokenizer => {
  const pair = (first: number, second: number): [string, string] => [
    byteCharacters[first] ?? '',
    byteCharacters[second] ?? '',
  ];
  const merges = [pair(0xf0, 0x9f), pair(0xe9, 0x9b), pair(0x98, 0x80)];
  const tokens = [...byteCharacters, ...merges.map((merge) => merge.join(''))];
  const bytesPart = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };
  return hfTokenizer({
    ...common,
    json: {
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: bytesPart,
      post_processor: null,
      decoder: bytesPart,
      model: {
        type: 'BPE',
        unk_token: null,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges,
      },
    },
  });
};

const X = '\uFFFD';
/** Bytes, what Rust's ByteFallback and what SentencePiece make of them, and byte-level BPE. */
const cut: readonly (readonly [string, string, string, string])[] = [
  ['f0', X, X, X],
  ['f09f', X + X, X + X, X],
  ['f09f98', X + X + X, X + X + X, X],
  ['f09f9880', '😀', '😀', '😀'],
  ['e99b', X + X, X + X, X],
  ['e99bbb', '電', '電', '電'],
  // A run that isn't whole is lost as a whole in Rust.
  ['e99bbbf0', X.repeat(4), `電${X}`, `電${X}`],
  ['e99bbbf09f98', X.repeat(6), `電${X.repeat(3)}`, `電${X}`],
  ['e99bbbf09f9880', '電😀', '電😀', '電😀'],
  ['8061', X + X, `${X}a`, `${X}a`],
  ['f09f9861', X.repeat(4), `${X.repeat(3)}a`, `${X}a`],
  ['e5bf83e99bc3', X.repeat(6), `心${X.repeat(3)}`, `心${X + X}`],
  ['eda080', X.repeat(3), X.repeat(3), X.repeat(3)],
  ['c080', X + X, X + X, X + X],
  ['f5808080', X.repeat(4), X.repeat(4), X.repeat(4)],
  ['efbbbf', '\uFEFF', '\uFEFF', '\uFEFF'],
];

test('bytes that are no whole characters, by three kinds of tokenizers', async () => {
  const [fallback, pieces, level] = [byteFallback(), await sentencePiece(), byteLevel()];
  for (const [digits, inRust, inPieces, inLevel] of cut) {
    const raw = [...Buffer.from(digits, 'hex')];
    assert.equal(fallback.decode(raw.map((byte) => byte + 3)), inRust, digits);
    assert.equal(pieces.decode(raw.map((byte) => byte + 3)), inPieces, digits);
    assert.equal(level.decode(raw), inLevel, digits);
  }
});

test('a matrix padded to a round size: ids without a token say nothing', () => {
  for (const tokenizer of [byteFallback(), byteLevel()]) {
    const last = tokenizer.vocabSize;
    assert.equal(tokenizer.decode([last + 5]), '');
    const ids = tokenizer.encode('a', { addSpecialTokens: false });
    assert.equal(tokenizer.decode([last, ...ids, last + 1]), tokenizer.decode(ids));
  }
});

const character = fc.constantFrom('a', 'b', ' ', 'é', '電', '心', '😀', '👩🏽‍⚕️', '電😀', 'ß', '。');
const text = fc.array(character, { maxLength: 12 }).map((parts) => parts.join(''));

test('a growing text shows no half characters and takes nothing back', async () => {
  for (const tokenizer of [byteFallback(), await sentencePiece(), byteLevel()])
    fc.assert(
      fc.property(text, (whole) => {
        const ids = tokenizer.encode(whole, { addSpecialTokens: false });
        const expected = tokenizer.decode(ids);
        const stream = tokenizer.streamingDecoder();
        let shown = '';
        for (const id of ids) {
          shown += stream.push(id);
          assert.ok(!shown.includes(X) && expected.startsWith(shown), shown);
        }
        assert.equal(shown + stream.end(), expected);
      }),
    );
});

test('cut off anywhere, what was shown stays and half a character is U+FFFD', async () => {
  for (const tokenizer of [byteFallback(), await sentencePiece(), byteLevel()]) {
    const ids = tokenizer.encode('a電😀', { addSpecialTokens: false });
    for (let length = 0; length <= ids.length; length++) {
      const stream = tokenizer.streamingDecoder();
      const some = ids.slice(0, length);
      const shown = some.map((id) => stream.push(id)).join('');
      assert.ok('a電😀'.startsWith(shown.trimStart()), shown);
      assert.match(stream.end(), /^\uFFFD{0,3}$/);
    }
  }
});

test('stop strings made of split characters are noticed with their last byte, and no sooner', async () => {
  const stops = fc.array(fc.array(character, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 2,
  });
  for (const tokenizer of [byteFallback(), await sentencePiece(), byteLevel()]) {
    const decode = (ids: readonly number[]): string =>
      tokenizer.decode(ids, { skipSpecialTokens: true });
    fc.assert(
      // Long texts: only their end is decoded at each token, and may begin in the middle of a character.
      fc.property(text, text, text, stops, (a, b, c, wanted) => {
        const strings = wanted.map((parts) => parts.join(''));
        const stopped = stopWatch(strings, decode);
        const ids = tokenizer.encode(a + b + c, { addSpecialTokens: false });
        for (let length = 1; length <= ids.length; length++) {
          const some = ids.slice(0, length);
          const found = findStop(decode(some), strings) >= 0;
          assert.equal(stopped(some), found, JSON.stringify([decode(some), strings]));
          if (found) break;
        }
      }),
      { numRuns: 200 },
    );
  }
});

test('a stop string that begins with a split character waits for its last token', () => {
  const tokenizer = byteLevel();
  const decode = (ids: readonly number[]): string => tokenizer.decode(ids);
  const ids = tokenizer.encode('a😀b', { addSpecialTokens: false });
  const stopped = stopWatch(['😀b'], decode);
  const noticed = ids.map((_, at) => stopped(ids.slice(0, at + 1)));
  assert.deepEqual(noticed.indexOf(true), ids.length - 1);
});

/** A WordPiece tokenizer as BERT's, and the folder that transformers.js reads it from. */
const wordPieces = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  'the',
  'patient',
  'hyper',
  '##tension',
  '##tens',
  '##ion',
  'do',
  'n',
  "'",
  't',
  'is',
  '.',
  ',',
  '?',
  '!',
  '-',
  '5',
  '##0',
  'mg',
  'e',
  '##e',
  'cafe',
  'µ',
  '##g',
  '心',
  '電',
  '図',
];
const wordPieceJson = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: wordPieces.slice(0, 4).map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(wordPieces.map((token, id) => [token, id])),
  },
};

test('WordPiece: ids, texts and growing texts equal those of transformers.js', async () => {
  using folder = temporaryFolder();
  const path = folder.write('tokenizer.json', JSON.stringify(wordPieceJson));
  const configPath = folder.write(
    'tokenizer_config.json',
    JSON.stringify({
      tokenizer_class: 'BertTokenizer',
      unk_token: '[UNK]',
      cls_token: '[CLS]',
      sep_token: '[SEP]',
      pad_token: '[PAD]',
      clean_up_tokenization_spaces: true,
    }),
  );
  env.allowRemoteModels = false;
  env.localModelPath = dirname(folder.path);
  const theirs = await AutoTokenizer.from_pretrained(basename(folder.path), {
    local_files_only: true,
  });
  const files: Record<string, string> = {
    'tokenizer.json': path,
    'tokenizer_config.json': configPath,
  };
  const ours = await loadTokenizer({
    file: (name) => files[name],
    modelType: 'llama',
    modelEos: undefined,
    chatTemplate: null,
  });
  const texts = [
    'The patient is hypertension.',
    "hypertension, don't!",
    'Café 50 µg?',
    '心電図 hyper-tens',
    'zebra 50mg',
    '',
    '  ',
  ];
  for (const each of texts)
    for (const special of [false, true]) {
      const ids = ours.encode(each, { addSpecialTokens: special });
      assert.deepEqual(ids, theirs.encode(each, { add_special_tokens: special }), each);
      for (const skip of [false, true])
        for (let length = 1; length <= ids.length; length++) {
          const some = ids.slice(0, length);
          assert.equal(
            ours.decode(some, { skipSpecialTokens: skip }),
            theirs.decode(some, { skip_special_tokens: skip }),
            each,
          );
        }
    }
  assert.deepEqual(ours.encode('hypertension', { addSpecialTokens: false }), [6, 7]);
  // A piece that goes on a word is part of it, whatever comes first.
  const ids = ours.encode('the patient hypertension 50', { addSpecialTokens: false });
  const stream = ours.streamingDecoder();
  const shown = ids.map((id) => stream.push(id));
  assert.deepEqual(shown, ['the', ' patient', ' hyper', 'tension', ' 5', '0']);
  assert.equal(stream.end(), '');
  const stopped = stopWatch(['hypertension'], (some) => ours.decode(some));
  assert.equal(ids.map((_, at) => stopped(ids.slice(0, at + 1))).indexOf(true), 3);
});
