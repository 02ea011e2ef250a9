// One request to the hub: follows redirects itself, so that the token never leaves the hub's own host, tries again what
// may pass, and tells what can't. It knows no repository's files and no cache.

import { randomInt } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { HubError, Transient } from './error.ts';
import { proxyHint, useProxies } from './proxy.ts';
import { called, pageOf, type Repository } from './repository-name.ts';
import type { HubSettings } from './settings.ts';

export interface Connection {
  readonly settings: HubSettings;
  /** Waits before a request is tried again. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  /** From 0 to 1: how much of a wait's random half is waited. Of the many who were refused at once, each another. */
  readonly jitter: () => number;
}

/** What a request is about, for the words of its errors. */
export interface Subject {
  readonly repository: Repository;
  readonly revision: string;
  readonly path: string | null;
}

export interface Answer {
  readonly response: Response;
  /** Headers of all answers on the way, the first that has one counts: redirects carry what the hub says of a file. */
  header(name: string): string | null;
  /** True where the answer came from another host, whose own ETag says nothing about the repository. */
  readonly elsewhere: boolean;
  /** Ends the request when nothing arrives for long; call it with every chunk. */
  alive(): void;
  /** Must be called when the body has been read or is no longer wanted. */
  close(): void;
}

const MAX_REDIRECTS = 10;
/** Attempts in a row without a byte of progress. */
const MAX_ATTEMPTS = 6;
/** The same where nobody answers at all: most often there is no network, and a person waits to hear it. */
const MAX_UNREACHABLE = 3;
/** How long a connection may be silent. */
const SILENCE_MS = 30_000;
const LONGEST_WAIT_MS = 120_000;
const FIRST_WAIT_MS = 500;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export const connect = (settings: HubSettings): Connection => {
  useProxies();
  return {
    settings,
    sleep: async (ms, signal) => {
      await wait(ms, undefined, signal === undefined ? {} : { signal });
    },
    // No generator with a seed: machines of a cluster that run the same file must differ, and nothing is made from it.
    jitter: () => randomInt(2 ** 32) / 2 ** 32,
  };
};

/** Runs `attempt` until it succeeds, fails for good, or fails too often without `progress` (a count) having grown. */
export const withRetries = async <T>(
  connection: Connection,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> => {
  let failures = 0;
  let reached = progress();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Transient)) throw error;
      failures = progress() > reached ? 1 : failures + 1;
      reached = progress();
      const asked = error.waitMs ?? 0;
      const waitMs = asked > 0 ? asked : backoffMs(failures, connection.jitter());
      const most =
        error.error.kind === 'unreachable' && reached === 0 ? MAX_UNREACHABLE : MAX_ATTEMPTS;
      if (failures >= most || waitMs > LONGEST_WAIT_MS) throw error.error;
      await connection.sleep(waitMs, signal);
    }
  }
};

/** Twice as long after each failure; half of it fixed, half of it by chance. */
export const backoffMs = (failures: number, jitter: number): number => {
  const full = FIRST_WAIT_MS * 2 ** (failures - 1);
  return full / 2 + (full / 2) * jitter;
};

/** `Retry-After` in seconds or as a date (counted from the answer's own date), or the hub's `RateLimit: "api";r=0;t=55`. */
export const retryAfterMs = (headers: Headers): number | null => {
  const after = headers.get('retry-after');
  if (after !== null) {
    if (/^\d+(?:\.\d+)?$/u.test(after.trim())) return Number(after) * 1000;
    const at = Date.parse(after) - Date.parse(headers.get('date') ?? '');
    if (Number.isFinite(at)) return Math.max(0, at);
  }
  const reset = /;\s*t=(\d+)/u.exec(headers.get('ratelimit') ?? '')?.[1];
  return reset === undefined ? null : Number(reset) * 1000;
};

const tokenHint = (settings: HubSettings, page: string): string =>
  settings.token === null
    ? `open ${page} with your account, accept its conditions, and set HF_TOKEN to a token of it (${settings.endpoint}/settings/tokens)`
    : `open ${page} with the account of your HF_TOKEN and accept its conditions; a fine-grained token also needs access to gated repositories`;

