// BioGPT's tokenizer: Moses words, then byte-pair encoding of each word with `</w>` at its end, `</s>` in front.
// As transformers' tokenization_biogpt.py; files are vocab.json and merges.txt, or fairseq's dict.txt and bpecodes,
// from which those were made (convert_biogpt_original_pytorch_checkpoint_to_pytorch.py).

import { mosesDetokenize, mosesTokenize } from './moses.ts';
import type { DecodeOptions, StreamingDecoder, Tokenizer } from './tokenizer.ts';

export interface BioGptParts {
  readonly vocab: ReadonlyMap<string, number>;
  /** `a b` per line; anything after is a count. */
  readonly merges: string;
  readonly eosTokenIds: readonly number[];
  readonly chatTemplate: string | null;
}

const special = { bos_token: '<s>', pad_token: '<pad>', eos_token: '</s>', unk_token: '<unk>' };

/** dict.txt: `word count` per line, words that go on end in `@@`. */
export const vocabOfFairseq = (dictionary: string): ReadonlyMap<string, number> => {
  const vocab = new Map<string, number>([
    ['<s>', 0],
    ['<pad>', 1],
    ['</s>', 2],
    ['<unk>', 3],
  ]);
  for (const line of dictionary.split('\n')) {
    const end = line.lastIndexOf(' ');
    if (end < 0) continue;
    const word = line.slice(0, end);
    vocab.set(word.endsWith('@@') ? word.slice(0, -2) : `${word}</w>`, vocab.size);
  }
  return vocab;
};

export const bioGptTokenizer = ({
  vocab,
  merges,
  eosTokenIds,
  chatTemplate,
}: BioGptParts): Tokenizer => {
  const ranks = new Map<string, number>();
  for (const [rank, line] of merges.split('\n').entries()) {
    const [left, right] = line.split(' ');
    if (left !== undefined && right !== undefined) ranks.set(`${left} ${right}`, rank);
  }
  const words = new Map<number, string>([...vocab].map(([word, id]) => [id, word]));
  const id = (token: string): number | null => vocab.get(token) ?? null;
  const unknown = id(special.unk_token) ?? 0;
  const separator = id(special.eos_token);
  const specialIds = new Set(Object.values(special).flatMap((token) => vocab.get(token) ?? []));
  const specials = new RegExp(`(${Object.values(special).join('|')})`, 'u');
  const known = new Map<string, readonly string[]>();
  const pieces = (word: string): readonly string[] => {
    const before = known.get(word);
    if (before !== undefined) return before;
    const made = mergePairs(word, ranks);
    known.set(word, made);
    return made;
  };

  const encode: Tokenizer['encode'] = (text, { addSpecialTokens = true } = {}) => {
    const ids: number[] = addSpecialTokens && separator !== null ? [separator] : [];
    for (const part of text.split(specials)) {
      const token = vocab.get(part);
      if (token !== undefined && specialIds.has(token)) ids.push(token);
      else
        for (const word of mosesTokenize(part))
          for (const piece of pieces(word)) ids.push(vocab.get(piece) ?? unknown);
    }
    return ids;
  };
  const decode = (ids: readonly number[], { skipSpecialTokens = false }: DecodeOptions = {}) => {
    // Special tokens stand alone; what is between them is put together as words.
    const parts: string[] = [];
    let run = '';
    const flush = (): void => {
      const text = mosesDetokenize(run.split(' ').filter((word) => word !== ''));
      if (text !== '') parts.push(text);
      run = '';
    };
    for (const each of ids) {
      const word = words.get(each) ?? special.unk_token;
      if (skipSpecialTokens && specialIds.has(each)) continue;
      // An unknown piece is a part of its word.
      if (!specialIds.has(each) || each === unknown)
        run += word.replaceAll(' ', '').replaceAll('</w>', ' ');
      else {
        flush();
        parts.push(word);
      }
    }
    flush();
    return parts.join(' ');
  };
  return {
    vocabSize: Math.max(...vocab.values()) + 1,
    bosTokenId: id(special.bos_token),
    eosTokenIds: [...new Set([...(separator === null ? [] : [separator]), ...eosTokenIds])],
    padTokenId: id(special.pad_token),
    specialTokens: special,
    specialTokenIds: specialIds,
    chatTemplate,
    encode,
    decode,
    streamingDecoder: (options) => wordwise((ids) => decode(ids, options)),
    tokenToId: (token) => vocab.get(token),
    idToToken: (each) => words.get(each),
  };
};

/** Lowest rank first, all its occurrences from left to right. */
const mergePairs = (word: string, ranks: ReadonlyMap<string, number>): readonly string[] => {
  let parts = Array.from(word);
  parts.push(`${parts.pop() ?? ''}</w>`);
  for (;;) {
    let best: number | undefined;
    for (let i = 0; i + 1 < parts.length; i++) {
      const rank = ranks.get(`${parts[i] ?? ''} ${parts[i + 1] ?? ''}`);
      if (rank !== undefined && (best === undefined || rank < best)) best = rank;
    }
    if (best === undefined) return parts;
    const merged: string[] = [];
    for (let i = 0; i < parts.length; i++) {
      const pair = `${parts[i] ?? ''} ${parts[i + 1] ?? ''}`;
      if (i + 1 < parts.length && ranks.get(pair) === best) {
        merged.push(`${parts[i] ?? ''}${parts[i + 1] ?? ''}`);
        i++;
      } else merged.push(parts[i] ?? '');
    }
    parts = merged;
  }
};

/** A word is certain once the next has begun: punctuation, hyphens and contractions are put to the word before. */
const wordwise = (decode: (ids: readonly number[]) => string): StreamingDecoder => {
  const ids: number[] = [];
  let given = '';
  const give = (text: string): string => {
    if (!text.startsWith(given)) return '';
    const added = text.slice(given.length);
    given = text;
    return added;
  };
  return {
    push(id) {
      ids.push(id);
      const text = decode(ids);
      const end = text.lastIndexOf(' ');
      return end > given.length ? give(text.slice(0, end)) : '';
    },
    end: () => give(decode(ids)),
  };
};
