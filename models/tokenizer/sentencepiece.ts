// A tokenizer from SentencePiece's `tokenizer.model` alone: Unigram (the best path by score) and BPE (the best merge
// by score), with byte fallback. As sentencepiece/src/{unigram_model,bpe_model,sentencepiece_processor}.cc.

import { isRecord, type JsonRecord } from '../checkpoint/json.ts';
import { byCharacter } from './byte-fallback.ts';
import {
  pieceTypes,
  readSentencePieceModel,
  type Piece,
  type SentencePieceModel,
} from './sentencepiece-model.ts';
import { sentencePieceNormalizer, spaceSymbol } from './sentencepiece-normalizer.ts';
import { streamingDecoder, type DecodeOptions, type Tokenizer } from './tokenizer.ts';

export interface SentencePieceParts {
  readonly path: string;
  readonly bytes: Uint8Array;
  /**
   * tokenizer_config.json: add_bos_token, add_eos_token, the names of special tokens; pieces of added_tokens_decoder are
   * found in texts before anything is split, as transformers and llama.cpp do (chat templates write them as text).
   */
  readonly config: JsonRecord;
  readonly eosTokenIds: readonly number[];
  readonly chatTemplate: string | null;
}

export const sentencePieceTokenizer = ({
  path,
  bytes,
  config,
  eosTokenIds,
  chatTemplate,
}: SentencePieceParts): Tokenizer => {
  const model = readSentencePieceModel(path, bytes);
  const { pieces } = model;
  const ids = new Map(pieces.map((piece, id) => [piece.text, id]));
  const ofType = (type: number): readonly Piece[] => pieces.filter((piece) => piece.type === type);
  const unknown = pieces.findIndex(({ type }) => type === pieceTypes.unknown);
  const normalize = sentencePieceNormalizer(
    model,
    ofType(pieceTypes.userDefined).map(({ text }) => text),
  );
  const segment = model.modelType === 'unigram' ? unigram(model, unknown) : bpe(model, ids);
  const byteIds = Array.from({ length: 256 }, (_, byte) =>
    ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
  const byteOf = new Map(byteIds.map((id, byte) => [id, byte] as const));
  const specialTokens: Record<string, string> = {};
  const defaults = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', pad_token: '<pad>' };
  for (const [key, fallback] of Object.entries(defaults)) {
    const said = config[key];
    const token = typeof said === 'string' ? said : fallback;
    if (ids.has(token)) specialTokens[key] = token;
  }
  const idOf = (key: string): number | null => ids.get(specialTokens[key] ?? '') ?? null;
  const bos = idOf('bos_token');
  const eos = idOf('eos_token');
  const specialTokenIds = new Set(
    pieces.flatMap(({ type }, id) => (type === pieceTypes.control ? [id] : [])),
  );

  const added = addedTokens(config, ids);
  const segmented = (text: string): readonly string[] => {
    if (added === null) return segment(normalize(text));
    return text
      .split(added)
      .flatMap((part, index) =>
        index % 2 === 1 ? [part] : part === '' && text !== '' ? [] : segment(normalize(part)),
      );
  };

  const encode: Tokenizer['encode'] = (text, { addSpecialTokens = true } = {}) => {
    const out: number[] = [];
    if (addSpecialTokens && bos !== null && config['add_bos_token'] !== false) out.push(bos);
    const encoder = new TextEncoder();
    let afterUnknown = false;
    for (const piece of segmented(text)) {
      const id = ids.get(piece);
      const known = id !== undefined && id !== unknown;
      if (known) out.push(id);
      else if (model.byteFallback)
        for (const byte of encoder.encode(piece)) out.push(byteIds[byte] ?? unknown);
      // Unknown pieces in a row are one token.
      else if (!afterUnknown) out.push(unknown);
      afterUnknown = !known;
    }
    if (addSpecialTokens && eos !== null && config['add_eos_token'] === true) out.push(eos);
    return out;
  };

  const decode = (tokens: readonly number[], { skipSpecialTokens = false }: DecodeOptions = {}) => {
    const trims = model.removeExtraWhitespaces;
    let text = '';
    let started = false;
    let run: number[] = [];
    const flush = (): void => {
      if (run.length > 0) text += byCharacter(Uint8Array.from(run));
      run = [];
    };
    for (const id of tokens) {
      const byte = byteOf.get(id);
      if (byte !== undefined) {
        run.push(byte);
        continue;
      }
      flush();
      const piece = pieces[id];
      if (piece === undefined) continue;
      if (piece.type === pieceTypes.control) text += skipSpecialTokens ? '' : piece.text;
      else if (piece.type === pieceTypes.unknown) text += model.unkSurface;
      else {
        const first = text === '' && !started && (model.addDummyPrefix || trims);
        const strips = first && piece.text.startsWith(spaceSymbol);
        // Only where spaces are trimmed anyway may a second one go.
        if (strips && !trims) started = true;
        const own = strips ? piece.text.slice(spaceSymbol.length) : piece.text;
        text += own.replaceAll(spaceSymbol, ' ');
      }
    }
    flush();
    return text;
  };
  return {
    vocabSize: pieces.length,
    bosTokenId: bos,
    eosTokenIds: [...new Set([...(eos === null ? [] : [eos]), ...eosTokenIds])],
    padTokenId: idOf('pad_token'),
    specialTokens,
    specialTokenIds,
    chatTemplate,
    encode,
    decode,
    streamingDecoder: (options) => streamingDecoder((tokens) => decode(tokens, options)),
    tokenToId: (token) => ids.get(token),
    idToToken: (id) => pieces[id]?.text,
  };
};

/** Matches, and as a group keeps, the added tokens that are pieces; the longest of several. */
const addedTokens = (config: JsonRecord, ids: ReadonlyMap<string, number>): RegExp | null => {
  const listed = config['added_tokens_decoder'];
  const contents = (isRecord(listed) ? Object.values(listed) : [])
    .map((token) => (isRecord(token) ? token['content'] : null))
    .filter((content) => typeof content === 'string' && content !== '' && ids.has(content))
    .map(String)
    .sort((a, b) => b.length - a.length)
    .map((content) => content.replaceAll(/[\\^$.*+?()[\]{}|/]/gu, '\\$&'));
  return contents.length === 0 ? null : new RegExp(`(${contents.join('|')})`, 'u');
};

type Segment = (text: string) => readonly string[];

/** Viterbi over characters; sums in float32, ties to what was found first, as the reference does. */
const unigram = ({ pieces }: SentencePieceModel, unknown: number): Segment => {
  const scores = new Map<string, number>();
  let longest = 1;
  let lowest = Infinity;
  let highest = -Infinity;
  for (const { text, score, type } of pieces) {
    if (type === pieceTypes.normal) {
      lowest = Math.min(lowest, score);
      highest = Math.max(highest, score);
    }
    if (type === pieceTypes.normal || type === pieceTypes.userDefined) {
      scores.set(text, score);
      longest = Math.max(longest, Array.from(text).length);
    }
  }
  for (const { text, type } of pieces)
    if (type === pieceTypes.userDefined)
      scores.set(text, Math.fround(new TextEncoder().encode(text).length * highest - 0.1));
  const unknownScore = Math.fround(lowest - 10);
  const unknownText = pieces[unknown]?.text;

  return (text) => {
    const characters = Array.from(text);
    const best = new Float32Array(characters.length + 1);
    const from = new Int32Array(characters.length + 1).fill(-1);
    for (let start = 0; start < characters.length; start++) {
      const here = best[start] ?? 0;
      const reach = (end: number, score: number): void => {
        const candidate = Math.fround(score + here);
        if (from[end] !== -1 && !(candidate > (best[end] ?? 0))) return;
        best[end] = candidate;
        from[end] = start;
      };
      let piece = '';
      let single = false;
      const last = Math.min(characters.length, start + longest);
      for (let end = start + 1; end <= last; end++) {
        piece += characters[end - 1] ?? '';
        const score = piece === unknownText ? undefined : scores.get(piece);
        if (score === undefined) continue;
        reach(end, score);
        if (end === start + 1) single = true;
      }
      if (!single) reach(start + 1, unknownScore);
    }
    const found: string[] = [];
    for (let end = characters.length; end > 0; end = from[end] ?? 0)
      found.push(characters.slice(from[end] ?? 0, end).join(''));
    return found.reverse();
  };
};

interface Merge {
  readonly left: number;
  readonly right: number;
  readonly score: number;
  /** Of the merged piece: a merge whose parts have changed since is stale. */
  readonly length: number;
}

const bpe = ({ pieces }: SentencePieceModel, ids: ReadonlyMap<string, number>): Segment => {
  const mergeable = (text: string): Piece | undefined => {
    const piece = pieces[ids.get(text) ?? -1];
    const usable =
      piece?.type === pieceTypes.normal ||
      piece?.type === pieceTypes.userDefined ||
      piece?.type === pieceTypes.unused;
    return usable ? piece : undefined;
  };
  return (text) => {
    const symbols = Array.from(text);
    const next = symbols.map((_, i) => i + 1);
    const previous = symbols.map((_, i) => i - 1);
    const queue = new Heap<Merge>(
      (a, b) => a.score > b.score || (a.score === b.score && a.left < b.left),
    );
    const consider = (left: number, right: number): void => {
      if (left < 0 || right >= symbols.length) return;
      const merged = `${symbols[left] ?? ''}${symbols[right] ?? ''}`;
      const piece = mergeable(merged);
      if (piece !== undefined)
        queue.push({ left, right, score: piece.score, length: merged.length });
    };
    for (let i = 1; i < symbols.length; i++) consider(i - 1, i);
    for (let merge = queue.pop(); merge !== undefined; merge = queue.pop()) {
      const { left, right, length } = merge;
      const a = symbols[left] ?? '';
      const b = symbols[right] ?? '';
      if (a === '' || b === '' || a.length + b.length !== length || next[left] !== right) continue;
      symbols[left] = a + b;
      symbols[right] = '';
      const after = next[right] ?? symbols.length;
      next[left] = after;
      if (after < symbols.length) previous[after] = left;
      consider(previous[left] ?? -1, left);
      consider(left, after);
    }
    return symbols.filter((symbol) => symbol !== '');
  };
};

/** A binary heap: the element before all others comes out first. */
class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent];
      if (above === undefined || !this.#before(item, above)) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const right = items[child + 1];
      let candidate = items[child];
      if (candidate === undefined) break;
      if (right !== undefined && this.#before(right, candidate)) {
        candidate = right;
        child++;
      }
      if (!this.#before(candidate, last)) break;
      items[at] = candidate;
      at = child;
    }
    items[at] = last;
    return top;
  }
}
