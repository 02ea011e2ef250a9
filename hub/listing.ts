// What a revision of a repository is: its commit and its files, asked from the hub or, offline, from the cache.

import { cachedCommit, cachedPaths, writeRef } from './cache-layout.ts';
import { HubError } from './error.ts';
import {
  called,
  checkRepository,
  checkRevision,
  isSafePath,
  type Repository,
} from './repository-name.ts';
import { request, withRetries, type Connection, type Subject } from './request.ts';

export interface ListedFile {
  readonly path: string;
  /** Null where only the cache was asked. */
  readonly size: number | null;
  /** SHA-256 where the hub keeps the file as LFS; null where it says git's digest only. */
  readonly sha256: string | null;
}

export interface Listing {
  readonly commit: string;
  readonly files: readonly ListedFile[];
}

/** Pages of a listing: 1000 files each; more than any repository that an experiment names. */
const MAX_PAGES = 200;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const json = async (
  connection: Connection,
  address: string,
  subject: Subject,
  signal: AbortSignal | undefined,
): Promise<{ readonly body: unknown; readonly next: string | null }> =>
  withRetries(connection, signal, async () => {
    const answer = await request(connection, address, subject, { signal });
    try {
      const body: unknown = await answer.response.json();
      const link = /<([^>]+)>;\s*rel="next"/u.exec(answer.response.headers.get('link') ?? '')?.[1];
      return { body, next: link === undefined ? null : (URL.parse(link, address)?.href ?? null) };
    } catch (error) {
      signal?.throwIfAborted();
      throw new HubError(
        'server',
        `the hub's answer about ${called(subject.repository)} can't be read: ${String(error)}`,
      );
    } finally {
      answer.close();
    }
  });

const unexpected = (repository: Repository): HubError =>
  new HubError(
    'server',
    `the hub's answer about ${called(repository)} isn't what a hub answers`,
    'check HF_ENDPOINT',
  );

const fileOf = (repository: Repository, entry: unknown): ListedFile | null => {
  if (!isObject(entry)) throw unexpected(repository);
  const { type, path, size, lfs } = entry;
  if (type !== 'file') return null;
  if (
    typeof path !== 'string' ||
    typeof size !== 'number' ||
    !Number.isSafeInteger(size) ||
    size < 0
  )
    throw unexpected(repository);
  if (!isSafePath(path))
    throw new HubError(
      'damaged',
      `${called(repository)} lists a file named ${JSON.stringify(path)}`,
    );
  const oid = isObject(lfs) ? (lfs['oid'] ?? lfs['sha256']) : undefined;
  const sha256 = typeof oid === 'string' && /^[0-9a-f]{64}$/u.test(oid) ? oid : null;
  return { path, size, sha256 };
};

const online = async (
  connection: Connection,
  repository: Repository,
  revision: string,
  signal: AbortSignal | undefined,
): Promise<Listing> => {
  const { endpoint, cacheDir } = connection.settings;
  const subject = { repository, revision, path: null };
  const api = `${endpoint}/api/${repository.type}s/${repository.id}`;
  const info = await json(
    connection,
    `${api}/revision/${encodeURIComponent(revision)}`,
    subject,
    signal,
  );
  const commit = isObject(info.body) ? info.body['sha'] : undefined;
  if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/u.test(commit)) throw unexpected(repository);
  const files: ListedFile[] = [];
  let address: string | null = `${api}/tree/${commit}?recursive=true&expand=false`;
  const home = new URL(endpoint).origin;
  for (let page = 0; address !== null; page += 1) {
    if (page >= MAX_PAGES || new URL(address).origin !== home) throw unexpected(repository);
    const { body, next } = await json(connection, address, subject, signal);
    if (!Array.isArray(body)) throw unexpected(repository);
    files.push(...body.map((entry) => fileOf(repository, entry)).filter((file) => file !== null));
    address = next;
  }
  writeRef(cacheDir, repository, revision, commit);
  return { commit, files };
};

/** From the cache alone: the files that were downloaded before. Null where it doesn't know the revision. */
const offline = (
  { settings }: Connection,
  repository: Repository,
  revision: string,
): Listing | null => {
  const commit = cachedCommit(settings.cacheDir, repository, revision);
  if (commit === null) return null;
  const paths = cachedPaths(settings.cacheDir, repository, commit);
  const files = paths.map((path) => ({ path, size: null, sha256: null }));
  return files.length === 0 ? null : { commit, files };
};

/** The files of a revision. Offline, those that are in the cache. */
export const listRepository = async (
  connection: Connection,
  repository: Repository,
  revision: string,
  signal?: AbortSignal,
): Promise<Listing> => {
  checkRepository(repository);
  checkRevision(revision);
  if (!connection.settings.offline) return online(connection, repository, revision, signal);
  const found = offline(connection, repository, revision);
  if (found !== null) return found;
  throw new HubError(
    'offline',
    `${called(repository)} at ${revision} is not in ${connection.settings.cacheDir}, and HF_HUB_OFFLINE is set`,
    'unset HF_HUB_OFFLINE for one run that downloads it, or copy the cache from a machine that has it',
  );
};
