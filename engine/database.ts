// The SQLite file of a cache: opening, schema, and the one way to write. Only coordinators open it, never workers.

import Database from 'better-sqlite3';

export type Sqlite = Database.Database;

/** Raised with every change of the tables; a file of a newer MESA is refused, an older one is migrated here. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  -- One result per key and numerics class ('' where there are no numerics).
  CREATE TABLE actions (
    key TEXT NOT NULL, numerics TEXT NOT NULL, codeless TEXT NOT NULL,
    type TEXT NOT NULL, id TEXT NOT NULL, step TEXT NOT NULL,
    fields TEXT NOT NULL, result TEXT NOT NULL,
    run TEXT NOT NULL, finished_at INTEGER NOT NULL, duration_ms REAL NOT NULL, peak_bytes INTEGER,
    accepted TEXT, used_at INTEGER NOT NULL,
    PRIMARY KEY (key, numerics));
  CREATE INDEX actions_by_step ON actions (type, id, finished_at);
  CREATE INDEX actions_by_type ON actions (type, finished_at);
  CREATE INDEX actions_by_codeless ON actions (codeless);
  -- Artifacts: digest -> text of the manifest.
  CREATE TABLE manifests (digest TEXT PRIMARY KEY, body TEXT NOT NULL);
  -- Content in objects/, and the stamp it had when last hashed.
  CREATE TABLE objects (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, stamp TEXT);
  -- Content that lies where the user keeps it.
  CREATE TABLE locations (
    path TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER NOT NULL, stamp TEXT,
    checked_at INTEGER NOT NULL);
  CREATE INDEX locations_by_digest ON locations (digest);
  -- Who is at work. A coordinator lives as long as the lock on live/<id>.sqlite is held.
  CREATE TABLE coordinators (id TEXT PRIMARY KEY, run TEXT NOT NULL, started_at INTEGER NOT NULL);
  CREATE TABLE workers (
    coordinator TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL,
    PRIMARY KEY (coordinator, pid));
  CREATE TABLE leases (key TEXT PRIMARY KEY, coordinator TEXT NOT NULL, taken_at INTEGER NOT NULL);
  -- Things worked out from content, by digest: closures, descriptions of plugins.
  CREATE TABLE facts (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key));
`;

export class NewerDatabase extends Error {}

/** Throws SqliteError, or NewerDatabase. */
export const openDatabase = (path: string): Sqlite => {
  const database = new Database(path, { timeout: 30_000 });
  try {
    database.pragma('journal_mode = WAL');
    // Without an fsync for each commit a power cut may lose the last rows, never their order: no row without its objects.
    database.pragma('synchronous = NORMAL');
    const version = (): number => database.pragma('user_version', { simple: true }) as number;
    if (version() > SCHEMA_VERSION) throw new NewerDatabase(path);
    if (version() < SCHEMA_VERSION) {
      write(database, () => {
        if (version() === SCHEMA_VERSION) return;
        database.exec(SCHEMA);
        database.pragma(`user_version = ${SCHEMA_VERSION}`);
      });
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
};

/** BEGIN IMMEDIATE: a deferred transaction that reads first and writes then may fail with a stale snapshot. */
export const write = <T>(database: Sqlite, work: () => T): T =>
  database.inTransaction ? work() : database.transaction(work).immediate();

export type FactKind = 'closure' | 'plugin';

/** Things worked out from content, remembered: closures by module, answers of plugins by question. */
export interface Facts {
  get(key: string): string | undefined;
  set(key: string, body: string): void;
}

export const factsIn = (database: Sqlite, kind: FactKind): Facts => {
  const get = database.prepare<[string, string], { body: string }>(
    'SELECT body FROM facts WHERE kind = ? AND key = ?',
  );
  const set = database.prepare<[string, string, string]>(
    'INSERT OR REPLACE INTO facts VALUES (?, ?, ?)',
  );
  return {
    get: (key) => get.get(kind, key)?.body,
    set: (key, body) => {
      write(database, () => set.run(kind, key, body));
    },
  };
};
