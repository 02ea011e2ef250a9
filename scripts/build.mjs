// Builds dist/ where a source is newer than the last build: tsc, one file per module. Outputs whose source is gone go
// too, so that a stale test or step can't run. Plain JavaScript: it runs before anything is built.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const incremental = join(dist, '.tsbuildinfo');
// A file of its own: `tsc --noEmit` renews tsc's, too.
const stamp = join(dist, '.built');
const folders = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')).include;

const filesBelow = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : [];

const sources = folders
  .flatMap((folder) => filesBelow(join(root, folder)))
  .filter((file) => /\.tsx?$/.test(file));
const outputOf = (source) => join(dist, relative(root, source).replace(/\.tsx?$/, '.js'));

const wanted = new Set(sources.map(outputOf));
for (const file of filesBelow(dist)) {
  if (file.endsWith('.js') && !wanted.has(file)) rmSync(file);
}

const builtAt = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
const inputs = [...sources, join(root, 'tsconfig.json'), join(root, 'package-lock.json')];
const current =
  inputs.every((file) => statSync(file).mtimeMs < builtAt) &&
  [...wanted].every((file) => existsSync(file));

if (!current) {
  if ([...wanted].some((file) => !existsSync(file))) rmSync(incremental, { force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', root], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
  if (status === 0) writeFileSync(stamp, '');
  // Which sources the compiled modules stand for: what the keys of built-in steps are made from (engine/code-digest.ts).
  if (status === 0) {
    const script = join(dist, 'scripts/closures.js');
    const built = spawnSync(process.execPath, [script, '--built'], { stdio: 'inherit' });
    process.exitCode = built.status ?? 1;
  }
}
