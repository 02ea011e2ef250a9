// What every tokenizer can do, whatever file it came from. Ids and text only: no chat, no model.

export interface EncodeOptions {
  /** Whether the tokenizer's own beginning and end tokens are added (default: yes). */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Whether special tokens are left out of the text (default: no). */
  readonly skipSpecialTokens?: boolean;
}

/** Text of ids that arrive one by one: never half a character, and together the text of all. */
export interface StreamingDecoder {
  /** The text that became certain with this id; often empty in the middle of a character. */
  push(id: number): string;
  /** What was held back. */
  end(): string;
}

export interface Tokenizer {
  /** Largest id + 1. */
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  /** Every id that ends a text: those of the tokenizer and of the model's generation config. */
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | null;
  /** `bos_token`, `eos_token`, ... as chat templates name them. */
  readonly specialTokens: Readonly<Record<string, string>>;
  readonly specialTokenIds: ReadonlySet<number>;
  readonly chatTemplate: string | null;
  encode(text: string, options?: EncodeOptions): number[];
  decode(ids: readonly number[], options?: DecodeOptions): string;
  streamingDecoder(options?: DecodeOptions): StreamingDecoder;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
}

/**
 * Decodes a window of the last ids and gives out what it adds to the text before it, once that doesn't end in a
 * replacement character: a decoder may treat the first token of a text differently, so a token is never decoded alone.
 */
export const streamingDecoder = (decode: (ids: readonly number[]) => string): StreamingDecoder => {
  let window: number[] = [];
  let settled = '';
  /** What came since text was last given out. */
  let pending: number[] = [];
  const given = (text: string): string =>
    text.startsWith(settled) ? text.slice(settled.length) : text;
  return {
    push(id) {
      window.push(id);
      pending.push(id);
      const text = decode(window);
      if (text.length <= settled.length || text.endsWith('\uFFFD')) return '';
      const added = given(text);
      pending = [];
      // The new window starts with the token just given out, as context for the next.
      const context = decode([id]);
      if (context !== '' && !context.endsWith('\uFFFD') && !context.includes('\uFFFD')) {
        window = [id];
        settled = context;
      } else settled = text;
      return added;
    },
    end: () => {
      const text = decode(window);
      if (text.startsWith(settled)) return text.slice(settled.length);
      // A broken run of byte pieces is U+FFFD from its start (byte-fallback.ts), but what is out is out.
      return pending.length === 0 ? '' : decode(pending);
    },
  };
};
