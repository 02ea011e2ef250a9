// The same 1,000 light steps (chains of ten, each writes one short file) by other engines, whole process: first all of
// them, then again when all are finished. The peers of bench/engine-runs.ts; run them one after the other.
//
//   npm run build && node dist/bench/engine-peers.js [--wireit PATH] [--snakemake PATH] [--steps 1000]
//
// A peer that isn't given is left out.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: {
    wireit: { type: 'string' },
    snakemake: { type: 'string' },
    steps: { type: 'string', default: '1000' },
  },
});
const count = Number(flags.steps);

const wireitFiles = (root: string): void => {
  const steps = Array.from({ length: count }, (_, n) => n);
  const wireit: Record<string, unknown> = {
    all: { dependencies: steps.filter((n) => n % 10 === 9).map((n) => `s${n}`) },
  };
  for (const n of steps) {
    wireit[`s${n}`] = {
      command: `echo ${n} > out/${n}`,
      dependencies: n % 10 === 0 ? [] : [`s${n - 1}`],
      files: [],
      output: [`out/${n}`],
    };
  }
  const scripts = Object.fromEntries(Object.keys(wireit).map((name) => [name, 'wireit']));
  writeFileSync(
    join(root, 'package.json'),
    JSON.stringify({ name: 'peer', version: '1.0.0', scripts, wireit }),
  );
};

const snakemakeFiles = (root: string): void => {
  const last = Array.from({ length: count / 10 }, (_, chain) => `"out/${chain * 10 + 9}"`);
  const rules = Array.from({ length: count }, (_, n) => {
    const input = n % 10 === 0 ? '' : `    input: "out/${n - 1}"\n`;
    return `rule s${n}:\n${input}    output: "out/${n}"\n    shell: "echo ${n} > {output}"\n`;
  });
  writeFileSync(
    join(root, 'Snakefile'),
    `rule all:\n    input: ${last.join(', ')}\n${rules.join('')}`,
  );
};

const peers = [
  {
    name: 'wireit',
    path: flags.wireit,
    prepare: wireitFiles,
    args: [],
    // wireit finds its script's name where npm puts it.
    env: { npm_lifecycle_event: 'all', WIREIT_LOGGER: 'quiet' },
  },
  {
    name: 'snakemake',
    path: flags.snakemake,
    prepare: snakemakeFiles,
    args: ['--cores', '2', '--quiet', 'all'],
    env: {},
  },
];

for (const { name, path, prepare, args, env } of peers) {
  if (path === undefined) continue;
  const root = mkdtempSync(join(tmpdir(), 'mesa-peer-'));
  mkdirSync(join(root, 'out'));
  prepare(root);
  for (const what of ['that run', 'finished']) {
    const before = performance.now();
    const { status, stderr } = spawnSync(resolve(path), args, {
      cwd: root,
      env: { ...process.env, ...env, npm_package_json: join(root, 'package.json') },
      encoding: 'utf8',
    });
    const seconds = (performance.now() - before) / 1000;
    console.log(`${name}: ${count} steps ${what}: ${seconds.toFixed(1)} s (exit ${status})`);
    if (status !== 0) console.log(stderr.slice(-500));
  }
  rmSync(root, { recursive: true, force: true });
}
