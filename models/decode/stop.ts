// Ends of a generated text: which stop string comes first, whatever the boundaries of tokens. Knows no tokenizer;
// whoever has one passes a function.

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
 */
export const stopWatch = (
  stops: readonly string[],
  detokenize: Detokenize,
): ((ids: readonly number[]) => boolean) => {
  if (stops.length === 0) return () => false;
  const longest = Math.max(...stops.map((stop) => Buffer.byteLength(stop, 'utf8')));
  return (ids) => {
    const tail = ids.slice(-(longest + 8));
    if (findStop(detokenize(tail), stops) < 0) return false;
    return findStop(detokenize(ids), stops) >= 0;
  };
};
