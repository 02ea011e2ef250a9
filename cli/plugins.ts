// Describing plugins, with what the project's cache remembers of them. No cache is made for it: `mesa check` writes
// nothing.

import { existsSync } from 'node:fs';
import path from 'node:path';
import type { PluginUse } from '../engine/read-experiment.ts';
import { closureMemory, pluginClosure } from '../engine/code-digest.ts';
import { factsIn, openDatabase, type Sqlite } from '../engine/database.ts';
import type { ClosureMemory } from '../engine/module-closure.ts';
import { describePlugins as describe, type AnswerMemory, type Plugins } from '../engine/plugins.ts';
import { codeLayout } from './code.ts';
import { workerCommand } from './worker-command.ts';

const forgetful: ClosureMemory = { get: () => undefined, set: () => undefined };

const memoryIn = (database: Sqlite | null): AnswerMemory => {
  const closures = database === null ? forgetful : closureMemory(database);
  const answers = database === null ? forgetful : factsIn(database, 'plugin');
  return { ...answers, digest: (module) => pluginClosure(codeLayout, module, closures) };
};

const openExisting = (cacheDir: string): Sqlite | null => {
  const file = path.join(cacheDir, 'cache.sqlite');
  try {
    return existsSync(file) ? openDatabase(file) : null;
  } catch {
    // What is wrong with it is said by whoever needs it.
    return null;
  }
};

/** The database stays open: definitions ask for their parameters later. It closes with the process. */
export const describePlugins = (
  uses: readonly PluginUse[],
  root: string,
  cacheDir: string | undefined,
): Plugins => {
  const folder = path.resolve(root, cacheDir === undefined || cacheDir === '' ? '.mesa' : cacheDir);
  return describe(uses, workerCommand(), root, memoryIn(openExisting(folder)));
};
