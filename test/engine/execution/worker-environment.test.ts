// What a worker process is started with.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryTunables } from '../../../engine/executors/malloc.ts';
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
  const disk = ['0x0002', '001001000110'] as const;
  const isHuge = (devicesFolder: string): boolean =>
    memoryTunables(devicesFolder)['GLIBC_TUNABLES']?.includes('hugetlb=1') === true;
  const told = (name: string, balloon: readonly [string, string]): boolean =>
    isHuge(devices(name, { virtio0: disk, virtio1: balloon }));
  assert.equal(told('reporting', ['0x0005', '011001010000']), false);
  assert.equal(told('balloon alone', ['0x0005', '011000010000']), true);
  assert.equal(told('another device', ['0x0001', '011001010000']), true);
  assert.equal(isHuge(join(scratch, 'no such folder')), true);
});

/** glibc's own program, which says what it has understood. */
const loader = '/lib64/ld-linux-x86-64.so.2';
const glibc = { skip: existsSync(loader) ? false : `no ${loader} here` };

test('malloc takes every word of what it is told', glibc, () => {
  const { GLIBC_TUNABLES = '' } = memoryTunables();
  const env = { ...process.env, GLIBC_TUNABLES };
  const said = execFileSync(loader, ['--list-tunables'], { env, encoding: 'utf8' });
  for (const setting of GLIBC_TUNABLES.split(':')) {
    const [name = '', value] = setting.split('=');
    const line = said.split('\n').find((each) => each.startsWith(`${name}:`)) ?? '';
    assert.equal(Number(/: (\S+) /.exec(line)?.[1]), Number(value), line);
  }
});
