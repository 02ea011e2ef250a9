// Quantising a checkpoint far larger than memory should have to hold: `mesa run` of load-model and quantize on a folder
// that bench/checkpoint.ts made. Prints what MESA measured of each step: seconds, bytes before and after, errors. Peak
// memory: VmHWM of the worker in /proc, as long as it runs (light steps share a process, so no step owns its peak).
//   node bench/checkpoint.ts BIG --shape 7b && node bench/quantize.ts --model BIG [--format nf4]

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: { model: { type: 'string' }, format: { type: 'string', default: 'nf4' } },
});
if (flags.model === undefined) throw new Error('--model FOLDER');
const folder = mkdtempSync(join(tmpdir(), 'mesa-bench-'));
const file = join(folder, 'quantize.yaml');
writeFileSync(
  file,
  JSON.stringify({
    name: 'bench-quantize',
    steps: {
      base: { uses: 'load-model', with: { source: 'path', path: resolve(flags.model) } },
      small: { uses: 'quantize', inputs: { model: 'base' }, with: { format: flags.format } },
    },
  }),
);
const mesa = (...args: readonly string[]): void => {
  const program = resolve(import.meta.dirname, '../../bin/mesa.js');
  execFileSync(process.execPath, [program, ...args], { cwd: folder, stdio: 'inherit' });
};
mesa('run', file);
mesa('show', 'last/base');
mesa('show', 'last/small');
rmSync(folder, { recursive: true });
