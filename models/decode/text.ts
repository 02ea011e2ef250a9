// Generating text for many prompts: continuous batching. The batch has a fixed number of places; a prompt is read
// alone, takes a free place, and every step adds one token to each row in work; a finished row's place goes to the next
// prompt. When prompts run out and half of the places are idle, the rest move closer together.

import type { RandomStream } from '../../random/threefry.ts';
import { KeyValueCache } from './cache.ts';
import { isArgmax, type Decoding } from './parameters.ts';
import { PromptReader, type Prefilled } from './prefill.ts';
import { rowsTogether, type Output, type Runner } from './runner.ts';
import { rowStream, sampler, type Sampler } from './sampling.ts';
import { StepBatch, type LastToken } from './step-batch.ts';

export interface TextRequest {
  /** Names the row's random numbers, with `sequence`. */
  readonly id: string;
  /** Which of several answers to one prompt. */
  readonly sequence: number;
  readonly prompt: readonly number[];
}

export type FinishReason = 'stop' | 'length' | 'eos';

export interface TextResult {
  /** New tokens, the end token included where there was one. */
  readonly tokens: readonly number[];
  readonly finishReason: FinishReason;
}

export interface TextOptions {
  readonly decoding: Decoding;
  readonly seed: number;
  /** Rows at once. */
  readonly places: number;
  /** Whether the text of these tokens has reached a stop string. */
  readonly stopped: (tokens: readonly number[]) => boolean;
  readonly signal: AbortSignal;
  readonly onFinished: (index: number, result: TextResult) => void;
  /** After each step: tokens made so far in all rows, prompts read. */
  readonly onStep?: (generated: number, read: number) => void;
}

/** `requests` are taken in their order; `onFinished` is called with their index, in the order of finishing. */
export const generateText = async (
  runner: Runner,
  requests: readonly TextRequest[],
  options: TextOptions,
): Promise<void> => {
  const loop = new TextLoop(runner, requests, options);
  await loop.run();
};

interface Row {
  readonly index: number;
  readonly random: RandomStream;
  /** Prompt and new tokens, with room for all that may come. */
  readonly ids: Int32Array;
  length: number;
  readonly promptLength: number;
}

const lastOf = ({ ids, length }: Row): LastToken => ({
  token: ids[length - 1] ?? 0,
  position: length - 1,
});

class TextLoop {
  readonly #runner: Runner;
  readonly #requests: readonly TextRequest[];
  readonly #options: TextOptions;
  readonly #greedy: boolean;
  readonly #sampler: Sampler;
  readonly #reader: PromptReader;
  readonly #ends: ReadonlySet<number>;
  #batch: StepBatch;
  #rows: (Row | null)[];
  #waiting = 0;
  #active = 0;
  #generated = 0;

  constructor(runner: Runner, requests: readonly TextRequest[], options: TextOptions) {
    const { decoding } = options;
    this.#runner = runner;
    this.#requests = requests;
    this.#options = options;
    this.#greedy = isArgmax(decoding);
    this.#sampler = sampler(decoding, runner.config.vocabSize);
    this.#reader = new PromptReader(runner, !this.#greedy);
    this.#ends = new Set(decoding.endTokens);
    const places = rowsTogether(Math.min(options.places, requests.length), runner);
    this.#rows = Array.from({ length: places }, () => null);
    const longest = requests
      .slice(0, places)
      .reduce((most, { prompt }) => Math.max(most, prompt.length), 0);
    this.#batch = new StepBatch(new KeyValueCache(runner.cacheShape, places, longest + 1));
  }

