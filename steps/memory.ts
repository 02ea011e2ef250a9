// Refusing work that can't fit in memory, or on the disk, before any of it is begun.

import { statfsSync } from 'node:fs';
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

/** `what` takes `bytes` of the disk that `folder` is on: throws E585 with both numbers where fewer are free. */
export const requireSpace = (folder: string, bytes: number, what: string, hint: string): void => {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (bytes <= free) return;
  throw new StepError(
    'E585',
    `${what} takes ${gib(bytes)} of disk, ${gib(free)} are free in ${folder}`,
    hint,
  );
};
