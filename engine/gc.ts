// What the cache holds, and taking away what nobody will ask for: kept is what the last runs, pinned runs, living runs
// and checkpoints of the last days reach. Everything it deletes it deletes inside a write transaction, in which no
// coordinator takes results in, so that nothing can vanish that is just being added.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { now } from './clock.ts';
import { write } from './database.ts';
import type { StepResult } from '../schemas/event.ts';
import { livingRuns } from './lease.ts';
import type { ArtifactDigest } from './manifest.ts';
import type { Project } from './project.ts';
import { readRun, runIds } from './run-store.ts';

const DAY_MS = 86_400_000;

export interface GcOptions {
  /** How many of the newest runs keep their results. */
  readonly runs: number;
  /** Days that unfinished checkpoints and derived files are kept after they were last written or read. */
  readonly days: number;
  readonly dryRun: boolean;
}
export const gcDefaults: GcOptions = { runs: 20, days: 14, dryRun: false };

export interface GcReport {
  readonly results: number;
  readonly objects: number;
  readonly checkpoints: number;
  readonly derived: number;
  /** What was freed (or would be). */
  readonly bytes: number;
  readonly keptResults: number;
  readonly keptBytes: number;
}

/** A run whose folder holds a file of this name is never forgotten by gc. */
export const PIN = 'pinned';

const sizeOf = (path: string): number => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
};

const newestUse = (path: string): number => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  const own = Math.max(stat.mtimeMs, stat.isDirectory() ? 0 : stat.atimeMs);
  if (!stat.isDirectory()) return own;
  return readdirSync(path).reduce(
    (latest, name) => Math.max(latest, newestUse(join(path, name))),
    own,
  );
};

const entries = (folder: string): readonly string[] =>
  existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];

const keptKeys = (project: Project, options: GcOptions): ReadonlySet<string> => {
  const ids = runIds(project.runsDir);
  const kept = ids.filter(
    (id, at) => at < options.runs || existsSync(join(project.runsDir, id, PIN)),
  );
  const keys = kept.flatMap(
    (id) => readRun(project.runsDir, id)?.steps.flatMap((step) => step.result?.key ?? []) ?? [],
  );
  return new Set(keys);
};

interface ActionRow {
  readonly key: string;
  readonly numerics: string;
  readonly result: string;
  readonly used_at: number;
}

const manifestsOf = (rows: readonly ActionRow[]): ReadonlySet<ArtifactDigest> =>
  new Set(
    rows.flatMap((row) =>
      (JSON.parse(row.result) as StepResult).outputs.map(
        (output) => output.digest as ArtifactDigest,
      ),
    ),
  );

/** Files of the store by digest. */
const storedFiles = (folder: string): ReadonlyMap<string, string> =>
  new Map(
    entries(folder).flatMap((shard) =>
      entries(shard).map((path) => [shard.slice(-2) + path.slice(shard.length + 1), path] as const),
    ),
  );

