// A GGUF file's own tokenizer as a tokenizer.json: vocabulary and merges from the metadata, and the splitting rule
// that `tokenizer.ggml.pre` names. Rules: llama.cpp, src/llama-vocab.cpp (llm_tokenizer_bpe).

import { CheckpointError } from '../checkpoint/error.ts';
import type { GgufFile } from '../checkpoint/gguf.ts';
import type { JsonRecord } from '../checkpoint/json.ts';

/** `tokenizer.ggml.token_type`. */
const tokenTypes = { control: 3, userDefined: 4 } as const;

const split = (regex: string): JsonRecord => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});
/** GPT-2's own splitting pattern is the default of ByteLevel. */
const byteLevel = (withPattern: boolean): JsonRecord => ({
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

interface Rule {
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

const rules: Readonly<Record<string, Rule>> = {
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

/** The contents of the files that a Hugging Face folder would have. */
export interface GgufTokenizer {
  readonly json: JsonRecord;
  /** tokenizer_config.json */
  readonly config: JsonRecord;
  /** generation_config.json */
  readonly generation: JsonRecord;
}

export const tokenizerFromGguf = ({ path, metadata }: GgufFile): GgufTokenizer => {
  const fail = (message: string, hint?: string): never => {
    throw new CheckpointError(path, message, hint === undefined ? {} : { hint });
  };
  const get = (key: string): unknown => metadata.get(`tokenizer.ggml.${key}`);
  const strings = (key: string): readonly string[] => {
    const value = get(key);
    return Array.isArray(value) && value.every((each) => typeof each === 'string')
      ? value
      : fail(`has no list of strings in tokenizer.ggml.${key}`);
  };
  const model = get('model');
  if (model !== 'gpt2')
    return fail(
      `has a tokenizer of the kind ${String(model)}, which MESA cannot read from GGUF`,
      'give the model’s tokenizer.json with `tokenizer:`',
    );
  const pre = get('pre');
  const rule = typeof pre === 'string' ? rules[pre] : undefined;
  if (rule === undefined)
    return fail(
      `splits text by the rule ${String(pre)} (tokenizer.ggml.pre), which is not known`,
      `known are ${Object.keys(rules).join(', ')}; or give the model’s tokenizer.json with \`tokenizer:\``,
    );

  const tokens = strings('tokens');
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
  const prefix = get('add_bos_token') === true && bos !== undefined ? [bos] : [];
  const suffix = get('add_eos_token') === true && eos !== undefined ? [eos] : [];
  const ends = [get('eos_token_id'), get('eot_token_id')].filter((id) => typeof id === 'number');
  return {
    json: {
      version: '1.0',
      added_tokens: added,
      normalizer: rule.normalizer ?? null,
      pre_tokenizer: rule.preTokenizer,
      post_processor: specialTokensAround(tokens, prefix, suffix),
      decoder: byteLevel(true),
      model: {
        type: 'BPE',
        unk_token: null,
        continuing_subword_prefix: '',
        end_of_word_suffix: '',
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: rule.ignoreMerges ?? false,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: strings('merges').map((merge) => {
          const space = merge.indexOf(' ', 1);
          return [merge.slice(0, space), merge.slice(space + 1)];
        }),
      },
    },
    config: {
      ...(bos === undefined ? {} : { bos_token: bos }),
      ...(eos === undefined ? {} : { eos_token: eos }),
      ...optional('unk_token', named('unknown')),
      ...optional('pad_token', named('padding')),
    },
    generation: ends.length === 0 ? {} : { eos_token_id: [...new Set(ends)] },
  };
};

const optional = (key: string, value: string | undefined): JsonRecord =>
  value === undefined ? {} : { [key]: value };

const specialTokensAround = (
  tokens: readonly string[],
  prefix: readonly string[],
  suffix: readonly string[],
): JsonRecord | null => {
  if (prefix.length + suffix.length === 0) return null;
  const special = (id: string): JsonRecord => ({ SpecialToken: { id, type_id: 0 } });
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
      [...prefix, ...suffix].map((token) => [
        token,
        { id: token, ids: [tokens.indexOf(token)], tokens: [token] },
      ]),
    ),
  };
};
