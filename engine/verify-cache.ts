// `mesa cache verify`: reads every byte that the cache vouches for. What is damaged is dropped, and computed again when
// it is next asked for.

import { rmSync, statSync } from 'node:fs';
import { write } from './database.ts';
import { hashFile, stampOf, type ContentDigest } from './digest.ts';
import type { Project } from './project.ts';

export interface DamagedFile {
  readonly digest: ContentDigest;
  readonly path: string;
  readonly message: string;
}

export interface CacheVerification {
  readonly files: number;
  readonly bytes: number;
  readonly damaged: readonly DamagedFile[];
  /** The user's own files that changed or went since a result was made from them. */
  readonly changed: readonly DamagedFile[];
}

interface Stored {
  readonly digest: ContentDigest;
  readonly size: number;
}

const check = async (
  path: string,
  { digest, size }: Stored,
  signal: AbortSignal | undefined,
): Promise<string | null> => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 'is gone';
  if (stat.size !== size) return `has ${stat.size} bytes instead of ${size}`;
  const found = await hashFile(path, signal);
  return found.digest === digest ? null : 'has other content than its digest says';
};

export const verifyCache = async (
  project: Project,
  onProgress: (bytes: number, total: number) => void = () => undefined,
  signal?: AbortSignal,
): Promise<CacheVerification> => {
  const { database, objects } = project;
  const stored = database.prepare<[], Stored>('SELECT digest, size FROM objects').all();
  const located = database
    .prepare<[], Stored & { path: string }>('SELECT digest, size, path FROM locations')
    .all();
  const total = [...stored, ...located].reduce((sum, row) => sum + row.size, 0);
  let bytes = 0;
  const damaged: DamagedFile[] = [];
  const changed: DamagedFile[] = [];
  for (const row of stored) {
    const path = objects.objectPath(row.digest);
    const wrong = await check(path, row, signal);
    write(database, () => {
      if (wrong === null) {
        const stamp = stampOf(statSync(path, { bigint: true }));
        database.prepare('UPDATE objects SET stamp = ? WHERE digest = ?').run(stamp, row.digest);
      } else database.prepare('DELETE FROM objects WHERE digest = ?').run(row.digest);
    });
    if (wrong !== null) {
      rmSync(path, { force: true });
      damaged.push({ digest: row.digest, path, message: `${path} ${wrong}` });
    }
    bytes += row.size;
    onProgress(bytes, total);
  }
  for (const row of located) {
    const wrong = await check(row.path, row, signal);
    if (wrong !== null) {
      write(database, () =>
        database
          .prepare('DELETE FROM locations WHERE path = ? AND digest = ?')
          .run(row.path, row.digest),
      );
      changed.push({ digest: row.digest, path: row.path, message: `${row.path} ${wrong}` });
    }
    bytes += row.size;
    onProgress(bytes, total);
  }
  return { files: stored.length + located.length, bytes, damaged, changed };
};
