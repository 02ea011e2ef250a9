// The other side of the process: reads what the coordinator wants from standard input (through the watchdog thread),
// runs it, and answers on file descriptor 3. Or, on a cluster, runs one spec.json and leaves result.json beside it.

import { appendFileSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Json, JsonObject } from '../schemas/json.ts';
import { runAttempt } from './attempt.ts';
import type {
  FromWorker,
  PluginAnswers,
  PluginDescription,
  StepSpec,
  ToWorker,
} from './protocol.ts';
import type { StepDefinition, StepRegistry } from './step.ts';

/** Registries may be loaded late: a worker that only runs plugins needs none. */
export type RegistrySource = () => Promise<StepRegistry>;

const isDefinition = (value: unknown): value is StepDefinition =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Partial<StepDefinition>).name === 'string' &&
  typeof (value as Partial<StepDefinition>).run === 'function' &&
  typeof (value as Partial<StepDefinition>).outputs === 'function';

/** The definition that a plugin's module exports: as `default`, as `step`, or as its only export of that shape. */
export const loadPlugin = async (path: string): Promise<StepDefinition> => {
  const exports = (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  const all = Object.values(exports).filter(isDefinition);
  const found = [exports['default'], exports['step']].find(isDefinition) ?? all[0];
  if (found === undefined)
    throw new Error(`${path} exports no step (an object made by defineStep)`);
  return found;
};

const definitionFor =
  (spec: StepSpec, registry: RegistrySource): (() => Promise<StepDefinition>) =>
  async () => {
    if (spec.plugin !== null) return loadPlugin(spec.plugin);
    const definition = (await registry()).get(spec.uses);
    if (definition === undefined) throw new Error(`this worker has no step type ${spec.uses}`);
    return definition;
  };

const describe = async (module: string, params: JsonObject | null): Promise<Json> => {
  const step = await loadPlugin(module);
  if (params === null) {
    const { name, version, summary, inputs, weight } = step;
    const description: PluginDescription = {
      name,
      version,
      summary,
      params: step.params,
      inputs,
      weight,
    };
    return JSON.parse(JSON.stringify(description)) as Json;
  }
  const answers: PluginAnswers = {
    outputs: step.outputs(params),
    usesSeed: step.usesSeed?.(params) ?? false,
    deterministic: step.deterministic?.(params) ?? true,
    device: step.device?.(params) ?? null,
    check: step.check?.(params) ?? [],
  };
  return JSON.parse(JSON.stringify(answers)) as Json;
};

/** Text that a step (or a library in it) prints is its log; standard output is nobody's protocol. */
const captureOutput = (log: (text: string) => void): void => {
  for (const stream of [process.stdout, process.stderr]) {
    let pending = '';
    stream.write = (chunk: string | Uint8Array, ...rest: readonly unknown[]): boolean => {
      const lines = (pending + Buffer.from(chunk as Uint8Array).toString('utf8')).split('\n');
      pending = lines.pop() ?? '';
      for (const line of lines) log(line);
      const done = rest.find((item) => typeof item === 'function');
      if (done !== undefined) queueMicrotask(done as () => void);
      return true;
    };
  }
};

const stopReason = (): DOMException => new DOMException('the run is stopping', 'AbortError');

/** Serves a coordinator until standard input ends; then the watchdog ends the process. Never resolves. */
export const serveCoordinator = (registry: RegistrySource): Promise<never> => {
  let current: { readonly attempt: string; readonly abort: AbortController } | null = null;
  /** Asked to stop before they began. */
  const stopped = new Set<string>();
  const send = (message: FromWorker): void => {
    // Synchronous, so that a word is out before a native kernel blocks the thread or a crash ends it.
    const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
    for (let at = 0; at < bytes.length;) at += writeSync(3, bytes, at);
  };
  captureOutput((text) => {
    if (current !== null) send({ kind: 'log', attempt: current.attempt, level: 'info', text });
  });
  const run = async (spec: StepSpec): Promise<void> => {
    const abort = new AbortController();
    current = { attempt: spec.attempt, abort };
    if (stopped.delete(spec.attempt)) abort.abort(stopReason());
    const result = await runAttempt(spec, definitionFor(spec, registry), send, abort.signal);
    current = null;
    send({ kind: 'result', attempt: spec.attempt, result });
  };
  // One after the other: a step's printed text must be its own.
  let queue = Promise.resolve();
  const handle = (message: ToWorker): void => {
    if (message.kind === 'stop') {
      if (current?.attempt === message.attempt) current.abort.abort(stopReason());
      else stopped.add(message.attempt);
    } else if (message.kind === 'run') queue = queue.then(() => run(message.spec));
    else
      queue = queue.then(async () => {
        const { id } = message;
        try {
          const answer = await describe(message.module, message.params);
          send({ kind: 'described', id, answer, error: null });
        } catch (error) {
          const text = error instanceof Error ? error.message : String(error);
          send({ kind: 'described', id, answer: null, error: text });
        }
      });
  };
  const watchdog = new URL(`./watchdog${extname(import.meta.filename)}`, import.meta.url);
  const thread = new Worker(watchdog);
  thread.on('message', (line: string) => {
    handle(JSON.parse(line) as ToWorker);
  });
  return new Promise<never>((_, reject) => thread.on('error', reject));
};

/** Runs one spec from a file: events to events.jsonl, the result to result.json, which appears only when complete. */
export const runSpecFile = async (
  specPath: string,
  registry: RegistrySource,
  signal: AbortSignal,
): Promise<boolean> => {
  const spec = JSON.parse(readFileSync(specPath, 'utf8')) as StepSpec;
  const folder = dirname(specPath);
  const send = (message: FromWorker): void => {
    appendFileSync(join(folder, 'events.jsonl'), `${JSON.stringify(message)}\n`);
  };
  const result = await runAttempt(spec, definitionFor(spec, registry), send, signal);
  const path = join(folder, 'result.json');
  writeFileSync(`${path}.new`, JSON.stringify({ attempt: spec.attempt, result }), { flush: true });
  renameSync(`${path}.new`, path);
  return result.kind === 'ok';
};
