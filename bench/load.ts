// Seconds and resident memory from a model artifact to the first token: how weights are mapped, converted and packed.
//   node bench/load.ts --model FOLDER|FILE [--run float32:float,stored:float] [--turns 3]
// Each turn is a process of its own (memory is never given back quite), with the model's files in the page cache.
// Resident: after one run of two tokens. A derived file is made in the first turn and found in the others.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { processBytes } from './measures.ts';
import { workerEnvironment } from '../engine/executors/worker-process.ts';
import type { Activations } from '../models/digits.ts';
import { loadRunner } from '../models/decode/load.ts';
import { ChunkedCache } from '../models/decode/prefill.ts';
import { int32 } from '../models/decode/runner.ts';
import { openModel, type WeightMode } from '../models/model.ts';
import { artifactFolder } from './model-file.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    run: { type: 'string', default: 'stored:float' },
    turns: { type: 'string', default: '3' },
    one: { type: 'string' },
    derived: { type: 'string' },
  },
});
if (flags.model === undefined) throw new Error('--model FOLDER');

if (flags.one !== undefined) {
  const [weights, activations] = flags.one.split(':');
  const model = openModel({
    names: [],
    file: (name) => join(flags.model ?? '', name),
  });
  const begun = performance.now();
  const source = model.weights(weights as WeightMode, flags.derived ?? '');
  const runner = await loadRunner({
    config: model.config,
    weights: source,
    adapter: null,
    head: 'next',
    activations: activations as Activations,
    maxLength: 256,
    threads: 2,
  });
  const loaded = (performance.now() - begun) / 1000;
  await new ChunkedCache(runner).read([5, 6], 0, {
    outputs: ['next'],
    keep: 2,
    ask: () => ({ select: int32([0, 1], [2]) }),
    take: () => undefined,
  });
  const first = (performance.now() - begun) / 1000;
  const mb = (key: Parameters<typeof processBytes>[0]): string =>
    (processBytes(key) / 1e6).toFixed(0);
  console.log(
    `  ${flags.one}: loaded ${loaded.toFixed(2)} s, first token ${first.toFixed(2)} s; resident ${mb('VmRSS')} MB ` +
      `(anonymous ${mb('RssAnon')}, peak ${mb('VmHWM')})`,
  );
  await runner.release();
} else {
  console.log(flags.model);
  const made = existsSync(join(flags.model, 'model.json'));
  const folder = made ? flags.model : await artifactFolder(flags.model);
  const derived = mkdtempSync(join(tmpdir(), 'mesa-derived-'));
  for (const run of flags.run.split(','))
    for (let turn = 0; turn < Number(flags.turns); turn += 1)
      spawnSync(
        process.execPath,
        [import.meta.filename, '--model', folder, '--one', run, '--derived', derived],
        { stdio: 'inherit', env: workerEnvironment() },
      );
  rmSync(derived, { recursive: true });
  if (!made) rmSync(folder, { recursive: true });
}
