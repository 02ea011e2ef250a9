// Finds a model's tokenizer among its files and loads it. The libraries behind it are imported when one is asked for.

import { isRecord, readJsonObject, type JsonRecord } from '../checkpoint/json.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Files that a tokenizer consists of, as they lie in a Hugging Face folder. */
export const tokenizerFileNames = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
] as const;

export interface TokenizerFiles {
  /** Path of a file by its name, where it exists. */
  file(name: string): string | undefined;
  /** The model's own end tokens (config.json's eos_token_id). */
  readonly modelEos: unknown;
  /** What stands in model.json: overrides what the files say. */
  readonly chatTemplate: string | null;
}

const idsOf = (value: unknown): readonly number[] =>
  (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isInteger(id));

export const loadTokenizer = async (files: TokenizerFiles): Promise<Tokenizer> => {
  const { hfTokenizer } = await import('./hf-tokenizer.ts');
  const optional = (name: string): JsonRecord => {
    const path = files.file(name);
    return path === undefined ? {} : readJsonObject(path);
  };
  const eosTokenIds = [
    ...idsOf(optional('generation_config.json')['eos_token_id']),
    ...idsOf(files.modelEos),
  ];
  const path = files.file('tokenizer.json');
  if (path === undefined) throw new Error('a tokenizer without tokenizer.json');
  const config = { ...optional('special_tokens_map.json'), ...optional('tokenizer_config.json') };
  return hfTokenizer({
    json: readJsonObject(path),
    config,
    eosTokenIds,
    chatTemplate: files.chatTemplate,
  });
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
