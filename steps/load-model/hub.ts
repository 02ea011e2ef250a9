// A model of the hub on this machine: a folder that holds the files of the lock, and no others.

import { mkdirSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { StepContext } from '../../engine/step.ts';
import { placeHubFiles } from '../hub-files.ts';

export interface PlacedModel {
  readonly folder: string;
  /** The file of the folder that is the model, where it was named. */
  readonly file: string | undefined;
  /** Where a file of the folder really lies, and its SHA-256. */
  origin(path: string): { readonly path: string; readonly sha256: string };
}

/**
 * The files of the lock, in a folder of links. Not the snapshot itself: other programs may have put more files there, and
 * what is loaded must not depend on them.
 */
export const placeModel = async (context: StepContext): Promise<PlacedModel> => {
  const [pinned] = context.hub;
  if (pinned === undefined) throw new Error('the model is not locked');
  const files = await placeHubFiles(context, pinned);
  const folder = join(context.scratch, 'model');
  mkdirSync(folder);
  const places = new Map(files.map((file) => [join(folder, basename(file.name)), file]));
  for (const [link, { path }] of places) symlinkSync(path, link);
  const { file } = context.params;
  return {
    folder,
    file: typeof file === 'string' ? basename(file) : undefined,
    origin: (path) => {
      const place = places.get(path);
      if (place === undefined) throw new Error(`${path} came from nowhere`);
      return place;
    },
  };
};
