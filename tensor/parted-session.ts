// One large graph as several sessions, each of a part of it (partition.ts), created at the same time: the runtime packs
// weights on the thread that creates a session, which is most of the time that a large model takes to open. The first
// part runs here, the others in threads of their own (part-thread.ts); they run one after the other, each with all the
// threads of its products. Same kernels over same shapes, so the same bits.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { GraphBuilder } from './builder.ts';
import { flushesDenormals } from './denormals.ts';
import type { Feed, Feeds } from './feeds.ts';
import { checkFeeds, handedOver, inSharedMemory, noOutput, SessionError } from './feeds.ts';
import type { Graph } from './graph.ts';
import { PART_THREAD, type FromPart, type PartSetup, type ToPart } from './part-thread.ts';
import { bytesToPack, partition } from './partition.ts';
import { createSession, type RunOptions, type Session, type SessionOptions } from './session.ts';

export interface PartedSession extends Session {
  /** With more than one, feeds should lie in a SharedArrayBuffer where they are large: others are copied in every run. */
  readonly parts: number;
}

export interface PartedOptions extends SessionOptions {
  /** Parts at most; as many as pay unless said. */
  readonly parts?: number;
}

/** Below this a part is packed before a thread for it has started. */
const WORTH_BYTES = 512 * 2 ** 20;

/** Each part has a JavaScript heap of its own, and work that isn't packing. */
const MOST_PARTS = 4;

/** What the first part packs before the other threads begin: they take a tenth of a second to start. */
const LEAD_BYTES = 96 * 2 ** 20;

const partsOf = (graph: Graph, { parts, threads = 1 }: PartedOptions): number =>
  parts ?? Math.min(threads, MOST_PARTS, Math.floor(bytesToPack(graph) / WORTH_BYTES));

export const createPartedSession = async (
  graph: Graph,
  options: PartedOptions = {},
): Promise<PartedSession> => {
  const onCpu = (options.device ?? 'cpu') === 'cpu';
  const graphs = onCpu ? partition(graph, partsOf(graph, options), LEAD_BYTES) : [graph];
  if (graphs.length > 1 && (await sharesFeeds())) {
    const session = await openParts(graph, graphs, options);
    if (session !== null) return session;
  }
  return { ...(await createSession(graph, options)), parts: 1 };
};

let shares: Promise<boolean> | undefined;

/**
 * Whether the runtime reads SharedArrayBuffers here (Node before 22.21 doesn't let it), tried once in a process. The
 * session that tries is also the process's first, from which this thread, and threads started behind it, take numbers
 * without a full mantissa for zero (session.ts).
 */
const sharesFeeds = (): Promise<boolean> =>
  (shares ??= (async () => {
    const g = new GraphBuilder();
    g.output('y', g.neg(g.input('x', 'float32', [1])));
    const session = await createSession(g.build(), { quiet: true });
    const data = inSharedMemory(Float32Array.of(2));
    try {
      const { y } = await session.run({ x: { data, shape: [1] } });
      return y?.data[0] === -2;
    } catch (error) {
      if (error instanceof SessionError) return false;
      throw error;
    } finally {
      await session.release();
    }
  })());

/** null where threads compute otherwise than this one. */
const openParts = async (
  graph: Graph,
  graphs: readonly Graph[],
  options: PartedOptions,
): Promise<PartedSession | null> => {
  const [first, ...others] = graphs;
  if (first === undefined) throw new Error('a graph without parts');
  const threads = others.map((part) => new PartThread(part, optionsOf(part, options)));
  const opening = Promise.all(threads.map(({ opened }) => opened));
  opening.catch(() => undefined); // Awaited below; a thread may fail before.
  const parts: Part[] = [...threads];
  let isOpen = false;
  try {
    // The others have begun; now this thread packs, too.
    const session = await createSession(first, optionsOf(first, options));
    parts.unshift(session);
    isOpen = (await opening).every(Boolean);
    return isOpen ? inTurn(graph, graphs, parts) : null;
  } finally {
    if (!isOpen) await releaseAll(parts);
  }
};

const optionsOf = (part: Graph, { initializers = {}, extra, ...rest }: PartedOptions) => ({
  ...rest,
  initializers: Object.fromEntries(
    part.initializers.flatMap(({ value: { name } }) => named(name, initializers[name])),
  ),
  // Threads of a part that has run would otherwise keep turning in wait for more, where another part's should run.
  extra: { 'session.force_spinning_stop': '1', ...extra },
});

