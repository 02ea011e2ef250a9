// GPT-2's pair of files, vocab.json and merges.txt, as the tokenizer.json they stand for (transformers'
// convert_slow_tokenizer.py, GPT2Converter).

import { isRecord, type JsonRecord } from '../checkpoint/json.ts';
import { byteLevelBpe } from './byte-level.ts';

/** Old GPT-2 repositories have no tokenizer_config.json: every special token is then the end of text. */
export const withDefaultTokens = (
  config: JsonRecord,
  vocab: ReadonlyMap<string, number>,
): JsonRecord => {
  const end = '<|endoftext|>';
  return vocab.has(end) ? { bos_token: end, eos_token: end, unk_token: end, ...config } : config;
};

export const byteLevelJson = (
  vocab: ReadonlyMap<string, number>,
  merges: string,
  config: JsonRecord,
  added: ReadonlyMap<string, number>,
): JsonRecord => {
  const all = new Map([...vocab, ...added]);
  const special = new Set<string>();
  for (const key of [
    'bos_token',
    'eos_token',
    'unk_token',
    'pad_token',
    'sep_token',
    'cls_token',
  ]) {
    const value = config[key];
    const text = isRecord(value) ? value['content'] : value;
    if (typeof text === 'string' && all.has(text)) special.add(text);
  }
  const tokens = new Set([...special, ...added.keys()]);
  const addPrefixSpace = config['add_prefix_space'] === true;
  const bytes = (withSpace: boolean): JsonRecord => ({
    type: 'ByteLevel',
    add_prefix_space: withSpace,
    trim_offsets: false,
    use_regex: true,
  });
  return {
    version: '1.0',
    added_tokens: [...tokens].map((content) => ({
      id: all.get(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: !special.has(content),
      special: special.has(content),
    })),
    normalizer: null,
    pre_tokenizer: bytes(addPrefixSpace),
    post_processor: null,
    decoder: bytes(false),
    model: byteLevelBpe(
      vocab,
      merges
        .split('\n')
        .filter((line) => line.includes(' ') && !line.startsWith('#version'))
        .map((line) => line.split(' ').slice(0, 2)),
    ),
  };
};
