// A model's tokenizer in GGUF's metadata: the way back of gguf-tokenizer.ts. What GGUF has no word for is an error:
// a file that llama.cpp would read with other ids is worse than none.

import type { GgufMetadata } from '../checkpoint/gguf-writer.ts';
import { CheckpointError } from '../checkpoint/error.ts';
import { isRecord, type JsonRecord } from '../checkpoint/json.ts';
import { preTokenizerRules } from './gguf-tokenizer.ts';
import { readSentencePieceModel } from './sentencepiece-model.ts';
import type { Tokenizer } from './tokenizer.ts';

const types = { normal: 1, unknown: 2, control: 3, userDefined: 4, byte: 6 } as const;

/** The steps of a pre-tokenizer as one string, so that two ways to write the same are equal. */
const signature = (part: unknown): string => {
  if (!isRecord(part)) return '';
  const inner = part['pretokenizers'];
  if (Array.isArray(inner)) return inner.map(signature).join(' then ');
  switch (part['type']) {
    case 'Digits':
      return part['individual_digits'] === true ? 'split \\p{N}' : 'split \\p{N}+';
    case 'Split': {
      const pattern = part['pattern'];
      return `split ${String(isRecord(pattern) ? pattern['Regex'] : '')}`;
    }
    case 'ByteLevel':
      return `bytes ${part['use_regex'] === false ? '' : 'by words'}${part['add_prefix_space'] === true ? ' with a space' : ''}`;
    default:
      return JSON.stringify(part);
  }
};

export const ggufVocabulary = (
  path: string,
  json: JsonRecord,
): ReadonlyMap<string, GgufMetadata> => {
  const { model, added_tokens: added } = json;
  if (isRecord(model) && model['type'] === 'BPE' && model['byte_fallback'] === true)
    return pieceVocabulary(path, json, model);
  const wanted = signature(json['pre_tokenizer']);
  const pre = Object.keys(preTokenizerRules).find(
    (name) => signature(preTokenizerRules[name]?.preTokenizer) === wanted,
  );
  if (!isRecord(model) || model['type'] !== 'BPE' || !isRecord(model['vocab']) || pre === undefined)
    throw new CheckpointError(path, 'is a tokenizer that GGUF has no name for', {
      hint: `byte-level BPE is written, by the rules of ${Object.keys(preTokenizerRules).join(', ')}`,
    });
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model['vocab'])) tokens[Number(id)] = token;
  const kinds: number[] = tokens.map(() => types.normal);
  for (const token of Array.isArray(added) ? (added as unknown[]) : []) {
    if (!isRecord(token)) continue;
    const id = Number(token['id']);
    tokens[id] = String(token['content']);
    kinds[id] = token['special'] === true ? types.control : types.userDefined;
  }
  // Ids that no token has (a matrix padded to a round size) need a name of their own.
  const complete = Array.from(tokens, (token: string | undefined, id) => token ?? `[PAD${id}]`);
  const merges = Array.isArray(model['merges']) ? (model['merges'] as unknown[]) : [];
  return new Map<string, GgufMetadata>([
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: pre }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: complete }],
    [
      'tokenizer.ggml.token_type',
      { type: 'int32s', value: complete.map((_, id) => kinds[id] ?? types.userDefined) },
    ],
    [
      'tokenizer.ggml.merges',
      {
        type: 'strings',
        value: merges.map((merge) => (Array.isArray(merge) ? merge.join(' ') : String(merge))),
      },
    ],
  ]);
};

