// Which rows stand as examples before every question: the same ones for all, so that their computation is shared.

import { stream } from '../../random/threefry.ts';
import { DataError } from '../error.ts';

export interface FewshotOptions {
  readonly n: number;
  readonly method: 'first' | 'sample';
  readonly seed: number;
}

/**
 * The candidates in the order in which they are taken, one more than needed: a question that is itself an example takes
 * the next one instead.
 */
export const exampleOrder = (available: number, { n, method, seed }: FewshotOptions): number[] => {
  if (available < n) {
    throw new DataError(
      'E565',
      `fewshot asks for ${String(n)} examples, but there are ${String(available)}`,
    );
  }
  return method === 'first'
    ? Array.from({ length: available }, (_, index) => index)
    : stream(seed, 'datasets/fewshot').permutation(available);
};

/** The first n candidates that aren't the question itself. */
export const examplesFor = <Example extends { readonly item: string }>(
  ordered: readonly Example[],
  n: number,
  item: string,
): Example[] => {
  const examples: Example[] = [];
  for (const candidate of ordered) {
    if (examples.length === n) break;
    if (candidate.item !== item) examples.push(candidate);
  }
  if (examples.length < n) {
    throw new DataError('E565', `too few examples beside the question itself`);
  }
  return examples;
};
