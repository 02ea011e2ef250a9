// generate with `backend: openai`: asks a server for every row that the journal doesn't hold, several at once.

import { readFileSync } from 'node:fs';
import PQueue from 'p-queue';
import { monotonicMs, StepError, type StepContext } from '../../engine/step.ts';
import type {
  FormatDocument,
  PredictionRow,
  PredictionsDocument,
  PromptRow,
} from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { post, ServerError, sleep, type Server } from '../../models/decode/openai-client.ts';
import { readDocument, readRows, writeDocument, writeRows } from '../rows.ts';
import { headline } from './headline.ts';
import { openAnswerJournal, type AnswerJournal } from './openai-journal.ts';
import { requestsOf, type RowRequests, type ServerRequest } from './openai-requests.ts';
import { settingsOf, type Settings } from './settings.ts';

export const generateByServer = async (context: StepContext): Promise<void> => {
  const { params } = context;
  const settings = settingsOf(context);
  const prompts = context.input('prompts');
  const format = readDocument<FormatDocument>(prompts, 'format.json');
  const model = params['model'] as string;
  const endpoint = (params['endpoint'] ?? null) as 'chat' | 'completions' | null;
  const extra = (params['extra_body'] ?? {}) as JsonObject;
  const rows = (await readRows<PromptRow>(prompts)).map((row) =>
    requestsOf(row, format, settings, { model, endpoint, extra, seed: context.seed }),
  );
  const journal = openAnswerJournal(context.checkpoint.journal);
  try {
    await askAll(context, rows, journal);
  } finally {
    journal.close();
  }
  const done = rows.flatMap((row) =>
    row.finish(row.requests.map(({ digest }) => journal.answers.get(digest) ?? {})),
  );
  const output = context.output('predictions');
  writeRows(output, done);
  const document: PredictionsDocument = {
    mode: settings.mode,
    model: `openai:${model}`,
    adapter: null,
    decoding: describeRequests(settings, endpoint, extra, context.seed),
    // Servers batch by who else is asking.
    batch_invariant: false,
    count: done.length,
  };
  writeDocument(output, 'predictions.json', document);
  context.report({ kind: 'headline', text: summary(settings.mode, model, done) });
};

const askAll = async (
  context: StepContext,
  rows: readonly RowRequests[],
  journal: AnswerJournal,
): Promise<void> => {
  const open = new Map<string, { readonly id: string; readonly request: ServerRequest }>();
  let total = 0;
  for (const { id, requests } of rows)
    for (const request of requests) {
      total += 1;
      if (!journal.answers.has(request.digest)) open.set(request.digest, { id, request });
    }
  if (journal.answers.size > 0) context.log(`${journal.answers.size} answers are there already`);
  if (open.size === 0) return;

  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const watch = observe(context, total, open.size);
  const server = serverOf(context, signal, watch.retried);
  const queue = new PQueue({ concurrency: Number(context.params['concurrency'] ?? 4) });
  let place = 0;
  for (const { id, request } of open.values()) {
    const number = place++;
    const task = async (): Promise<void> => {
      if (signal.aborted) return;
      try {
        const json = await post(server, request.path, request.body, number, signal);
        const answer = request.read(json as JsonObject);
        journal.add(request.digest, answer);
        watch.answered(answer);
      } catch (error) {
        // The first failure ends all: what has been answered is in the journal.
        failed.abort(failureOf(error, id));
      }
    };
    void queue.add(task);
  }
  await queue.onIdle();
  watch.finish();
  signal.throwIfAborted();
};

const failureOf = (error: unknown, row: string): unknown =>
  error instanceof ServerError
    ? new StepError('E590', `row ${row}: ${error.message}`, error.hint)
    : error;

const serverOf = (
  { params }: StepContext,
  signal: AbortSignal,
  onRetry: Server['onRetry'],
): Server => {
  const perMinute = params['rate_limit'];
  // Spread over the minute: a burst at its start is what servers refuse.
  const limiter =
    typeof perMinute === 'number'
      ? new PQueue({ intervalCap: 1, interval: 60_000 / perMinute, strict: true })
      : null;
  return {
    baseUrl: new URL(params['base_url'] as string),
    apiKey: apiKeyOf(params),
    timeoutMs: Number(params['request_timeout'] ?? 300) * 1000,
    retries: Number(params['retries'] ?? 6),
    turn: async () => {
      await limiter?.add(() => undefined, { signal });
    },
    sleep,
    onRetry,
  };
};

const apiKeyOf = (params: JsonObject): string | null => {
  const { api_key_env: name, api_key_file: path } = params;
  let key: string;
  if (typeof name === 'string') {
    const value = process.env[name];
    if (value === undefined || value.trim() === '')
      throw new StepError(
        'E591',
        `the environment variable ${name} is not set`,
        'it holds the key of the server',
      );
    key = value.trim();
  } else if (typeof path === 'string') key = readKey(path);
  else return null;
  // What no header may hold would be shown in the error that fetch throws.
  if (!/^[\x21-\x7e]+$/u.test(key))
    throw new StepError('E591', 'the key of the server has characters that no key has');
  return key;
};

const readKey = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new StepError('E591', `can't read the key file ${path}`);
  }
};

const observe = (context: StepContext, total: number, open: number) => {
  const started = monotonicMs();
  let done = total - open;
  let answered = 0;
  let tokens = 0;
  let retries = 0;
  const tell = (note?: string): void => {
    const seconds = (monotonicMs() - started) / 1000;
    const values = answered === 0 ? {} : { requests_per_second: answered / seconds };
    context.progress({
      unit: 'requests',
      done,
      total,
      values,
      ...(note === undefined ? {} : { note }),
    });
  };
  tell();
  return {
    answered: (answer: JsonObject): void => {
      done += 1;
      answered += 1;
      if (typeof answer['tokens'] === 'number') tokens += answer['tokens'];
      tell();
    },
    retried: (reason: string, waitMs: number): void => {
      retries += 1;
      context.log(`${reason}; asking again in ${(waitMs / 1000).toFixed(1)} s`);
      tell('the server asks for patience');
    },
    finish: (): void => {
      const seconds = (monotonicMs() - started) / 1000;
      context.measure('requests', answered, 'requests');
      context.measure('retries', retries, 'requests');
      if (answered > 0 && seconds > 0)
        context.measure('requests_per_second', answered / seconds, 'requests/s');
      if (tokens > 0) context.measure('answer_tokens', tokens, 'tokens');
    },
  };
};

const describeRequests = (
  { mode, text }: Settings,
  endpoint: string | null,
  extra: JsonObject,
  seed: number,
): JsonObject => {
  const common = { backend: 'openai', endpoint: endpoint ?? 'auto', extra_body: extra };
  if (mode !== 'text') return common;
  const sampled = text.temperature > 0;
  return {
    ...common,
    max_new_tokens: text.maxNewTokens,
    temperature: text.temperature,
    ...(sampled ? { top_p: text.topP } : {}),
    stop: text.stop,
    num_return_sequences: text.sequences,
    ...(sampled ? { seed } : {}),
  };
};

/** Servers give no token ids, so that answers have no length in tokens here. */
const summary = (mode: Settings['mode'], model: string, rows: readonly PredictionRow[]): string => {
  if (mode !== 'text' || rows.length === 0) return headline(mode, rows);
  const cut = rows.filter((row) => row.finish_reason === 'length').length;
  return `${rows.length} answers by ${model}, ${Math.round((100 * cut) / rows.length)} % cut at max_new_tokens`;
};
