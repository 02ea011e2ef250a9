// Texts longer than the model can see, read in overlapping windows: each window scores the tokens that the one before
// didn't reach, with as much context as fits (transformers' "perplexity of fixed-length models").

export interface Window {
  /** The tokens the model is given and asked about: tokens[start .. end). */
  readonly start: number;
  readonly end: number;
  /** The first token to score, counted from `start`; at least 1. */
  readonly from: number;
}

/**
 * `from`: the first token of the text to score (>= 1). A window has at most maxLength + 1 tokens, since its last one is
 * only predicted; each but the first scores at most `stride` (<= maxLength) tokens.
 */
export const slidingWindows = (
  length: number,
  from: number,
  maxLength: number,
  stride: number,
): readonly Window[] => {
  const windows: Window[] = [];
  let next = from;
  while (next < length) {
    const end = Math.min(length, Math.max(maxLength + 1, next + stride));
    const start = Math.max(0, end - (maxLength + 1));
    windows.push({ start, end, from: next - start });
    next = end;
  }
  return windows;
};
