// Errors of the disk, told apart from errors of the program: they are the user's to mend, and say how.

import type { Failure } from '../schemas/event.ts';

type StorageFailure = Extract<Failure, { readonly reason: 'storage' }>;

const HINTS: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOSPC: [
    'the disk is full',
    'free some space (mesa cache gc), or set MESA_CACHE_DIR to a larger disk',
  ],
  EDQUOT: ['the disk quota is used up', 'free some space (mesa cache gc), or set MESA_CACHE_DIR'],
  EROFS: ['the disk is read-only', 'set MESA_CACHE_DIR to a folder that can be written to'],
  SQLITE_FULL: ['the disk is full', 'free some space (mesa cache gc), or set MESA_CACHE_DIR'],
  SQLITE_READONLY: [
    'the cache is read-only',
    'set MESA_CACHE_DIR to a folder that can be written to',
  ],
  SQLITE_IOERR: [
    'the disk reported an error',
    'check the disk, or set MESA_CACHE_DIR to another one',
  ],
  SQLITE_CORRUPT: [
    'the cache database is damaged',
    'move cache.sqlite away; the cache is then empty',
  ],
};
/** These are the user's own files as often as ours, so they count only for paths of the cache. */
const ACCESS = new Set(['EACCES', 'EPERM']);

/** The failure behind an error, or null where it isn't the disk's. `folder` is the one MESA writes to. */
export const storageFailure = (error: unknown, folder: string): StorageFailure | null => {
  if (!(error instanceof Error)) return null;
  const { code = '', path = '' } = error as NodeJS.ErrnoException;
  const known = Object.entries(HINTS).find(
    ([name]) => code === name || code.startsWith(`${name}_`),
  );
  if (known !== undefined) {
    const [what, hint] = known[1];
    return { reason: 'storage', message: `${what}: ${error.message}`, hint };
  }
  if (!ACCESS.has(code) || !path.startsWith(folder)) return null;
  const hint = 'make it writable, or set MESA_CACHE_DIR to a folder that can be written to';
  return { reason: 'storage', message: `MESA may not write to ${path} (${code})`, hint };
};