  async run(): Promise<void> {
    for (;;) {
      await this.#admit();
      if (this.#active === 0) return;
      this.#shrink();
      await this.#step();
      this.#options.onStep?.(this.#generated, this.#waiting);
    }
  }

  /** Reads prompts until every place is taken. */
  async #admit(): Promise<void> {
    while (this.#waiting < this.#requests.length) {
      const place = this.#rows.indexOf(null);
      if (place < 0) return;
      this.#checkSignal();
      const index = this.#waiting;
      this.#waiting += 1;
      const request = this.#requests[index];
      if (request === undefined) continue;
      const prefilled = await this.#reader.read(request.prompt);
      const row = this.#startRow(index, request);
      const token = this.#greedy
        ? prefilled.next
        : this.#sample(row, prefilled.logits.slice(), row.promptLength);
      if (this.#accept(row, token)) continue;
      this.#seat(row, prefilled, place);
    }
  }

  #startRow(index: number, request: TextRequest): Row {
    const promptLength = request.prompt.length;
    const ids = new Int32Array(promptLength + this.#options.decoding.maxNewTokens);
    ids.set(request.prompt);
    return {
      index,
      random: rowStream(this.#options.seed, request.id, request.sequence),
      ids,
      length: promptLength,
      promptLength,
    };
  }

  #seat(row: Row, prefilled: Prefilled, place: number): void {
    const { cache } = this.#batch;
    cache.reserve(row.length);
    cache.copyFrom(prefilled.cache, 0, place, row.promptLength);
    this.#rows[place] = row;
    this.#active += 1;
  }

  #sample(row: Row, logits: Float32Array, promptLength: number): number {
    return this.#sampler.next(logits, row, row.length - promptLength, row.random);
  }

  /** Takes a token; true when the row is finished, which is then reported. */
  #accept(row: Row, token: number): boolean {
    row.ids[row.length] = token;
    row.length += 1;
    this.#generated += 1;
    const reason = this.#endOf(row, token);
    if (reason === null) return false;
    const tokens = Array.from(row.ids.subarray(row.promptLength, row.length));
    this.#options.onFinished(row.index, { tokens, finishReason: reason });
    return true;
  }

  #endOf(row: Row, token: number): FinishReason | null {
    const { decoding, stopped } = this.#options;
    if (this.#ends.has(token)) return 'eos';
    const made = row.length - row.promptLength;
    if (decoding.stop.length > 0) {
      if (stopped(Array.from(row.ids.subarray(row.promptLength, row.length)))) return 'stop';
    }
    return made >= decoding.maxNewTokens ? 'length' : null;
  }

  async #step(): Promise<void> {
    this.#checkSignal();
    const batch = this.#batch;
    batch.fill(this.#rows.map((row) => row && lastOf(row)));
    const wanted: readonly Output[] = this.#greedy ? ['present', 'next'] : ['present', 'logits'];
    const result = await this.#runner.run(batch.feeds(), wanted);
    const vocabulary = this.#runner.config.vocabSize;
    for (let place = 0; place < this.#rows.length; place += 1) {
      const row = this.#rows[place];
      if (row === null || row === undefined) continue;
      const token = this.#greedy
        ? (result.next[place] ?? 0)
        : this.#sample(
            row,
            result.logits.subarray(place * vocabulary, (place + 1) * vocabulary),
            row.promptLength,
          );
      const position = row.length - 1;
      if (this.#accept(row, token)) {
        this.#rows[place] = null;
        this.#active -= 1;
        continue;
      }
      batch.cache.write(result.present, 1, place, place, position);
    }
  }

  /** Fewer places when nothing waits and at most half of them are taken. */
  #shrink(): void {
    const enough = rowsTogether(this.#active, this.#runner);
    if (this.#waiting < this.#requests.length || enough > this.#rows.length / 2) return;
    const rows = this.#rows.flatMap((row, place) => (row === null ? [] : [{ row, place }]));
    const longest = Math.max(...rows.map(({ row }) => row.length));
    const former = this.#batch.cache;
    const cache = new KeyValueCache(this.#runner.cacheShape, enough, longest);
    rows.forEach(({ row, place }, to) => {
      cache.copyFrom(former, place, to, row.length - 1);
    });
    this.#rows = Array.from({ length: enough }, (_, place) => rows[place]?.row ?? null);
    this.#batch = new StepBatch(cache);
  }

  #checkSignal(): void {
    this.#options.signal.throwIfAborted();
  }
}
