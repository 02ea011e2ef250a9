// The thread of plugins.ts: takes questions from the main thread, which sleeps meanwhile, asks the worker process, and
// wakes it with the answer.

import { workerData, type MessagePort } from 'node:worker_threads';
import { WorkerProcess } from './executors/worker-process.ts';
import type { BridgeData, BridgeQuestion, Described } from './plugins.ts';

const ended = (code: number | null, signal: string | null, printed: readonly string[]): string => {
  const how =
    code === null ? `was ended by ${signal ?? 'a signal'}` : `ended with exit code ${code}`;
  return [`its process ${how} before it said what it is`, ...printed].join(' ');
};

const serve = ({ worker, cwd, port, signal }: BridgeData): void => {
  const flag = new Int32Array(signal);
  const answer = (to: MessagePort, described: Described): void => {
    to.postMessage(described);
    Atomics.add(flag, 0, 1);
    Atomics.notify(flag, 0);
  };
  let process: WorkerProcess | null = null;
  let printed: string[] = [];
  let waiting = false;
  const start = (): WorkerProcess => {
    const started = new WorkerProcess(worker, cwd);
    started.listener = {
      message: (message) => {
        if (message.kind !== 'described' || !waiting) return;
        waiting = false;
        answer(port, { answer: message.answer, error: message.error });
      },
      output: (text) => {
        printed = [...printed, text].slice(-5);
      },
      exit: (code, signal) => {
        process = null;
        if (!waiting) return;
        waiting = false;
        answer(port, { answer: null, error: ended(code, signal, printed) });
      },
    };
    return started;
  };
  port.on('message', ({ module, params }: BridgeQuestion) => {
    waiting = true;
    printed = [];
    process ??= start();
    process.send({ kind: 'describe', id: 0, module, params });
  });
};

serve(workerData as BridgeData);
