// Where a project begins. Apart from engine/project.ts, which opens the cache there: looking costs nothing.

import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The nearest ancestor with `.mesa/`, `mesa.lock.json` or `.git`, else the file's folder. */
export const findRoot = (file: string): string => {
  const start = dirname(resolve(file));
  for (let folder = start; ; folder = dirname(folder)) {
    const marked = ['.mesa', 'mesa.lock.json', '.git'].some((name) =>
      existsSync(join(folder, name)),
    );
    if (marked) return folder;
    if (dirname(folder) === folder) return start;
  }
};
