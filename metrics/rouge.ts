// ROUGE (Lin 2004) as google-research/rouge computes it without a stemmer: F-measures in [0, 1].

import { fMeasure } from './overlap.ts';
import { overlapCount, rougeTokens } from './text.ts';

const nGrams = (tokens: readonly string[], n: number): readonly string[] => {
  const grams: string[] = [];
  for (let start = 0; start + n <= tokens.length; start += 1) {
    grams.push(tokens.slice(start, start + n).join(' '));
  }
  return grams;
};

/** ROUGE-N: overlap of n-grams. */
export const rougeN = (prediction: string, reference: string, n: number): number => {
  const predicted = nGrams(rougeTokens(prediction), n);
  const expected = nGrams(rougeTokens(reference), n);
  return fMeasure(overlapCount(predicted, expected), predicted.length, expected.length);
};

/** Table of longest common subsequences: row i, column j for the first i and j tokens. */
const lcsTable = (left: readonly string[], right: readonly string[]): readonly Uint32Array[] => {
  const table = Array.from({ length: left.length + 1 }, () => new Uint32Array(right.length + 1));
  for (let i = 1; i <= left.length; i += 1) {
    const above = table[i - 1] as Uint32Array;
    const row = table[i] as Uint32Array;
    for (let j = 1; j <= right.length; j += 1) {
      row[j] =
        left[i - 1] === right[j - 1]
          ? (above[j - 1] as number) + 1
          : Math.max(above[j] as number, row[j - 1] as number);
    }
  }
  return table;
};

/** ROUGE-L: longest common subsequence of the whole texts. */
export const rougeL = (prediction: string, reference: string): number => {
  const predicted = rougeTokens(prediction);
  const expected = rougeTokens(reference);
  const length = lcsTable(expected, predicted).at(-1)?.at(-1) ?? 0;
  return fMeasure(length, predicted.length, expected.length);
};

/** Positions in `expected` of one longest common subsequence, walked back as the reference implementation does. */
const lcsPositions = (expected: readonly string[], predicted: readonly string[]): number[] => {
  const table = lcsTable(expected, predicted);
  const positions: number[] = [];
  let i = expected.length;
  let j = predicted.length;
  while (i > 0 && j > 0) {
    if (expected[i - 1] === predicted[j - 1]) {
      positions.push(i - 1);
      i -= 1;
      j -= 1;
    } else if ((table[i]?.[j - 1] ?? 0) > (table[i - 1]?.[j] ?? 0)) j -= 1;
    else i -= 1;
  }
  return positions;
};

/** ROUGE-Lsum: union of each reference sentence's common subsequences; sentences are lines. */
export const rougeLsum = (prediction: string, reference: string): number => {
  const sentences = (text: string): readonly (readonly string[])[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map(rougeTokens);
  const predicted = sentences(prediction);
  const expected = sentences(reference);
  const predictedTokens = predicted.flat();
  const expectedTokens = expected.flat();
  const restPredicted = new Map<string, number>();
  const restExpected = new Map<string, number>();
  for (const token of predictedTokens)
    restPredicted.set(token, (restPredicted.get(token) ?? 0) + 1);
  for (const token of expectedTokens) restExpected.set(token, (restExpected.get(token) ?? 0) + 1);
  let hits = 0;
  for (const sentence of expected) {
    const union = new Set(predicted.flatMap((other) => lcsPositions(sentence, other)));
    for (const position of [...union].sort((a, b) => a - b)) {
      const token = sentence[position] ?? '';
      const left = restPredicted.get(token) ?? 0;
      const right = restExpected.get(token) ?? 0;
      if (left > 0 && right > 0) {
        hits += 1;
        restPredicted.set(token, left - 1);
        restExpected.set(token, right - 1);
      }
    }
  }
  return fMeasure(hits, predictedTokens.length, expectedTokens.length);
};
