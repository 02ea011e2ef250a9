// Whole-process times of runs of many light steps, on the real command line:
//   1,000 finished steps run again (<= 0.5 s); 10,000 planned (<= 1.5 s, < 300 MB); 1,000 that really run (<= 5 s);
//   time to the next step's start after kill -9 in the middle, against a fresh start (<= 300 ms more).
//
//   npm run build && node dist/bench/engine-runs.js [rounds]
//
// Steps are a plugin that writes one short file, so that what is timed is the engine.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { median } from './measures.ts';

const main = join(import.meta.dirname, `../cli/main${import.meta.filename.slice(-3)}`);
const rounds = Number(process.argv[2] ?? 3);

const PLUGIN = `import { writeFileSync } from 'node:fs';
export const step = {
  name: 'tiny', version: 1, summary: 'writes a number', weight: 'light',
  params: { type: 'object', additionalProperties: false, required: ['n'], properties: { n: { type: 'integer' } } },
  inputs: { in: { kind: 'x-number', optional: true } },
  outputs: () => ({ out: 'x-number' }),
  run: async (context) => writeFileSync(context.output('out').folder + '/n', String(context.params.n)),
};
`;

const experiment = (count: number): string => {
  const steps = Array.from({ length: count }, (_, n) => {
    // Chains of ten.
    const input = n % 10 === 0 ? '' : `inputs: { in: s${n - 1} }, `;
    return `  s${n}: { uses: ./tiny.js, ${input}with: { n: ${n} } }`;
  });
  return `name: many\nsteps:\n${steps.join('\n')}\n`;
};

const project = (count: number): string => {
  const root = mkdtempSync(join(tmpdir(), 'mesa-bench-'));
  mkdirSync(join(root, '.mesa'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'tiny.js'), PLUGIN);
  writeFileSync(join(root, 'e.yaml'), experiment(count));
  return root;
};

interface Timed {
  readonly ms: number;
  readonly peakMb: number;
  /** To the first step-started. */
  readonly firstMs: number | null;
}

/** Runs the command; `kill` ends it when so many steps have finished. */
const time = async (root: string, args: readonly string[], kill = Infinity): Promise<Timed> => {
  const peak = join(root, 'peak');
  const before = performance.now();
  // GNU time isn't everywhere; the kernel's high-water mark, read as the process ends, is.
  const report = `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(peak)}, String(process.resourceUsage().maxRSS)))`;
  writeFileSync(join(root, 'peak.cjs'), report);
  const child = spawn(process.execPath, ['--require', join(root, 'peak.cjs'), main, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let firstMs: number | null = null;
  let finished = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (firstMs === null && line.includes('"step-started"')) firstMs = performance.now() - before;
    if (line.includes('"step-finished"') && ++finished >= kill) child.kill('SIGKILL');
  });
  await new Promise((resolve) => child.on('close', resolve));
  const ms = performance.now() - before;
  const peakMb = kill === Infinity ? (Number(readFileSync(peak, 'utf8')) * 1024) / 1e6 : 0;
  return { ms, peakMb, firstMs };
};

const say = (what: string, found: string, target: string): void => {
  console.log(`${what.padEnd(46)} ${found.padStart(22)}   target ${target}`);
};

const repeat = async (work: () => Promise<number>): Promise<number> => {
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) values.push(await work());
  return median(values);
};

console.log(
  `${cpus()[0]?.model ?? ''}, ${cpus().length} cores, Node ${process.version}, median of ${rounds}`,
);

const run = ['run', 'e.yaml', '--json'];
const fresh = await repeat(async () => {
  const root = project(1000);
  const { ms } = await time(root, run);
  rmSync(root, { recursive: true });
  return ms;
});
say('1,000 light steps that run', `${fresh.toFixed(0)} ms`, '<= 5000 ms');

const finished = project(1000);
await time(finished, run);
const again = await repeat(async () => (await time(finished, ['run', 'e.yaml'])).ms);
say('1,000 finished steps, run again', `${again.toFixed(0)} ms`, '<= 500 ms');
rmSync(finished, { recursive: true });

const large = project(10_000);
const peaks: number[] = [];
const planned = await repeat(async () => {
  const { ms, peakMb } = await time(large, ['plan', 'e.yaml']);
  peaks.push(peakMb);
  return ms;
});
say(
  '10,000 steps planned',
  `${planned.toFixed(0)} ms, ${median(peaks).toFixed(0)} MB`,
  '<= 1500 ms, < 300 MB',
);
rmSync(large, { recursive: true });

const starts = { fresh: [] as number[], resumed: [] as number[] };
for (let round = 0; round < rounds; round += 1) {
  const root = project(1000);
  starts.fresh.push((await time(root, run, 500)).firstMs ?? Number.NaN);
  starts.resumed.push((await time(root, run, 1)).firstMs ?? Number.NaN);
  rmSync(root, { recursive: true });
}
const [first, next] = [median(starts.fresh), median(starts.resumed)];
say('first step starts, fresh', `${first.toFixed(0)} ms`, '');
say(
  'next step starts, after kill -9 at step 500',
  `${next.toFixed(0)} ms (${(next - first).toFixed(0)} more)`,
  '<= 300 ms more',
);
