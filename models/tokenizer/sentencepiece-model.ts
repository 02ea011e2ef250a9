// The content of a SentencePiece `tokenizer.model`: pieces, settings and the table of character normalisation.
// A protocol-buffer message read field by field (sentencepiece/src/sentencepiece_model.proto); lengths are checked.

import { CheckpointError } from '../checkpoint/error.ts';

export const pieceTypes = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

export interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  readonly modelType: 'unigram' | 'bpe';
  readonly unkSurface: string;
  readonly byteFallback: boolean;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
  readonly charsmap: Uint8Array;
}

interface Field {
  readonly number: number;
  /** Varints and fixed values as numbers, everything else as bytes. */
  readonly value: number | Uint8Array;
  readonly isFloat: boolean;
}

class Fields {
  readonly #path: string;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(path: string, bytes: Uint8Array) {
    this.#path = path;
    this.#bytes = bytes;
  }

  *[Symbol.iterator](): Generator<Field> {
    while (this.#at < this.#bytes.length) {
      const tag = this.#varint();
      const number = Math.floor(tag / 8);
      switch (tag % 8) {
        case 0:
          yield { number, value: this.#varint(), isFloat: false };
          break;
        case 1:
          yield { number, value: this.#take(8), isFloat: false };
          break;
        case 2:
          yield { number, value: this.#take(this.#varint()), isFloat: false };
          break;
        case 5: {
          const bytes = this.#take(4);
          const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
          yield { number, value, isFloat: true };
          break;
        }
        default:
          this.#fail();
      }
    }
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return this.#fail();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    // Ten bytes: a negative number, which no field used here has.
    this.#at++;
    return value;
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) return this.#fail();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #fail(): never {
    throw new CheckpointError(this.#path, 'is a damaged SentencePiece model');
  }
}

const text = (value: number | Uint8Array): string =>
  typeof value === 'number' ? '' : new TextDecoder('utf-8', { ignoreBOM: true }).decode(value);
const bytes = (value: number | Uint8Array): Uint8Array =>
  typeof value === 'number' ? new Uint8Array() : value;

export const readSentencePieceModel = (path: string, content: Uint8Array): SentencePieceModel => {
  const pieces: Piece[] = [];
  let model = 1;
  let unkSurface = ' \u2047 ';
  let byteFallback = false;
  let addDummyPrefix = true;
  let removeExtraWhitespaces = true;
  let escapeWhitespaces = true;
  let charsmap: Uint8Array = new Uint8Array();
  for (const { number, value } of new Fields(path, content)) {
    if (number === 1) pieces.push(readPiece(path, bytes(value)));
    if (number === 2)
      for (const field of new Fields(path, bytes(value))) {
        if (field.number === 3) model = Number(field.value);
        if (field.number === 35) byteFallback = field.value === 1;
        if (field.number === 44) unkSurface = text(field.value);
      }
    if (number === 3)
      for (const field of new Fields(path, bytes(value))) {
        if (field.number === 2) charsmap = bytes(field.value);
        if (field.number === 3) addDummyPrefix = field.value !== 0;
        if (field.number === 4) removeExtraWhitespaces = field.value !== 0;
        if (field.number === 5) escapeWhitespaces = field.value !== 0;
      }
  }
  if (pieces.length === 0)
    throw new CheckpointError(path, 'holds no pieces: it is no SentencePiece model');
  if (model !== 1 && model !== 2)
    throw new CheckpointError(path, `is a SentencePiece model of type ${model}; 1 and 2 are read`);
  return {
    pieces,
    modelType: model === 1 ? 'unigram' : 'bpe',
    unkSurface,
    byteFallback,
    addDummyPrefix,
    removeExtraWhitespaces,
    escapeWhitespaces,
    charsmap,
  };
};

const readPiece = (path: string, content: Uint8Array): Piece => {
  let piece = '';
  let score = 0;
  let type: number = pieceTypes.normal;
  for (const { number, value } of new Fields(path, content)) {
    if (number === 1) piece = text(value);
    if (number === 2) score = Number(value);
    if (number === 3) type = Number(value);
  }
  return { text: piece, score, type };
};

/** The same message, written: for vocabularies that come in another container. */
export const writeSentencePieceModel = (model: SentencePieceModel): Uint8Array => {
  const varint = (value: number): number[] => {
    const out: number[] = [];
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
    return [...out, rest];
  };
  const field = (number: number, value: Uint8Array): Buffer =>
    Buffer.concat([Uint8Array.from([...varint(number * 8 + 2), ...varint(value.length)]), value]);
  const integer = (number: number, value: number): Uint8Array =>
    Uint8Array.from([...varint(number * 8), ...varint(value)]);
  const float = (number: number, value: number): Buffer =>
    Buffer.concat([
      Uint8Array.from(varint(number * 8 + 5)),
      new Uint8Array(Float32Array.of(value).buffer),
    ]);
  const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);
  return Buffer.concat([
    ...model.pieces.map(({ text: piece, score, type }) =>
      field(1, Buffer.concat([field(1, utf8(piece)), float(2, score), integer(3, type)])),
    ),
    field(
      2,
      Buffer.concat([
        integer(3, model.modelType === 'unigram' ? 1 : 2),
        integer(35, Number(model.byteFallback)),
        field(44, utf8(model.unkSurface)),
      ]),
    ),
    field(
      3,
      Buffer.concat([
        field(2, model.charsmap),
        integer(3, Number(model.addDummyPrefix)),
        integer(4, Number(model.removeExtraWhitespaces)),
        integer(5, Number(model.escapeWhitespaces)),
      ]),
    ),
  ]);
};
