// Beam search as transformers does it (generation/utils.py `_beam_search`): the best `beams` continuations run on,
// finished ones are kept by score (sum of log-probabilities / length ** lengthPenalty). Many prompts at once: each has
// as many neighbouring places of the batch as beams, all of which hold its prompt; a finished prompt's places go to the
// next one.

import { KeyValueCache } from './cache.ts';
import type { Decoding } from './parameters.ts';
import { PromptReader, type Prefilled } from './prefill.ts';
import { rowsTogether, type Runner } from './runner.ts';
import { process } from './sampling.ts';
import { StepBatch, type LastToken } from './step-batch.ts';
import type { FinishReason, TextResult } from './text.ts';
import { highest, kthHighest } from './warpers.ts';

interface ScoreOptions {
  readonly decoding: Decoding;
  /** At least 2. */
  readonly beams: number;
  readonly lengthPenalty: number;
  /** Stop as soon as there are as many finished ones as beams, instead of when none can become better. */
  readonly earlyStopping: boolean;
  readonly stopped: (tokens: readonly number[]) => boolean;
}

export interface BeamOptions extends ScoreOptions {
  /** Prompts at once; one where a row's bits depend on its batch. */
  readonly searches: number;
  readonly signal: AbortSignal;
  /** Finished sequences of a prompt, best first; at most as many as beams. */
  readonly onFinished: (index: number, results: readonly BeamResult[]) => void;
  /** After each step: tokens added so far to the best beams of all prompts. */
  readonly onStep?: (generated: number) => void;
}

export interface BeamResult extends TextResult {
  readonly score: number;
}

/** `prompts` are taken in their order. The runner's head must be `logits`. */
export const searchBeams = async (
  runner: Runner,
  prompts: readonly (readonly number[])[],
  options: BeamOptions,
): Promise<void> => {
  const loop = new BeamLoop(runner, prompts, options);
  await loop.run();
};

class BeamLoop {
  readonly #runner: Runner;
  readonly #prompts: readonly (readonly number[])[];
  readonly #options: BeamOptions;
  readonly #reader: PromptReader;
  /** One for each group of places. */
  #searches: (Search | null)[];
  #batch: StepBatch;
  /** For beams that change their places. */
  #aside: KeyValueCache;
  #waiting = 0;
  #generated = 0;

  constructor(runner: Runner, prompts: readonly (readonly number[])[], options: BeamOptions) {
    this.#runner = runner;
    this.#prompts = prompts;
    this.#options = options;
    this.#reader = new PromptReader(runner, true);
    const groups = runner.batchInvariant ? Math.min(options.searches, prompts.length) : 1;
    this.#searches = Array.from({ length: groups }, () => null);
    const longest = prompts
      .slice(0, groups)
      .reduce((most, { length }) => Math.max(most, length), 0);
    this.#batch = new StepBatch(this.#cacheFor(groups, longest + 1));
    this.#aside = new KeyValueCache(runner.cacheShape, options.beams, longest + 1);
  }

  async run(): Promise<void> {
    for (;;) {
      await this.#admit();
      const active = this.#searches.filter((search) => search !== null);
      if (active.length === 0) return;
      this.#shrink(active);
      await this.#step();
      this.#options.onStep?.(this.#generated);
    }
  }

