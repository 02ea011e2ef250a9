// SentencePiece's normaliser: characters by the model's own table (a double-array trie of UTF-8 bytes and the strings
// they become), and spaces. As sentencepiece/src/normalizer.cc, version 0.2.

import type { SentencePieceModel } from './sentencepiece-model.ts';

export const spaceSymbol = '\u2581';

/** Darts-clone units: see darts.h, class DoubleArrayUnit. */
const hasLeaf = (unit: number): boolean => ((unit >>> 8) & 1) === 1;
const valueOf = (unit: number): number => unit & 0x7fffffff;
const labelOf = (unit: number): number => (unit & (0x80000000 | 0xff)) >>> 0;
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & (1 << 9)) >>> 6);

interface Charsmap {
  /** The longest match at `at`: bytes consumed and what they become; null where nothing matches. */
  match(input: Uint8Array, at: number): { readonly length: number; readonly text: string } | null;
}

const readCharsmap = (blob: Uint8Array): Charsmap => {
  if (blob.length < 8) return { match: () => null };
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const trieBytes = Math.min(view.getUint32(0, true), blob.length - 4);
  const units = Uint32Array.from({ length: trieBytes >> 2 }, (_, i) =>
    view.getUint32(4 + i * 4, true),
  );
  const strings = blob.subarray(4 + trieBytes);
  const known = new Map<number, string>();
  const stringAt = (offset: number): string => {
    const before = known.get(offset);
    if (before !== undefined) return before;
    const end = strings.indexOf(0, offset);
    const made = new TextDecoder('utf-8', { ignoreBOM: true }).decode(
      strings.subarray(offset, end < 0 ? undefined : end),
    );
    known.set(offset, made);
    return made;
  };
  return {
    match(input, at) {
      let node = offsetOf(units[0] ?? 0);
      let best: { length: number; text: string } | null = null;
      for (let i = at; i < input.length; i++) {
        const byte = input[i] ?? 0;
        node ^= byte;
        const unit = units[node];
        if (unit === undefined || labelOf(unit) !== byte) break;
        node ^= offsetOf(unit);
        if (hasLeaf(unit)) best = { length: i - at + 1, text: stringAt(valueOf(units[node] ?? 0)) };
      }
      return best;
    },
  };
};

/** How many bytes the character has that begins with this one. */
export const characterBytes = (first: number): number =>
  first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

export const sentencePieceNormalizer = (
  model: SentencePieceModel,
  userDefined: readonly string[],
): ((text: string) => string) => {
  const charsmap = readCharsmap(model.charsmap);
  const encoder = new TextEncoder();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const kept = [...userDefined]
    .sort((a, b) => b.length - a.length)
    .map((piece) => ({ piece, bytes: encoder.encode(piece) }));
  const { addDummyPrefix, removeExtraWhitespaces: trims, escapeWhitespaces } = model;
  const space = escapeWhitespaces ? spaceSymbol : ' ';

  const prefix = (input: Uint8Array, at: number): { length: number; text: string } => {
    const own = kept.find(({ bytes }) => bytes.every((byte, i) => input[at + i] === byte));
    if (own !== undefined) return { length: own.bytes.length, text: own.piece };
    const match = charsmap.match(input, at);
    if (match !== null) return match;
    const length = characterBytes(input[at] ?? 0);
    return { length, text: decoder.decode(input.subarray(at, at + length)) };
  };

  return (text) => {
    const input = encoder.encode(text);
    let at = 0;
    while (trims && at < input.length) {
      const { length, text: next } = prefix(input, at);
      if (next !== ' ') break;
      at += length;
    }
    if (at >= input.length) return '';
    let out = addDummyPrefix ? space : '';
    let afterSpace = trims;
    while (at < input.length) {
      const found = prefix(input, at);
      at += found.length;
      const next = afterSpace ? found.text.replace(/^ +/, '') : found.text;
      if (next !== '') {
        out += next.replaceAll(' ', space);
        afterSpace = next.endsWith(' ');
      }
      if (!trims) afterSpace = false;
    }
    while (trims && out.endsWith(space)) out = out.slice(0, -space.length);
    return out;
  };
};
