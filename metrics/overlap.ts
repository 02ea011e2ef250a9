// Agreement of a generated text with a reference text, each in [0, 1]; a metric takes the best of several references.

import { normalizeSquad, overlapCount, splitWhitespace, words } from './text.ts';

/** Harmonic mean of precision and recall; 0 where nothing is shared. */
export const fMeasure = (shared: number, predicted: number, expected: number): number =>
  shared === 0 ? 0 : (2 * shared) / (predicted + expected);

/** Equal but for whitespace around them. */
export const exactMatch = (prediction: string, reference: string): number =>
  Number(prediction.trim() === reference.trim());

/** Equal in SQuAD's normal form (HELM's quasi-exact match). */
export const quasiExactMatch = (prediction: string, reference: string): number =>
  Number(normalizeSquad(prediction) === normalizeSquad(reference));

/** SQuAD 2.0's F1 over normalised words: 1 where both sides are empty, 0 where one is. */
export const tokenF1 = (prediction: string, reference: string): number => {
  const predicted = splitWhitespace(normalizeSquad(prediction));
  const expected = splitWhitespace(normalizeSquad(reference));
  if (predicted.length === 0 || expected.length === 0) {
    return Number(predicted.length === expected.length);
  }
  return fMeasure(overlapCount(predicted, expected), predicted.length, expected.length);
};

/** Jaccard similarity of the word sets; two texts without words are alike. */
export const jaccard = (prediction: string, reference: string): number => {
  const left = new Set(words(prediction));
  const right = new Set(words(reference));
  if (left.size === 0 && right.size === 0) return 1;
  const shared = [...left].filter((word) => right.has(word)).length;
  return shared / (left.size + right.size - shared);
};

/** Jaccard similarity of at least `threshold`. */
export const partialMatch = (prediction: string, reference: string, threshold = 0.7): number =>
  Number(jaccard(prediction, reference) >= threshold);

/** Distinct n-grams over all n-grams of a text's words (Li et al. 2016); 0 for a text without any. */
export const distinct = (text: string, n: number): number => {
  const list = words(text);
  const total = list.length - n + 1;
  if (total <= 0) return 0;
  const grams = new Set<string>();
  for (let start = 0; start < total; start += 1) {
    grams.add(list.slice(start, start + n).join(' '));
  }
  return grams.size / total;
};
