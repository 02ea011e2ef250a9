// The cache that Python's huggingface_hub keeps, so that what it downloaded is found here and the other way round:
//
//   <cache>/models--org--name/
//     blobs/<etag>                      content, named by SHA-256 (LFS) or git's SHA-1 of the blob
//     refs/<branch or tag>              the commit it stood for when it was last asked
//     snapshots/<commit>/<path>         relative links to ../../blobs/<etag>

import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { isCommit, type Repository } from './repository-name.ts';

export const repositoryFolder = (cacheDir: string, { type, id }: Repository): string =>
  join(cacheDir, [`${type}s`, ...id.split('/')].join('--'));

export const snapshotFolder = (cacheDir: string, repository: Repository, commit: string): string =>
  join(repositoryFolder(cacheDir, repository), 'snapshots', commit);

export const blobsFolder = (cacheDir: string, repository: Repository): string =>
  join(repositoryFolder(cacheDir, repository), 'blobs');

/** The commit that a revision stood for when it was last asked; null where nobody asked. */
export const cachedCommit = (
  cacheDir: string,
  repository: Repository,
  revision: string,
): string | null => {
  if (isCommit(revision))
    return existsSync(snapshotFolder(cacheDir, repository, revision)) ? revision : null;
  const path = join(repositoryFolder(cacheDir, repository), 'refs', revision);
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return null;
  const commit = readFileSync(path, 'utf8').trim();
  return isCommit(commit) ? commit : null;
};

export const writeRef = (
  cacheDir: string,
  repository: Repository,
  revision: string,
  commit: string,
): void => {
  if (revision === commit || cachedCommit(cacheDir, repository, revision) === commit) return;
  const path = join(repositoryFolder(cacheDir, repository), 'refs', revision);
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, commit);
  renameSync(temporary, path);
};

/** A file of a snapshot, if it is there with its content (a link may point to a blob that is gone). */
export const cachedFile = (
  cacheDir: string,
  repository: Repository,
  commit: string,
  path: string,
): { readonly path: string; readonly size: number } | null => {
  const pointer = join(snapshotFolder(cacheDir, repository, commit), path);
  const stat = statSync(pointer, { throwIfNoEntry: false });
  return stat?.isFile() === true ? { path: pointer, size: stat.size } : null;
};

/** Paths of a snapshot's files. */
export const cachedPaths = (
  cacheDir: string,
  repository: Repository,
  commit: string,
): readonly string[] => {
  const below = (folder: string, prefix: string): readonly string[] =>
    readdirSync(folder).flatMap((name) => {
      const stat = statSync(join(folder, name), { throwIfNoEntry: false });
      if (stat?.isDirectory() === true) return below(join(folder, name), `${prefix}${name}/`);
      return stat?.isFile() === true ? [`${prefix}${name}`] : [];
    });
  const folder = snapshotFolder(cacheDir, repository, commit);
  return existsSync(folder) ? [...below(folder, '')].sort() : [];
};

/** The name of the blob behind a file of a snapshot: its etag. Null where the file is no link. */
export const etagOf = (pointer: string): string | null =>
  lstatSync(pointer).isSymbolicLink() ? basename(readlinkSync(pointer)) : null;

/** Makes a blob a file of a snapshot. Where links aren't allowed (Windows), the file is a copy, as Python makes it. */
export const linkBlob = (
  cacheDir: string,
  repository: Repository,
  commit: string,
  path: string,
  etag: string,
): string => {
  const pointer = join(snapshotFolder(cacheDir, repository, commit), path);
  const blob = join(blobsFolder(cacheDir, repository), etag);
  mkdirSync(dirname(pointer), { recursive: true });
  const temporary = `${pointer}.${process.pid}.new`;
  rmSync(temporary, { force: true });
  try {
    symlinkSync(relative(dirname(pointer), blob), temporary);
  } catch (error) {
    if (!['EPERM', 'ENOSYS', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    copyFileSync(blob, temporary);
  }
  renameSync(temporary, pointer);
  return pointer;
};
