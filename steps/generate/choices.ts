// mode choices: the log-likelihood of every choice after its prompt, as lm-evaluation-harness computes it.

import { StepError } from '../../engine/step.ts';
import type { Choice, PredictionRow, PromptRow, ScoredChoice } from '../../schemas/artifact.ts';
import { truncateLeft, type TokenPair } from '../../models/decode/continuations.ts';
import { LikelihoodReader, sumOf, type Scored } from '../../models/decode/likelihood.ts';
import { keptFields } from './prompts.ts';
import { inTokenOrder, meter, type Work } from './work.ts';

interface Question {
  readonly index: number;
  readonly row: PromptRow;
  readonly pairs: readonly TokenPair[];
}

export const scoreChoices = async (work: Work): Promise<void> => {
  const { context, journal, rows } = work;
  const all = rows.map((row, index) => {
    const whole = pairsOf(work, row);
    const pairs = whole.map((pair) => truncateLeft(pair, work.maxLength));
    return { index, row, pairs, isCut: pairs.some((pair, at) => pair !== whole[at]) };
  });
  const cut = all.filter(({ isCut }) => isCut).length;
  if (cut > 0) {
    context.warn(
      `${cut} rows are longer than ${work.maxLength} tokens with a choice, and lost their beginning`,
    );
  }
  const questions = all.filter(({ index }) => !journal.rows.has(index));
  if (questions.length === 0) return;
  const sorted = inTokenOrder(questions, ({ pairs }) => pairs[0]?.context ?? []);
  const runner = await work.open('scores', longestOf(all));
  const progress = meter(work, rows.length, 'tokens/s read');
  const reader = new LikelihoodReader(runner);
  let tokens = 0;
  try {
    for (const [place, question] of sorted.entries()) {
      context.signal.throwIfAborted();
      const next = sorted[place + 1]?.pairs[0]?.context;
      const scores = await scoreQuestion(reader, question, next);
      tokens += question.pairs[0]?.context.length ?? 0;
      tokens += sumOf(question.pairs.map(({ continuation }) => continuation.length));
      progress.tokens(tokens);
      progress.finished(question.index, predictionOf(question, scores));
    }
  } finally {
    await runner.release();
  }
};

const longestOf = (questions: readonly Question[]): number =>
  Math.max(
    ...questions.flatMap(({ pairs }) =>
      pairs.map(({ context, continuation }) => context.length + continuation.length),
    ),
  );

const choicesOf = (row: PromptRow): readonly Choice[] => {
  if (row.choices !== undefined && row.choices.length > 0) return row.choices;
  throw new StepError(
    'E574',
    `row ${row.id} has no choices`,
    'mode: choices needs prompts made with a template that has choices',
  );
};

const pairsOf = (work: Work, row: PromptRow): readonly TokenPair[] =>
  choicesOf(row).map((choice) => {
    const { tokens } = choice;
    const pair = work.encoder.pair(
      row,
      choice.text,
      Array.isArray(tokens) ? (tokens as readonly number[]) : undefined,
    );
    if (pair.continuation.length === 0) {
      throw new StepError('E574', `row ${row.id}: the choice ${choice.label} has no text to score`);
    }
    if (pair.continuation.length > work.maxLength) {
      throw new StepError(
        'E573',
        `row ${row.id}: the choice ${choice.label} has ${pair.continuation.length} tokens, the model sees ${work.maxLength}`,
      );
    }
    return pair;
  });

/**
 * Choices with the same context are scored after it together; truncation may make contexts differ. `next`: the first
 * context of the question after this one.
 */
const scoreQuestion = async (
  reader: LikelihoodReader,
  { pairs }: Question,
  next: readonly number[] | undefined,
): Promise<readonly Scored[]> => {
  const scores: Scored[] = [];
  const byContext = new Map<number, { context: readonly number[]; members: number[] }>();
  pairs.forEach(({ context }, index) => {
    const group = byContext.get(context.length) ?? { context, members: [] };
    group.members.push(index);
    byContext.set(context.length, group);
  });
  const groups = [...byContext.values()];
  for (const [place, { context, members }] of groups.entries()) {
    const continuations = members.map((index) => pairs[index]?.continuation ?? []);
    const after = groups[place + 1]?.context ?? next;
    const scored = await reader.continuations(context, continuations, after);
    members.forEach((index, at) => {
      const score = scored[at];
      if (score !== undefined) scores[index] = score;
    });
  }
  return scores;
};

const predictionOf = ({ row }: Question, scores: readonly Scored[]): PredictionRow => {
  const choices = choicesOf(row).map((choice, index): ScoredChoice => {
    const { logprobs, isGreedy } = scores[index] ?? { logprobs: [NaN], isGreedy: false };
    return { ...choice, logprob: sumOf(logprobs), tokens: logprobs.length, is_greedy: isGreedy };
  });
  // The first of equals, as numpy's argmax.
  const best = choices.reduce((top, choice) => (choice.logprob > top.logprob ? choice : top));
  return {
    id: row.id,
    item: row.item,
    ...keptFields(row),
    choices,
    prediction: best.label,
  };
};
