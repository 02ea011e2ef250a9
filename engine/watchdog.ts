// A thread of each worker that reads standard input to its end. The end comes when the coordinator is gone, however it
// died, and then the whole process group goes at once, even while a native kernel blocks the main thread.
// Lines it reads on the way are handed to the main thread.

import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

const read = (buffer: Buffer): number => {
  try {
    return readSync(0, buffer);
  } catch (error) {
    // A terminal or a file given as standard input may say this; a pipe from a coordinator never does.
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      return read(buffer);
    }
    return 0;
  }
};

const watch = (): void => {
  const buffer = Buffer.allocUnsafe(1 << 16);
  let pending: Buffer[] = [];
  for (let size = read(buffer); size > 0; size = read(buffer)) {
    let start = 0;
    for (let end = buffer.indexOf(10); end >= 0 && end < size; end = buffer.indexOf(10, start)) {
      pending.push(Buffer.from(buffer.subarray(start, end)));
      parentPort?.postMessage(Buffer.concat(pending).toString('utf8'));
      pending = [];
      start = end + 1;
    }
    if (start < size) pending.push(Buffer.from(buffer.subarray(start, size)));
  }
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    // Not the leader of a group: started by hand.
  }
  process.kill(process.pid, 'SIGKILL');
};

watch();
