// A GGUF file's own tokenizer as a tokenizer.json: vocabulary and merges from the metadata, and the splitting rule
// that `tokenizer.ggml.pre` names. Rules: llama.cpp, src/llama-vocab.cpp (llm_tokenizer_bpe).

import { CheckpointError } from '../checkpoint/error.ts';
import type { GgufFile } from '../checkpoint/gguf.ts';
import type { JsonRecord } from '../checkpoint/json.ts';
import { byteLevelBpe } from './byte-level.ts';
import { writeSentencePieceModel, type SentencePieceModel } from './sentencepiece-model.ts';

/** `tokenizer.ggml.token_type`. */
const tokenTypes = { control: 3, userDefined: 4 } as const;

const split = (regex: string): JsonRecord => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});
/** GPT-2's own splitting pattern is the default of ByteLevel. */
export const byteLevel = (withPattern: boolean): JsonRecord => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: false,
  use_regex: withPattern,
});
const sequence = (...pretokenizers: readonly JsonRecord[]): JsonRecord => ({
  type: 'Sequence',
  pretokenizers,
});
const words = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}` +
  '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

export interface Rule {
  readonly preTokenizer: JsonRecord;
  readonly normalizer?: JsonRecord;
  readonly ignoreMerges?: boolean;
}
const gpt2: Rule = { preTokenizer: byteLevel(true) };
const singleDigits: Rule = { preTokenizer: sequence(split('\\p{N}'), byteLevel(true)) };
const llama3: Rule = {
  preTokenizer: sequence(split(words('{1,3}')), byteLevel(false)),
  ignoreMerges: true,
};
const qwen2: Rule = {
  preTokenizer: sequence(split(words('')), byteLevel(false)),
  normalizer: { type: 'NFC' },
};

export const preTokenizerRules: Readonly<Record<string, Rule>> = {
  'gpt-2': gpt2,
  smollm: singleDigits,
  starcoder: singleDigits,
  refact: singleDigits,
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
  qwen2,
  'deepseek-r1-qwen': qwen2,
};

export const ggufTokenizerKind = ({ metadata }: GgufFile): 'tokenizer.json' | 'sentencepiece' =>
  metadata.get('tokenizer.ggml.model') === 'llama' ? 'sentencepiece' : 'tokenizer.json';

/** The files that a Hugging Face folder would have; their contents are made when they are asked for. */
export const ggufTokenizerFiles = (
  gguf: GgufFile,
): readonly { readonly name: string; readonly content: { readonly make: () => Uint8Array } }[] => {
  const json = (name: string, make: () => JsonRecord) => ({
    name,
    content: { make: () => new TextEncoder().encode(JSON.stringify(make())) },
  });
  const vocabulary =
    ggufTokenizerKind(gguf) === 'sentencepiece'
      ? {
          name: 'tokenizer.model',
          content: { make: () => writeSentencePieceModel(sentencePieceOfGguf(gguf)) },
        }
      : json('tokenizer.json', () => tokenizerFromGguf(gguf).json);
  return [
    vocabulary,
    json('tokenizer_config.json', () => ggufTokenizerConfig(gguf)),
    json('generation_config.json', () => {
      const ends = ['eos', 'eot']
        .map((key) => gguf.metadata.get(`tokenizer.ggml.${key}_token_id`))
        .filter((id) => typeof id === 'number');
      return ends.length === 0 ? {} : { eos_token_id: [...new Set(ends)] };
    }),
  ];
};

const stringsOf = ({ path, metadata }: GgufFile, key: string): readonly string[] => {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
  throw new CheckpointError(path, `has no list of strings in tokenizer.ggml.${key}`);
};

const ggufTokenizerConfig = (gguf: GgufFile): JsonRecord => {
  const tokens = stringsOf(gguf, 'tokens');
  const config: Record<string, unknown> = {};
  for (const [name, key] of [
    ['bos_token', 'bos'],
    ['eos_token', 'eos'],
    ['unk_token', 'unknown'],
    ['pad_token', 'padding'],
  ] as const) {
    const id = gguf.metadata.get(`tokenizer.ggml.${key}_token_id`);
    const token = typeof id === 'number' ? tokens[id] : undefined;
    if (token !== undefined) config[name] = token;
  }
  // SentencePiece models get a beginning token unless their file says otherwise (llama.cpp, llm_load_vocab).
  if (ggufTokenizerKind(gguf) === 'sentencepiece') {
    config['add_bos_token'] = gguf.metadata.get('tokenizer.ggml.add_bos_token') ?? true;
    const types = gguf.metadata.get('tokenizer.ggml.token_type');
    const added = tokens.flatMap((content, id) => {
      const type = types instanceof Float64Array ? types[id] : undefined;
      const isAdded = type === tokenTypes.control || type === tokenTypes.userDefined;
      return isAdded ? [[String(id), { content, special: type === tokenTypes.control }]] : [];
    });
    config['added_tokens_decoder'] = Object.fromEntries(added) as JsonRecord;
  }
  config['add_eos_token'] = gguf.metadata.get('tokenizer.ggml.add_eos_token') ?? false;
  return config;
};

const sentencePieceOfGguf = (gguf: GgufFile): SentencePieceModel => {
  const { path, metadata } = gguf;
  const tokens = stringsOf(gguf, 'tokens');
  const scores = metadata.get('tokenizer.ggml.scores');
  const types = metadata.get('tokenizer.ggml.token_type');
  if (!(scores instanceof Float64Array) || scores.length !== tokens.length)
    throw new CheckpointError(path, 'has no score for each token in tokenizer.ggml.scores');
  return {
    pieces: tokens.map((text, id) => ({
      text,
      score: scores[id] ?? 0,
      // GGUF's token types are SentencePiece's own numbers.
      type: types instanceof Float64Array ? (types[id] ?? 1) : 1,
    })),
    modelType: 'bpe',
    unkSurface: ' \u2047 ',
    byteFallback: true,
    addDummyPrefix: metadata.get('tokenizer.ggml.add_space_prefix') !== false,
    removeExtraWhitespaces: metadata.get('tokenizer.ggml.remove_extra_whitespaces') === true,
    escapeWhitespaces: true,
    charsmap: new Uint8Array(),
  };
};

/** The contents of tokenizer.json and tokenizer_config.json. */
export interface GgufTokenizer {
  readonly json: JsonRecord;
  readonly config: JsonRecord;
}

export const tokenizerFromGguf = (gguf: GgufFile): GgufTokenizer => {
  const { path, metadata } = gguf;
  const fail = (message: string, hint?: string): never => {
    throw new CheckpointError(path, message, hint === undefined ? {} : { hint });
  };
  const get = (key: string): unknown => metadata.get(`tokenizer.ggml.${key}`);
  const model = get('model');
  if (model !== 'gpt2')
    return fail(
      `has a tokenizer of the kind ${String(model)}, which MESA cannot read from GGUF`,
      'give the model’s tokenizer.json with `tokenizer:`',
    );
  const pre = get('pre');
  const rule = typeof pre === 'string' ? preTokenizerRules[pre] : undefined;
  if (rule === undefined)
    return fail(
      `splits text by the rule ${String(pre)} (tokenizer.ggml.pre), which is not known`,
      `known are ${Object.keys(preTokenizerRules).join(', ')}; or give the model’s tokenizer.json with \`tokenizer:\``,
    );

  const tokens = stringsOf(gguf, 'tokens');
  const types = get('token_type');
  const added: JsonRecord[] = [];
  for (const [id, content] of tokens.entries()) {
    const type = types instanceof Float64Array ? types[id] : undefined;
    if (type !== tokenTypes.control && type !== tokenTypes.userDefined) continue;
    added.push({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: type === tokenTypes.control,
    });
  }
  const named = (key: string): string | undefined => {
    const id = get(`${key}_token_id`);
    return typeof id === 'number' ? tokens[id] : undefined;
  };
  const bos = named('bos');
  const eos = named('eos');
  const listed = (content: string | undefined, wanted: unknown) =>
    wanted === true && content !== undefined ? [{ id: tokens.indexOf(content), content }] : [];
  return {
    json: {
      version: '1.0',
      added_tokens: added,
      normalizer: rule.normalizer ?? null,
      pre_tokenizer: rule.preTokenizer,
      post_processor: specialTokensAround(
        listed(bos, get('add_bos_token')),
        listed(eos, get('add_eos_token')),
      ),
      decoder: byteLevel(true),
      model: byteLevelBpe(
        tokens.map((token, id) => [token, id] as const),
        stringsOf(gguf, 'merges').map((merge) => {
          const space = merge.indexOf(' ', 1);
          return [merge.slice(0, space), merge.slice(space + 1)];
        }),
        rule.ignoreMerges,
      ),
    },
    config: ggufTokenizerConfig(gguf),
  };
};

interface PlacedToken {
  readonly id: number;
  readonly content: string;
}

/** The post-processor that puts tokens before and after every text. */
export const specialTokensAround = (
  prefix: readonly PlacedToken[],
  suffix: readonly PlacedToken[],
): JsonRecord | null => {
  if (prefix.length + suffix.length === 0) return null;
  const special = ({ content }: PlacedToken): JsonRecord => ({
    SpecialToken: { id: content, type_id: 0 },
  });
  return {
    type: 'TemplateProcessing',
    single: [...prefix.map(special), { Sequence: { id: 'A', type_id: 0 } }, ...suffix.map(special)],
    pair: [
      ...prefix.map(special),
      { Sequence: { id: 'A', type_id: 0 } },
      { Sequence: { id: 'B', type_id: 0 } },
      ...suffix.map(special),
    ],
    special_tokens: Object.fromEntries(
      [...prefix, ...suffix].map(({ id, content }) => [
        content,
        { id: content, ids: [id], tokens: [content] },
      ]),
    ),
  };
};