const releaseAll = async (parts: readonly Part[]): Promise<void> => {
  await Promise.all(parts.map((part) => part.release()));
};

interface Part {
  /** `spent`: feeds that nobody reads again, whose memory may be handed over. */
  run(feeds: Feeds, options: RunOptions, spent: readonly Feed[]): Promise<Record<string, Feed>>;
  release(): Promise<void>;
}

const nameOf = ({ name }: { readonly name: string }): string => name;

const named = <T>(name: string, value: T | undefined): readonly (readonly [string, T])[] =>
  value === undefined ? [] : [[name, value]];

/** Parts that are run one after the other, as one session. */
const inTurn = (graph: Graph, graphs: readonly Graph[], parts: readonly Part[]): PartedSession => {
  const names = graph.outputs.map(({ name }) => name);
  const plans = graphs.map(({ inputs, outputs }, index) => {
    const later = new Set(graphs.slice(index + 1).flatMap((part) => part.inputs.map(nameOf)));
    return { reads: inputs.map(nameOf), makes: outputs.map(nameOf), later };
  });
  const runAll = async (feeds: Feeds, fetches: readonly string[]) => {
    const made: Record<string, Feed> = {};
    for (const [index, { reads, makes, later }] of plans.entries()) {
      const isWanted = (name: string): boolean => later.has(name) || fetches.includes(name);
      const given = reads.flatMap((name) => named(name, made[name] ?? feeds[name]));
      const spent = reads.flatMap((name) => (isWanted(name) ? [] : (made[name] ?? [])));
      const options = { fetches: makes.filter(isWanted) };
      Object.assign(made, await parts[index]?.run(Object.fromEntries(given), options, spent));
    }
    return Object.fromEntries(fetches.flatMap((name) => named(name, made[name])));
  };
  let turn: Promise<unknown> = Promise.resolve();
  return {
    device: 'cpu',
    parts: parts.length,
    run: async (feeds, { fetches = names, into } = {}) => {
      checkFeeds(graph.inputs, feeds);
      const unknown = fetches.find((name) => !names.includes(name));
      if (unknown !== undefined) throw noOutput(unknown);
      if (into !== undefined) throw new SessionError('bad-feed', 'parts write into no buffers');
      const next = turn.then(() => runAll(feeds, fetches));
      turn = next.catch(() => undefined);
      return next;
    },
    release: () => turn.then(() => releaseAll(parts)),
  };
};

/** A part in a thread of its own. It is asked for one thing after the other. */
class PartThread implements Part {
  readonly #worker: Worker;
  /** False where the thread computes otherwise than this one. Rejected with SessionError where the graph is refused. */
  readonly opened: Promise<boolean>;
  #over: Promise<void> | undefined;

  constructor(graph: Graph, options: SessionOptions) {
    const flushes = flushesDenormals();
    const setup: PartSetup = { kind: 'part of a graph', graph, options, flushes };
    this.#worker = new Worker(PART_THREAD, { workerData: setup });
    this.opened = this.#answer().then(({ kind }) => kind === 'opened');
  }

  async run(
    feeds: Feeds,
    { fetches = [] }: RunOptions,
    spent: readonly Feed[],
  ): Promise<Record<string, Feed>> {
    const answer = await this.#ask({ kind: 'run', feeds, fetches }, spent);
    return answer.kind === 'outputs' ? answer.outputs : {};
  }

  /** Also of a thread whose session never opened. */
  release(): Promise<void> {
    return (this.#over ??= (async () => {
      const isOpen = await this.opened.catch(() => false);
      if (isOpen) await this.#ask({ kind: 'release' });
      await this.#worker.terminate();
    })());
  }

  #ask(message: ToPart, spent: readonly Feed[] = []): Promise<FromPart> {
    const answer = this.#answer();
    this.#worker.postMessage(message, handedOver(spent));
    return answer;
  }

  async #answer(): Promise<FromPart> {
    // A thread that waits for something to do keeps no process alive.
    this.#worker.ref();
    try {
      const [message] = (await once(this.#worker, 'message')) as [FromPart];
      if (message.kind === 'failed') throw new SessionError(message.code, message.message);
      return message;
    } finally {
      this.#worker.unref();
    }
  }
}