/** What a refusal means. The hub says it in a header; the status alone leaves it open. */
const refusal = (settings: HubSettings, subject: Subject, response: Response): Error => {
  const { repository, revision, path } = subject;
  const what = called(repository);
  const page = pageOf(settings.endpoint, repository);
  const { status } = response;
  const code = response.headers.get('x-error-code');
  const waitMs = retryAfterMs(response.headers);
  const spelling = `check the spelling at ${page}`;
  if (status === 429) {
    const again = waitMs === null ? '' : `; it asks to wait ${Math.ceil(waitMs / 1000)} s`;
    const hint =
      settings.token === null
        ? 'set HF_TOKEN: known accounts may ask more often'
        : 'wait, or run fewer things that ask the hub at once';
    const error = new HubError(
      'rate-limited',
      `the hub answers too many requests (429)${again}`,
      hint,
    );
    return new Transient(error, waitMs);
  }
  if (status >= 500 || status === 408)
    return new Transient(
      new HubError(
        'server',
        `the hub fails on ${what} (HTTP ${status})`,
        'try again later; https://status.huggingface.co says what is known',
      ),
      waitMs,
    );
  if (code === 'GatedRepo')
    return new HubError(
      'gated',
      `${what} is gated: its page asks for consent first`,
      tokenHint(settings, page),
    );
  if (code === 'EntryNotFound')
    return new HubError(
      'missing-file',
      `${what} has no file ${path ?? ''} at ${revision}`,
      spelling,
    );
  if (code === 'RevisionNotFound')
    return new HubError('missing-revision', `${what} has no revision ${revision}`, spelling);
  if (status === 401 && settings.token !== null && code !== 'RepoNotFound')
    return new HubError(
      'unauthorized',
      `the hub refuses the token it was given for ${what}`,
      `make a new one at ${settings.endpoint}/settings/tokens and set HF_TOKEN`,
    );
  if (status === 403)
    return new HubError(
      'gated',
      `the hub forbids access to ${what} (403)`,
      tokenHint(settings, page),
    );
  if (status === 401 || code === 'RepoNotFound' || (status === 404 && path === null))
    return new HubError(
      'missing-repository',
      `there is no ${repository.type} ${repository.id} on the hub, or it is private`,
      settings.token === null
        ? `${spelling}; for a private one set HF_TOKEN`
        : `${spelling}, and that the account of your HF_TOKEN may see it`,
    );
  if (status === 404)
    return new HubError(
      'missing-file',
      `${what} has no file ${path ?? ''} at ${revision}`,
      spelling,
    );
  return new HubError('server', `the hub answers HTTP ${status} for ${what}`);
};

export const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const { code } = cause as NodeJS.ErrnoException;
  return code ?? cause.message;
};

/** A connection that could not be made or broke off. */
export const broken = (host: string, error: unknown): Transient =>
  new Transient(
    new HubError(
      'unreachable',
      `can't reach ${host}: ${reasonOf(error)}`,
      `check the connection${proxyHint()}; with HF_HUB_OFFLINE=1 only what is in the cache is used`,
    ),
  );

/** The address to follow to, or why it is not followed. */
const redirected = (from: URL, response: Response): URL => {
  const to = URL.parse(response.headers.get('location') ?? '', from.href);
  if (to === null) throw new HubError('server', `${from.host} redirects to no address`);
  // A downgrade would let anyone on the way change what arrives.
  if (to.protocol !== from.protocol && to.protocol !== 'https:')
    throw new HubError('server', `${from.host} redirects to the unprotected ${to.host}`);
  return to;
};

interface RequestOptions {
  /** HEAD asks what the hub says of a file, and doesn't follow to where its content lies. Default: GET. */
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** One request. Anything but 2xx (and 416, which a resumed download understands) is thrown. */
export const request = async (
  { settings }: Connection,
  address: string,
  subject: Subject,
  options: RequestOptions = {},
): Promise<Answer> => {
  const { method = 'GET' } = options;
  const home = new URL(settings.endpoint).origin;
  const silence = new AbortController();
  const timer = setTimeout(() => {
    silence.abort(new Error(`no answer for ${SILENCE_MS / 1000} s`));
  }, SILENCE_MS);
  const close = (): void => {
    clearTimeout(timer);
  };
  const signals = [silence.signal, ...(options.signal === undefined ? [] : [options.signal])];
  const seen: Headers[] = [];
  let url = new URL(address);
  try {
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const own = url.origin === home;
      const headers: Record<string, string> = {
        'user-agent': 'mesa',
        // Lengths, ranges and digests are those of the content, not of a compressed form of it.
        'accept-encoding': 'identity',
        ...options.headers,
        ...(own && settings.token !== null ? { authorization: `Bearer ${settings.token}` } : {}),
      };
      let response: Response;
      try {
        const signal = AbortSignal.any(signals);
        response = await fetch(url.href, { method, headers, redirect: 'manual', signal });
      } catch (error) {
        options.signal?.throwIfAborted();
        throw broken(url.host, error);
      }
      if (own) seen.push(response.headers);
      const next = REDIRECTS.has(response.status) ? redirected(url, response) : null;
      const leaves = method === 'HEAD' && next !== null && next.origin !== home;
      if (response.ok || response.status === 416 || leaves) {
        const elsewhere = !own || leaves;
        const header = (name: string): string | null =>
          seen.map((each) => each.get(name)).find((value) => value !== null) ?? null;
        return { response, header, elsewhere, alive: () => void timer.refresh(), close };
      }
      await response.body?.cancel();
      if (next === null)
        throw own ? refusal(settings, subject, response) : storeRefusal(url, response);
      url = next;
    }
    throw new HubError('server', `${url.host} redirects in a circle`);
  } catch (error) {
    close();
    throw error;
  }
};

/** The store behind the hub: its addresses are signed for a short time, so that asking the hub again may help. */
const storeRefusal = (url: URL, response: Response): Error =>
  new Transient(
    new HubError(
      'server',
      `${url.host}, where the hub keeps files, answers HTTP ${response.status}`,
    ),
    retryAfterMs(response.headers),
  );
