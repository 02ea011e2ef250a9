// Text of byte pieces (`<0xE9>`): how the two references spell bytes that are no whole characters, as a text has them
// that was cut off at a number of tokens. Byte-level BPE has no say here: a broken character is one U+FFFD there.

import { characterBytes } from './sentencepiece-normalizer.ts';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const replacement = '\uFFFD';

const decoded = (bytes: Uint8Array): string | null => {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
};

/** Hugging Face's tokenizers: a run of bytes is text as a whole, or every one of them is U+FFFD (ByteFallback). */
export const wholeRun = (bytes: Uint8Array): string =>
  decoded(bytes) ?? replacement.repeat(bytes.length);

/** SentencePiece: whole characters are text, every other byte is U+FFFD (SentencePieceProcessor::Decode). */
export const byCharacter = (bytes: Uint8Array): string => {
  const whole = decoded(bytes);
  if (whole !== null) return whole;
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = characterBytes(bytes[at] ?? 0);
    const character = at + length <= bytes.length ? decoded(bytes.subarray(at, at + length)) : null;
    text += character ?? replacement;
    at += character === null ? 1 : length;
  }
  return text;
};

const byteOf = (token: string): number | null => {
  const digits = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return digits === undefined ? null : Number.parseInt(digits, 16);
};

/** Tokens with each run of byte pieces replaced by its text. */
export const withoutBytePieces = (tokens: readonly string[]): string[] => {
  const out: string[] = [];
  let run: number[] = [];
  const flush = (): void => {
    if (run.length > 0) out.push(wholeRun(Uint8Array.from(run)));
    run = [];
  };
  for (const token of tokens) {
    const byte = byteOf(token);
    if (byte !== null) run.push(byte);
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
};
