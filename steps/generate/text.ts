// mode text: new tokens after every prompt.

import { StepError } from '../../engine/step.ts';
import type { PredictionRow, PromptRow } from '../../schemas/artifact.ts';
import { searchBeams, type BeamOptions } from '../../models/decode/beams.ts';
import { bytesPerToken } from '../../models/decode/cache.ts';
import { isArgmax, type Decoding } from '../../models/decode/parameters.ts';
import type { Runner } from '../../models/decode/runner.ts';
import { findStop, stopWatch } from '../../models/decode/stop.ts';
import { generateText, type TextRequest, type TextResult } from '../../models/decode/text.ts';
import { keptFields } from './prompts.ts';
import { generateGroups, groupsOf } from './text-groups.ts';
import { meter, type Work } from './work.ts';

interface Request extends TextRequest {
  /** Place among all answers: row * sequences + sequence. */
  readonly index: number;
  readonly row: PromptRow;
}

export const answerAll = async (work: Work): Promise<void> => {
  const { context, settings, endTokens, journal } = work;
  const { stop, sequences } = settings.text;
  const decoding: Decoding = { ...settings.text, endTokens };
  const all = allRequests(work);
  const requests = all.filter(({ index }) => !journal.rows.has(index));
  if (requests.length === 0) return;
  const tokenizer = work.encoder.tokenizer;
  if (stop.length > 0 && tokenizer === null) {
    throw new StepError('E571', 'stop strings need a tokenizer, and the model has none');
  }
  const detokenize = (ids: readonly number[]): string =>
    tokenizer?.decode(ids, { skipSpecialTokens: true }) ?? '';
  const stopped = stopWatch(stop, detokenize);
  const longest = Math.max(...all.map(({ prompt }) => prompt.length)) + decoding.maxNewTokens;
  const head = settings.text.beams === 1 && isArgmax(decoding) ? 'next' : 'logits';
  const runner = await work.open(head, longest);
  const meterOf = meter(work, work.rows.length * sequences, 'tokens/s generated');
  const tell = (generated: number): void => {
    meterOf.tokens(generated);
  };
  const finish = (request: Request | undefined, result: TextResult): void => {
    if (request === undefined) return;
    const text = textOf(result, stop, detokenize);
    meterOf.finished(request.index, predictionOf(request, result, text, sequences));
  };
  try {
    const places = placesFor(runner, longest, settings.batchTokens);
    if (settings.text.beams > 1) {
      const searches = Math.max(1, Math.floor(places / settings.text.beams));
      const beamed = { ...settings.text, decoding, stopped, signal: context.signal, searches };
      await searchAll(runner, requests, { ...beamed, onStep: tell }, finish);
      return;
    }
    const options = { decoding, seed: context.seed, places, stopped, signal: context.signal };
    if (!runner.batchInvariant) {
      const counted = { ...options, onTokens: tell };
      await generateGroups(runner, groupsOf(all, places, journal.rows), counted, finish);
      return;
    }
    await generateText(runner, requests, {
      ...options,
      onStep: tell,
      onFinished: (at, result) => {
        finish(requests[at], result);
      },
    });
  } finally {
    await runner.release();
  }
};

/** One search gives all answers to a prompt, the n-th best to its n-th sequence. */
const searchAll = (
  runner: Runner,
  requests: readonly Request[],
  options: Omit<BeamOptions, 'onFinished'>,
  finish: (request: Request, result: TextResult) => void,
): Promise<void> => {
  const answers = [...Map.groupBy(requests, ({ row }) => row).values()];
  return searchBeams(
    runner,
    answers.map(([first]) => first?.prompt ?? []),
    {
      ...options,
      onFinished: (at, results) => {
        for (const request of answers[at] ?? []) {
          // Fewer texts than beams may be finished when none can become better: the last stands for the rest.
          const result = results[request.sequence] ?? results.at(-1);
          if (result !== undefined) finish(request, result);
        }
      },
    },
  );
};

/** Longest prompts first: memory is then known at once, and the batch only shrinks. */
const allRequests = (work: Work): readonly Request[] => {
  const { settings, rows, encoder, maxLength } = work;
  const { sequences, maxNewTokens } = settings.text;
  const room = maxLength - maxNewTokens;
  if (room < 1) {
    throw new StepError(
      'E573',
      `max_new_tokens ${maxNewTokens} leaves no room for a prompt: the model sees ${maxLength} tokens`,
      'set a smaller max_new_tokens',
    );
  }
  let truncated = 0;
  const requests = rows.flatMap((row, place) => {
    const whole = encoded(work, row);
    if (whole.length > room) truncated += 1;
    const prompt = whole.slice(-room);
    return Array.from({ length: sequences }, (_, sequence) => ({
      index: place * sequences + sequence,
      id: row.id,
      sequence,
      row,
      prompt,
    }));
  });
  if (truncated > 0) {
    work.context.warn(
      `${truncated} prompts are longer than ${room} tokens and lost their beginning`,
    );
  }
  return requests.sort((a, b) => b.prompt.length - a.prompt.length || a.index - b.index);

  function encoded({ encoder: { tokenizer } }: Work, row: PromptRow): readonly number[] {
    const tokens = encoder.prompt(row);
    if (tokens.length > 0) return tokens;
    const prefix = tokenizer?.bosTokenId ?? work.endTokens[0];
    if (prefix === undefined) throw new StepError('E572', `row ${row.id} has an empty prompt`);
    return [prefix];
  }
};

const textOf = (
  { tokens, finishReason }: TextResult,
  stop: readonly string[],
  detokenize: (ids: readonly number[]) => string,
): string => {
  const text = detokenize(tokens);
  const at = finishReason === 'stop' ? findStop(text, stop) : -1;
  return at < 0 ? text : text.slice(0, at);
};

const predictionOf = (
  { row, sequence }: Request,
  { tokens, finishReason }: TextResult,
  text: string,
  sequences: number,
): PredictionRow => ({
  id: sequences === 1 ? row.id : `${row.id}#${sequence}`,
  item: row.item,
  ...keptFields(row),
  text,
  tokens,
  finish_reason: finishReason,
  ...(row.choices === undefined ? {} : { choices: row.choices }),
});

/** Bytes of cache unless batch_tokens says otherwise. */
const CACHE_BYTES = 2 ** 30;
/** More rows at once gain nothing: products are then limited by arithmetic, not by reading weights. */
const MOST_PLACES = 64;

const placesFor = (runner: Runner, longest: number, batchTokens: number | null): number => {
  const tokens = batchTokens ?? CACHE_BYTES / bytesPerToken(runner.cacheShape);
  return Math.max(1, Math.min(MOST_PLACES, Math.floor(tokens / longest)));
};
