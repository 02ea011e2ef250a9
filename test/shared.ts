// Finds the reference inputs and expected values that lie beside the project, and says so where they don't.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const findProjectRoot = (from: string): string =>
  existsSync(join(from, 'package.json')) ? from : findProjectRoot(dirname(from));

/** The checkout, whether tests run from source or from dist/. */
export const projectRoot = findProjectRoot(import.meta.dirname);

const sharedRoot = resolve(projectRoot, '../shared');

export const sharedPath = (path: string): string => join(sharedRoot, path);

/** For a test's options: `{ skip: skipUnlessShared('goldens/x') }` skips it with a visible reason. */
export const skipUnlessShared = (...paths: readonly string[]): string | false => {
  const missing = paths.find((path) => !existsSync(sharedPath(path)));
  return missing === undefined ? false : `../shared/${missing} is not here`;
};

export const readSharedJson = <T>(path: string): T =>
  JSON.parse(readFileSync(sharedPath(path), 'utf8')) as T;
