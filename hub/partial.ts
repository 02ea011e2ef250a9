// Unfinished blobs: `<etag>.mesa-<host>-<process>.incomplete`. One process writes one such file; what a dead process left
// is taken over and continued, what a living one writes is waited for. (Python's own are written under locks that Node
// can't take, and are never continued by Python either: they are left alone.)

import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

export type Claim =
  /** To be written by this process; may hold a beginning. Give it back with `release`. */
  | { readonly kind: 'ours'; readonly path: string }
  | { readonly kind: 'theirs'; readonly path: string };

const host = hostname().replace(/[^A-Za-z0-9]/gu, '') || 'host';

/** Blobs that this process is writing now. */
const writing = new Set<string>();

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

export const claimPartial = (blobs: string, etag: string): Claim => {
  const prefix = `${etag}.mesa-${host}-`;
  const own = join(blobs, `${prefix}${process.pid}.incomplete`);
  if (writing.has(own)) return { kind: 'theirs', path: own };
  const left: string[] = [];
  for (const name of readdirSync(blobs)) {
    if (!name.startsWith(prefix) || !name.endsWith('.incomplete')) continue;
    const path = join(blobs, name);
    const pid = Number(name.slice(prefix.length, -'.incomplete'.length));
    if (path === own) continue;
    if (isAlive(pid)) return { kind: 'theirs', path };
    left.push(path);
  }
  writing.add(own);
  const [longest, ...others] = left.sort((a, b) => sizeOf(b) - sizeOf(a));
  for (const path of others) rmSync(path, { force: true });
  if (longest !== undefined && sizeOf(longest) > sizeOf(own)) {
    try {
      renameSync(longest, own);
    } catch (error) {
      // Another process took it over a moment ago: this one begins anew.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return { kind: 'ours', path: own };
};

export const release = (claim: Claim): void => {
  writing.delete(claim.path);
};
