// The hub as the rest of MESA sees it: what a revision holds, and its files as verified paths in the shared cache.

import { rmSync, realpathSync } from 'node:fs';
import PQueue from 'p-queue';
import { cachedFile, etagOf } from './cache-layout.ts';
import { downloadFile, verifiedBlob, type Downloaded } from './download.ts';
import { HubError } from './error.ts';
import { listRepository, type Listing } from './listing.ts';
import { wantedName, type Wanted } from './metadata.ts';
import {
  called,
  checkRepository,
  isCommit,
  isSafePath,
  type Repository,
} from './repository-name.ts';
import { connect, type Connection } from './request.ts';
import { hubSettings, type HubSettings } from './settings.ts';

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of all files that are there, and of all files where that is known. */
  readonly onProgress?: ((done: number, total: number | null) => void) | undefined;
}

export interface WantedFile {
  readonly path: string;
  /** Null where it isn't known before it is fetched. */
  readonly size: number | null;
  readonly sha256: string | null;
}

export interface Hub {
  readonly settings: HubSettings;
  list(repository: Repository, revision: string, signal?: AbortSignal): Promise<Listing>;
  /** The files, in order, each verified: by its SHA-256 where that is given, else by the name of its content. */
  fetch(
    repository: Repository,
    commit: string,
    files: readonly WantedFile[],
    options?: FetchOptions,
  ): Promise<readonly Downloaded[]>;
}

/** Downloads at once. */
const CONCURRENCY = 4;

/** The file as it lies in the cache, if its content is right. A wrong one is removed. */
const fromCache = async (
  { settings }: Connection,
  wanted: Wanted,
  signal: AbortSignal | undefined,
): Promise<Downloaded | null> => {
  const found = cachedFile(settings.cacheDir, wanted.repository, wanted.revision, wanted.path);
  if (found === null) return null;
  const right =
    wanted.size === null || wanted.size === found.size
      ? await verifiedBlob(found.path, etagOf(found.path), wanted.sha256, signal)
      : null;
  if (right !== null) return { ...found, sha256: right };
  const advice = 'unset HF_HUB_OFFLINE for one run, which downloads it again';
  if (settings.offline)
    throw new HubError(
      'damaged',
      `${wantedName(wanted)} is damaged in the cache: ${found.path}`,
      advice,
    );
  rmSync(realpathSync(found.path), { force: true });
  rmSync(found.path, { force: true });
  return null;
};

const fetchOne = async (
  connection: Connection,
  wanted: Wanted,
  signal: AbortSignal | undefined,
  onBytes: (done: number) => void,
): Promise<Downloaded> => {
  if (!isSafePath(wanted.path))
    throw new HubError(
      'damaged',
      `${JSON.stringify(wanted.path)} is no path inside ${called(wanted.repository)}`,
    );
  const found = await fromCache(connection, wanted, signal);
  if (found !== null) {
    onBytes(found.size);
    return found;
  }
  if (connection.settings.offline)
    throw new HubError(
      'offline',
      `${wantedName(wanted)} at ${wanted.revision.slice(0, 12)} is not in ${connection.settings.cacheDir}, and HF_HUB_OFFLINE is set`,
      'unset HF_HUB_OFFLINE for one run that downloads it, or copy the cache from a machine that has it',
    );
  return downloadFile(connection, wanted, { signal, onBytes });
};

/** `replaced` in tests only. */
export const openHub = (
  env: Readonly<Record<string, string | undefined>>,
  replaced: Partial<Pick<Connection, 'sleep' | 'jitter'>> = {},
): Hub => {
  const connection = { ...connect(hubSettings(env)), ...replaced };
  const queue = new PQueue({ concurrency: CONCURRENCY });
  return {
    settings: connection.settings,
    list: (repository, revision, signal) =>
      listRepository(connection, repository, revision, signal),
    fetch: async (repository, commit, files, options = {}) => {
      checkRepository(repository);
      if (!isCommit(commit)) throw new HubError('missing-revision', `${commit} is no commit`);
      // The first failure stops the others.
      const failed = new AbortController();
      const signals = [failed.signal, ...(options.signal === undefined ? [] : [options.signal])];
      const signal = AbortSignal.any(signals);
      const sizes = files.map(({ size }) => size);
      const total = sizes.every((size) => size !== null)
        ? sizes.reduce((sum, size) => sum + size, 0)
        : null;
      const done = files.map(() => 0);
      const work = files.map(({ path, size, sha256 }, index) =>
        queue.add(async () => {
          signal.throwIfAborted();
          const wanted = { repository, revision: commit, path, size, sha256 };
          return fetchOne(connection, wanted, signal, (bytes) => {
            done[index] = bytes;
            options.onProgress?.(
              done.reduce((sum, each) => sum + each, 0),
              total,
            );
          });
        }),
      );
      try {
        return await Promise.all(work);
      } catch (error) {
        failed.abort(error);
        await Promise.allSettled(work);
        throw error;
      }
    },
  };
};
