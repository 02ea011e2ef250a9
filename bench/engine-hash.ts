// Streaming SHA-256 of one large file, against `openssl speed sha256` in the same run (>= 800 MB/s, or 80 % of openssl
// where that is lower).
//
//   npm run build && node dist/bench/engine-hash.js [MiB]

import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashFile } from '../engine/digest.ts';

const MEGABYTE = 1e6;
const size = Number(process.argv[2] ?? 2048) * 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), 'mesa-hash-'));
const path = join(folder, 'file');
const chunk = Buffer.alloc(1 << 20, 'abcdefg');
const file = openSync(path, 'w');
for (let written = 0; written < size; written += chunk.length) writeSync(file, chunk);
closeSync(file);

const rates: number[] = [];
for (let round = 0; round < 3; round += 1) {
  const before = performance.now();
  await hashFile(path);
  rates.push(size / MEGABYTE / ((performance.now() - before) / 1000));
}
rmSync(folder, { recursive: true });

const speed = execFileSync('openssl', ['speed', '-bytes', '16384', '-seconds', '2', 'sha256'], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'ignore'],
});
const openssl = Number(/sha256\s+([\d.]+)k/.exec(speed)?.[1]) / 1000;
console.log(
  `${cpus()[0]?.model ?? ''}, Node ${process.version}, ${size / 2 ** 20} MiB from page cache`,
);
console.log(
  `hashFile, best of 3   ${Math.max(...rates).toFixed(0)} MB/s (all: ${rates.map((rate) => rate.toFixed(0)).join(', ')})`,
);
console.log(
  `openssl speed sha256  ${openssl.toFixed(0)} MB/s   target: 800, or ${(0.8 * openssl).toFixed(0)}`,
);
