// What a worker process is started with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkerProcess } from '../../../engine/executors/worker-process.ts';

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

test(
  'memory in huge pages, unless the user has set what glibc does',
  { skip: process.platform === 'linux' ? false : 'glibc is Linux’s' },
  async () => {
    const before = process.env['GLIBC_TUNABLES'];
    try {
      delete process.env['GLIBC_TUNABLES'];
      assert.equal(await tunables(), 'glibc.malloc.hugetlb=1');
      process.env['GLIBC_TUNABLES'] = 'glibc.malloc.check=0';
      assert.equal(await tunables(), 'glibc.malloc.check=0');
    } finally {
      if (before === undefined) delete process.env['GLIBC_TUNABLES'];
      else process.env['GLIBC_TUNABLES'] = before;
    }
  },
);
