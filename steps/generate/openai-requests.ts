// Prompt rows as requests to an OpenAI-compatible server, and its answers as predictions. What is sent depends on the
// rows and the decoding parameters alone, never on where the server is or how it is asked.

import { createHash } from 'node:crypto';
import { StepError } from '../../engine/step.ts';
import type { Choice, FormatDocument, PredictionRow, PromptRow } from '../../schemas/artifact.ts';
import type { Json, JsonObject } from '../../schemas/json.ts';
import { readLikelihood, readText, type Scored } from '../../models/decode/openai-answer.ts';
import { stream } from '../../random/threefry.ts';
import { keptFields } from './prompts.ts';
import type { Settings } from './settings.ts';

type Answer = JsonObject;

export interface ServerRequest {
  readonly path: 'chat/completions' | 'completions';
  readonly body: JsonObject;
  /** SHA-256 of path and body. */
  readonly digest: string;
  /** What is kept of the server's answer. */
  read(json: JsonObject): Answer;
}

/** A row, what must be asked for it, and what the answers (in their order) make of it. */
export interface RowRequests {
  readonly id: string;
  readonly requests: readonly ServerRequest[];
  finish(answers: readonly Answer[]): readonly PredictionRow[];
}

export interface ServerSettings {
  readonly model: string;
  readonly endpoint: 'chat' | 'completions' | null;
  readonly extra: JsonObject;
  readonly seed: number;
}

export const requestsOf = (
  row: PromptRow,
  format: FormatDocument,
  settings: Settings,
  server: ServerSettings,
): RowRequests => {
  const make = maker(format, server);
  switch (settings.mode) {
    case 'text':
      return textRequests(row, settings, server, make);
    case 'choices':
      return choiceRequests(row, make);
    case 'perplexity':
      return perplexityRequest(row, make);
  }
};

type Make = (
  path: ServerRequest['path'],
  fields: JsonObject,
  read: ServerRequest['read'],
) => ServerRequest;

const maker =
  (format: FormatDocument, { model, extra }: ServerSettings): Make =>
  (path, fields, read) => {
    // Text that holds its special tokens already must not get them again.
    const special =
      path === 'completions' && format.special_tokens_in_text ? { add_special_tokens: false } : {};
    const all: Readonly<Record<string, Json>> = { model, ...fields, ...special, ...extra };
    const body = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
    const digest = createHash('sha256')
      .update(`${path}\0${JSON.stringify(sorted(body))}`)
      .digest('hex');
    return { path, body, digest, read };
  };

const sorted = (value: Json): Json => {
  if (Array.isArray(value)) return (value as readonly Json[]).map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value as JsonObject)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
};

const textRequests = (
  row: PromptRow,
  { text }: Settings,
  { endpoint, seed }: ServerSettings,
  make: Make,
): RowRequests => {
  const chat = endpoint === null ? row.messages !== undefined : endpoint === 'chat';
  const samples = text.temperature > 0;
  const one = (sequence: number): ServerRequest =>
    make(
      chat ? 'chat/completions' : 'completions',
      {
        ...(chat ? { messages: conversationOf(row) } : { prompt: promptOf(row) }),
        max_tokens: text.maxNewTokens,
        temperature: text.temperature,
        ...(samples && text.topP < 1 ? { top_p: text.topP } : {}),
        ...(text.stop.length === 0 ? {} : { stop: text.stop }),
        // Of row and place, so that several answers differ and stay the same on another day.
        ...(samples ? { seed: stream(seed, `answer ${row.id}`, sequence).below(2 ** 31) } : {}),
      },
      (json) => ({ ...readText(json, text.stop.length > 0) }),
    );
  return {
    id: row.id,
    requests: Array.from({ length: text.sequences }, (_, sequence) => one(sequence)),
    finish: (answers) =>
      answers.map((answer, sequence) => ({
        id: text.sequences === 1 ? row.id : `${row.id}#${sequence}`,
        item: row.item,
        ...keptFields(row),
        text: answer['text'] as string,
        finish_reason: answer['finishReason'] as 'stop' | 'length' | 'eos',
        ...(row.choices === undefined ? {} : { choices: row.choices }),
      })),
  };
};

const conversationOf = (row: PromptRow): Json =>
  row.messages ?? [{ role: 'user', content: textOf(row) }];

const promptOf = (row: PromptRow): Json => row.prompt_tokens ?? textOf(row);

const textOf = (row: PromptRow): string => {
  if (row.prompt !== undefined) return row.prompt;
  throw new StepError('E572', `row ${row.id} has no prompt as text`);
};

/** One token is generated, since servers refuse to make none; it isn't looked at. */
const echo = (prompt: Json): JsonObject => ({
  prompt,
  max_tokens: 1,
  temperature: 0,
  echo: true,
  logprobs: 1,
});

const scoring = (make: Make, prompt: Json, scored: Scored): ServerRequest =>
  make('completions', echo(prompt), (json) => ({ ...readLikelihood(json, scored) }));

/** The prompt with `text` (or tokens) after it, and which part of it counts. */
const continued = (
  row: PromptRow,
  text: string,
  tokens: readonly number[] | undefined,
): { readonly prompt: Json; readonly scored: Scored } => {
  if (row.prompt_tokens !== undefined) {
    if (tokens === undefined)
      throw new StepError('E572', `row ${row.id} gives its prompt as tokens and the rest as text`);
    return { prompt: [...row.prompt_tokens, ...tokens], scored: { count: tokens.length } };
  }
  return { prompt: textOf(row) + text, scored: { text } };
};

const choiceRequests = (row: PromptRow, make: Make): RowRequests => {
  const choices: readonly Choice[] = row.choices ?? [];
  if (choices.length === 0)
    throw new StepError(
      'E574',
      `row ${row.id} has no choices`,
      'mode: choices needs prompts made with a template that has choices',
    );
  return {
    id: row.id,
    requests: choices.map((choice) => {
      if (choice.text === '' && choice.tokens === undefined)
        throw new StepError(
          'E574',
          `row ${row.id}: the choice ${choice.label} has no text to score`,
        );
      const { prompt, scored } = continued(row, choice.text, choice.tokens);
      return scoring(make, prompt, scored);
    }),
    finish: (answers) => {
      const scores = choices.map((choice, index) => ({
        ...choice,
        logprob: Number(answers[index]?.['logprob']),
        tokens: Number(answers[index]?.['tokens']),
        is_greedy: answers[index]?.['isGreedy'] === true,
      }));
      // The first of equals, as numpy's argmax.
      const best = scores.reduce((top, choice) => (choice.logprob > top.logprob ? choice : top));
      return [
        { id: row.id, item: row.item, ...keptFields(row), choices: scores, prediction: best.label },
      ];
    },
  };
};

const perplexityRequest = (row: PromptRow, make: Make): RowRequests => {
  const whole = row.completion === undefined && row.completion_tokens === undefined;
  const { prompt, scored } = whole
    ? { prompt: promptOf(row), scored: 'all' as const }
    : continued(row, row.completion ?? '', row.completion_tokens);
  return {
    id: row.id,
    requests: [scoring(make, prompt, scored)],
    finish: ([answer]) => [
      {
        id: row.id,
        item: row.item,
        ...keptFields(row),
        logprob: Number(answer?.['logprob']),
        tokens: Number(answer?.['tokens']),
      },
    ],
  };
};
