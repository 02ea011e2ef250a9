// How long a person waits for the first word: `mesa --help` (budget 100 ms) and the first line of `mesa run` on an
// experiment that is all in the cache (budget 300 ms). Beside them, in the same run, a bare `node -e 0` and
// `tsc --version`, another command line on the same Node.
//   npm run build && node bench/startup.ts [--repeat 15]

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './measures.ts';
import { projectRoot } from '../test/shared.ts';

const { values: flags } = parseArgs({ options: { repeat: { type: 'string', default: '15' } } });
const root = projectRoot;
const mesa = join(root, 'bin', 'mesa.js');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');

interface Times {
  readonly firstMs: number;
  readonly wholeMs: number;
}

/** Until the first byte on stdout or stderr, and until the end. */
const time = (args: readonly string[], cwd: string): Promise<Times> =>
  new Promise((resolve, reject) => {
    const start = performance.now();
    let firstMs: number | null = null;
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const heard = (): void => {
      firstMs ??= performance.now() - start;
    };
    child.stdout.on('data', heard);
    child.stderr.on('data', heard);
    child.on('error', reject);
    child.on('close', (code) => {
      const wholeMs = performance.now() - start;
      if (code === 0) resolve({ firstMs: firstMs ?? wholeMs, wholeMs });
      else reject(new Error(`${args.join(' ')} ended with ${code}`));
    });
  });

const folder = mkdtempSync(join(tmpdir(), 'mesa-startup-'));
mkdirSync(join(folder, '.mesa'));
writeFileSync(
  join(folder, 'x.yaml'),
  `name: startup
steps:
  rows:
    uses: load-dataset
    with: { source: inline, rows: [{ question: "1 + 1?", answer: "2" }] }
  prompts:
    uses: format
    inputs: { rows: rows }
    with: { template: { prompt: "{{ question }}", completion: "{{ answer }}" } }
`,
);

const cases: readonly (readonly [string, readonly string[], keyof Times, number | null])[] = [
  ['node -e 0', ['-e', '0'], 'wholeMs', null],
  ['tsc --version', [tsc, '--version'], 'wholeMs', null],
  ['mesa --help', [mesa, '--help'], 'wholeMs', 100],
  ['mesa run, first line', [mesa, 'run', 'x.yaml'], 'firstMs', 300],
  ['mesa run, whole', [mesa, 'run', 'x.yaml'], 'wholeMs', null],
];

try {
  // The first run fills the result cache and Node's compile cache.
  await time([mesa, 'run', 'x.yaml'], folder);
  for (const [name, args, which, budget] of cases) {
    const times: number[] = [];
    for (let i = 0; i < Number(flags.repeat); i += 1) times.push((await time(args, folder))[which]);
    const limit = budget === null ? '' : `  budget ${budget} ms`;
    console.log(`${name.padEnd(22)} ${median(times).toFixed(0).padStart(5)} ms${limit}`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
