// How long a person waits for the first token of `generate`: the real command on a model file, its artifact and runtime
// layout made and in the page cache. From the start of the step (its worker starts, too) until its row is journaled, and
// the whole command, which plans, and takes the result into the cache.
//   npm run build && node bench/first-token.ts --model FILE|FOLDER [--repeat 9] [--with '{"activations":"int8"}']

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './measures.ts';
import { projectRoot } from '../test/shared.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    repeat: { type: 'string', default: '9' },
    with: { type: 'string', default: '{}' },
  },
});
if (flags.model === undefined) throw new Error('--model FILE|FOLDER');

const mesa = join(projectRoot, 'bin', 'mesa.js');
const folder = mkdtempSync(join(tmpdir(), 'mesa-first-token-'));
mkdirSync(join(folder, '.mesa'));
writeFileSync(
  join(folder, 'x.yaml'),
  JSON.stringify({
    name: 'first-token',
    steps: {
      base: { uses: 'load-model', with: { source: 'path', path: resolve(flags.model) } },
      rows: {
        uses: 'load-dataset',
        with: { source: 'inline', rows: [{ question: 'What treats hypertension?' }] },
      },
      prompts: {
        uses: 'format',
        inputs: { rows: 'rows' },
        with: { template: { prompt: '{{ question }}' } },
      },
      answers: {
        uses: 'generate',
        inputs: { model: 'base', prompts: 'prompts' },
        with: { max_new_tokens: 1, ...(JSON.parse(flags.with) as object) },
      },
    },
  }),
);

interface Event {
  readonly event: string;
  readonly step?: string;
  readonly done?: number;
  readonly at?: number;
}

/** Seconds. */
const once = (...more: readonly string[]): { readonly token: number; readonly whole: number } => {
  const started = performance.now();
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [mesa, 'run', 'x.yaml', '--ui', 'json', ...more],
    { cwd: folder, encoding: 'utf8' },
  );
  const whole = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(stdout + stderr);
  const events = stdout
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Event]));
  const at = (name: string, done?: number): number =>
    events.find((e) => e.event === name && e.step === 'answers' && e.done === done)?.at ?? NaN;
  return { token: (at('step-progress', 1) - at('step-started')) / 1000, whole };
};

const spread = (values: readonly number[]): string => {
  const said = [median(values), Math.min(...values), Math.max(...values)];
  const [middle, lowest, highest] = said.map((value) => value.toFixed(2));
  return `${middle} s (${lowest} to ${highest})`;
};

try {
  once();
  const times = Array.from({ length: Number(flags.repeat) }, () => once('--force=answers'));
  console.log(`${flags.model}, ${times.length} times`);
  console.log(`  first token, from the start of the step: ${spread(times.map((t) => t.token))}`);
  console.log(`  the whole command: ${spread(times.map((t) => t.whole))}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
