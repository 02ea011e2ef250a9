// The thread of one part of a graph (parted-session.ts): creates its session, then runs it when told to.

import { parentPort, workerData } from 'node:worker_threads';
import { flushesDenormals } from './denormals.ts';
import type { Feed, Feeds } from './feeds.ts';
import { handedOver, SessionError } from './feeds.ts';
import type { Graph } from './graph.ts';
import { createSession, type Session, type SessionOptions } from './session.ts';

/** The module of the thread: this one. */
export const PART_THREAD = new URL(import.meta.url);

/** workerData of the thread, which is how this module knows that it is one. */
export interface PartSetup {
  readonly kind: 'part of a graph';
  readonly graph: Graph;
  readonly options: SessionOptions;
  /** What flushesDenormals() says in the thread that starts this one. */
  readonly flushes: boolean;
}

export type ToPart =
  | { readonly kind: 'run'; readonly feeds: Feeds; readonly fetches: readonly string[] }
  | { readonly kind: 'release' };

/** One answer to the setup, and one to each message. */
export type FromPart =
  | { readonly kind: 'opened' | 'computes-otherwise' | 'released' }
  | { readonly kind: 'outputs'; readonly outputs: Readonly<Record<string, Feed>> }
  | { readonly kind: 'failed'; readonly code: SessionError['code']; readonly message: string };

const failed = (error: unknown): FromPart => {
  if (!(error instanceof SessionError)) throw error;
  return { kind: 'failed', code: error.code, message: error.message };
};

const answer = async (session: Session, message: ToPart): Promise<FromPart> => {
  switch (message.kind) {
    case 'run': {
      const { feeds, fetches } = message;
      return { kind: 'outputs', outputs: await session.run(feeds, { fetches }) };
    }
    case 'release':
      await session.release();
      return { kind: 'released' };
  }
};

const serve = async (port: NonNullable<typeof parentPort>, setup: PartSetup): Promise<void> => {
  const say = (message: FromPart): void => {
    const outputs = message.kind === 'outputs' ? Object.values(message.outputs) : [];
    port.postMessage(message, handedOver(outputs));
  };
  if (flushesDenormals() !== setup.flushes) {
    say({ kind: 'computes-otherwise' });
    return;
  }
  const session = await createSession(setup.graph, setup.options).catch((error: unknown) => {
    say(failed(error));
    return null;
  });
  if (session === null) return;
  port.on('message', (message: ToPart) => {
    void answer(session, message).catch(failed).then(say);
  });
  say({ kind: 'opened' });
};

const data = workerData as Partial<PartSetup> | null;
if (parentPort !== null && data?.kind === 'part of a graph')
  await serve(parentPort, data as PartSetup);
