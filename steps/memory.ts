// Refusing work that can't fit in memory before any of it is begun.

import { totalmem } from 'node:os';
import { StepError } from '../engine/step.ts';

/** What this process may use at all: the machine's memory, or less where a container sets a limit. */
export const memoryLimit = (): number => {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
};

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** `what` needs `bytes`: throws E584 with both numbers and what would help, where there are fewer. */
export const requireFits = (bytes: number, what: string, hint: string): void => {
  const there = memoryLimit();
  if (bytes <= there) return;
  throw new StepError(
    'E584',
    `${what} needs about ${gib(bytes)} of memory, this machine has ${gib(there)}`,
    hint,
  );
};
