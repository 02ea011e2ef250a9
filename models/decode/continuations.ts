// Context and continuation as tokens, by the rules of lm-evaluation-harness (api/model.py `_encode_pair`,
// models/huggingface.py `_loglikelihood_tokens`): the pair is encoded as one text and cut where the context alone
// ends; spaces that end the context belong to the continuation; an empty context is one prefix token.

/** What Python's str.rstrip() removes. */
const TRAILING_SPACE =
  /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/u;

/** `special`: whether the tokenizer's own beginning and end tokens are added. */
export type Encode = (text: string, special: boolean) => readonly number[];

export interface TokenPair {
  readonly context: readonly number[];
  /** Never empty. */
  readonly continuation: readonly number[];
}

/**
 * `special`: whether encoding the context adds the tokenizer's own tokens (not where the text already has them).
 * `prefixToken` stands for an empty context: the beginning-of-text token, else the end-of-text token.
 */
export const encodePair = (
  encode: Encode,
  context: string,
  continuation: string,
  { special, prefixToken }: { readonly special: boolean; readonly prefixToken: number },
): TokenPair => {
  if (context === '') {
    const ids = encode(continuation, false);
    // A continuation that starts with the prefix token has brought its context along.
    return ids[0] === prefixToken && ids.length > 1
      ? { context: ids.slice(0, 1), continuation: ids.slice(1) }
      : { context: [prefixToken], continuation: ids };
  }
  const kept = context.replace(TRAILING_SPACE, '');
  const whole = encode(context + continuation, special);
  // The context keeps its own encoding even where the pair's begins differently.
  const head = encode(kept, special);
  return { context: head, continuation: whole.slice(head.length) };
};

/**
 * Cuts the context from the left so that the model sees at most `maxLength` tokens; the last token of the
 * continuation is only predicted, never read.
 */
export const truncateLeft = (pair: TokenPair, maxLength: number): TokenPair => {
  const excess = pair.context.length + pair.continuation.length - (maxLength + 1);
  return excess <= 0
    ? pair
    : {
        context: pair.context.slice(Math.min(excess, pair.context.length - 1)),
        continuation: pair.continuation,
      };
};
