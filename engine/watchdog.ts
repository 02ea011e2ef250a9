// A thread of each worker that reads standard input to its end. The end comes when the coordinator is gone, however it
// died, and then the whole process group goes at once, even while a native kernel blocks the main thread.
// Lines it reads on the way are handed to the main thread.
//
// It reads through its own event loop: a blocking read could not be given up, and process.exit() would wait for it.

import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';

const end = (): void => {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    // Not the leader of a group: started by hand.
  }
  process.kill(process.pid, 'SIGKILL');
};

const input = new Socket({ fd: 0, readable: true, writable: false });
let pending = '';
input.setEncoding('utf8');
input.on('data', (chunk: string) => {
  const lines = (pending + chunk).split('\n');
  pending = lines.pop() ?? '';
  for (const line of lines) parentPort?.postMessage(line);
});
input.on('error', end);
input.on('close', end);
