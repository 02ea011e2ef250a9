// A worker process: serves the coordinator that started it, or runs one spec.json. The registry is loaded with the
// first step that needs it, so that a worker of plugins stays light.

import { runSpecFile, serveCoordinator, type RegistrySource } from '../engine/worker.ts';

const registry: RegistrySource = async () => (await import('../steps/index.ts')).registry;

const [, , specPath] = process.argv;
if (specPath === undefined) await serveCoordinator(registry);
else {
  const abort = new AbortController();
  process.on('SIGTERM', () => {
    abort.abort(new DOMException('the scheduler ends this step', 'AbortError'));
  });
  const finished = await runSpecFile(specPath, registry, abort.signal);
  process.exit(finished ? 0 : 1);
}
