// What every step does with files of a hub: gets those that the lock names into the shared cache, shows how far it is, and
// tells failures as the step's own.

import { mkdirSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { StepError, type HubFiles, type StepContext } from '../engine/step.ts';
import { openHub } from '../hub/client.ts';
import { HubError, type HubErrorKind } from '../hub/error.ts';

export interface PlacedFile {
  /** In the repository. */
  readonly name: string;
  /** On this machine. */
  readonly path: string;
  readonly sha256: string;
}

const CODES: Readonly<Record<HubErrorKind, string>> = {
  gated: 'E590',
  unauthorized: 'E591',
  'missing-repository': 'E592',
  'missing-revision': 'E592',
  'missing-file': 'E592',
  'rate-limited': 'E593',
  truncated: 'E594',
  damaged: 'E595',
  offline: 'E596',
  unreachable: 'E597',
  'disk-full': 'E598',
  server: 'E599',
};

/** The code of a hub's failure. */
export const hubErrorCode = (error: HubError): string => CODES[error.kind];

/** The files that the lock holds for one request, in its order; downloaded where the cache doesn't have them. */
export const placeHubFiles = async (
  context: StepContext,
  pinned: HubFiles,
): Promise<readonly PlacedFile[]> => {
  const { type, id, revision, files } = pinned;
  try {
    const placed = await openHub(process.env).fetch({ type, id }, revision, files, {
      signal: context.signal,
      onProgress: (done, total) => {
        context.progress({ unit: 'bytes', done, total, note: `fetching ${id}` });
      },
    });
    return placed.map(({ path, sha256 }, index) => ({
      name: files[index]?.path ?? '',
      path,
      sha256,
    }));
  } catch (error) {
    if (error instanceof HubError)
      throw new StepError(hubErrorCode(error), error.message, error.hint);
    throw error;
  }
};

export interface PlacedFolder {
  readonly folder: string;
  /** Where a file of the folder really lies, and its SHA-256. */
  origin(path: string): { readonly path: string; readonly sha256: string };
}

/**
 * The files of the step's only request, in a folder of links. Not the snapshot itself: other programs may have put more
 * files there, and what is loaded must not depend on them.
 */
export const placeHubFolder = async (context: StepContext): Promise<PlacedFolder> => {
  const [pinned] = context.hub;
  if (pinned === undefined) throw new Error('nothing is locked for this step');
  const files = await placeHubFiles(context, pinned);
  const folder = join(context.scratch, 'hub');
  mkdirSync(folder);
  const places = new Map(files.map((file) => [join(folder, basename(file.name)), file]));
  for (const [link, { path }] of places) symlinkSync(path, link);
  return {
    folder,
    origin: (path) => {
      const place = places.get(path);
      if (place === undefined) throw new Error(`${path} came from nowhere`);
      return place;
    },
  };
};
