// mesa.lock.json: what floating revisions were resolved to, once, with the digest of every file. It makes keys known
// without downloading, and a run the same tomorrow.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic } from '../schemas/diagnostic.ts';
import { isDigest } from './digest.ts';
import { isSafeName } from './manifest.ts';
import { err, ok, type Result } from './result.ts';

export const LOCK_FILE = 'mesa.lock.json';

export interface LockedFile {
  /** Inside the repository. */
  readonly path: string;
  readonly size: number;
  /** SHA-256. */
  readonly sha256: string;
}

export interface LockEntry {
  readonly type: 'model' | 'dataset';
  /** `HuggingFaceTB/SmolLM2-135M-Instruct`. */
  readonly id: string;
  /** As the experiment asks for it: a branch, a tag, or a commit. */
  readonly requested: string;
  /** The commit it stands for. */
  readonly revision: string;
  /** Which of its files (step.ts, HubRequest); left out where it is all that any step takes. */
  readonly part?: string;
  readonly files: readonly LockedFile[];
}

export interface Lock {
  readonly entries: readonly LockEntry[];
}

/** What an entry is for. */
export type Locked = Pick<LockEntry, 'type' | 'id' | 'requested' | 'part'>;

const same = (a: Locked, b: Locked): boolean =>
  a.type === b.type &&
  a.id === b.id &&
  a.requested === b.requested &&
  (a.part ?? '') === (b.part ?? '');

export const findLocked = (lock: Lock, wanted: Locked): LockEntry | null =>
  lock.entries.find((entry) => same(entry, wanted)) ?? null;

/** A lock with the entry in place of any for the same thing. */
export const withEntry = (lock: Lock, entry: LockEntry): Lock => ({
  entries: [...lock.entries.filter((each) => !same(each, entry)), entry],
});

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

const parseFile = (value: unknown): LockedFile | null => {
  if (!isObject(value)) return null;
  const { path, size, sha256 } = value;
  if (typeof path !== 'string' || !isSafeName(path)) return null;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return null;
  return typeof sha256 === 'string' && isDigest(sha256) ? { path, size, sha256 } : null;
};

const parseEntry = (value: unknown): LockEntry | null => {
  if (!isObject(value)) return null;
  const { type, id, requested, revision, part, files } = value;
  if (type !== 'model' && type !== 'dataset') return null;
  if (typeof id !== 'string' || typeof requested !== 'string' || typeof revision !== 'string')
    return null;
  if (part !== undefined && typeof part !== 'string') return null;
  if (!isList(files)) return null;
  const parsed = files.map(parseFile);
  return parsed.every((file) => file !== null)
    ? { type, id, requested, revision, ...(part === undefined ? {} : { part }), files: parsed }
    : null;
};

const parse = (text: string): Lock | null => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || value['version'] !== 1 || !isList(value['entries'])) return null;
  const entries = value['entries'].map(parseEntry);
  return entries.every((entry) => entry !== null) ? { entries } : null;
};

/** An absent file is an empty lock. */
export const readLock = (root: string): Result<Lock, Diagnostic> => {
  const path = join(root, LOCK_FILE);
  if (!existsSync(path)) return ok({ entries: [] });
  const lock = parse(readFileSync(path, 'utf8'));
  if (lock !== null) return ok(lock);
  const message = `${path} is not a lock file of this version of MESA`;
  const hint = 'restore it from version control, or remove it and run `mesa lock`';
  return err({ severity: 'error', code: 'E415', message, hint });
};

const order = (a: LockEntry, b: LockEntry): number => {
  const [left, right] = [a, b].map(
    (entry) => `${entry.type} ${entry.id} ${entry.requested} ${entry.part ?? ''}`,
  );
  return (left ?? '') < (right ?? '') ? -1 : 1;
};

/** The same entries give the same bytes, so that version control shows what moved and nothing else. */
export const lockText = (lock: Lock): string => {
  const entries = lock.entries
    .toSorted(order)
    .map(({ type, id, requested, revision, part, files }) => ({
      type,
      id,
      requested,
      ...(part === undefined || part === '' ? {} : { part }),
      revision,
      files: files
        .toSorted((a, b) => (a.path < b.path ? -1 : 1))
        .map(({ path, size, sha256 }) => ({ path, size, sha256 })),
    }));
  return `${JSON.stringify({ version: 1, entries }, null, 2)}\n`;
};

export const writeLock = (root: string, lock: Lock): void => {
  const path = join(root, LOCK_FILE);
  writeFileSync(`${path}.new`, lockText(lock), { flush: true });
  renameSync(`${path}.new`, path);
};
