// Reading a row's tokens in chunks, so that a row's bits are its own and yet rows which begin alike share the work.
// Where bits depend on the chunks' borders, these are fixed (chunks.ts), and of the row before every whole chunk with
// the same tokens up to its end is kept; where they don't (splits.ts), every token. One row at a time: measured faster
// than padded or packed batches on a CPU (bench/decode.ts), and nothing a row sees depends on its neighbours.

import { KeyValueCache } from './cache.ts';
import { CHUNK, fixedChunks, freeChunks, WORTH } from './chunks.ts';
import type { Head } from './graph.ts';
import {
  cacheFeeds,
  int32,
  int64,
  tokensFor,
  type Batch,
  type BatchResult,
  type Output,
  type Runner,
} from './runner.ts';
import type { Feed } from '../../tensor/session.ts';

/** What a chunk is asked for: its positions start .. start + length - 1. */
export interface ChunkReader {
  ask(start: number, length: number): Pick<Batch, 'select' | 'picks'>;
  readonly outputs: readonly Exclude<Output, 'present'>[];
  /** How many of the first tokens are read again after this, as the beginning of a row or from the cache. */
  readonly keep: number;
  take(result: BatchResult, start: number, length: number): void;
}

/** The cache of the row being read, and which tokens lie in it. */
export class ChunkedCache {
  readonly #runner: Runner;
  readonly cache: KeyValueCache;
  #feeds: readonly Feed[];
  #tokens: readonly number[] = [];

  constructor(runner: Runner) {
    this.#runner = runner;
    // Where bits depend on the capacity it is the same for every row, whatever was read before.
    const capacity = runner.batchInvariant ? CHUNK : Math.max(CHUNK, runner.longest);
    this.cache = new KeyValueCache(runner.cacheShape, 1, capacity);
    this.#feeds = cacheFeeds(this.cache);
  }

  /**
   * The first `length` positions, as the graph reads them: without room behind, where the device's bits are a row's own.
   * Its sums are made in blocks, whose borders would move with that room.
   */
  feeds(length: number): readonly Feed[] {
    if (this.#runner.batchInvariant && this.cache.resize(length))
      this.#feeds = cacheFeeds(this.cache);
    return this.#feeds;
  }

  /** `needed`: the first position whose outputs are wanted; what is before it is kept where the tokens are the same. */
  async read(tokens: readonly number[], needed: number, reader: ChunkReader): Promise<void> {
    const { splitsFreely } = this.#runner;
    const shared = Math.min(sharedLength(this.#tokens, tokens), needed);
    const chunks = (splitsFreely ? freeChunks : fixedChunks)(shared, tokens.length);
    this.#tokens = tokens.slice(0, chunks[0]?.start);
    for (const { start, length } of chunks) {
      const chunk = tokens.slice(start, start + length);
      const read = tokensFor(length, start, this.#runner);
      const isLast = start + length === tokens.length;
      const isKept =
        start + length <= reader.keep || (splitsFreely && start + WORTH <= reader.keep);
      const result = await this.#runner.run(
        {
          ...chunkFeeds(chunk, start, read, this.#runner.head),
          ...reader.ask(start, length),
          cache: start === 0 ? null : this.feeds(start),
        },
        isLast && !isKept ? reader.outputs : ['present', ...reader.outputs],
      );
      if (result.present.length > 0) {
        if (this.cache.reserve(start + read)) this.#feeds = cacheFeeds(this.cache);
        this.cache.write(result.present, read, 0, 0, start);
        this.#tokens = tokens.slice(0, start + length);
      }
      reader.take(result, start, length);
    }
  }
}

/** Padded to `read` tokens: nothing sees the rest, and what it leaves in the cache lies beyond the row's length. */
const chunkFeeds = (
  chunk: readonly number[],
  start: number,
  read: number,
  head: Head,
): ChunkFeeds => {
  const ids = Array.from({ length: read }, (_, index) => chunk[index] ?? 0);
  const shape = [1, ids.length];
  const last = start + chunk.length - 1;
  return {
    ids: int32(ids, shape),
    positions: int64(
      ids.map((_, index) => Math.min(start + index, last)),
      shape,
    ),
    lengths: int64([start], [1, 1]),
    ...(head === 'scores' ? { segments: { data: new Int32Array(ids.length), shape } } : {}),
  };
};

type ChunkFeeds = Pick<Batch, 'ids' | 'positions' | 'lengths' | 'segments'>;

/** How many tokens two rows have in common at their beginning. */
export const sharedLength = (a: readonly number[], b: readonly number[]): number => {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length += 1;
  return length;
};

export interface Prefilled {
  /** One place; valid until the next prompt is read. */
  readonly cache: KeyValueCache;
  /** The most probable token after the prompt. */
  readonly next: number;
  /** [vocabSize], where logits were asked for; the reader's own. */
  readonly logits: Float32Array;
}

/** Reads prompts for generation. The same prompt twice in a row is read once. */
export class PromptReader {
  readonly #chunks: ChunkedCache;
  readonly #outputs: ChunkReader['outputs'];
  readonly #vocabulary: number;
  readonly #rows: number;
  #prompt: readonly number[] = [];
  #last: Prefilled | null = null;

  /** `logits`: whether the logits after a prompt are needed, not only the best token. */
  constructor(runner: Runner, logits: boolean) {
    this.#chunks = new ChunkedCache(runner);
    this.#outputs = logits ? ['logits'] : ['next'];
    this.#vocabulary = runner.config.vocabSize;
    this.#rows = runner.leastRows;
  }

  async read(prompt: readonly number[]): Promise<Prefilled> {
    if (this.#last !== null && sameTokens(prompt, this.#prompt)) return this.#last;
    this.#last = null;
    let next = 0;
    let logits = new Float32Array(0);
    await this.#chunks.read(prompt, prompt.length - 1, {
      outputs: this.#outputs,
      keep: prompt.length,
      ask: (_start, length) => ({
        select: { data: new Int32Array(this.#rows).fill(length - 1), shape: [this.#rows] },
      }),
      take: (result) => {
        next = result.next[0] ?? 0;
        logits = result.logits.slice(0, this.#vocabulary);
      },
    });
    this.#prompt = prompt;
    this.#last = { cache: this.#chunks.cache, next, logits };
    return this.#last;
  }
}

const sameTokens = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((token, index) => token === b[index]);
