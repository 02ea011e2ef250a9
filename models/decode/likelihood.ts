// Log-probabilities of given tokens: continuations of one context (choices), or positions of one sequence
// (perplexity). A context is read once for all its continuations; first tokens are scored there, the others in one
// more run in which the continuations lie side by side and see the context but not each other:
//
//     cache: the context          new: | a1 a2 | b1 | c1 c2 c3 |      (a0, b0, c0 are scored after the context)

import { CHUNK } from './chunks.ts';
import { ChunkedCache, sharedLength } from './prefill.ts';
import { int32, int64, rowsFor, tokensFor, type BatchResult, type Runner } from './runner.ts';

export interface Scored {
  /** Of each token of the continuation. */
  readonly logprobs: readonly number[];
  /** Whether every token was the most probable one. */
  readonly isGreedy: boolean;
}

export const sumOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0);

interface Pick {
  /** Position whose prediction counts. */
  readonly position: number;
  readonly token: number;
  readonly put: (logprob: number, isBest: boolean) => void;
}

export class LikelihoodReader {
  readonly #runner: Runner;
  readonly #chunks: ChunkedCache;

  /** The runner's head must be `scores`. */
  constructor(runner: Runner) {
    this.#runner = runner;
    this.#chunks = new ChunkedCache(runner);
  }

  /**
   * Context and continuations are not empty, and together no longer than maxLength + 1. `next`: the context that is
   * read after this one; what they share is kept for it.
   */
  async continuations(
    context: readonly number[],
    continuations: readonly (readonly number[])[],
    next: readonly number[] = [],
  ): Promise<readonly Scored[]> {
    const results = continuations.map((tokens) => new Collected(tokens));
    const last = context.length - 1;
    const first = results.map((result) => result.pick(0, last));
    const longer = results.filter((result) => result.tokens.length > 1);
    const keep = longer.length > 0 ? context.length : sharedLength(context, next);
    await this.#read(context, first, keep);
    for (const group of grouped(longer)) await this.#readSuffixes(context.length, group);
    return results.map((result) => result.scored());
  }

  /** Log-probabilities of tokens[from ...], each after all before it (from >= 1). `next`: as for continuations. */
  async sequence(
    tokens: readonly number[],
    from: number,
    next: readonly number[] = [],
  ): Promise<Scored> {
    const result = new Collected(tokens.slice(from));
    const picks = result.tokens.map((_, index) => result.pick(index, from - 1 + index));
    await this.#read(tokens.slice(0, -1), picks, sharedLength(tokens, next));
    return result.scored();
  }

  /** Picks are in ascending order of position. `keep`: see ChunkReader. */
  async #read(tokens: readonly number[], picks: readonly Pick[], keep: number): Promise<void> {
    const inChunk = (start: number, length: number): readonly Pick[] =>
      picks.filter(({ position }) => position >= start && position < start + length);
    await this.#chunks.read(tokens, picks[0]?.position ?? 0, {
      outputs: ['next', 'scores'],
      keep,
      ask: (start, length) => ask(inChunk(start, length), start, this.#runner),
      take: (result, start, length) => {
        take(result, inChunk(start, length));
      },
    });
  }

  /** Tokens 1.. of continuations after a context that lies in the cache. */
  async #readSuffixes(length: number, group: readonly Collected[]): Promise<void> {
    const ids: number[] = [];
    const positions: number[] = [];
    const segments: number[] = [];
    const picks: Pick[] = [];
    group.forEach((result, segment) => {
      result.tokens.slice(0, -1).forEach((token, index) => {
        picks.push(result.pick(index + 1, ids.length));
        ids.push(token);
        positions.push(length + index);
        segments.push(segment);
      });
    });
    const enough = tokensFor(ids.length, length, this.#runner);
    while (ids.length < enough) {
      ids.push(0);
      positions.push(length);
      segments.push(-1);
    }
    const shape = [1, ids.length];
    const result = await this.#runner.run(
      {
        ids: int32(ids, shape),
        positions: int64(positions, shape),
        lengths: int64([length], [1, 1]),
        segments: int32(segments, shape),
        cache: this.#chunks.feeds(length),
        ...ask(picks, 0, this.#runner),
      },
      ['next', 'scores'],
    );
    take(result, picks);
  }
}

/** Scores of one continuation as they come in. */
class Collected {
  readonly tokens: readonly number[];
  readonly #logprobs: Float64Array;
  #greedy = true;

  constructor(tokens: readonly number[]) {
    this.tokens = tokens;
    this.#logprobs = new Float64Array(tokens.length);
  }

  /** The token at `index`, predicted at `position`. */
  pick(index: number, position: number): Pick {
    return {
      position,
      token: this.tokens[index] ?? 0,
      put: (logprob, isBest) => {
        this.#logprobs[index] = logprob;
        this.#greedy &&= isBest;
      },
    };
  }

  scored(): Scored {
    return { logprobs: Array.from(this.#logprobs), isGreedy: this.#greedy };
  }
}

/** Each position is selected once, however many tokens are asked of it. */
const ask = (
  picks: readonly Pick[],
  start: number,
  runner: Runner,
): { select: ReturnType<typeof int32>; picks: ReturnType<typeof int64> } => {
  const positions = selected(picks);
  const rows = positions.map((position) => position - start);
  while (rows.length < rowsFor(Math.max(1, rows.length), runner)) rows.push(rows[0] ?? 0);
  const places = new Map(positions.map((position, place) => [position, place]));
  const flat = picks.map(
    ({ position, token }) => (places.get(position) ?? 0) * runner.config.vocabSize + token,
  );
  // A chunk that nothing is asked of is asked for something: not every provider bears empty tensors.
  if (flat.length === 0) flat.push(0);
  return { select: int32(rows, [rows.length]), picks: int64(flat, [flat.length]) };
};

const take = (result: BatchResult, picks: readonly Pick[]): void => {
  const places = new Map(selected(picks).map((position, place) => [position, place]));
  picks.forEach(({ position, token, put }, index) => {
    const place = places.get(position) ?? 0;
    put(result.scores[index] ?? NaN, result.next[place] === token);
  });
};

const selected = (picks: readonly Pick[]): readonly number[] => [
  ...new Set(picks.map(({ position }) => position)),
];

/** Continuations that are run together: at most CHUNK tokens, so that many choices need no more memory than few. */
const grouped = (results: readonly Collected[]): readonly (readonly Collected[])[] => {
  const groups: Collected[][] = [];
  let size = Infinity;
  for (const result of results) {
    const tokens = result.tokens.length - 1;
    if (size + tokens > CHUNK) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(result);
    size += tokens;
  }
  return groups;
};
