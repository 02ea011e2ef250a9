// What the hub says of one file before it sends it: the name of its content, and how many bytes it has.

import { HubError } from './error.ts';
import { called, type Repository } from './repository-name.ts';
import { request, withRetries, type Answer, type Connection } from './request.ts';

/** A file of a commit, with what is known of its content. */
export interface Wanted {
  readonly repository: Repository;
  /** A commit. */
  readonly revision: string;
  readonly path: string;
  readonly size: number | null;
  readonly sha256: string | null;
}

export interface Metadata {
  /** SHA-256 where the file is kept as LFS, else git's SHA-1 of the blob: its name in the cache. */
  readonly etag: string;
  readonly size: number;
}

export const isSha256 = (etag: string): boolean => /^[0-9a-f]{64}$/u.test(etag);
export const isGitSha1 = (etag: string): boolean => /^[0-9a-f]{40}$/u.test(etag);

export const wantedName = (wanted: Wanted): string =>
  `${wanted.path} of ${called(wanted.repository)}`;

export const addressOf = (
  { settings }: Connection,
  { repository, revision, path }: Wanted,
): string => {
  const folder = repository.type === 'model' ? '' : 'datasets/';
  const name = path.split('/').map(encodeURIComponent).join('/');
  return `${settings.endpoint}/${folder}${repository.id}/resolve/${revision}/${name}`;
};

/** `W/"abc"` -> `abc`. */
const plain = (etag: string | null): string | null =>
  etag === null ? null : etag.replace(/^W\//u, '').replace(/^"|"$/gu, '');

const sizeOf = (answer: Answer): number | null => {
  const { headers } = answer.response;
  const text =
    answer.header('x-linked-size') ?? (answer.elsewhere ? null : headers.get('content-length'));
  const size = text === null ? NaN : Number(text);
  return Number.isSafeInteger(size) && size >= 0 ? size : null;
};

const read = (wanted: Wanted, answer: Answer): Metadata => {
  const own = answer.elsewhere ? null : answer.response.headers.get('etag');
  const etag = plain(answer.header('x-linked-etag') ?? own) ?? wanted.sha256;
  const size = sizeOf(answer) ?? wanted.size;
  if (etag === null || size === null || !/^[\w-]{1,128}$/u.test(etag))
    throw new HubError(
      'server',
      `the hub doesn't say which content ${wantedName(wanted)} has`,
      'check HF_ENDPOINT',
    );
  const changed =
    (wanted.size !== null && wanted.size !== size) ||
    (wanted.sha256 !== null && isSha256(etag) && wanted.sha256 !== etag);
  if (!changed) return { etag, size };
  throw new HubError(
    'damaged',
    `${wantedName(wanted)} is not what was locked: the hub has other content for commit ${wanted.revision.slice(0, 12)}`,
    'a commit never changes: check HF_ENDPOINT, and that mesa.lock.json was not edited',
  );
};

export const askMetadata = async (
  connection: Connection,
  wanted: Wanted,
  signal: AbortSignal | undefined,
): Promise<Metadata> =>
  withRetries(connection, signal, async () => {
    const answer = await request(connection, addressOf(connection, wanted), wanted, {
      method: 'HEAD',
      signal,
    });
    answer.close();
    return read(wanted, answer);
  });
