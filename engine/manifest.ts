// An artifact's identity: the sorted list of its files with size and digest. Where the bytes lie is not part of it.

import type { ContentDigest } from './digest.ts';
import { digestOf } from './digest.ts';

/** SHA-256 of the manifest's text: what edges carry and keys hold. */
export type ArtifactDigest = ContentDigest;

export interface ManifestFile {
  /** Relative, `/` between folders, no `.` or `..`. */
  readonly name: string;
  readonly size: number;
  readonly digest: ContentDigest;
}

export interface Manifest {
  readonly digest: ArtifactDigest;
  readonly files: readonly ManifestFile[];
  readonly bytes: number;
  /** What is stored, and what the digest is of. */
  readonly text: string;
}

const PREFIX = '{"mesa":"manifest-1","files":';

/** Whether a name stays inside the folder it is relative to. */
export const isSafeName = (name: string): boolean =>
  name !== '' &&
  !name.includes('\0') &&
  !name.includes('\\') &&
  name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

/** Throws on a name that leaves the artifact or occurs twice: such an artifact is a bug of the step. */
export const makeManifest = (files: readonly ManifestFile[]): Manifest => {
  const sorted = files.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const [i, file] of sorted.entries()) {
    if (!isSafeName(file.name)) throw new Error(`not a name inside an artifact: ${file.name}`);
    if (sorted[i + 1]?.name === file.name) throw new Error(`two files are named ${file.name}`);
  }
  const rows = sorted.map((file) => [file.name, file.size, file.digest]);
  const text = `${PREFIX}${JSON.stringify(rows)}}`;
  const bytes = sorted.reduce((sum, file) => sum + file.size, 0);
  return { digest: digestOf(text), files: sorted, bytes, text };
};

/** The manifest in a text, or null where the text isn't what `digest` names. */
export const parseManifest = (digest: ArtifactDigest, text: string): Manifest | null => {
  if (digestOf(text) !== digest) return null;
  const rows = (JSON.parse(text) as { files: [string, number, ContentDigest][] }).files;
  const files = rows.map(([name, size, file]) => ({ name, size, digest: file }));
  if (!files.every((file) => isSafeName(file.name))) return null;
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  return { digest, files, bytes, text };
};
