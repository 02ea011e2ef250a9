// Ends of a generated text: which stop string comes first, whatever the boundaries of tokens. Knows no tokenizer;
// whoever has one passes a function.

/** Most bytes, and so tokens, that a character of UTF-8 is cut into. */
const bytesOfCharacter = 4;

export type Detokenize = (ids: readonly number[]) => string;

/** Where the earliest stop string begins, or -1. Of several at one place it doesn't matter which. */
export const findStop = (text: string, stops: readonly string[]): number => {
  let first = -1;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
};

/**
 * Watches one row's growing list of tokens. Only the last few tokens are decoded each time: a token that adds
 * characters adds at least one, so as many tokens as the longest stop string has characters, and a few for characters
 * made of several tokens, hold any stop string that has just been completed. A find is confirmed on the whole text.
 *
 * The end of the tail may be half a character, which decodes to U+FFFD: no stop string is found in it before it is whole.
 * So may its start be; some tokenizers then spoil every byte that follows, so that the tail is also read from the next
 * few tokens on.
 */
export const stopWatch = (
  stops: readonly string[],
  detokenize: Detokenize,
): ((ids: readonly number[]) => boolean) => {
  if (stops.length === 0) return () => false;
  const longest = Math.max(...stops.map((stop) => Buffer.byteLength(stop, 'utf8')));
  return (ids) => {
    const tail = ids.slice(-(longest + 8));
    for (let skipped = 0; skipped < bytesOfCharacter; skipped++) {
      const text = detokenize(tail.slice(skipped));
      if (findStop(text, stops) >= 0) return findStop(detokenize(ids), stops) >= 0;
      if (!text.includes('\uFFFD')) return false;
    }
    return false;
  };
};
