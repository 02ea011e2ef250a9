// The client of OpenAI-compatible servers: what it tries again and how long it waits, what it gives up on at once, that
// no word of it holds the key, and how answers are read.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { readLikelihood, readText } from '../../../models/decode/openai-answer.ts';
import {
  askedWaitMs,
  backoffMs,
  post,
  ServerError,
  type Server,
} from '../../../models/decode/openai-client.ts';
import {
  chatAnswer,
  echoAnswer,
  fakeServer,
  type FakeServer,
  type Fault,
} from './openai-server.ts';

const key = 'sk-secret-0123456789';

describe('requests', () => {
  let fake: FakeServer;
  const waits: number[] = [];
  before(async () => {
    fake = await fakeServer(() => chatAnswer('yes'));
  });
  beforeEach(() => {
    waits.length = 0;
    fake.seen.length = 0;
    fake.faults.length = 0;
  });
  after(() => fake.close());

  const server = (more: Partial<Server> = {}): Server => ({
    baseUrl: new URL(fake.url),
    apiKey: key,
    timeoutMs: 10_000,
    retries: 3,
    turn: async () => undefined,
    sleep: async (ms) => void waits.push(ms),
    onRetry: () => undefined,
    ...more,
  });
  const ask = (more: Partial<Server> = {}, signal = new AbortController().signal) =>
    post(server(more), 'chat/completions', { model: 'm' }, 7, signal);
  const fails = async (
    faults: readonly Fault[],
    more: Partial<Server> = {},
  ): Promise<ServerError> => {
    fake.faults.push(...faults);
    let caught: unknown;
    await ask(more).catch((error: unknown) => (caught = error));
    assert.ok(caught instanceof ServerError, String(caught));
    return caught;
  };

  test('the key goes into the header, the request to the endpoint', async () => {
    assert.deepEqual(await ask(), chatAnswer('yes'));
    const [seen] = fake.seen;
    assert.equal(seen?.path, '/v1/chat/completions');
    assert.equal(seen?.headers.authorization, `Bearer ${key}`);
    await ask({ apiKey: null, baseUrl: new URL(`${fake.url}/?api-version=3`) });
    assert.equal(fake.seen[1]?.path, '/v1/chat/completions?api-version=3');
    assert.equal(fake.seen[1]?.headers.authorization, undefined);
  });

  test('what may pass is tried again, each time after a longer wait', async () => {
    fake.faults.push({ status: 500 }, 'reset', { text: '{"choices": [{"mess' });
    assert.deepEqual(await ask(), chatAnswer('yes'));
    assert.equal(fake.seen.length, 4);
    assert.deepEqual(
      waits,
      [0, 1, 2].map((attempt) => backoffMs(7, attempt)),
    );
    for (const [attempt, wait] of waits.entries())
      assert.ok(wait >= 250 * 2 ** attempt && wait < 500 * 2 ** attempt);
    assert.notEqual(backoffMs(7, 0), backoffMs(8, 0), 'requests that failed together ask apart');
  });

  test('Retry-After is obeyed, as seconds and as a date', async () => {
    const date = 'Wed, 21 Oct 2026 07:28:00 GMT';
    const later = 'Wed, 21 Oct 2026 07:28:30 GMT';
    fake.faults.push(
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 503, headers: { 'retry-after': later, date } },
    );
    await ask();
    assert.deepEqual(waits, [7000, 30_000]);
    assert.equal(askedWaitMs(new Headers({ 'retry-after': 'soon' })), null);
  });

  test('patience ends', async () => {
    const error = await fails(Array<Fault>(4).fill({ status: 502, body: 'bad gateway' }));
    assert.equal(error.kind, 'failing');
    assert.match(error.message, /answers 502: bad gateway \(tried 4 times\)/);
    const closed = await fails([{ status: 429, headers: { 'retry-after': '90000' } }]);
    assert.equal(closed.kind, 'rate-limited');
    assert.equal(fake.seen.length, 5, 'a server that is closed for the day is asked once');
  });

  test('what won’t pass is asked once and told in the server’s words, without the key', async () => {
    const body = JSON.stringify({ error: { message: `Incorrect API key provided: ${key}` } });
    const refused = await fails([{ status: 401, body }]);
    assert.equal(refused.kind, 'unauthorized');
    assert.match(refused.message, /401: Incorrect API key provided: \*\*\*/);
    const wrong = await fails([{ status: 400, body: '{"detail":"prompt too long"}' }]);
    assert.match(wrong.message, /400: prompt too long/);
    const missing = await fails([{ status: 404, body: '' }]);
    assert.match(missing.hint ?? '', /base_url usually ends in \/v1/);
    const moved = await fails([{ status: 307, headers: { location: 'https://elsewhere/' } }]);
    assert.equal(moved.kind, 'refused');
    const empty = await fails([{ status: 429, body: '{"error":{"code":"insufficient_quota"}}' }]);
    assert.equal(empty.kind, 'rate-limited');
    assert.equal(fake.seen.length, 5);
    for (const error of [refused, wrong, missing, moved, empty])
      assert.ok(!`${error.message}${error.hint}${error.stack}`.includes(key));
  });

  test('silence, and nobody there', async () => {
    const slow = await fails(['silence', 'silence'], { timeoutMs: 30, retries: 1 });
    assert.equal(slow.kind, 'timeout');
    assert.match(slow.message, /did not answer within 0.03 s \(tried 2 times\)/);
    const nobody = await fails([], { baseUrl: new URL('http://127.0.0.1:9/v1'), retries: 0 });
    assert.equal(nobody.kind, 'unreachable');
    assert.match(nobody.message, /can't reach 127\.0\.0\.1:9/);
  });

  test('an error that comes with status 200', async () => {
    const text = '{"error": {"message": "overloaded"}}';
    const error = await fails([{ text }, { text }], { retries: 1 });
    assert.match(error.message, /overloaded \(tried 2 times\)/);
  });

  test('stopping ends a request that is under way, and one that waits', async () => {
    const reason = new Error('stop');
    const running = new AbortController();
    fake.faults.push('silence');
    const asked = ask({}, running.signal);
    while (fake.seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    running.abort(reason);
    await assert.rejects(asked, reason);
    const waiting = new AbortController();
    fake.faults.push({ status: 500 });
    const sleep: Server['sleep'] = async (_ms, signal) => {
      waiting.abort(reason);
      signal.throwIfAborted();
    };
    await assert.rejects(ask({ sleep }, waiting.signal), reason);
  });
});

describe('answers', () => {
  test('texts and why they end', () => {
    const of = (choice: object): object => ({ choices: [choice] });
    const chat = readText(chatAnswer('yes') as Record<string, unknown>, false);
    assert.deepEqual(chat, { text: 'yes', finishReason: 'eos', tokens: 3 });
    const completion = of({ text: ' no', finish_reason: 'length' }) as Record<string, unknown>;
    assert.deepEqual(readText(completion, true), {
      text: ' no',
      finishReason: 'length',
      tokens: null,
    });
    const vllm = of({ text: '', finish_reason: 'stop', stop_reason: '\n' }) as Record<
      string,
      unknown
    >;
    assert.equal(readText(vllm, true).finishReason, 'stop');
    const end = of({ text: '', finish_reason: 'stop', stop_reason: null }) as Record<
      string,
      unknown
    >;
    assert.equal(readText(end, true).finishReason, 'eos');
    const thinking = of({ message: { content: null } }) as Record<string, unknown>;
    assert.equal(readText(thinking, false).text, '');
    for (const json of [{}, { choices: [] }, of({ text: 3 })])
      assert.throws(() => readText(json as Record<string, unknown>, false), ServerError);
  });

  const echoed = (prompt: unknown) =>
    echoAnswer({ path: '', headers: {}, body: { prompt } }) as Record<string, unknown>;

  test('the log-probability of the end of an echoed prompt', () => {
    // ab|cd|zz|e and a token that was made.
    assert.deepEqual(readLikelihood(echoed('abcdzze'), { text: 'zze' }), {
      logprob: -3,
      tokens: 2,
      isGreedy: false,
    });
    assert.equal(readLikelihood(echoed('abcd'), { text: 'cd' }).isGreedy, true);
    // One token holds the last of the context and the first of the choice.
    assert.equal(readLikelihood(echoed('abcd'), { text: 'd' }).logprob, -2);
    assert.equal(readLikelihood(echoed([5, 6, 7]), { count: 2 }).logprob, -6);
    assert.deepEqual(readLikelihood(echoed('abcdef'), 'all'), {
      logprob: -4,
      tokens: 2,
      isGreedy: true,
    });
  });

  test('a server that can’t is told from one that lies', () => {
    const throws = (json: unknown, message: RegExp): void => {
      assert.throws(() => readLikelihood(json as Record<string, unknown>, { text: 'b' }), message);
    };
    throws({ choices: [{ text: 'b' }] }, /sent no log-probabilities/);
    throws({ choices: [{ text: 'b', logprobs: { content: [] } }] }, /of another form/);
    const only = { tokens: ['b'], token_logprobs: [-1], top_logprobs: [null] };
    throws({ choices: [{ logprobs: only }], usage: { prompt_tokens: 9 } }, /did not echo/);
    throws(echoed('abcx'), /do not spell "b"/);
    throws(echoed('b'), /begins with the first token/);
  });
});
