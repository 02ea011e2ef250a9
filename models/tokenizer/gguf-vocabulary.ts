// A model's tokenizer in GGUF's metadata: the way back of gguf-tokenizer.ts. What GGUF has no word for is an error:
// a file that llama.cpp would read with other ids is worse than none.

import type { GgufMetadata } from '../checkpoint/gguf-writer.ts';
import { CheckpointError } from '../checkpoint/error.ts';
import { isRecord, type JsonRecord } from '../checkpoint/json.ts';
import { preTokenizerRules } from './gguf-tokenizer.ts';
import { readSentencePieceModel } from './sentencepiece-model.ts';
import type { Tokenizer } from './tokenizer.ts';

const types = { normal: 1, control: 3, userDefined: 4 } as const;

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
