// Reading a prompt into a cache. Long prompts are read in chunks whose borders are fixed (0, CHUNK, 2 CHUNK ...), so
// that a row's bits are its own and yet rows which begin alike share the work: of the row before, every whole chunk
// with the same tokens up to its end is kept. One prompt at a time: measured faster than padded or packed batches
// (design note in docs/design), and nothing a prompt sees depends on its neighbours.

import { KeyValueCache } from './cache.ts';
import { cacheFeeds, int32, int64, type Output, type Runner } from './runner.ts';
import type { Feed } from '../../tensor/session.ts';

/** Tokens read at once. */
export const CHUNK = 256;

export interface Prefilled {
  /** One place; valid until the next prompt is read. */
  readonly cache: KeyValueCache;
  readonly length: number;
  /** The most probable token after the prompt. */
  readonly next: number;
  /** [vocabSize], where logits were asked for; the reader's own. */
  readonly logits: Float32Array;
}

export class PromptReader {
  readonly #runner: Runner;
  readonly #wanted: readonly Output[];
  readonly #cache: KeyValueCache;
  #feeds: readonly Feed[];
  #tokens: readonly number[] = [];
  #last: Prefilled | null = null;

  /** `logits`: whether the logits after a prompt are needed, not only the best token. */
  constructor(runner: Runner, logits: boolean) {
    this.#runner = runner;
    this.#wanted = logits ? ['present', 'next', 'logits'] : ['present', 'next'];
    this.#cache = new KeyValueCache(runner.cacheShape, 1, CHUNK);
    this.#feeds = cacheFeeds(this.#cache);
  }

  async read(tokens: readonly number[]): Promise<Prefilled> {
    const kept = sharedLength(this.#tokens, tokens);
    if (this.#last !== null && kept === tokens.length && kept === this.#tokens.length) {
      return this.#last;
    }
    const first = Math.min(Math.floor(kept / CHUNK), Math.ceil(tokens.length / CHUNK) - 1) * CHUNK;
    this.#last = null;
    this.#tokens = tokens.slice(0, first);
    if (this.#cache.reserve(tokens.length)) this.#feeds = cacheFeeds(this.#cache);
    let next = 0;
    let logits = new Float32Array(0);
    for (let start = first; start < tokens.length; start += CHUNK) {
      const chunk = tokens.slice(start, start + CHUNK);
      const result = await this.#runner.run(
        {
          ...chunkFeeds(chunk, start),
          // Two rows of the head even for one position: products whose kernel differs for one row never have one.
          select: int32([chunk.length - 1, chunk.length - 1], [2]),
          cache: start === 0 ? null : this.#feeds,
        },
        this.#wanted,
      );
      const read = Math.max(2, chunk.length);
      this.#cache.reserve(start + read);
      this.#cache.write(result.present, 1, read, 0, 0, start);
      next = result.next[0] ?? 0;
      logits = result.logits.slice(0, this.#runner.config.vocabSize);
    }
    this.#tokens = tokens;
    this.#last = { cache: this.#cache, length: tokens.length, next, logits };
    return this.#last;
  }
}

/**
 * ids, positions and lengths of a chunk. A chunk of one token is padded to two (the second is seen by nothing before
 * it, and what it leaves in the cache lies beyond the row's length).
 */
export const chunkFeeds = (
  chunk: readonly number[],
  start: number,
): { readonly ids: Feed; readonly positions: Feed; readonly lengths: Feed } => {
  const ids = chunk.length === 1 ? [...chunk, ...chunk] : chunk;
  return {
    ids: int32(ids, [1, ids.length]),
    positions: int64(
      ids.map((_, index) => Math.min(start + index, start + chunk.length - 1)),
      [1, ids.length],
    ),
    lengths: int64([start], [1, 1]),
  };
};

const sharedLength = (a: readonly number[], b: readonly number[]): number => {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length += 1;
  return length;
};
