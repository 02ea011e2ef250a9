// One request to an OpenAI-compatible server: tried again where trying may help, an error in plain words where it won't.
// It knows no prompts. The key goes into one header and nowhere else: every text from the server is searched for it.

import { setTimeout as wait } from 'node:timers/promises';
import { stream } from '../../random/threefry.ts';
import { isRecord, type JsonRecord } from '../checkpoint/json.ts';

export type ServerErrorKind =
  /** The request itself is wrong: asking again gives the same. */
  | 'refused'
  /** The server wants another key, or one at all. */
  | 'unauthorized'
  | 'rate-limited'
  | 'unreachable'
  | 'timeout'
  /** 5xx, or an answer that is no JSON. */
  | 'failing'
  /** The answer lacks what was asked for: the server doesn't know how. */
  | 'unsupported';

export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly kind: ServerErrorKind;
  readonly hint: string | undefined;
  constructor(kind: ServerErrorKind, message: string, hint?: string) {
    super(message);
    this.kind = kind;
    this.hint = hint;
  }
}

export interface Server {
  /** With the version: `http://localhost:8000/v1`. */
  readonly baseUrl: URL;
  readonly apiKey: string | null;
  readonly timeoutMs: number;
  /** Attempts after the first. */
  readonly retries: number;
  /** Waits for the turn of an attempt: the place for a rate limit. */
  readonly turn: () => Promise<void>;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onRetry: (reason: string, waitMs: number) => void;
}

export const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
  await wait(ms, undefined, { signal });
};

const FIRST_WAIT_MS = 500;
const LONGEST_BACKOFF_MS = 60_000;
/** A server that asks for more has closed for the day. */
const LONGEST_ASKED_MS = 600_000;

/** Half of it fixed, half of it random, by a counter: `request` and `attempt` decide. */
export const backoffMs = (request: number, attempt: number): number => {
  const full = Math.min(LONGEST_BACKOFF_MS, FIRST_WAIT_MS * 2 ** attempt);
  return full / 2 + (full / 2) * stream(0, 'retry', request, attempt).uniform();
};

/** `Retry-After` in seconds or as a date (counted from the answer's own date). */
export const askedWaitMs = (headers: Headers): number | null => {
  const after = headers.get('retry-after')?.trim();
  if (after === undefined || after === '') return null;
  if (/^\d+(?:\.\d+)?$/u.test(after)) return Number(after) * 1000;
  const ms = Date.parse(after) - Date.parse(headers.get('date') ?? '');
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
};

/** What may pass. */
class Transient extends Error {
  readonly error: ServerError;
  readonly waitMs: number | null;
  constructor(error: ServerError, waitMs: number | null = null) {
    super(error.message);
    this.error = error;
    this.waitMs = waitMs;
  }
}

/** `request`: its place among all, for the jitter. Throws ServerError, or the signal's reason. */
export const post = async (
  server: Server,
  path: string,
  body: JsonRecord,
  request: number,
  signal: AbortSignal,
): Promise<JsonRecord> => {
  for (let attempt = 0; ; attempt += 1) {
    await server.turn();
    signal.throwIfAborted();
    try {
      return await once(server, path, body, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Transient)) throw error;
      const asked = error.waitMs;
      if (attempt >= server.retries || (asked !== null && asked > LONGEST_ASKED_MS))
        throw attempt === 0 ? error.error : tried(error.error, attempt + 1);
      const waitMs = asked ?? backoffMs(request, attempt);
      server.onRetry(error.message, waitMs);
      await server.sleep(waitMs, signal);
    }
  }
};

const tried = ({ kind, message, hint }: ServerError, times: number): ServerError =>
  new ServerError(kind, `${message} (tried ${times} times)`, hint);

const once = async (
  server: Server,
  path: string,
  body: JsonRecord,
  signal: AbortSignal,
): Promise<JsonRecord> => {
  const { baseUrl, apiKey, timeoutMs } = server;
  const url = new URL(baseUrl);
  url.pathname = `${url.pathname.replace(/\/+$/u, '')}/${path}`;
  const timeout = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(body),
      // A POST that is redirected would arrive as another request.
      redirect: 'manual',
      signal: AbortSignal.any([signal, timeout]),
    });
    text = await response.text();
  } catch (error) {
    if (timeout.aborted)
      throw new Transient(
        new ServerError(
          'timeout',
          `${url.host} did not answer within ${timeoutMs / 1000} s`,
          'raise request_timeout, or lower concurrency: a busy server answers late',
        ),
      );
    throw new Transient(
      new ServerError(
        'unreachable',
        `can't reach ${url.host}: ${causeOf(error)}`,
        'is the server running, and is base_url its address?',
      ),
    );
  }
  if (!response.ok) throw refusal(server, url, response, text);
  return answered(server, url, text);
};

const causeOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
};

const answered = (server: Server, url: URL, text: string): JsonRecord => {
  const json = parsed(text);
  if (json === null)
    throw new Transient(
      new ServerError(
        'failing',
        `${url.host} answered what is no JSON object: ${shown(server, text)}`,
      ),
    );
  // Some proxies send errors with status 200.
  if (isRecord(json['error']))
    throw new Transient(new ServerError('failing', `${url.host}: ${said(server, text)}`));
  return json;
};

const parsed = (text: string): JsonRecord | null => {
  try {
    const json: unknown = JSON.parse(text);
    return isRecord(json) ? json : null;
  } catch {
    return null;
  }
};

/** What is wrong by the server's own words. */
const said = (server: Server, text: string): string => {
  const json = parsed(text);
  const error = json?.['error'];
  const candidates = [
    isRecord(error) ? error['message'] : error,
    json?.['message'],
    json?.['detail'],
  ];
  const message = candidates.find((value) => typeof value === 'string');
  return shown(server, typeof message === 'string' ? message : text);
};

const shown = ({ apiKey }: Server, text: string): string => {
  const clean = apiKey === null ? text : text.replaceAll(apiKey, '***');
  const line = clean.replaceAll(/\s+/gu, ' ').trim();
  return line.length > 400 ? `${line.slice(0, 400)}…` : line === '' ? '(nothing)' : line;
};

const refusal = (server: Server, url: URL, response: Response, text: string): Error => {
  const { status, headers } = response;
  const message = `${url.host} answers ${status}: ${said(server, text)}`;
  if (status === 401 || status === 403)
    return new ServerError(
      'unauthorized',
      message,
      server.apiKey === null ? 'set api_key_env or api_key_file' : 'the server refuses this key',
    );
  if (status === 429) {
    const error = new ServerError('rate-limited', message, 'set rate_limit, or lower concurrency');
    // An empty account doesn't fill by waiting.
    return text.includes('insufficient_quota') ? error : new Transient(error, askedWaitMs(headers));
  }
  if (status >= 500 || status === 408 || status === 425)
    return new Transient(new ServerError('failing', message), askedWaitMs(headers));
  if (status >= 300 && status < 400)
    return new ServerError(
      'refused',
      `${url.host} redirects (${status})`,
      'give base_url the address it redirects to',
    );
  if (status === 404)
    return new ServerError(
      'refused',
      message,
      `is ${url.pathname} what the server serves? base_url usually ends in /v1, and model must be a name it lists under /v1/models`,
    );
  return new ServerError('refused', message);
};
