// How a worker process is started: this Node, on the module beside this one.

import { existsSync } from 'node:fs';
import path from 'node:path';
import type { WorkerCommand } from '../engine/executors/worker-process.ts';

export const workerCommand = (): WorkerCommand => {
  // From dist/ as JavaScript; in tests also from the sources, whose types Node strips.
  const built = path.join(import.meta.dirname, 'worker-main.js');
  const module = existsSync(built) ? built : path.join(import.meta.dirname, 'worker-main.ts');
  return { command: process.execPath, args: [module] };
};
