// Runs attempts in processes of this machine. Light steps share warm workers, one at a time in each; a step that loads
// a model gets a process of its own, which ends with it and gives all native memory back.

import type { ToWorker } from '../protocol.ts';
import type {
  AttemptListener,
  AttemptRequest,
  Executor,
  Outcome,
  RunningAttempt,
} from './executor.ts';
import { WorkerProcess, type WorkerCommand } from './worker-process.ts';

export interface LocalOptions {
  readonly worker: WorkerCommand;
  readonly cwd: string;
  /** Told of every new worker process. */
  readonly started: (pid: number) => void;
}

export class LocalExecutor implements Executor {
  readonly #options: LocalOptions;
  readonly #idle: WorkerProcess[] = [];
  readonly #all = new Set<WorkerProcess>();

  constructor(options: LocalOptions) {
    this.#options = options;
  }

  #worker(weight: 'light' | 'model'): WorkerProcess {
    // A model step's peak memory is the peak of its process, so it takes none that ran others before.
    while (weight === 'light' && this.#idle.length > 0) {
      const worker = this.#idle.pop();
      if (worker !== undefined && !worker.over) return worker;
    }
    const worker = new WorkerProcess(this.#options.worker, this.#options.cwd);
    this.#all.add(worker);
    if (worker.pid !== undefined) this.#options.started(worker.pid);
    return worker;
  }

  start(request: AttemptRequest, listener: AttemptListener): RunningAttempt {
    const { spec, weight, timeoutMs } = request;
    const worker = this.#worker(weight);
    let over = false;
    let timedOut = false;
    const timer =
      timeoutMs === null
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            worker.kill();
          }, timeoutMs);
    const finish = (outcome: Outcome): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      listener.done(outcome);
    };
    worker.listener = {
      message: (message) => {
        if (message.kind === 'described' || message.attempt !== spec.attempt) return;
        if (message.kind !== 'result') {
          listener.message(message);
          return;
        }
        if (weight === 'light') {
          worker.listener = {
            message: () => undefined,
            output: () => undefined,
            exit: () => this.#all.delete(worker),
          };
          this.#idle.push(worker);
        } else worker.kill();
        finish(message.result);
      },
      output: (text) => {
        listener.output(text);
      },
      exit: (exitCode, signal) => {
        this.#all.delete(worker);
        finish(
          timedOut && timeoutMs !== null
            ? { kind: 'timeout', timeoutMs }
            : { kind: 'crashed', signal, exitCode },
        );
      },
    };
    const say = (message: ToWorker): void => {
      worker.send(message);
    };
    say({ kind: 'run', spec });
    return {
      stop: () => {
        say({ kind: 'stop', attempt: spec.attempt });
      },
      kill: () => {
        worker.kill();
      },
    };
  }

  close(): void {
    for (const worker of this.#all) worker.kill();
    this.#all.clear();
    this.#idle.length = 0;
  }
}
