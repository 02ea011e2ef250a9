// Content by digest: files in objects/ (read-only, written once) and files that lie where the user keeps them.
// It answers one question honestly: are the bytes of this artifact there, and where? It knows no steps and no keys.

import type { Statement } from 'better-sqlite3';
import { mkdirSync, renameSync, rmSync, statSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { now } from './clock.ts';
import { write, type Sqlite } from './database.ts';
import { hashFile, stampOf, type ContentDigest, type HashedFile, type Stamp } from './digest.ts';
import {
  parseManifest,
  type ArtifactDigest,
  type Manifest,
  type ManifestFile,
} from './manifest.ts';

/** A file that a step wrote or referenced, as its worker hashed it. */
export interface ProducedFile extends ManifestFile {
  /** Where it lies now. */
  readonly path: string;
  /** Referenced files stay where they are; the others move into the store. */
  readonly referenced: boolean;
  readonly stamp: Stamp | null;
  /** inode and mtime when it was hashed: moving a file must not hide that it changed since. */
  readonly seen: string;
}

/** What is wrong with stored content. */
export interface Damage {
  readonly digest: ContentDigest;
  readonly name: string;
  readonly path: string;
  readonly kind: 'missing' | 'size' | 'content' | 'moved';
  readonly message: string;
}

interface Entry {
  digest: string;
  size: number;
  stamp: string | null;
}
interface LocationRow extends Entry {
  path: string;
}

export const seenOf = (stat: BigIntStats): string => `${stat.ino}:${stat.size}:${stat.mtimeNs}`;

const tryStat = (path: string): BigIntStats | undefined =>
  statSync(path, { bigint: true, throwIfNoEntry: false });

export class ObjectStore {
  readonly folder: string;
  readonly #database: Sqlite;
  readonly #object: Statement<[string], Entry>;
  readonly #putObject: Statement<[string, number, string | null]>;
  readonly #dropObject: Statement<[string]>;
  readonly #manifest: Statement<[string], { body: string }>;
  readonly #putManifest: Statement<[string, string]>;
  readonly #locations: Statement<[string], LocationRow>;
  readonly #location: Statement<[string], LocationRow>;
  readonly #putLocation: Statement<[string, string, number, string | null, number]>;
  readonly #dropLocation: Statement<[string]>;
  /** digest -> path, for content that this process found good (many steps share inputs). */
  readonly #good = new Map<string, string>();
  readonly #manifests = new Map<string, Manifest>();

  constructor(folder: string, database: Sqlite) {
    this.folder = folder;
    this.#database = database;
    this.#object = database.prepare('SELECT * FROM objects WHERE digest = ?');
    this.#putObject = database.prepare('INSERT OR REPLACE INTO objects VALUES (?, ?, ?)');
    this.#dropObject = database.prepare('DELETE FROM objects WHERE digest = ?');
    this.#manifest = database.prepare('SELECT body FROM manifests WHERE digest = ?');
    this.#putManifest = database.prepare('INSERT OR IGNORE INTO manifests VALUES (?, ?)');
    this.#locations = database.prepare('SELECT * FROM locations WHERE digest = ?');
    this.#location = database.prepare('SELECT * FROM locations WHERE path = ?');
    this.#putLocation = database.prepare('INSERT OR REPLACE INTO locations VALUES (?, ?, ?, ?, ?)');
    this.#dropLocation = database.prepare('DELETE FROM locations WHERE path = ?');
  }

  objectPath(digest: string): string {
    return join(this.folder, digest.slice(0, 2), digest.slice(2));
  }

  /**
   * Takes files into the store and makes their manifest known. Call it inside a write transaction, after the worker
   * has synced the files: gc deletes inside one too, so it can't take away what is just being added. A kill between
   * a rename and the commit leaves an object without a row, which nobody believes in.
   */
  ingest(manifest: Manifest, files: readonly ProducedFile[]): void {
    for (const file of files) {
      if (file.referenced) {
        this.#putLocation.run(file.path, file.digest, file.size, file.stamp, now());
        this.#good.set(file.digest, file.path);
        continue;
      }
      const before = statSync(file.path, { bigint: true });
      if (seenOf(before) !== file.seen) throw new Error(`${file.name} changed after it was hashed`);
      const target = this.objectPath(file.digest);
      // Over an object that is there already: the same bytes, and if they were damaged, no longer.
      this.#rename(file.path, target);
      this.#putObject.run(file.digest, file.size, stampOf(statSync(target, { bigint: true })));
      this.#good.set(file.digest, target);
    }
    this.#putManifest.run(manifest.digest, manifest.text);
    this.#manifests.set(manifest.digest, manifest);
  }

  #rename(from: string, to: string): void {
    try {
      renameSync(from, to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      mkdirSync(join(to, '..'), { recursive: true });
      renameSync(from, to);
    }
  }

  manifest(digest: ArtifactDigest): Manifest | null {
    const known = this.#manifests.get(digest);
    if (known !== undefined) return known;
    const row = this.#manifest.get(digest);
    const manifest = row === undefined ? null : parseManifest(digest, row.body);
    if (manifest !== null) this.#manifests.set(digest, manifest);
    return manifest;
  }

  /** Where verified content lies. Only for content that `verify` found good or `ingest` took in. */
  locate(digest: ContentDigest): string | null {
    return this.#good.get(digest) ?? null;
  }

  /** Digest and place of content whose stamp is that of its last hash: no bytes are read. */
  #known(file: ManifestFile): string | null {
    const good = this.#good.get(file.digest);
    if (good !== undefined) return good;
    const path = this.objectPath(file.digest);
    const row = this.#object.get(file.digest);
    if (row !== undefined) {
      const stat = tryStat(path);
      if (stat !== undefined && stampOf(stat) === row.stamp && Number(stat.size) === file.size)
        return path;
    }
    for (const location of this.#locations.all(file.digest)) {
      const stat = tryStat(location.path);
      if (stat !== undefined && stampOf(stat) === location.stamp) return location.path;
    }
    return null;
  }

  /** True where every file of the artifact is there unchanged, by stamps alone. Fast; false doesn't mean damaged. */
  isKnownGood(digest: ArtifactDigest): boolean {
    const manifest = this.manifest(digest);
    if (manifest === null) return false;
    for (const file of manifest.files) {
      const path = this.#known(file);
      if (path === null) return false;
      this.#good.set(file.digest, path);
    }
    return true;
  }

  /** Finds each file of an artifact, hashing what can't be told by its stamp. Damaged objects are dropped. */
  async verify(digest: ArtifactDigest, signal?: AbortSignal): Promise<readonly Damage[]> {
    const manifest = this.manifest(digest);
    if (manifest === null) {
      const message = 'the manifest is missing from the cache';
      return [{ digest, name: '', path: '', kind: 'missing', message }];
    }
    const damages: Damage[] = [];
    for (const file of manifest.files) {
      const known = this.#known(file);
      const found = known ?? (await this.#verifyFile(file, damages, signal));
      if (found !== null) this.#good.set(file.digest, found);
    }
    return damages;
  }

  async #verifyFile(
    file: ManifestFile,
    damages: Damage[],
    signal?: AbortSignal,
  ): Promise<string | null> {
    const seen: Damage[] = [];
    if (this.#object.get(file.digest) !== undefined) {
      const path = this.objectPath(file.digest);
      const damage = await this.#check(
        file,
        path,
        (stamp) => {
          this.#putObject.run(file.digest, file.size, stamp);
        },
        signal,
      );
      if (damage === null) return path;
      write(this.#database, () => this.#dropObject.run(file.digest));
      rmSync(path, { force: true });
      seen.push(damage);
    }
    for (const { path } of this.#locations.all(file.digest)) {
      const damage = await this.#check(
        file,
        path,
        (stamp) => {
          this.#putLocation.run(path, file.digest, file.size, stamp, now());
        },
        signal,
      );
      if (damage === null) return path;
      write(this.#database, () => this.#dropLocation.run(path));
      seen.push({ ...damage, kind: 'moved' });
    }
    const path = this.objectPath(file.digest);
    const message = `${file.name} is not in the cache`;
    damages.push(
      ...(seen.length > 0 ? seen : [{ ...file, path, kind: 'missing', message } as const]),
    );
    return null;
  }

  async #check(
    file: ManifestFile,
    path: string,
    remember: (stamp: Stamp | null) => void,
    signal?: AbortSignal,
  ): Promise<Damage | null> {
    const { name, digest } = file;
    const stat = tryStat(path);
    if (stat === undefined)
      return { digest, name, path, kind: 'missing', message: `${path} is gone` };
    if (Number(stat.size) !== file.size) {
      const message = `${path} has ${stat.size} bytes instead of ${file.size}`;
      return { digest, name, path, kind: 'size', message };
    }
    const hashed = await hashFile(path, signal);
    if (hashed.digest !== digest)
      return { digest, name, path, kind: 'content', message: `the content of ${path} changed` };
    write(this.#database, () => {
      remember(hashed.stamp);
    });
    return null;
  }

  /** What is known of a path without reading it. */
  knownDigest(path: string, stat: BigIntStats): ContentDigest | null {
    const row = this.#location.get(path);
    return row !== undefined && row.stamp === stampOf(stat) ? (row.digest as ContentDigest) : null;
  }

  /** Remembers the content of a file of the user's. */
  learn(path: string, file: HashedFile): void {
    write(this.#database, () =>
      this.#putLocation.run(path, file.digest, file.size, file.stamp, now()),
    );
  }
}