export const gcCache = (project: Project, options: GcOptions = gcDefaults): GcReport =>
  write(project.database, () => {
    const { database, objects } = project;
    const living = livingRuns(database, project.liveDir);
    const since = Math.min(Infinity, ...living.map((run) => run.startedAt));
    const keys = keptKeys(project, options);
    const rows = database
      .prepare<[], ActionRow>('SELECT key, numerics, result, used_at FROM actions')
      .all();
    const keeps = (row: ActionRow): boolean => keys.has(row.key) || row.used_at >= since;
    const kept = rows.filter(keeps);
    const gone = rows.filter((row) => !keeps(row));
    const manifests = manifestsOf(kept);
    const content = new Map<string, number>();
    for (const digest of manifests)
      for (const file of objects.manifest(digest)?.files ?? []) content.set(file.digest, file.size);
    const remove = (path: string): number => {
      const bytes = sizeOf(path);
      if (!options.dryRun) rmSync(path, { recursive: true, force: true });
      return bytes;
    };
    let bytes = 0;
    const stored = storedFiles(objects.folder);
    const unreached = [...stored].filter(([digest]) => !content.has(digest));
    for (const [digest, path] of unreached) {
      bytes += remove(path);
      if (!options.dryRun) database.prepare('DELETE FROM objects WHERE digest = ?').run(digest);
    }
    if (!options.dryRun) {
      const dropAction = database.prepare('DELETE FROM actions WHERE key = ? AND numerics = ?');
      for (const row of gone) dropAction.run(row.key, row.numerics);
      const dropManifest = database.prepare('DELETE FROM manifests WHERE digest = ?');
      for (const { digest } of database
        .prepare<[], { digest: string }>('SELECT digest FROM manifests')
        .all())
        if (!manifests.has(digest as ArtifactDigest)) dropManifest.run(digest);
    }
    const leased = new Set(
      database
        .prepare<[], { key: string }>('SELECT key FROM leases')
        .all()
        .map((row) => row.key),
    );
    const old = now() - options.days * DAY_MS;
    const stale = entries(project.checkpointsDir).filter(
      (path) => !leased.has(path.slice(-64)) && newestUse(path) < old,
    );
    // Files derived from content may be read by a running step at any time.
    const derived =
      living.length > 0 ? [] : entries(project.derivedDir).filter((path) => newestUse(path) < old);
    for (const path of [...stale, ...derived]) bytes += remove(path);
    const runs = new Set(living.map((run) => run.run));
    for (const path of entries(project.attemptsDir))
      if (!runs.has(path.slice(project.attemptsDir.length + 1))) bytes += remove(path);
    return {
      results: gone.length,
      objects: unreached.length,
      checkpoints: stale.length,
      derived: derived.length,
      bytes,
      keptResults: kept.length,
      keptBytes: [...content].reduce(
        (sum, [digest, size]) => sum + (stored.has(digest) ? size : 0),
        0,
      ),
    };
  });

export interface CacheEntry {
  readonly type: string;
  /** The step's id in the file. */
  readonly id: string;
  readonly results: number;
  /** Bytes of its artifacts that lie in the store; artifacts of several steps may share them. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
}

export interface CacheListing {
  readonly entries: readonly CacheEntry[];
  readonly objects: number;
  readonly bytes: number;
  readonly checkpoints: readonly {
    readonly key: string;
    readonly bytes: number;
    readonly usedAt: number;
  }[];
  readonly derivedBytes: number;
  readonly databaseBytes: number;
}

interface ListedRow {
  readonly type: string;
  readonly id: string;
  readonly result: string;
  readonly used_at: number;
}

/** What is in the cache, largest first. */
export const listCache = (project: Project): CacheListing => {
  const { database, objects } = project;
  const stored = new Map(
    database
      .prepare<[], { digest: string; size: number }>('SELECT digest, size FROM objects')
      .all()
      .map((row) => [row.digest, row.size]),
  );
  const groups = new Map<string, CacheEntry>();
  for (const row of database
    .prepare<[], ListedRow>('SELECT type, id, result, used_at FROM actions')
    .iterate()) {
    const name = `${row.type}\n${row.id}`;
    const files = (JSON.parse(row.result) as StepResult).outputs.flatMap(
      (output) => objects.manifest(output.digest as ArtifactDigest)?.files ?? [],
    );
    const bytes = files.reduce((sum, file) => sum + (stored.get(file.digest) ?? 0), 0);
    const known = groups.get(name);
    groups.set(name, {
      type: row.type,
      id: row.id,
      results: (known?.results ?? 0) + 1,
      bytes: (known?.bytes ?? 0) + bytes,
      usedAt: Math.max(known?.usedAt ?? 0, row.used_at),
    });
  }
  return {
    entries: [...groups.values()].sort((a, b) => b.bytes - a.bytes),
    objects: stored.size,
    bytes: [...stored.values()].reduce((sum, size) => sum + size, 0),
    checkpoints: entries(project.checkpointsDir).map((path) => ({
      key: path.slice(project.checkpointsDir.length + 1),
      bytes: sizeOf(path),
      usedAt: newestUse(path),
    })),
    derivedBytes: sizeOf(project.derivedDir),
    databaseBytes: sizeOf(join(project.cacheDir, 'cache.sqlite')),
  };
};