  #cacheFor(groups: number, length: number): KeyValueCache {
    const places = rowsTogether(groups * this.#options.beams, this.#runner);
    return new KeyValueCache(this.#runner.cacheShape, places, length);
  }

  /** Reads prompts until every group is taken. */
  async #admit(): Promise<void> {
    for (;;) {
      const group = this.#searches.indexOf(null);
      const index = this.#waiting;
      const prompt = this.#prompts[index];
      if (group < 0 || prompt === undefined) return;
      this.#options.signal.throwIfAborted();
      this.#waiting += 1;
      const prefilled = await this.#reader.read(prompt);
      const search = new Search(index, prompt, this.#options);
      if (!this.#goesOn(search, [prefilled.logits.slice()])) continue;
      this.#seat(search, prefilled, group);
    }
  }

  #seat(search: Search, prefilled: Prefilled, group: number): void {
    const { beams } = this.#options;
    const { length } = search.prompt;
    // Where bits depend on the capacity, it is the prompt's own, whatever was searched before.
    if (!this.#runner.batchInvariant) this.#batch = new StepBatch(this.#cacheFor(1, length + 1));
    const { cache } = this.#batch;
    cache.reserve(length + 1);
    for (let beam = 0; beam < beams; beam += 1)
      cache.copyFrom(prefilled.cache, 0, group * beams + beam, length);
    this.#searches[group] = search;
  }

  /** Whether the search needs another step; if not, its results are told. */
  #goesOn(search: Search, logits: readonly Float32Array[]): boolean {
    this.#generated += 1;
    if (search.advance(logits)) return true;
    this.#options.onFinished(search.index, search.finished);
    return false;
  }

  async #step(): Promise<void> {
    const { beams, signal } = this.#options;
    signal.throwIfAborted();
    const { cache } = this.#batch;
    this.#batch.fill(
      this.#searches.flatMap((search) =>
        Array.from({ length: beams }, (_, beam) => search?.last(beam) ?? null),
      ),
    );
    const result = await this.#runner.run(this.#batch.feeds(), ['present', 'logits']);
    const { vocabSize } = this.#runner.config;
    this.#searches.forEach((search, group) => {
      if (search === null) return;
      const first = group * beams;
      const logits = search.running.map((_, beam) =>
        result.logits.subarray((first + beam) * vocabSize, (first + beam + 1) * vocabSize),
      );
      const position = search.length - 1;
      search.running.forEach((_, beam) => {
        cache.write(result.present, 1, first + beam, first + beam, position);
      });
      if (this.#goesOn(search, logits)) this.#reorder(search, first);
      else this.#searches[group] = null;
    });
  }

  /** Each beam's place gets what its parent's held; all of them hold the prompt. */
  #reorder({ running, prompt, length }: Search, first: number): void {
    const { cache } = this.#batch;
    const moved = [...running.entries()].filter(([place, { parent }]) => parent !== place);
    if (moved.length === 0) return;
    const filled = length - 1;
    this.#aside.reserve(filled);
    for (const [place, { parent }] of moved)
      this.#aside.copyFrom(cache, first + parent, place, filled, prompt.length);
    for (const [place] of moved)
      cache.copyFrom(this.#aside, place, first + place, filled, prompt.length);
  }

  /** Fewer places when nothing waits and at most half of the groups are taken. */
  #shrink(active: readonly Search[]): void {
    const { beams } = this.#options;
    if (this.#waiting < this.#prompts.length || active.length > this.#searches.length / 2) return;
    const former = this.#searches;
    const { cache } = this.#batch;
    const longest = Math.max(...active.map(({ length }) => length));
    const smaller = this.#cacheFor(active.length, longest);
    active.forEach((search, group) => {
      const from = former.indexOf(search) * beams;
      for (let beam = 0; beam < beams; beam += 1)
        smaller.copyFrom(cache, from + beam, group * beams + beam, search.length - 1);
    });
    this.#searches = [...active];
    this.#batch = new StepBatch(smaller);
  }
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

/** The search of one prompt. */
class Search {
  readonly index: number;
  readonly prompt: readonly number[];
  readonly #options: ScoreOptions;
  readonly #ends: ReadonlySet<number>;
  #running: readonly Running[] = [{ tokens: [], score: 0, parent: 0 }];
  #finished: readonly BeamResult[] = [];

  constructor(index: number, prompt: readonly number[], options: ScoreOptions) {
    this.index = index;
    this.prompt = prompt;
    this.#options = options;
    this.#ends = new Set(options.decoding.endTokens);
  }

  get running(): readonly Running[] {
    return this.#running;
  }

  get finished(): readonly BeamResult[] {
    return this.#finished;
  }

  /** Tokens of a running beam, those of the prompt included. */
  get length(): number {
    return this.prompt.length + (this.#running[0]?.tokens.length ?? 0);
  }

  last(beam: number): LastToken | null {
    const token = this.#running[beam]?.tokens.at(-1);
    return token === undefined ? null : { token, position: this.length - 1 };
  }

  /** Continues the running beams by what follows them (changed in place); false when no better text can come. */
  advance(logits: readonly Float32Array[]): boolean {
    const { beams, lengthPenalty, earlyStopping } = this.#options;
    const candidates = this.#candidates(logits);
    const length = this.length - this.prompt.length + 1;
    this.#finished = merge(this.#finished, candidates, length, this.#options);
    const open = candidates.filter(({ finish }) => finish === null).slice(0, beams);
    const full = this.#finished.length === beams;
    const [best] = open;
    const worst = full ? (this.#finished.at(-1)?.score ?? -Infinity) : -Infinity;
    const better = best !== undefined && best.score / length ** lengthPenalty > worst;
    if (!better || (full && earlyStopping)) return false;
    this.#running = open;
    return true;
  }

  /** The best continuations of all beams, best first: enough that `beams` of them don't end the text. */
  #candidates(logits: readonly Float32Array[]): readonly Candidate[] {
    const running = this.#running;
    const { decoding, beams } = this.#options;
    const kept = Math.max(2, 1 + decoding.endTokens.length) * beams;
    const all = running.flatMap(({ tokens, score }, parent) => {
      const scores = logProbabilities(logits[parent] ?? new Float32Array(0));
      const ids = Int32Array.from([...this.prompt, ...tokens]);
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
}

/** What has been finished so far and what the best `beams` candidates finish now, best first. */
const merge = (
  finished: readonly BeamResult[],
  candidates: readonly Candidate[],
  length: number,
  { beams, lengthPenalty }: ScoreOptions,
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
