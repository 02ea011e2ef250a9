// GPT-2's byte-level alphabet: every byte has a printable character, which is how vocabularies of byte-level BPE
// spell it (openai/gpt-2, src/encoder.py, bytes_to_unicode).

import type { JsonRecord } from '../checkpoint/json.ts';

const isPrintable = (byte: number): boolean =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;

/** The character of each byte, by byte. */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : next++),
  );
})();

/** The `model` of a tokenizer.json whose vocabulary is spelt in this alphabet. */
export const byteLevelBpe = (
  vocab: Iterable<readonly [token: string, id: number]>,
  merges: readonly (readonly string[])[],
  ignoreMerges = false,
): JsonRecord => ({
  type: 'BPE',
  unk_token: null,
  continuing_subword_prefix: '',
  end_of_word_suffix: '',
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: ignoreMerges,
  vocab: Object.fromEntries(vocab),
  merges,
});
