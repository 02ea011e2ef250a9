// SHA-256 of files, and the stamp by which an unchanged file is known again without reading it.
// It knows nothing of caches: who remembers stamps is file-digests.ts and object-store.ts.

import { createHash, hash } from 'node:crypto';
import { readFileSync, type BigIntStats } from 'node:fs';
import { open } from 'node:fs/promises';
import { uptime } from 'node:os';
import { now } from './clock.ts';

/** SHA-256 of some bytes, 64 hex digits. */
export type ContentDigest = string & { readonly __brand: 'ContentDigest' };

/** Boot, device, inode, size, mtime, ctime. Equal stamps: the file is the one that was hashed. */
export type Stamp = string & { readonly __brand: 'Stamp' };

export const asDigest = (hex: string): ContentDigest => hex as ContentDigest;

export const isDigest = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

export const digestOf = (content: string | Uint8Array): ContentDigest =>
  asDigest(hash('sha256', content, 'hex'));

const readBootId = (): string => {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 13);
  } catch {
    // Elsewhere the minute of the boot; a clock that was set in between costs one re-hash, never a wrong hit.
    return String(Math.round((now() / 1000 - uptime()) / 60));
  }
};
let boot: string | undefined;

/** What was hashed before the last boot is hashed again: a power cut may have eaten bytes that a stat still promises. */
export const stampOf = (stat: BigIntStats): Stamp =>
  `${(boot ??= readBootId())}:${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}` as Stamp;

/** mtimes are as coarse as 2 s (FAT); a file written so shortly before it was hashed may change without a trace. */
const RACY_NS = 2_000_000_000n;
export const isRacy = (stat: BigIntStats): boolean =>
  BigInt(now()) * 1_000_000n - stat.mtimeNs < RACY_NS;

// Two buffers of 2 MiB, so that the kernel reads one while the other is hashed (bench/engine-hash.ts).
const CHUNK = 2 << 20;

export interface HashedFile {
  readonly digest: ContentDigest;
  readonly size: number;
  /** Null where the file changed while it was read, or so recently that its stamp can't be trusted. */
  readonly stamp: Stamp | null;
}

/** Streams a file. Throws the file system's errors, and `signal.reason` when aborted. */
export const hashFile = async (path: string, signal?: AbortSignal): Promise<HashedFile> => {
  const file = await open(path, 'r');
  try {
    const before = await file.stat({ bigint: true });
    const whole = Number(before.size);
    const sha = createHash('sha256');
    let size = 0;
    if (whole <= CHUNK) {
      const content = await file.readFile();
      sha.update(content);
      size = content.length;
    } else {
      let [current, next] = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
      let { bytesRead } = await file.read(current, 0, CHUNK, 0);
      while (bytesRead > 0) {
        signal?.throwIfAborted();
        size += bytesRead;
        const reading = file.read(next, 0, CHUNK, size);
        sha.update(current.subarray(0, bytesRead));
        [current, next] = [next, current];
        ({ bytesRead } = await reading);
      }
    }
    const after = await file.stat({ bigint: true });
    const stable = stampOf(before) === stampOf(after) && size === Number(after.size);
    return {
      digest: asDigest(sha.digest('hex')),
      size,
      stamp: stable && !isRacy(after) ? stampOf(after) : null,
    };
  } finally {
    await file.close();
  }
};
