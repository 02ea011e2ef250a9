// Parameters that point elsewhere -> what they point to, by name and content: paths, whose files are read once as long as
// they don't change, and repositories of a hub, whose files the lock names.

import { globSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { JsonObject } from '../schemas/json.ts';
import { hashCanonical, type Canonical } from './canonical.ts';
import { hashFile, stampOf, type ContentDigest, type Stamp } from './digest.ts';
import { keyParams, type PathMode } from './key.ts';
import { findLocked, type Lock, type LockEntry } from './lock.ts';
import { makeManifest } from './manifest.ts';
import type { ObjectStore } from './object-store.ts';
import { err, ok, type Result } from './result.ts';
import type { StepDefinition } from './step.ts';

export interface KnownFile {
  readonly path: string;
  readonly digest: ContentDigest;
  readonly stamp: Stamp;
}

interface Resolved {
  /** What the key holds. */
  readonly value: Canonical;
  readonly files: readonly KnownFile[];
}

/** Files below a folder, by relative name. Hidden ones (.git, .cache, .DS_Store) don't count; links are followed. */
const filesBelow = (
  folder: string,
  prefix: string,
  above: readonly string[],
): readonly string[] => {
  const real = realpathSync(folder);
  if (above.includes(real)) return [];
  return readdirSync(folder).flatMap((entry) => {
    if (entry.startsWith('.')) return [];
    const path = join(folder, entry);
    const name = `${prefix}${entry}`;
    const stat = statSync(path);
    if (stat.isDirectory()) return filesBelow(path, `${name}/`, [...above, real]);
    return stat.isFile() ? [name] : [];
  });
};

/** The folder that a pattern starts from: names in the key are relative to it. */
const globBase = (pattern: string): string => {
  const parts = pattern.split('/');
  const first = parts.findIndex((part) => /[*?[\]{}]/.test(part));
  return parts.slice(0, first < 0 ? -1 : first).join('/');
};

const marked = new WeakMap<StepDefinition, boolean>();
/** Whether a step type has path parameters at all. */
const hasPaths = (definition: StepDefinition): boolean => {
  let known = marked.get(definition);
  if (known === undefined) {
    known = JSON.stringify(definition.params).includes('"x-mesa-path"');
    marked.set(definition, known);
  }
  return known;
};

/** The digests of all paths of an experiment. `collect` first, then ask. */
export class PathDigests {
  readonly #objects: ObjectStore;
  readonly #lock: Lock;
  readonly #known = new Map<string, Resolved>();

  constructor(objects: ObjectStore, lock: Lock = { entries: [] }) {
    this.#objects = objects;
    this.#lock = lock;
  }

  /** Reads what has to be read. The error says which path can't be. */
  async collect(definition: StepDefinition, params: JsonObject): Promise<Result<null, string>> {
    for (const { type, id, revision, part } of definition.hub?.(params) ?? [])
      if (findLocked(this.#lock, { type, id, requested: revision, part }) === null)
        return err(`mesa.lock.json has no entry for the ${type} ${id} at ${revision}`);
    if (!hasPaths(definition)) return ok(null);
    const wanted: [string, PathMode][] = [];
    keyParams(definition.params, params, (path, mode) => {
      wanted.push([path, mode]);
      return null;
    });
    for (const [path, mode] of wanted) {
      const key = `${mode} ${path}`;
      if (this.#known.has(key)) continue;
      try {
        this.#known.set(key, await this.#resolve(path, mode));
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        return err(code === 'ENOENT' ? `${path} does not exist` : `can't read ${path}: ${message}`);
      }
    }
    return ok(null);
  }

  async #resolve(path: string, mode: PathMode): Promise<Resolved> {
    if (mode === 'glob' && /[*?[\]{}]/.test(path)) {
      const base = globBase(path);
      const found = globSync(path).filter((each) => statSync(each).isFile());
      return this.#list(found.map((each) => [each.slice(base.length + 1), each] as const));
    }
    if (statSync(path).isDirectory()) {
      const names = filesBelow(path, '', []);
      const folder = await this.#list(names.map((name) => [name, join(path, name)] as const));
      return {
        ...folder,
        value: [basename(path), ...(folder.value as readonly Canonical[]).slice(1)],
      };
    }
    const file = await this.#file(path);
    return {
      value: [basename(path), file.digest],
      files: file.stamp === null ? [] : [{ ...file, path, stamp: file.stamp }],
    };
  }

  async #file(path: string): Promise<{ digest: ContentDigest; size: number; stamp: Stamp | null }> {
    const stat = statSync(path, { bigint: true });
    const known = this.#objects.knownDigest(path, stat);
    if (known !== null) return { digest: known, size: Number(stat.size), stamp: stampOf(stat) };
    const hashed = await hashFile(path);
    this.#objects.learn(path, hashed);
    return hashed;
  }

  /** Several files: the digest is that of their manifest. */
  async #list(entries: readonly (readonly [name: string, path: string])[]): Promise<Resolved> {
    const files: KnownFile[] = [];
    const list = [];
    for (const [name, path] of entries) {
      const { digest, size, stamp } = await this.#file(path);
      list.push({ name: name.replaceAll('\\', '/'), size, digest });
      if (stamp !== null) files.push({ path, digest, stamp });
    }
    return { value: ['*', makeManifest(list).digest], files };
  }

  /** The parameters as the key holds them. Only after `collect` said ok. */
  params(definition: StepDefinition, params: JsonObject): Canonical {
    const own = keyParams(definition.params, params, (path, mode) => {
      const found = this.#known.get(`${mode} ${path}`);
      if (found === undefined) throw new Error(`no digest of ${path}`);
      return found.value;
    });
    const hub = this.hub(definition, params).map((entry) => [
      entry.id,
      hashCanonical('hub-files', [
        entry.revision,
        entry.files.map((file) => [file.path, file.sha256]),
      ]),
    ]);
    return hub.length === 0 ? own : { ...(own as { readonly [key: string]: Canonical }), hub };
  }

  /** What the lock says of the files that a step takes from a hub. Only after `collect` said ok. */
  hub(definition: StepDefinition, params: JsonObject): readonly LockEntry[] {
    return (definition.hub?.(params) ?? []).map(({ type, id, revision, part }) => {
      const found = findLocked(this.#lock, { type, id, requested: revision, part });
      if (found === null) throw new Error(`${id} is not locked`);
      return found;
    });
  }

  /** The files behind a step's paths, so that its worker needn't hash them again. */
  files(definition: StepDefinition, params: JsonObject): readonly KnownFile[] {
    if (!hasPaths(definition)) return [];
    const found: KnownFile[] = [];
    keyParams(definition.params, params, (path, mode) => {
      found.push(...(this.#known.get(`${mode} ${path}`)?.files ?? []));
      return null;
    });
    return found;
  }
}
