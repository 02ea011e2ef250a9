// mode perplexity: the log-probability of the completion after its prompt, or of the whole text where there is none.

import { StepError } from '../../engine/step.ts';
import type { PromptRow } from '../../schemas/artifact.ts';
import { LikelihoodReader, sumOf } from '../../models/decode/likelihood.ts';
import { slidingWindows } from '../../models/decode/windows.ts';
import { keptFields } from './prompts.ts';
import { inTokenOrder, meter, type Work } from './work.ts';

export const scoreTexts = async (work: Work, stride: number): Promise<void> => {
  const { context, journal, rows, maxLength } = work;
  const all = rows.map((row, index) => ({ index, row, ...tokensOf(work, row) }));
  const texts = all.filter(({ index }) => !journal.rows.has(index));
  if (texts.length === 0) return;
  const longest = Math.min(maxLength, Math.max(...all.map(({ tokens }) => tokens.length)));
  const runner = await work.open('scores', longest);
  const progress = meter(work, rows.length, 'tokens/s read');
  const reader = new LikelihoodReader(runner);
  let read = 0;
  try {
    const sorted = inTokenOrder(texts, (text) => text.tokens);
    for (const [place, { index, row, tokens, from }] of sorted.entries()) {
      const next = sorted[place + 1]?.tokens;
      let logprob = 0;
      for (const window of slidingWindows(tokens.length, from, maxLength, stride)) {
        context.signal.throwIfAborted();
        const part = tokens.slice(window.start, window.end);
        const scored = await reader.sequence(part, window.from, next);
        logprob += sumOf(scored.logprobs);
        read += part.length;
        progress.tokens(read);
      }
      progress.finished(index, {
        id: row.id,
        item: row.item,
        ...keptFields(row),
        logprob,
        tokens: tokens.length - from,
      });
    }
  } finally {
    await runner.release();
  }
};

const tokensOf = (
  { encoder }: Work,
  row: PromptRow,
): { readonly tokens: readonly number[]; readonly from: number } => {
  const whole = row.completion === undefined && row.completion_tokens === undefined;
  if (whole) {
    const tokens = encoder.prompt(row);
    if (tokens.length >= 2) return { tokens, from: 1 };
    throw new StepError(
      'E575',
      `row ${row.id} has no token that follows another: nothing to score`,
    );
  }
  const { context, continuation } = encoder.pair(row, row.completion ?? '', row.completion_tokens);
  if (context.length > 0 && continuation.length > 0) {
    return { tokens: [...context, ...continuation], from: context.length };
  }
  throw new StepError('E575', `row ${row.id} has an empty completion: nothing to score`);
};
