// Folders of a test process, which go when it does.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Set<string>();

const removeAll = (): void => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
};

/** An empty folder of its own: `mesa-NAME-...`. */
export const scratchFolder = (name: string): string => {
  if (made.size === 0) process.on('exit', removeAll);
  const folder = mkdtempSync(join(tmpdir(), `mesa-${name}-`));
  made.add(folder);
  return folder;
};
