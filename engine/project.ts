// Where a project keeps things: the root, the cache folder, the runs folder. Opening checks that the cache may lie there.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Diagnostic } from '../schemas/diagnostic.ts';
import { ActionCache } from './action-cache.ts';
import { NewerDatabase, openDatabase, type Sqlite } from './database.ts';
import { ObjectStore } from './object-store.ts';
import { err, ok, type Result } from './result.ts';

export interface Project {
  readonly root: string;
  /** `.mesa/`, or MESA_CACHE_DIR. */
  readonly cacheDir: string;
  readonly runsDir: string;
  readonly database: Sqlite;
  readonly actions: ActionCache;
  readonly objects: ObjectStore;
  /** Folders in the cache, all on its file system. */
  readonly attemptsDir: string;
  readonly checkpointsDir: string;
  readonly derivedDir: string;
  readonly liveDir: string;
  close(): void;
}

const NETWORK = new Set(
  `nfs nfs3 nfs4 cifs smb2 smb3 smbfs 9p afs auristorfs ceph lustre gpfs beegfs orangefs pvfs2 glusterfs
  fuse.sshfs fuse.s3fs fuse.gcsfuse fuse.ceph fuse.glusterfs fuse.rclone fuse.goofys fuse.mount-s3 fuse.juicefs`.split(
    /\s+/,
  ),
);

/**
 * Name of the network file system a path lies on, by the text of /proc/self/mountinfo, else null. SQLite's locks and
 * shared memory can't be relied on there.
 */
export const networkFileSystem = (mountinfo: string, path: string): string | null => {
  let best = { length: -1, type: '' };
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const mount = before
      ?.split(' ')[4]
      ?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    const type = after?.split(' ')[0];
    if (mount === undefined || type === undefined) continue;
    const holds = path === mount || path.startsWith(mount.endsWith('/') ? mount : `${mount}/`);
    // Of mounts over each other the last counts.
    if (holds && mount.length >= best.length) best = { length: mount.length, type };
  }
  return NETWORK.has(best.type) ? best.type : null;
};

const readMounts = (): string => {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
};

const problem = (code: string, message: string, hint: string): Result<never, Diagnostic> =>
  err({ severity: 'error', code, message, hint });

const ELSEWHERE = 'set MESA_CACHE_DIR to a folder on a local disk that you may write to';

/** Makes sure that files can be written here at all, so that a read-only disk is one clear error and not a later surprise. */
const prepare = (folders: readonly string[], probeIn: string): void => {
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  const probe = join(probeIn, `probe-${randomBytes(6).toString('hex')}`);
  writeFileSync(probe, '');
  rmSync(probe);
};

export interface OpenOptions {
  readonly root: string;
  /** Value of MESA_CACHE_DIR, if any. */
  readonly cacheDir?: string | undefined;
}

/** Opens (and where needed makes) the cache of a project. The caller closes it. */
export const openProject = (options: OpenOptions): Result<Project, Diagnostic> => {
  const root = resolve(options.root);
  const cacheDir = resolve(root, options.cacheDir ?? '.mesa');
  const folder = (name: string): string => join(cacheDir, name);
  const attemptsDir = folder('attempts');
  try {
    prepare([attemptsDir, folder('objects'), folder('live')], attemptsDir);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : message;
    return problem('E410', `can't write to the cache folder ${cacheDir}: ${why}`, ELSEWHERE);
  }
  const network = networkFileSystem(readMounts(), realpathSync(cacheDir));
  if (network !== null) {
    const message = `the cache folder ${cacheDir} lies on a network file system (${network}), where locks can't be relied on`;
    return problem('E411', message, ELSEWHERE);
  }
  try {
    const database = openDatabase(folder('cache.sqlite'));
    return ok({
      root,
      cacheDir,
      runsDir: join(root, 'runs'),
      database,
      actions: new ActionCache(database),
      objects: new ObjectStore(folder('objects'), database),
      attemptsDir,
      checkpointsDir: folder('checkpoints'),
      derivedDir: folder('derived'),
      liveDir: folder('live'),
      close: () => database.close(),
    });
  } catch (error) {
    if (error instanceof NewerDatabase) {
      const message = `the cache in ${cacheDir} was made by a newer version of MESA`;
      return problem('E412', message, 'update MESA, or set MESA_CACHE_DIR to another folder');
    }
    const message = `can't open the cache in ${cacheDir}: ${(error as Error).message}`;
    return problem(
      'E413',
      message,
      `move ${folder('cache.sqlite')} away to start with an empty cache`,
    );
  }
};
