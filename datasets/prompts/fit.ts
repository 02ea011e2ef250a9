// Keeping prompts within a number of tokens. Text is cut between characters, at the place that keeps the most of it.

import { DataError } from '../error.ts';
import type { Assembled } from './assemble.ts';

export const OVERFLOWS = ['error', 'drop', 'truncate_start', 'truncate_end'] as const;
export type Overflow = (typeof OVERFLOWS)[number];

export interface Fit {
  readonly maxLength: number;
  readonly onOverflow: Overflow;
  /** Tokens of prompt and what follows it, the way the model will get them. */
  readonly count: (prompt: string, completion: string) => number;
}

/** The longest of what may follow the prompt: completion or choice. */
const longestTail = (made: Assembled): string => {
  const tails = [made.completion ?? '', ...(made.choices ?? []).map(({ text }) => text)];
  return tails.reduce((longest, tail) => (tail.length > longest.length ? tail : longest), '');
};

/** The largest kept length for which `holds`, by bisection; it is checked, since token counts are only nearly monotone. */
const largest = (total: number, holds: (kept: number) => boolean): number | null => {
  let low = 0;
  let high = total;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return holds(low) ? low : null;
};

export type Fitted =
  { readonly kind: 'fits' | 'truncated'; readonly made: Assembled } | { readonly kind: 'dropped' };

export const fit = (made: Assembled, id: string, { maxLength, onOverflow, count }: Fit): Fitted => {
  const tail = longestTail(made);
  const length = count(made.prompt, tail);
  if (length <= maxLength) return { kind: 'fits', made };
  if (onOverflow === 'error') {
    throw new DataError(
      'E566',
      `row ${id} has ${String(length)} tokens, max_length is ${String(maxLength)}`,
      'Raise max_length, or set on_overflow to drop, truncate_start or truncate_end.',
    );
  }
  if (onOverflow === 'drop') return { kind: 'dropped' };
  if (onOverflow === 'truncate_start') {
    const characters = [...made.prompt];
    const end = (kept: number): string => characters.slice(characters.length - kept).join('');
    const kept = largest(characters.length, (size) => count(end(size), tail) <= maxLength);
    if (kept === null) return { kind: 'dropped' };
    return { kind: 'truncated', made: { ...made, prompt: end(kept) } };
  }
  const characters = [...(made.completion ?? '')];
  const start = (kept: number): string => characters.slice(0, kept).join('');
  const kept = largest(characters.length, (size) => count(made.prompt, start(size)) <= maxLength);
  if (kept === null || kept === 0) return { kind: 'dropped' };
  return { kind: 'truncated', made: { ...made, completion: start(kept) } };
};
