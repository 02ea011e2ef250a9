// One file of a commit -> a verified blob of the cache. Continued after a break, checked while it is written, and made
// visible only when every byte is right.

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { blobsFolder, linkBlob } from './cache-layout.ts';
import { HubError, Transient } from './error.ts';
import {
  addressOf,
  askMetadata,
  isGitSha1,
  isSha256,
  wantedName,
  type Metadata,
  type Wanted,
} from './metadata.ts';
import { claimPartial, release } from './partial.ts';
import { reasonOf, request, withRetries, type Answer, type Connection } from './request.ts';
import { Sink } from './sink.ts';

export interface Downloaded {
  /** In the snapshot of the commit. */
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** How many bytes of the file are there. */
  readonly onBytes?: ((done: number) => void) | undefined;
}

/** How often a download of another process is looked at. */
const POLL_MS = 200;

/** SHA-256 of a file, and git's digest of it as a blob. */
export const digestsOf = async (
  path: string,
  signal?: AbortSignal,
): Promise<{ readonly sha256: string; readonly git: string; readonly size: number }> => {
  const { size } = statSync(path);
  const sha256 = createHash('sha256');
  const git = createHash('sha1').update(`blob ${size}\0`);
  const stream = createReadStream(path, {
    highWaterMark: 1 << 20,
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const chunk of stream) {
    sha256.update(chunk as Buffer);
    git.update(chunk as Buffer);
  }
  return { sha256: sha256.digest('hex'), git: git.digest('hex'), size };
};

/** The SHA-256 of a blob that is there already, if its content is right. */
export const verifiedBlob = async (
  blob: string,
  etag: string | null,
  expected: string | null,
  signal?: AbortSignal,
): Promise<string | null> => {
  const { sha256, git } = await digestsOf(blob, signal);
  if (expected !== null) return expected === sha256 ? sha256 : null;
  if (etag !== null && isSha256(etag)) return etag === sha256 ? sha256 : null;
  return etag === null || !isGitSha1(etag) || etag === git ? sha256 : null;
};

const inUnits = (bytes: number): string =>
  bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;

const diskFull = (wanted: Wanted, sink: Sink): HubError =>
  new HubError(
    'disk-full',
    `no space for ${wantedName(wanted)}: ${inUnits(sink.missing)} more are needed in ${dirname(sink.path)}`,
    'free some space, or set HF_HOME to a folder on a larger disk',
  );

const cutOff = (wanted: Wanted, sink: Sink, why: string): Transient => {
  const message = `${wantedName(wanted)} breaks off after ${sink.done} of ${sink.done + sink.missing} bytes (${why})`;
  const hint = 'run it again: the download goes on where it stopped';
  return new Transient(new HubError('truncated', message, hint));
};

/** False where the answer begins at another byte than the one that is missing next. */
const aligns = async ({ response }: Answer, sink: Sink): Promise<boolean> => {
  const range = /^bytes (\d+)-/u.exec(response.headers.get('content-range') ?? '')?.[1];
  if (response.status === 206) return Number(range) === sink.done;
  if (response.status === 416) return false;
  // The whole, where only the rest was asked for.
  if (sink.done > 0) await sink.restart();
  return true;
};

const pour = async (
  wanted: Wanted,
  answer: Answer,
  sink: Sink,
  options: DownloadOptions,
): Promise<void> => {
  const reader = answer.response.body?.getReader();
  while (reader !== undefined) {
    const chunk = await reader.read().then(
      ({ value }: { value?: Uint8Array | undefined }) => value,
      (error: unknown) => {
        options.signal?.throwIfAborted();
        throw cutOff(wanted, sink, reasonOf(error));
      },
    );
    if (chunk === undefined) break;
    answer.alive();
    if (chunk.length > sink.missing) {
      await sink.restart();
      throw cutOff(wanted, sink, 'more came than was announced');
    }
    try {
      await sink.write(chunk);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw code === 'ENOSPC' || code === 'EDQUOT' ? diskFull(wanted, sink) : error;
    }
    options.onBytes?.(sink.done);
  }
  if (sink.missing > 0) throw cutOff(wanted, sink, 'the connection was closed');
};

const fetchMissing = async (
  connection: Connection,
  wanted: Wanted,
  etag: string,
  sink: Sink,
  options: DownloadOptions,
): Promise<void> => {
  if (sink.missing === 0) return;
  const { bavail, bsize } = await statfs(dirname(sink.path));
  if (bavail * bsize < sink.missing) throw diskFull(wanted, sink);
  // Content kept elsewhere is named by its digest; of the hub's own answers the ETag must still be the same.
  const rest: Record<string, string> =
    sink.done === 0
      ? {}
      : { range: `bytes=${sink.done}-`, ...(isSha256(etag) ? {} : { 'if-range': `"${etag}"` }) };
  const answer = await request(connection, addressOf(connection, wanted), wanted, {
    headers: rest,
    signal: options.signal,
  });
  try {
    if (!(await aligns(answer, sink))) {
      await sink.restart();
      throw cutOff(wanted, sink, 'the server sent another part of the file');
    }
    await pour(wanted, answer, sink, options);
  } finally {
    answer.close();
    await answer.response.body?.cancel().catch(() => undefined);
  }
};

/** Fills the unfinished blob and gives its SHA-256. */
const fill = async (
  connection: Connection,
  wanted: Wanted,
  metadata: Metadata,
  sink: Sink,
  options: DownloadOptions,
): Promise<string> => {
  for (let times = 1; ; times += 1) {
    await withRetries(
      connection,
      options.signal,
      () => fetchMissing(connection, wanted, metadata.etag, sink, options),
      () => sink.done,
    );
    const sha256 = await sink.seal(wanted.sha256);
    if (sha256 !== null) return sha256;
    await sink.restart();
    // Once may be an accident on the way, or a beginning that another program left.
    if (times === 2)
      throw new HubError(
        'damaged',
        `${wantedName(wanted)} arrives with wrong content: its digest is not the one that was announced`,
        'something between here and the hub changes what passes (a proxy, a mirror in HF_ENDPOINT)',
      );
  }
};

/** Downloads a file that the cache doesn't have under this path. */
export const downloadFile = async (
  connection: Connection,
  wanted: Wanted,
  options: DownloadOptions = {},
): Promise<Downloaded> => {
  const { cacheDir } = connection.settings;
  const { repository, revision, path } = wanted;
  const { signal } = options;
  const blobs = blobsFolder(cacheDir, repository);
  mkdirSync(blobs, { recursive: true });
  const metadata = await askMetadata(connection, wanted, signal);
  const { etag, size } = metadata;
  const blob = join(blobs, etag);
  const finished = (sha256: string): Downloaded => ({
    path: linkBlob(cacheDir, repository, revision, path, etag),
    size,
    sha256,
  });
  for (;;) {
    if (existsSync(blob)) {
      const sha256 = await verifiedBlob(blob, etag, wanted.sha256, signal);
      if (sha256 !== null) return finished(sha256);
      rmSync(blob, { force: true });
    }
    const claim = claimPartial(blobs, etag);
    if (claim.kind === 'theirs') {
      options.onBytes?.(statSync(claim.path, { throwIfNoEntry: false })?.size ?? 0);
      await connection.sleep(POLL_MS, signal);
      continue;
    }
    try {
      const sink = await Sink.open(claim.path, metadata);
      try {
        const sha256 = await fill(connection, wanted, metadata, sink, options);
        renameSync(claim.path, blob);
        return finished(sha256);
      } finally {
        await sink.close();
      }
    } finally {
      release(claim);
    }
  }
};
