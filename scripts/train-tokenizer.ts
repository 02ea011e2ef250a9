// Trains a byte-level BPE tokenizer on a text and writes it as Hugging Face's tokenizer.json and tokenizer_config.json.
//
//   node scripts/train-tokenizer.ts experiments/data/pretraining.jsonl experiments/models/tiny [vocabulary size]
//
// Before merging, the last four letters of every longer word are split off. Endings (-pril, -itis, -gram) then are
// tokens of their own in every word, also in words never seen, and no merge may cross into them.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Words of seven letters and more: the last four. */
const ENDING = '(?<=\\p{L}{3})\\p{L}{4}(?!\\p{L})';
/** GPT-2's words (openai/gpt-2, src/encoder.py), which the ByteLevel pre-tokenizer applies after the split. */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
const END = '<|end|>';
/** A pair seen less often is not merged: names of single drugs stay in pieces. */
const MINIMUM_COUNT = 60;

/** GPT-2's printable stand-ins for the 256 bytes. */
const byteSymbols = (): string[] => {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    if (printable(byte)) return String.fromCodePoint(byte);
    next += 1;
    return String.fromCodePoint(next - 1);
  });
};

/** Splits a text as the finished tokenizer will. */
const pieces = function* (text: string): Generator<string> {
  let from = 0;
  const parts: string[] = [];
  for (const match of text.matchAll(new RegExp(ENDING, 'gu'))) {
    parts.push(text.slice(from, match.index), match[0]);
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  for (const part of parts) for (const [piece] of part.matchAll(WORDS)) yield piece;
};

export interface Trained {
  readonly vocabulary: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

/** Merges the most frequent pair until the vocabulary is full; of equally frequent pairs the first in code point order. */
export const trainBpe = (texts: readonly string[], size: number): Trained => {
  const symbols = byteSymbols();
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const piece of pieces(text)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
  const words = [...counts].map(([piece, count]) => ({
    parts: [...new TextEncoder().encode(piece)].map((byte) => symbols[byte] ?? ''),
    count,
  }));
  const vocabulary = [...symbols];
  const merges: [string, string][] = [];
  while (vocabulary.length < size) {
    const pairs = new Map<string, number>();
    for (const { parts, count } of words) {
      for (let at = 0; at + 1 < parts.length; at += 1) {
        const pair = `${parts[at] ?? ''} ${parts[at + 1] ?? ''}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + count);
      }
    }
    let best = '';
    let most = MINIMUM_COUNT - 1;
    for (const [pair, count] of pairs) {
      if (count > most || (count === most && best !== '' && pair < best)) {
        best = pair;
        most = count;
      }
    }
    if (best === '') break;
    const [left = '', right = ''] = best.split(' ');
    merges.push([left, right]);
    vocabulary.push(left + right);
    for (const word of words) {
      const merged: string[] = [];
      for (let at = 0; at < word.parts.length; at += 1) {
        const both = word.parts[at] === left && word.parts[at + 1] === right;
        merged.push(both ? left + right : (word.parts[at] ?? ''));
        if (both) at += 1;
      }
      word.parts = merged;
    }
  }
  return { vocabulary, merges };
};

export const tokenizerFiles = ({ vocabulary, merges }: Trained): Map<string, string> => {
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  };
  const end = {
    id: vocabulary.length,
    content: END,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [end],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: ENDING }, behavior: 'Isolated', invert: false },
        byteLevel,
      ],
    },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries([...vocabulary, END].map((token, id) => [token, id])),
      merges: merges.map(([left, right]) => `${left} ${right}`),
    },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: END,
    pad_token: END,
    clean_up_tokenization_spaces: false,
    model_max_length: 512,
  };
  return new Map([
    ['tokenizer.json', `${JSON.stringify(tokenizer, null, 1)}\n`],
    ['tokenizer_config.json', `${JSON.stringify(config, null, 2)}\n`],
  ]);
};

if (import.meta.main) {
  const [textFile, folder, size] = process.argv.slice(2);
  if (textFile === undefined || folder === undefined) {
    throw new Error('usage: node scripts/train-tokenizer.ts TEXTS.jsonl FOLDER [SIZE]');
  }
  const texts = readFileSync(textFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { text: string }).text);
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of tokenizerFiles(trainBpe(texts, Number(size ?? 1024)))) {
    writeFileSync(join(folder, name), content);
  }
}
