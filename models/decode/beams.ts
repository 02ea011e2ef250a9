// Beam search as transformers does it (generation/utils.py `_beam_search`): the best `beams` continuations run on,
// finished ones are kept by score (sum of log-probabilities / length ** lengthPenalty). A prompt's beams are a batch of
// their own, so nothing depends on other rows.

import { KeyValueCache } from './cache.ts';
import type { Decoding } from './parameters.ts';
import { PromptReader } from './prefill.ts';
import { cacheFeeds, int32, int64, rowsTogether, type Runner } from './runner.ts';
import { process } from './sampling.ts';
import type { FinishReason, TextResult } from './text.ts';
import { highest, kthHighest } from './warpers.ts';

export interface BeamOptions {
  readonly decoding: Decoding;
  /** At least 2. */
  readonly beams: number;
  readonly lengthPenalty: number;
  /** Stop as soon as there are as many finished ones as beams, instead of when none can become better. */
  readonly earlyStopping: boolean;
  readonly stopped: (tokens: readonly number[]) => boolean;
  readonly signal: AbortSignal;
}

export interface BeamResult extends TextResult {
  readonly score: number;
}

interface Running {
  readonly tokens: readonly number[];
  readonly score: number;
  /** Which running beam it continues. */
  readonly parent: number;
}

interface Candidate extends Running {
  readonly finish: FinishReason | null;
}

/** One beam search after another on one runner, whose head must be `logits`. */
export class BeamSearch {
  readonly #runner: Runner;
  readonly #options: BeamOptions;
  readonly #reader: PromptReader;
  readonly #ends: ReadonlySet<number>;

  constructor(runner: Runner, options: BeamOptions) {
    this.#runner = runner;
    this.#options = options;
    this.#reader = new PromptReader(runner, true);
    this.#ends = new Set(options.decoding.endTokens);
  }

