// Which rows repeat text of other rows: n-gram overlap of words (13 words as in Brown et al. 2020, "Language models are
// few-shot learners", appendix C). Rows shorter than n words are compared as a whole.

import { isObject, type Row, type SourceRow, type Value } from './row.ts';

const WORD = /[\p{L}\p{N}]+/gu;

const textsOf = function* (value: Value): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const part of value as readonly Value[]) yield* textsOf(part);
  else if (isObject(value)) for (const part of Object.values(value)) yield* textsOf(part);
};

const grams = function* (row: SourceRow, n: number): Generator<string> {
  // Each text by itself: an n-gram that runs from one field into the next says nothing.
  for (const text of textsOf(row)) {
    const words = text.toLowerCase().match(WORD) ?? [];
    if (words.length === 0) continue;
    // A few words are in many texts by chance; a whole field of them counts from half of n.
    if (words.length < n) {
      if (words.length * 2 >= n) yield words.join(' ');
      continue;
    }
    for (let start = 0; start + n <= words.length; start += 1) {
      yield words.slice(start, start + n).join(' ');
    }
  }
};

/** Ids of the rows that share an n-gram with any row of `against`. */
export const contaminated = (
  rows: readonly Row[],
  against: readonly SourceRow[],
  n: number,
): Set<string> => {
  const known = new Set<string>();
  for (const row of against) for (const gram of grams(row, n)) known.add(gram);
  const found = new Set<string>();
  for (const row of rows) {
    for (const gram of grams(row.source, n)) {
      if (known.has(gram)) {
        found.add(row.id);
        break;
      }
    }
  }
  return found;
};
