// Plugins as step definitions, without their code in this process: a worker describes them and answers for their
// functions of parameters. Analysis is synchronous, so a thread speaks with the worker while this one waits for it.

import { extname } from 'node:path';
import {
  MessageChannel,
  receiveMessageOnPort,
  Worker,
  type MessagePort,
} from 'node:worker_threads';
import type { Json, JsonObject } from '../schemas/json.ts';
import { hashCanonical } from './canonical.ts';
import type { WorkerCommand } from './executors/worker-process.ts';
import type { PluginAnswers, PluginDescription } from './protocol.ts';
import { err, ok, type Result } from './result.ts';
import type { StepDefinition } from './step.ts';

/** A module that takes longer to answer what it is than this is broken. */
const PATIENCE_MS = 30_000;

export interface Described {
  readonly answer: Json;
  readonly error: string | null;
}
export interface BridgeData {
  readonly worker: WorkerCommand;
  readonly cwd: string;
  readonly port: MessagePort;
  readonly signal: SharedArrayBuffer;
}
export interface BridgeQuestion {
  readonly module: string;
  readonly params: JsonObject | null;
}

/** Asks a worker process and waits. Started with the first question. */
class Bridge {
  readonly #worker: WorkerCommand;
  readonly #cwd: string;
  #port: MessagePort | null = null;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));

  constructor(worker: WorkerCommand, cwd: string) {
    this.#worker = worker;
    this.#cwd = cwd;
  }

  #start(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const data: BridgeData = {
      worker: this.#worker,
      cwd: this.#cwd,
      port: port2,
      signal: this.#signal.buffer,
    };
    const file = new URL(`./plugin-bridge${extname(import.meta.filename)}`, import.meta.url);
    // The thread must not keep the process alive; the worker ends when its standard input does.
    new Worker(file, { workerData: data, transferList: [port2] }).unref();
    port1.unref();
    return port1;
  }

  ask(question: BridgeQuestion): Result<Json, string> {
    const port = (this.#port ??= this.#start());
    const before = Atomics.load(this.#signal, 0);
    port.postMessage(question);
    const waited = Atomics.wait(this.#signal, 0, before, PATIENCE_MS);
    const received = receiveMessageOnPort(port) as { readonly message: Described } | undefined;
    if (waited === 'timed-out' || received === undefined)
      return err(`it did not answer within ${PATIENCE_MS / 1000} s`);
    const { answer, error } = received.message;
    return error === null ? ok(answer) : err(error);
  }
}

/** Remembers answers by the digest of the plugin's modules. */
export interface AnswerMemory {
  /** Digest of a plugin's modules. */
  digest(module: string): string;
  get(key: string): string | undefined;
  set(key: string, body: string): void;
}

const definitionOf = (
  description: PluginDescription,
  answers: (params: JsonObject) => PluginAnswers,
): StepDefinition => ({
  ...description,
  outputs: (params) => answers(params).outputs,
  usesSeed: (params) => answers(params).usesSeed,
  deterministic: (params) => answers(params).deterministic,
  device: (params) => answers(params).device,
  check: (params) => answers(params).check,
  run: () => Promise.reject(new Error('plugins run in workers only')),
});

export interface NamedPlugin {
  /** As written. */
  readonly uses: string;
  /** Absolute path. */
  readonly module: string;
}

/** By module: what a plugin is, or why it can't be used. That is said where it is named, with all else that is wrong. */
export type Plugins = ReadonlyMap<string, Result<StepDefinition, string>>;

/**
 * Definitions of plugins by module. Their functions throw where the plugin's do: a plugin that can't say what it
 * writes is no step type.
 */
export const describePlugins = (
  plugins: readonly NamedPlugin[],
  worker: WorkerCommand,
  cwd: string,
  memory: AnswerMemory,
): Plugins => {
  const bridge = new Bridge(worker, cwd);
  const found = new Map<string, Result<StepDefinition, string>>();
  const ask = (code: string, question: BridgeQuestion): Result<Json, string> => {
    const key = hashCanonical('plugin-question', [code, question.params]);
    const known = memory.get(key);
    if (known !== undefined) return ok(JSON.parse(known) as Json);
    const answer = bridge.ask(question);
    if (answer.ok) memory.set(key, JSON.stringify(answer.value));
    return answer;
  };
  for (const { uses, module } of plugins) {
    let code: string;
    try {
      code = memory.digest(module);
    } catch {
      // A module that isn't there is said by the analysis, which knows how to say it.
      continue;
    }
    const described = ask(code, { module, params: null });
    if (!described.ok) {
      found.set(module, described);
      continue;
    }
    const answered = new Map<string, PluginAnswers>();
    const answers = (params: JsonObject): PluginAnswers => {
      const key = JSON.stringify(params);
      let known = answered.get(key);
      if (known === undefined) {
        const answer = ask(code, { module, params });
        if (!answer.ok) throw new Error(`${uses}: ${answer.error}`);
        known = answer.value as unknown as PluginAnswers;
        answered.set(key, known);
      }
      return known;
    };
    found.set(module, ok(definitionOf(described.value as unknown as PluginDescription, answers)));
  }
  return found;
};