/** Llama 2's tokenizer.json: SentencePiece's pieces as BPE, whose order of merges is the order of scores there. */
const pieceVocabulary = (
  path: string,
  json: JsonRecord,
  model: JsonRecord,
): ReadonlyMap<string, GgufMetadata> => {
  const prefix = spacePrefix(json);
  if (prefix === null || !isRecord(model['vocab']))
    throw new CheckpointError(path, 'is a tokenizer that GGUF has no name for', {
      hint: 'pieces with byte fallback are written where spaces become ▁ and nothing else changes',
    });
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model['vocab'])) tokens[Number(id)] = token;
  const special = new Map<number, boolean>();
  for (const token of Array.isArray(json['added_tokens'])
    ? (json['added_tokens'] as unknown[])
    : [])
    if (isRecord(token)) {
      tokens[Number(token['id'])] = String(token['content']);
      special.set(Number(token['id']), token['special'] === true);
    }
  const complete = Array.from(tokens, (token: string | undefined, id) => token ?? `[PAD${id}]`);
  const rank = new Map<string, number>();
  for (const merge of Array.isArray(model['merges']) ? (model['merges'] as unknown[]) : []) {
    const piece = Array.isArray(merge) ? merge.join('') : String(merge).replace(' ', '');
    if (!rank.has(piece)) rank.set(piece, rank.size);
  }
  const typeOf = (token: string, id: number): number => {
    if (token === model['unk_token']) return types.unknown;
    if (/^<0x[0-9A-F]{2}>$/u.test(token)) return types.byte;
    const isSpecial = special.get(id);
    if (isSpecial !== undefined) return isSpecial ? types.control : types.userDefined;
    return types.normal;
  };
  // Pieces of one character are never merged: their score is below all others.
  const scoreOf = (token: string): number => -(rank.get(token) ?? rank.size);
  return new Map<string, GgufMetadata>([
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.pre', { type: 'string', value: 'default' }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: complete }],
    ['tokenizer.ggml.scores', { type: 'float32s', value: complete.map(scoreOf) }],
    ['tokenizer.ggml.token_type', { type: 'int32s', value: complete.map(typeOf) }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: prefix }],
  ]);
};

/** Whether a text gets a space before it; null where more is done to it than llama.cpp does. */
const spacePrefix = ({ normalizer, pre_tokenizer: before }: JsonRecord): boolean | null => {
  const metaspace = isRecord(before) && before['type'] === 'Metaspace' ? before : null;
  if (normalizer === null && metaspace !== null) {
    const scheme = metaspace['prepend_scheme'];
    return scheme === undefined ? metaspace['add_prefix_space'] !== false : scheme !== 'never';
  }
  if (before !== null && before !== undefined) return null;
  const parts = isRecord(normalizer) ? (normalizer['normalizers'] ?? [normalizer]) : [];
  if (!Array.isArray(parts) || !parts.every(isRecord)) return null;
  const [last, first, ...more] = [...parts].reverse();
  const pattern = last?.['pattern'];
  const replaces =
    last?.['type'] === 'Replace' &&
    last['content'] === '▁' &&
    isRecord(pattern) &&
    pattern['String'] === ' ';
  if (!replaces || more.length > 0) return null;
  if (first === undefined) return false;
  return first['type'] === 'Prepend' && first['prepend'] === '▁' ? true : null;
};

export const ggufSentencePiece = (
  path: string,
  bytes: Uint8Array,
): ReadonlyMap<string, GgufMetadata> => {
  const model = readSentencePieceModel(path, bytes);
  if (model.modelType !== 'bpe')
    throw new CheckpointError(path, 'is a Unigram tokenizer, which is not written as GGUF');
  return new Map<string, GgufMetadata>([
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.pre', { type: 'string', value: 'default' }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: model.pieces.map(({ text }) => text) }],
    ['tokenizer.ggml.scores', { type: 'float32s', value: model.pieces.map(({ score }) => score) }],
    ['tokenizer.ggml.token_type', { type: 'int32s', value: model.pieces.map(({ type }) => type) }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: model.addDummyPrefix }],
  ]);
};

/** Ids and habits that both kinds share. */
export const ggufTokenizerSettings = (tokenizer: Tokenizer): ReadonlyMap<string, GgufMetadata> => {
  const settings = new Map<string, GgufMetadata>();
  const id = (key: string, value: number | null | undefined): void => {
    if (value !== null && value !== undefined)
      settings.set(`tokenizer.ggml.${key}_token_id`, { type: 'uint32', value });
  };
  id('bos', tokenizer.bosTokenId);
  id('eos', tokenizer.eosTokenIds[0]);
  id('unknown', tokenizer.tokenToId(tokenizer.specialTokens['unk_token'] ?? ''));
  id('padding', tokenizer.padTokenId);
  const added = tokenizer.encode('a');
  const { bosTokenId, eosTokenIds, chatTemplate } = tokenizer;
  const bos = bosTokenId !== null && added[0] === bosTokenId;
  const eos = eosTokenIds[0] !== undefined && added.at(-1) === eosTokenIds[0];
  settings.set('tokenizer.ggml.add_bos_token', { type: 'bool', value: bos });
  settings.set('tokenizer.ggml.add_eos_token', { type: 'bool', value: eos });
  if (chatTemplate !== null)
    settings.set('tokenizer.chat_template', { type: 'string', value: chatTemplate });
  return settings;
};
