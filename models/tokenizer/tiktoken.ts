// Meta's `tokenizer.model` of Llama 3: tiktoken's ranks (a line each: the token's bytes in base64, a space, the rank),
// as the tokenizer.json they stand for. Two tokens merge where their bytes together are a token, lowest rank first
// (transformers, convert_slow_tokenizer.py, TikTokenConverter; llama3, llama/tokenizer.py, for the special tokens).

import { CheckpointError } from '../checkpoint/error.ts';
import { BinaryFile } from '../checkpoint/file.ts';
import { isRecord, type JsonRecord } from '../checkpoint/json.ts';
import { byteCharacters, byteLevelBpe } from './byte-level.ts';
import { byteLevel, preTokenizerRules, specialTokensAround } from './gguf-tokenizer.ts';

export interface TiktokenParts {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** tokenizer_config.json: added_tokens_decoder, bos_token, eos_token, add_bos_token, add_eos_token. */
  readonly config: JsonRecord;
  readonly modelType: string;
  /** config.json's vocab_size: whether ids are left for Llama 3's own special tokens. */
  readonly vocabSize: unknown;
}

/** SentencePiece's file of the same name is a protocol-buffer message: its first bytes are no text. */
export const isTiktoken = (path: string): boolean => {
  using file = new BinaryFile(path);
  if (file.size === 0) throw new CheckpointError(path, 'is empty');
  const start = file.read(0, Math.min(64, file.size));
  const isText = start.every((byte) => byte >= 32 || byte === 9 || byte === 10 || byte === 13);
  // A message of pieces starts with the tag 10, which is also the end of a line.
  return isText && start[0] !== 10;
};

export const tiktokenJson = ({ path, bytes, config, modelType, vocabSize }: TiktokenParts) => {
  const tokens = readRanks(path, bytes);
  const listed = listedTokens(path, config, tokens);
  const isLlama3 =
    listed.length === 0 && modelType === 'llama' && vocabSize === tokens.length + llama3Special;
  const added = isLlama3 ? llama3Tokens(tokens.length) : listed;
  const full = isLlama3
    ? { bos_token: '<|begin_of_text|>', eos_token: '<|end_of_text|>', ...config }
    : config;
  const around = (key: string, standard: boolean): readonly AddedToken[] => {
    const token = added.find(({ content }) => content === tokenText(full[`${key}_token`]));
    return token !== undefined && (full[`add_${key}_token`] ?? standard) === true ? [token] : [];
  };
  const json: JsonRecord = {
    version: '1.0',
    added_tokens: added.map((token) => ({ ...token, single_word: false, normalized: false })),
    normalizer: null,
    pre_tokenizer: preTokenizerRules['llama3']?.preTokenizer,
    post_processor: specialTokensAround(around('bos', true), around('eos', false)),
    decoder: byteLevel(true),
    model: byteLevelBpe(
      tokens.map((token, rank) => [token, rank] as const),
      mergesOf(tokens),
      true,
    ),
  };
  return { json, config: full };
};

/** Tokens by rank, each byte as its printable character. */
const readRanks = (path: string, bytes: Uint8Array): readonly string[] => {
  const tokens: string[] = [];
  const lineOfRank: number[] = [];
  const lineOfToken = new Map<string, number>();
  const lines = new TextDecoder().decode(bytes).split('\n');
  for (const [index, line] of lines.entries()) {
    const number = index + 1;
    const fail = (message: string): never => {
      throw new CheckpointError(path, `line ${number} ${message}`);
    };
    if (line.trim() === '') continue;
    const [, code, digits] =
      /^((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?) (\d+)\s*$/.exec(line) ??
      [];
    if (code === undefined || code === '')
      return fail('is no token in base64 and its rank (tiktoken’s format)');
    const rank = Number(digits);
    // No file has more ranks than lines, so nothing is made as long as a damaged number says.
    if (rank >= lines.length)
      return fail(`gives the rank ${digits}, but the ranks below have a gap`);
    let token = '';
    for (const byte of Buffer.from(code, 'base64')) token += byteCharacters[byte] ?? '';
    const sameRank = lineOfRank[rank];
    if (sameRank !== undefined) return fail(`gives the rank ${rank} again, after line ${sameRank}`);
    const sameToken = lineOfToken.get(token);
    if (sameToken !== undefined) return fail(`gives the token of line ${sameToken} again`);
    tokens[rank] = token;
    lineOfRank[rank] = number;
    lineOfToken.set(token, number);
  }
  if (tokens.length === 0) throw new CheckpointError(path, 'holds no tokens');
  for (let rank = 0; rank < tokens.length; rank++)
    if (lineOfRank[rank] === undefined)
      throw new CheckpointError(
        path,
        `gives no token the rank ${rank}, though line ${lineOfRank.at(-1) ?? 0} gives the rank ${tokens.length - 1}`,
      );
  const missing = byteCharacters.findIndex((character) => !lineOfToken.has(character));
  if (missing >= 0) throw new CheckpointError(path, `has no token for the byte ${missing}`);
  return tokens;
};

const mergesOf = (tokens: readonly string[]): readonly (readonly [string, string])[] => {
  const ranks = new Map(tokens.map((token, rank) => [token, rank]));
  return tokens.flatMap((token) => {
    const ways: { readonly pair: readonly [string, string]; left: number; right: number }[] = [];
    for (let at = 1; at < token.length; at++) {
      const pair = [token.slice(0, at), token.slice(at)] as const;
      const left = ranks.get(pair[0]);
      const right = ranks.get(pair[1]);
      if (left !== undefined && right !== undefined) ways.push({ pair, left, right });
    }
    return ways.sort((a, b) => a.left - b.left || a.right - b.right).map(({ pair }) => pair);
  });
};

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

const listedTokens = (
  path: string,
  config: JsonRecord,
  tokens: readonly string[],
): readonly AddedToken[] => {
  const listed = config['added_tokens_decoder'];
  if (!isRecord(listed)) return [];
  return Object.entries(listed).map(([key, token]) => {
    const id = Number(key);
    const content = tokenText(token);
    if (!isRecord(token) || content === undefined || !/^\d+$/.test(key))
      throw new CheckpointError(
        path,
        `cannot be used with added_tokens_decoder of tokenizer_config.json: its entry ${JSON.stringify(key)} has no id and content`,
      );
    if (id < tokens.length)
      throw new CheckpointError(
        path,
        `gives the rank ${id} to another token than added_tokens_decoder of tokenizer_config.json (${content})`,
      );
    return {
      id,
      content,
      special: token['special'] !== false,
      lstrip: token['lstrip'] === true,
      rstrip: token['rstrip'] === true,
    };
  });
};

const tokenText = (token: unknown): string | undefined => {
  const text = isRecord(token) ? token['content'] : token;
  return typeof text === 'string' ? text : undefined;
};

const llama3Special = 256;

/** Llama 3.1 and later give some of the reserved ones names, which their tokenizer_config.json lists. */
const llama3Tokens = (first: number): readonly AddedToken[] => {
  const named = ['begin_of_text', 'end_of_text', 0, 1, 2, 3, 'start_header_id', 'end_header_id'];
  const all = [
    ...named,
    4,
    'eot_id',
    ...Array.from({ length: llama3Special - 10 }, (_, i) => i + 5),
  ];
  return all.map((name, index) => ({
    id: first + index,
    content: typeof name === 'string' ? `<|${name}|>` : `<|reserved_special_token_${name}|>`,
    special: true,
    lstrip: false,
    rstrip: false,
  }));
};
