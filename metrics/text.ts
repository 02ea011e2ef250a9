// Text as the overlap metrics see it: the normalisations of their reference implementations, which are Python's.

/** Python's str.split(): runs of its whitespace (which holds \x1c-\x1f and \x85, and not \ufeff). */
const pythonSpace = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

export const splitWhitespace = (text: string): readonly string[] =>
  text.split(pythonSpace).filter((word) => word !== '');

/** Lower-cased words as Python's re.findall(r'\w+', text.lower()). */
export const words = (text: string): readonly string[] =>
  text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];

const asciiPunctuation = /[!-/:-@[-`{-~]/g;
const article = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/**
 * The normal form of SQuAD's evaluation script (v1.1): lower case, no ASCII punctuation, no articles,
 * words separated by single spaces.
 */
export const normalizeSquad = (text: string): string =>
  splitWhitespace(text.toLowerCase().replace(asciiPunctuation, '').replace(article, ' ')).join(' ');

/** Tokens of google-research/rouge without a stemmer: lower-cased runs of a-z and 0-9. */
export const rougeTokens = (text: string): readonly string[] =>
  text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

/** How often each word occurs. */
export const countWords = (list: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const word of list) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
};

/** Size of the intersection of two multisets. */
export const overlapCount = (left: readonly string[], right: readonly string[]): number => {
  const counts = countWords(left);
  let shared = 0;
  for (const word of right) {
    const rest = counts.get(word) ?? 0;
    if (rest > 0) {
      shared += 1;
      counts.set(word, rest - 1);
    }
  }
  return shared;
};
