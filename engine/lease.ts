// Who computes what. A coordinator lives exactly as long as it holds an exclusive lock on its own small SQLite file:
// the kernel frees the lock within milliseconds of its death, however it died. No heartbeat, no expiry, no clock.

import Database, { type Statement } from 'better-sqlite3';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { now } from './clock.ts';
import { write, type Sqlite } from './database.ts';
import type { StepKey } from './key.ts';

export type Acquired = { readonly kind: 'taken' } | { readonly kind: 'held'; readonly run: string };

/** When a process began, so that a reused pid isn't taken for it. Null where there is no such process. */
export const processStart = (pid: number): string | null => {
  try {
    // Field 22 of /proc/<pid>/stat; the name in field 2 may hold blanks and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
};

const isLocked = (path: string): boolean => {
  if (!existsSync(path)) return false;
  const file = new Database(path, { timeout: 0 });
  try {
    file.exec('BEGIN EXCLUSIVE; ROLLBACK');
    return false;
  } catch {
    return true;
  } finally {
    file.close();
  }
};

export class Leases {
  readonly id = randomBytes(8).toString('hex');
  readonly #database: Sqlite;
  readonly #folder: string;
  readonly #lock: Sqlite;
  readonly #holder: Statement<[string], { coordinator: string; run: string | null }>;
  readonly #take: Statement<[string, string, number]>;
  readonly #release: Statement<[string, string]>;

  /** Announces this coordinator. Throws the file system's and SQLite's errors. */
  constructor(database: Sqlite, folder: string, run: string) {
    this.#database = database;
    this.#folder = folder;
    this.#holder = database.prepare(
      `SELECT leases.coordinator, coordinators.run FROM leases
       LEFT JOIN coordinators ON coordinators.id = leases.coordinator WHERE key = ?`,
    );
    this.#take = database.prepare('INSERT OR REPLACE INTO leases VALUES (?, ?, ?)');
    this.#release = database.prepare('DELETE FROM leases WHERE key = ? AND coordinator = ?');
    mkdirSync(folder, { recursive: true });
    this.#lock = new Database(this.#path(this.id));
    this.#lock.exec('BEGIN EXCLUSIVE');
    // Only now others may learn of it: a coordinator in the table whose file isn't locked is dead.
    write(database, () =>
      database.prepare('INSERT INTO coordinators VALUES (?, ?, ?)').run(this.id, run, now()),
    );
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.sqlite`);
  }

  /**
   * Takes the lease of a key unless a living coordinator has it. Call it inside a write transaction, together with a
   * look at the action cache: else the work may be finished between the look and the lease.
   */
  acquire(key: StepKey): Acquired {
    const row = this.#holder.get(key);
    if (row !== undefined && row.coordinator !== this.id && row.run !== null) {
      if (isLocked(this.#path(row.coordinator))) return { kind: 'held', run: row.run };
      this.#bury(row.coordinator);
    }
    this.#take.run(key, this.id, now());
    return { kind: 'taken' };
  }

  /** Whether somebody, living or dead, has the lease. */
  isTaken(key: StepKey): boolean {
    return this.#holder.get(key) !== undefined;
  }

  release(key: StepKey): void {
    this.#release.run(key, this.id);
  }

  /** A worker process of this coordinator, so that whoever takes over can make sure that it is gone. */
  addWorker(pid: number): void {
    const started = processStart(pid);
    if (started === null) return;
    write(this.#database, () =>
      this.#database
        .prepare('INSERT OR REPLACE INTO workers VALUES (?, ?, ?)')
        .run(this.id, pid, started),
    );
  }

  /** Workers end with their coordinator by themselves; one that is stopped or deep in a system call is ended here. */
  #bury(id: string): void {
    const workers = this.#database
      .prepare<[string], { pid: number; started: string }>(
        'SELECT pid, started FROM workers WHERE coordinator = ?',
      )
      .all(id);
    for (const { pid, started } of workers) {
      if (processStart(pid) !== started) continue;
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It ended between the look and the kill.
      }
    }
    for (const table of ['workers', 'leases'])
      this.#database.prepare(`DELETE FROM ${table} WHERE coordinator = ?`).run(id);
    this.#database.prepare('DELETE FROM coordinators WHERE id = ?').run(id);
    rmSync(this.#path(id), { force: true });
  }

  /** Removes what dead coordinators left. Returns the runs of the dead. */
  buryDead(): readonly string[] {
    return write(this.#database, () => {
      const dead = this.#database
        .prepare<[], { id: string; run: string }>('SELECT id, run FROM coordinators')
        .all()
        .filter(({ id }) => id !== this.id && !isLocked(this.#path(id)));
      for (const { id } of dead) this.#bury(id);
      return dead.map(({ run }) => run);
    });
  }

  /** Gives back everything. */
  close(): void {
    write(this.#database, () => {
      for (const table of ['workers', 'leases'])
        this.#database.prepare(`DELETE FROM ${table} WHERE coordinator = ?`).run(this.id);
      this.#database.prepare('DELETE FROM coordinators WHERE id = ?').run(this.id);
    });
    this.#lock.exec('ROLLBACK');
    this.#lock.close();
    rmSync(this.#path(this.id), { force: true });
  }
}

/** Runs of living coordinators, and when the oldest of them started. */
export const livingRuns = (
  database: Sqlite,
  folder: string,
): readonly { readonly run: string; readonly startedAt: number }[] =>
  database
    .prepare<[], { id: string; run: string; started_at: number }>('SELECT * FROM coordinators')
    .all()
    .filter(({ id }) => isLocked(join(folder, `${id}.sqlite`)))
    .map(({ run, started_at }) => ({ run, startedAt: started_at }));