  /** Finished sequences, best first; at most as many as beams. */
  async run(prompt: readonly number[]): Promise<readonly BeamResult[]> {
    const { beams, lengthPenalty, earlyStopping, signal } = this.#options;
    const prefilled = await this.#reader.read(prompt);
    const places = rowsTogether(beams, this.#runner);
    let cache = new KeyValueCache(this.#runner.cacheShape, places, prompt.length + 1);
    for (let place = 0; place < beams; place += 1) {
      cache.copyFrom(prefilled.cache, 0, place, prompt.length);
    }
    let spare: KeyValueCache | null = null;
    let running: readonly Running[] = [{ tokens: [], score: 0, parent: 0 }];
    let logits: readonly Float32Array[] = [prefilled.logits.slice()];
    let finished: readonly BeamResult[] = [];
    for (let length = 1; ; length += 1) {
      signal.throwIfAborted();
      const candidates = this.#candidates(prompt, running, logits);
      finished = merge(finished, candidates, length, this.#options);
      const open = candidates.filter(({ finish }) => finish === null).slice(0, beams);
      const full = finished.length === beams;
      const [best] = open;
      const worst = full ? (finished.at(-1)?.score ?? -Infinity) : -Infinity;
      const better = best !== undefined && best.score / length ** lengthPenalty > worst;
      if (!better || (full && earlyStopping)) return finished;
      [cache, spare] = reordered(cache, spare, running.length, open, prompt.length + length - 1);
      running = open;
      logits = await this.#step(cache, prompt.length + length - 1, running);
    }
  }

  /** The best continuations of all beams, best first: enough that `beams` of them don't end the text. */
  #candidates(
    prompt: readonly number[],
    running: readonly Running[],
    logits: readonly Float32Array[],
  ): readonly Candidate[] {
    const { decoding, beams } = this.#options;
    const kept = Math.max(2, 1 + decoding.endTokens.length) * beams;
    const all = running.flatMap(({ tokens, score }, parent) => {
      const scores = logProbabilities(logits[parent] ?? new Float32Array(0));
      const ids = Int32Array.from([...prompt, ...tokens]);
      process(scores, { ids, length: ids.length }, tokens.length, decoding);
      return bestTokens(scores, kept).map((token) => ({
        parent,
        token,
        score: score + (scores[token] ?? -Infinity),
      }));
    });
    return all
      .sort((a, b) => b.score - a.score)
      .slice(0, kept)
      .map(({ parent, token, score }) => {
        const tokens = [...(running[parent]?.tokens ?? []), token];
        return { parent, tokens, score, finish: this.#finishOf(tokens, token) };
      });
  }

  #finishOf(tokens: readonly number[], token: number): FinishReason | null {
    const { decoding, stopped } = this.#options;
    if (this.#ends.has(token)) return 'eos';
    if (stopped(tokens)) return 'stop';
    return tokens.length >= decoding.maxNewTokens ? 'length' : null;
  }

  /** Logits after the last token of every beam; its key and value are put into the cache. */
  async #step(
    cache: KeyValueCache,
    position: number,
    running: readonly Running[],
  ): Promise<readonly Float32Array[]> {
    const { places } = cache;
    cache.reserve(position + 1);
    const positions = int64(new Array<number>(places).fill(position), [places, 1]);
    const result = await this.#runner.run(
      {
        ids: int32(
          Array.from({ length: places }, (_, place) => running[place]?.tokens.at(-1) ?? 0),
          [places, 1],
        ),
        positions,
        lengths: positions,
        select: int32(
          Array.from({ length: places }, (_, place) => place),
          [places],
        ),
        cache: cacheFeeds(cache),
      },
      ['present', 'logits'],
    );
    const { vocabSize } = this.#runner.config;
    return running.map((_, place) => {
      cache.write(result.present, 1, place, place, position);
      return result.logits.subarray(place * vocabSize, (place + 1) * vocabSize);
    });
  }
}

/** What has been finished so far and what the best `beams` candidates finish now, best first. */
const merge = (
  finished: readonly BeamResult[],
  candidates: readonly Candidate[],
  length: number,
  { beams, lengthPenalty }: BeamOptions,
): readonly BeamResult[] => {
  const now = candidates
    .slice(0, beams)
    .flatMap(({ tokens, score, finish }) =>
      finish === null
        ? []
        : [{ tokens, finishReason: finish, score: score / length ** lengthPenalty }],
    );
  return [...finished, ...now].sort((a, b) => b.score - a.score).slice(0, beams);
};

/** The cache with each beam's place holding what its parent's held, and the one that is free then. */
const reordered = (
  cache: KeyValueCache,
  spare: KeyValueCache | null,
  held: number,
  beams: readonly Running[],
  length: number,
): [KeyValueCache, KeyValueCache | null] => {
  // At first every place holds the prompt.
  if (held === 1 || beams.every(({ parent }, place) => parent === place)) return [cache, spare];
  const next =
    spare !== null && spare.capacity >= length
      ? spare
      : new KeyValueCache(cache.shape, cache.places, length + 1);
  beams.forEach(({ parent }, place) => {
    next.copyFrom(cache, parent, place, length);
  });
  return [next, cache];
};

/** In place. */
const logProbabilities = (logits: Float32Array): Float32Array => {
  const best = highest(logits);
  let sum = 0;
  for (let index = 0; index < logits.length; index += 1)
    sum += Math.exp((logits[index] ?? -Infinity) - best);
  const shift = best + Math.log(sum);
  for (let index = 0; index < logits.length; index += 1)
    logits[index] = (logits[index] ?? -Infinity) - shift;
  return logits;
};

/** Indices of the `count` highest scores. */
const bestTokens = (scores: Float32Array, count: number): readonly number[] => {
  const bar = kthHighest(scores, count);
  const found: number[] = [];
  for (let index = 0; index < scores.length; index += 1) {
    const value = scores[index] ?? -Infinity;
    if (value >= bar && value > -Infinity) found.push(index);
  }
  return found.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b).slice(0, count);
};
