// Which option of a multiple-choice question a free text means: by its letter, or by the option's words.
// A text that means none or several is unparsed, which counts as wrong and is reported as a rate.

import { words } from './text.ts';

export interface Option {
  readonly label: string;
  readonly text: string;
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A label where an answer begins ("B", "(B)", "B.", "**B**: ..."), not an article ("A patient ..."). */
const leadingLabel = (text: string, labels: string): string | undefined =>
  new RegExp(`^[\\s(\\[*"']*(${labels})(?:[).:,\\]*"']|\\s*$|\\s*\\n|\\s+-)`, 'u').exec(text)?.[1];

/** "the answer is B", "Answer: B", "option (B)", "choice B". */
const announcedLabels = (text: string, labels: string): readonly string[] => {
  const pattern = new RegExp(
    `\\b(?:answer|option|choice)\\b(?:\\s+is)?\\s*[:=]?\\s*[(\\[*"']*(${labels})(?![\\p{L}\\p{N}_'-])`,
    'giu',
  );
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
};

const contains = (text: readonly string[], part: readonly string[]): boolean => {
  if (part.length === 0) return false;
  for (let start = 0; start + part.length <= text.length; start += 1) {
    if (part.every((word, offset) => text[start + offset] === word)) return true;
  }
  return false;
};

/** Options whose words stand in the text, without those that are part of a longer one that stands there too. */
const namedOptions = (text: string, options: readonly Option[]): readonly Option[] => {
  const list = words(text);
  const present = options
    // Where only letters are known, "a" in a sentence is an article.
    .filter((option) => option.text.trim() !== option.label || option.label.length > 1)
    .map((option) => ({ option, words: words(option.text) }))
    .filter((candidate) => contains(list, candidate.words));
  return present
    .filter(
      ({ words: own }) =>
        !present.some((other) => other.words.length > own.length && contains(other.words, own)),
    )
    .map(({ option }) => option);
};

/** The label that `text` means, or null where it means none, or more than one. */
export const parseOption = (text: string, options: readonly Option[]): string | null => {
  const labels = options.map(({ label }) => escape(label)).join('|');
  if (labels === '') return null;
  const leading = leadingLabel(text, labels);
  if (leading !== undefined) return leading;
  const announced = new Set(announcedLabels(text, labels));
  if (announced.size === 1) {
    const [only] = announced;
    return options.find(({ label }) => label.toLowerCase() === only?.toLowerCase())?.label ?? null;
  }
  const named = namedOptions(text, options);
  return named.length === 1 ? (named[0]?.label ?? null) : null;
};
