// The folder that outlives attempts of one key: complete checkpoints, and the journal of finished rows.
//
//   checkpoints/<key>/c-000007/   the newest complete checkpoint; older ones are removed after it is on disk
//                     new-<attempt>/   being written; nobody reads it
//                     journal     append-only lines
//                     about.json  whose it is

import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  fstatSync,
} from 'node:fs';
import { join } from 'node:path';
import type { KeyFields } from './key.ts';

export const ABOUT = 'about.json';

/** The step that a checkpoint belongs to. */
export interface AboutCheckpoint {
  readonly type: string;
  readonly id: string;
  readonly fields: KeyFields;
}

const COMPLETE = /^c-(\d{6,})$/;

const complete = (folder: string): readonly number[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .flatMap((name) => COMPLETE.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => b - a)
    : [];

const nameOf = (sequence: number): string => `c-${String(sequence).padStart(6, '0')}`;

const syncPath = (path: string): void => {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
};

const syncTree = (folder: string): void => {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else syncPath(path);
  }
  syncPath(folder);
};

/** Folder of the newest complete checkpoint, or null. */
export const loadCheckpoint = (folder: string): string | null => {
  const [newest] = complete(folder);
  return newest === undefined ? null : join(folder, nameOf(newest));
};

/** Whether an attempt would go on from something: a checkpoint or journaled rows. */
export const hasProgress = (folder: string): boolean =>
  loadCheckpoint(folder) !== null || existsSync(journalPath(folder));

/** All of it is on disk before its name says that it is complete, and the former one goes only then. */
export const saveCheckpoint = async (
  folder: string,
  attempt: string,
  save: (folder: string) => void | Promise<void>,
): Promise<void> => {
  const fresh = join(folder, `new-${attempt}`);
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  await save(fresh);
  syncTree(fresh);
  const former = complete(folder);
  renameSync(fresh, join(folder, nameOf((former[0] ?? 0) + 1)));
  syncPath(folder);
  for (const sequence of former)
    rmSync(join(folder, nameOf(sequence)), { recursive: true, force: true });
};

export const journalPath = (folder: string): string => join(folder, 'journal');

/** What a killed attempt left half-written goes: unfinished checkpoints, and the journal's last line if incomplete. */
export const repairCheckpoints = (folder: string): void => {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder))
    if (name.startsWith('new-')) rmSync(join(folder, name), { recursive: true, force: true });
  const journal = journalPath(folder);
  if (!existsSync(journal)) return;
  const file = openSync(journal, 'r+');
  try {
    const chunk = Buffer.allocUnsafe(1 << 16);
    for (let end = fstatSync(file).size; end > 0;) {
      const start = Math.max(0, end - chunk.length);
      const size = readSync(file, chunk, 0, end - start, start);
      const newline = chunk.subarray(0, size).lastIndexOf(10);
      end = newline >= 0 ? start + newline + 1 : start;
      ftruncateSync(file, end);
      if (newline >= 0) return;
    }
  } finally {
    closeSync(file);
  }
};
