// Pins what experiments take from the hub: asks it which commit a revision is, which files a step needs of it, and what
// they hold. Large files aren't downloaded for that, the hub knows their digests; small ones are.

import { readFileSync } from 'node:fs';
import type { Experiment } from '../engine/experiment.ts';
import { findLocked, withEntry, writeLock, type Lock, type LockEntry } from '../engine/lock.ts';
import { err, ok, type Result } from '../engine/result.ts';
import { StepError, type HubRequest } from '../engine/step.ts';
import type { Hub } from '../hub/client.ts';
import { HubError } from '../hub/error.ts';
import type { Diagnostic } from '../schemas/diagnostic.ts';
import { hubErrorCode } from '../steps/hub-files.ts';
import { describeWanted, hubRequests, type WantedFromHub } from './hub-requests.ts';

/** What one request stands for, looked up at a revision (the requested one, or a commit that is to be kept). */
const entryOf = async (hub: Hub, request: HubRequest, at: string): Promise<LockEntry> => {
  const { type, id, revision: requested, part } = request;
  const repository = { type, id };
  const { commit, files } = await hub.list(repository, at);
  const selected = await request.select({
    paths: files.map(({ path }) => path),
    read: async (path) => {
      const file = files.find((each) => each.path === path);
      if (file === undefined) throw new Error(`${id} has no ${path}`);
      const [fetched] = await hub.fetch(repository, commit, [file]);
      return fetched === undefined ? '' : readFileSync(fetched.path, 'utf8');
    },
  });
  if ('instead' in selected) {
    if (selected.instead === at) throw new Error(`${id} points from ${at} to itself`);
    return entryOf(hub, request, selected.instead);
  }
  const wanted = files.filter(({ path }) => selected.includes(path));
  const unknown = wanted.filter(({ sha256 }) => sha256 === null);
  const fetched = await hub.fetch(repository, commit, unknown);
  const digests = new Map(unknown.map(({ path }, index) => [path, fetched[index]]));
  const locked = wanted.map(({ path, size, sha256 }) => {
    const found = digests.get(path) ?? { size, sha256 };
    if (found.size === null || found.sha256 === null) throw new Error(`${path} has no digest`);
    return { path, size: found.size, sha256: found.sha256 };
  });
  return {
    type,
    id,
    requested,
    ...(part === '' ? {} : { part }),
    revision: commit,
    files: locked.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
};

const problemOf = (wanted: WantedFromHub, error: unknown): Diagnostic => {
  if (!(error instanceof HubError) && !(error instanceof StepError)) throw error;
  const code = error instanceof HubError ? hubErrorCode(error) : error.code;
  const { message, hint } = error;
  return {
    severity: 'error',
    code,
    message: `${wanted.steps[0] ?? wanted.id}: ${message}`,
    location: wanted.location,
    ...(hint === undefined ? {} : { hint }),
  };
};

export interface PinOptions {
  /** Asks for every revision again (`mesa lock --update`). */
  readonly update: boolean;
  /** Is told of each entry that is new or has moved. */
  readonly onPinned: (entry: LockEntry, before: LockEntry | null) => void;
}

/**
 * The lock with an entry for everything that the experiments take from the hub; written where something is new. Parts of
 * one repository stay at one commit: a part that is new is looked up where the others are.
 */
export const pinAll = async (
  root: string,
  lock: Lock,
  experiments: readonly Experiment[],
  { update, onPinned }: PinOptions,
): Promise<Result<Lock, readonly Diagnostic[]>> => {
  const all = hubRequests(experiments);
  const todo = update ? all : all.filter((wanted) => findLocked(lock, wanted) === null);
  if (todo.length === 0) return ok(lock);
  const { openHub } = await import('../hub/client.ts');
  const hub = openHub(process.env);
  const problems: Diagnostic[] = [];
  let pinned = lock;
  // Commits of this update, and of what stays.
  let kept: Lock = update ? { entries: [] } : lock;
  for (const wanted of todo) {
    const sibling = kept.entries.find(
      ({ type, id, requested }) =>
        type === wanted.type && id === wanted.id && requested === wanted.requested,
    );
    try {
      const entry = await entryOf(hub, wanted.request, sibling?.revision ?? wanted.requested);
      const before = findLocked(pinned, wanted);
      kept = withEntry(kept, entry);
      pinned = withEntry(pinned, entry);
      if (before?.revision !== entry.revision) onPinned(entry, before);
    } catch (error) {
      problems.push(problemOf(wanted, error));
    }
  }
  if (problems.length > 0) return err(problems);
  writeLock(root, pinned);
  return ok(pinned);
};

/** `pinned the model org/name at main to 0123456789ab`. */
export const pinnedText = (entry: LockEntry, before: LockEntry | null): string => {
  const moved = before === null ? '' : `, from ${before.revision.slice(0, 12)}`;
  return `pinned ${describeWanted(entry)} to ${entry.revision.slice(0, 12)}${moved}`;
};
