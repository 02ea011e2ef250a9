// Finds a model's tokenizer among its files and loads it. The libraries behind it are imported when one is asked for.

import { CheckpointError } from '../checkpoint/error.ts';
import { readWholeFile } from '../checkpoint/file.ts';
import { isRecord, readJsonObject, shown, type JsonRecord } from '../checkpoint/json.ts';
import { isTiktoken, tiktokenJson } from './tiktoken.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Files that a tokenizer may consist of, as they lie in a Hugging Face folder (or fairseq's, for BioGPT). */
export const tokenizerFileNames = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'generation_config.json',
  'vocab.json',
  'merges.txt',
  'dict.txt',
  'bpecodes',
  'tokenizer.model',
] as const;

export interface TokenizerFiles {
  /** Path of a file by its name, where it exists. */
  file(name: string): string | undefined;
  /** `model_type`, for tokenizers that only it tells. */
  readonly modelType: string;
  /** The model's own end tokens (config.json's eos_token_id). */
  readonly modelEos: unknown;
  /** config.json's vocab_size, for tokenizers whose special tokens only it tells. */
  readonly modelVocabSize?: unknown;
  /** What stands in model.json: overrides what the files say. */
  readonly chatTemplate: string | null;
}

/** Which files decide: the first of these that is there. Two kinds share the name tokenizer.model. */
export type TokenizerSource =
  'tokenizer.json' | 'vocab+merges' | 'fairseq' | 'sentencepiece' | 'tiktoken';

export const tokenizerSource = (
  file: (name: string) => string | undefined,
): TokenizerSource | null => {
  const has = (name: string): boolean => file(name) !== undefined;
  if (has('tokenizer.json')) return 'tokenizer.json';
  if (has('vocab.json') && has('merges.txt')) return 'vocab+merges';
  if (has('dict.txt') && has('bpecodes')) return 'fairseq';
  const path = file('tokenizer.model');
  if (path === undefined) return null;
  return isTiktoken(path) ? 'tiktoken' : 'sentencepiece';
};

export const loadTokenizer = async (files: TokenizerFiles): Promise<Tokenizer> => {
  const path = (name: string): string => {
    const found = files.file(name);
    if (found === undefined) throw new Error(`a tokenizer without ${name}`);
    return found;
  };
  const json = (name: string): JsonRecord =>
    files.file(name) === undefined ? {} : readJsonObject(path(name));
  const text = (name: string): string => new TextDecoder().decode(readWholeFile(path(name)));
  const { chatTemplate } = files;
  const eosTokenIds = [
    ...idsOf(json('generation_config.json')['eos_token_id']),
    ...idsOf(files.modelEos),
  ];
  const config = { ...json('special_tokens_map.json'), ...json('tokenizer_config.json') };
  const source = tokenizerSource((name) => files.file(name));
  const isBioGpt = files.modelType === 'biogpt' || config['tokenizer_class'] === 'BioGptTokenizer';
  switch (source) {
    case 'tokenizer.json': {
      const { hfTokenizer } = await import('./hf-tokenizer.ts');
      const parts = { json: json('tokenizer.json'), config, eosTokenIds, chatTemplate };
      checkModel(path('tokenizer.json'), parts.json['model']);
      return readable(path('tokenizer.json'), () => hfTokenizer(parts));
    }
    case 'vocab+merges': {
      const vocab = vocabulary(path('vocab.json'), json('vocab.json'));
      if (isBioGpt) {
        const { bioGptTokenizer } = await import('./biogpt.ts');
        return bioGptTokenizer({ vocab, merges: text('merges.txt'), eosTokenIds, chatTemplate });
      }
      const { byteLevelJson, withDefaultTokens } = await import('./vocab-merges.ts');
      const { hfTokenizer } = await import('./hf-tokenizer.ts');
      const added = vocabulary('added_tokens.json', json('added_tokens.json'));
      const full = withDefaultTokens(config, vocab);
      const made = byteLevelJson(vocab, text('merges.txt'), full, added);
      return readable(path('vocab.json'), () =>
        hfTokenizer({ json: made, config: full, eosTokenIds, chatTemplate }),
      );
    }
    case 'fairseq': {
      const { bioGptTokenizer, vocabOfFairseq } = await import('./biogpt.ts');
      const vocab = vocabOfFairseq(text('dict.txt'));
      return bioGptTokenizer({ vocab, merges: text('bpecodes'), eosTokenIds, chatTemplate });
    }
    case 'sentencepiece': {
      const { sentencePieceTokenizer } = await import('./sentencepiece.ts');
      return sentencePieceTokenizer({
        path: path('tokenizer.model'),
        bytes: readWholeFile(path('tokenizer.model')),
        config,
        eosTokenIds,
        chatTemplate,
      });
    }
    case 'tiktoken': {
      const { hfTokenizer } = await import('./hf-tokenizer.ts');
      const parts = tiktokenJson({
        path: path('tokenizer.model'),
        bytes: readWholeFile(path('tokenizer.model')),
        config,
        modelType: files.modelType,
        vocabSize: files.modelVocabSize,
      });
      return hfTokenizer({ ...parts, eosTokenIds, chatTemplate });
    }
    case null:
      throw new Error('a tokenizer without files');
  }
};

/** Of a kind that it doesn't know the library makes one by guessing. */
const modelKinds = ['BPE', 'WordPiece', 'Unigram', 'WordLevel'];

const checkModel = (path: string, model: unknown): void => {
  const { type, vocab } = isRecord(model) ? model : {};
  // The first version of the format had no type.
  if (type !== undefined && !(typeof type === 'string' && modelKinds.includes(type)))
    throw new CheckpointError(path, `has a model of the unknown type ${shown(type)}`, {
      hint: `known are ${modelKinds.join(', ')}`,
    });
  if (isRecord(vocab)) checkIds(path, vocab);
  else if (!Array.isArray(vocab)) throw new CheckpointError(path, 'has no vocabulary');
};

/** The library checks little: what it stumbles over when it is made, or over a first text, is the file's fault. */
const readable = (path: string, make: () => Tokenizer): Tokenizer => {
  try {
    const tokenizer = make();
    tokenizer.decode(tokenizer.encode('a b'));
    return tokenizer;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointError(path, `is no tokenizer that can be read (${reason})`);
  }
};

const idsOf = (value: unknown): readonly number[] =>
  (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isInteger(id));

/** Tables are made as long as the largest id; no vocabulary has more than some hundred thousand. */
const isUsableId = (id: unknown): id is number =>
  Number.isSafeInteger(id) && Number(id) >= 0 && Number(id) < 2 ** 24;

const checkIds = (path: string, json: JsonRecord): void => {
  if (Object.values(json).every(isUsableId)) return;
  const [token = ''] = Object.entries(json).find(([, id]) => !isUsableId(id)) ?? [];
  throw new CheckpointError(path, `gives the token ${JSON.stringify(token)} no usable id`);
};

const vocabulary = (path: string, json: JsonRecord): ReadonlyMap<string, number> => {
  checkIds(path, json);
  return new Map(Object.entries(json as Readonly<Record<string, number>>));
};

/**
 * `chat_template` of tokenizer_config.json: a template, or a list of named ones of which `default` counts.
 */
export const templateOfConfig = (config: JsonRecord): string | null => {
  const value = config['chat_template'];
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  for (const entry of value)
    if (isRecord(entry) && entry['name'] === 'default' && typeof entry['template'] === 'string')
      return entry['template'];
  return null;
};
