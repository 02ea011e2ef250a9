// What a worker process is started with.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryTunables } from '../../../engine/executors/huge-pages.ts';
import { WorkerProcess } from '../../../engine/executors/worker-process.ts';
import { scratchFolder } from '../../scratch.ts';

/** GLIBC_TUNABLES as a worker sees it. */
const tunables = (): Promise<string> =>
  new Promise((resolve) => {
    const lines: string[] = [];
    const args = ['-e', 'console.log(process.env.GLIBC_TUNABLES)'];
    const worker = new WorkerProcess({ command: process.execPath, args }, process.cwd());
    worker.listener = {
      message: () => undefined,
      output: (line) => lines.push(line),
      exit: () => {
        resolve(lines.join('\n'));
      },
    };
  });

const linux = { skip: process.platform === 'linux' ? false : 'glibc is Linux’s' };

test('a worker sees what malloc is told, unless the user has set it', linux, async () => {
  const before = process.env['GLIBC_TUNABLES'];
  try {
    delete process.env['GLIBC_TUNABLES'];
    assert.equal(await tunables(), memoryTunables()['GLIBC_TUNABLES'] ?? 'undefined');
    process.env['GLIBC_TUNABLES'] = 'glibc.malloc.check=0';
    assert.equal(await tunables(), 'glibc.malloc.check=0');
  } finally {
    if (before === undefined) delete process.env['GLIBC_TUNABLES'];
    else process.env['GLIBC_TUNABLES'] = before;
  }
});

const scratch = scratchFolder('virtio');

/** Devices as Linux lists them: number of the kind, features as characters. */
const devices = (name: string, listed: Readonly<Record<string, readonly [string, string]>>) => {
  const folder = join(scratch, name);
  for (const [device, [kind, features]] of Object.entries(listed)) {
    mkdirSync(join(folder, device), { recursive: true });
    writeFileSync(join(folder, device, 'device'), `${kind}\n`);
    writeFileSync(join(folder, device, 'features'), `${features}\n`);
  }
  return folder;
};

test('huge pages but where freed memory goes back to a host', linux, () => {
  const huge = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
  const disk = ['0x0002', '001001000110'] as const;
  const told = (name: string, balloon: readonly [string, string]): NodeJS.ProcessEnv =>
    memoryTunables(devices(name, { virtio0: disk, virtio1: balloon }));
  assert.deepEqual(told('reporting', ['0x0005', '011001010000']), {});
  assert.deepEqual(told('balloon alone', ['0x0005', '011000010000']), huge);
  assert.deepEqual(told('another device', ['0x0001', '011001010000']), huge);
  assert.deepEqual(memoryTunables(join(scratch, 'no such folder')), huge);
});
