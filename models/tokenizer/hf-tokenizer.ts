// The Tokenizer over @huggingface/tokenizers: takes a tokenizer.json (as read, or built from another format).

import * as library from '@huggingface/tokenizers';
import { isRecord, type JsonRecord } from '../checkpoint/json.ts';
import { withoutBytePieces } from './byte-fallback.ts';
import { byteCharacters } from './byte-level.ts';
import { streamingDecoder, type Tokenizer } from './tokenizer.ts';

export interface TokenizerParts {
  /** The content of tokenizer.json. */
  readonly json: JsonRecord;
  /** The content of tokenizer_config.json. */
  readonly config: JsonRecord;
  /** Ids that end a text beside the tokenizer's own (generation_config.json, config.json). */
  readonly eosTokenIds: readonly number[];
  readonly chatTemplate: string | null;
}

/** What is used of the library; its own declarations don't resolve under node16 module rules. */
interface HfTokenizer {
  readonly decoder: HfDecoder | null;
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: number[] };
  decode(ids: readonly number[], options: { readonly skip_special_tokens: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(withAdded: boolean): ReadonlyMap<string, number>;
  get_added_tokens_decoder(): ReadonlyMap<
    number,
    { readonly id: number; readonly special: boolean }
  >;
}
interface HfDecoder {
  readonly config: { readonly type?: unknown };
  /** Of a sequence. */
  readonly decoders?: readonly HfDecoder[];
  decode_chain: (tokens: readonly string[]) => string[];
}
const { Tokenizer: HfTokenizer } = library as unknown as {
  readonly Tokenizer: new (json: JsonRecord, config: JsonRecord) => HfTokenizer;
};

const tokenKeys = ['bos_token', 'eos_token', 'unk_token', 'pad_token', 'sep_token', 'cls_token'];

export const hfTokenizer = ({
  json,
  config,
  eosTokenIds,
  chatTemplate,
}: TokenizerParts): Tokenizer => {
  const specialTokens = readSpecialTokens(config);
  // Cleaning spaces up before punctuation is a habit of old WordPiece models; it happens only where it is asked for.
  const inner = new HfTokenizer(asInRust(json), {
    ...config,
    clean_up_tokenization_spaces: config['clean_up_tokenization_spaces'] ?? false,
  });
  decodeBytesAsInRust(inner.decoder);
  const added = inner.get_added_tokens_decoder();
  const vocab = inner.get_vocab(true);
  let largest = -1;
  for (const id of vocab.values()) largest = Math.max(largest, id);
  for (const id of added.keys()) largest = Math.max(largest, id);
  const idOf = (token: string | undefined): number | undefined =>
    token === undefined ? undefined : inner.token_to_id(token);
  const special = new Set([...added.values()].filter((token) => token.special).map(({ id }) => id));
  const ownEos = idOf(specialTokens['eos_token']);

  const decode: Tokenizer['decode'] = (ids, { skipSpecialTokens = false } = {}) => {
    // A matrix padded to a round size has ids that no token has; they say nothing, as in Rust.
    const known = ids.filter((id) => inner.id_to_token(id) !== undefined);
    return known.length === 0
      ? ''
      : inner.decode(known, { skip_special_tokens: skipSpecialTokens });
  };
  return {
    vocabSize: largest + 1,
    bosTokenId: idOf(specialTokens['bos_token']) ?? null,
    eosTokenIds: [...new Set([...(ownEos === undefined ? [] : [ownEos]), ...eosTokenIds])],
    padTokenId: idOf(specialTokens['pad_token']) ?? null,
    specialTokens,
    specialTokenIds: special,
    chatTemplate,
    encode: (text, { addSpecialTokens = true } = {}) =>
      inner.encode(text, { add_special_tokens: addSpecialTokens }).ids,
    decode,
    streamingDecoder: (options) => streamingDecoder((ids) => decode(ids, options)),
    tokenToId: (token) => inner.token_to_id(token),
    idToToken: (id) => inner.id_to_token(id),
  };
};

/** A token is written as a string or as an object with `content`. */
const tokenText = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value['content'] === 'string' ? value['content'] : undefined;
};

const readSpecialTokens = (config: JsonRecord): Readonly<Record<string, string>> => {
  const tokens: Record<string, string> = {};
  for (const key of tokenKeys) {
    const text = tokenText(config[key]);
    if (text !== undefined) tokens[key] = text;
  }
  return tokens;
};

/**
 * Where the library does otherwise than the Rust tokenizers, said in JSON so that both mean the same:
 * - Digits means every Unicode `N`, not ASCII only;
 * - a byte that has no token (and there is no unknown token) vanishes before merging, not after.
 */
const asInRust = (json: JsonRecord): JsonRecord => {
  const steps = [unicodeDigits(json['pre_tokenizer'])];
  const missing = missingBytes(json);
  if (missing.length > 0) {
    const escaped = missing.map((character) => `\\u{${character.charCodeAt(0).toString(16)}}`);
    steps.push({ type: 'Replace', pattern: { Regex: `[${escaped.join('')}]` }, content: '' });
  }
  const [only] = steps;
  return {
    ...json,
    pre_tokenizer: steps.length === 1 ? only : { type: 'Sequence', pretokenizers: steps },
  };
};

/** The library decodes a run of bytes leniently; a broken run is other text in Rust (byte-fallback.ts). */
const decodeBytesAsInRust = (decoder: HfDecoder | null): void => {
  if (decoder === null) return;
  if (decoder.config.type === 'ByteFallback') decoder.decode_chain = withoutBytePieces;
  decoder.decoders?.forEach(decodeBytesAsInRust);
};

const unicodeDigits = (part: unknown): unknown => {
  if (!isRecord(part)) return part;
  if (part['type'] === 'Digits')
    return {
      type: 'Split',
      pattern: { Regex: part['individual_digits'] === true ? '\\p{N}' : '\\p{N}+' },
      behavior: 'Isolated',
      invert: false,
    };
  const inner = part['pretokenizers'];
  return Array.isArray(inner) ? { ...part, pretokenizers: inner.map(unicodeDigits) } : part;
};

const missingBytes = ({ model, pre_tokenizer: preTokenizer }: JsonRecord): readonly string[] => {
  if (!isRecord(model) || !isRecord(model['vocab']) || !isByteLevel(preTokenizer)) return [];
  if (typeof model['unk_token'] === 'string' || model['byte_fallback'] === true) return [];
  const vocab = model['vocab'];
  return byteCharacters.filter((character) => !Object.hasOwn(vocab, character));
};

const isByteLevel = (part: unknown): boolean => {
  if (!isRecord(part)) return false;
  const inner = part['pretokenizers'];
  return part['type'] === 'ByteLevel' || (Array.isArray(inner) && inner.some(isByteLevel));
};
