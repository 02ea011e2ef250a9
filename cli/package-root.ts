// Where MESA itself lies: the folder with its package.json, whether this runs from dist/ or from the sources.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const find = (): string => {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${import.meta.dirname}`);
    folder = parent;
  }
  return folder;
};

export const packageRoot: string = find();

export const mesaVersion = (): string => {
  const manifest: unknown = JSON.parse(
    readFileSync(path.join(packageRoot, 'package.json'), 'utf8'),
  );
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    const { version } = manifest;
    if (typeof version === 'string') return version;
  }
  throw new Error('package.json has no version');
};
