// What the hub refuses, and when it is asked again: each failure by its kind, with a hint that says what to do.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openHub, type Hub } from '../../hub/client.ts';
import { HubError, type HubErrorKind } from '../../hub/error.ts';
import { backoffMs, retryAfterMs } from '../../hub/request.ts';
import { startHub, type FakeHub, type Fault, type HostedRepository } from './server.ts';

const TOKEN = 'hf_secretsecretsecret';
const tiny: HostedRepository = {
  type: 'model',
  id: 'org/tiny',
  branches: { main: { 'config.json': '{}', 'model.safetensors': 'weights' } },
};

interface Rig {
  readonly server: FakeHub;
  readonly waits: number[];
  readonly open: (env?: Record<string, string>) => Hub;
}

const rig = async (
  context: TestContext,
  hosted: HostedRepository = tiny,
  replaced: { readonly jitter?: () => number } = {},
): Promise<Rig> => {
  const server = await startHub(context, [hosted]);
  const home = mkdtempSync(join(tmpdir(), 'mesa-hub-'));
  context.after(() => rmSync(home, { recursive: true, force: true }));
  const waits: number[] = [];
  const sleep = async (ms: number): Promise<void> => {
    waits.push(ms);
    await turn();
  };
  const open = (env: Record<string, string> = {}): Hub =>
    openHub({ HF_HOME: home, HF_ENDPOINT: server.endpoint, ...env }, { sleep, ...replaced });
  return { server, waits, open };
};

const failure = async (work: Promise<unknown>, kind: HubErrorKind): Promise<string> => {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof HubError, String(error));
    const text = `${error.message}\n${error.hint ?? ''}`;
    assert.equal(error.kind, kind, text);
    assert.doesNotMatch(text, /hf_secret/u);
    return text;
  }
  throw new assert.AssertionError({ message: 'did not fail' });
};

const fetchConfig = async (hub: Hub, server: FakeHub, path = 'config.json'): Promise<unknown> =>
  hub.fetch(tiny, server.commit(tiny.id), [{ path, size: null, sha256: null }]);

test('gated: which page to open, which variable to set', async (context) => {
  const { server, open } = await rig(context, { ...tiny, gated: true });
  const without = await failure(fetchConfig(open(), server), 'gated');
  assert.match(without, new RegExp(`open ${server.endpoint}/org/tiny .*set HF_TOKEN`, 'u'));
  await fetchConfig(open({ HF_TOKEN: TOKEN }), server);
  server.fault = ({ url }) =>
    url.includes('/resolve/')
      ? { kind: 'status', status: 403, headers: { 'x-error-code': 'GatedRepo' } }
      : null;
  const refused = await failure(
    fetchConfig(open({ HF_TOKEN: TOKEN }), server, 'model.safetensors'),
    'gated',
  );
  assert.match(refused, /with the account of your HF_TOKEN/u);
});

test('a token that is refused', async (context) => {
  const { server, open } = await rig(context);
  server.fault = () => ({ kind: 'status', status: 401 });
  const text = await failure(open({ HF_TOKEN: TOKEN }).list(tiny, 'main'), 'unauthorized');
  assert.match(text, /settings\/tokens/u);
});

test('missing: repository, revision, file, and names that can be none', async (context) => {
  const { server, open } = await rig(context);
  const hub = open();
  const nobody = { type: 'model', id: 'org/nobody' } as const;
  assert.match(
    await failure(hub.list(nobody, 'main'), 'missing-repository'),
    /no model org\/nobody on the hub, or it is private[^]*HF_TOKEN/u,
  );
  assert.match(await failure(hub.list(tiny, 'v9'), 'missing-revision'), /no revision v9/u);
  assert.match(
    await failure(fetchConfig(hub, server, 'x.json'), 'missing-file'),
    /no file x\.json/u,
  );
  server.seen.length = 0;
  for (const id of ['../../etc', 'a/b/c', 'a--b', '', 'org/', '/tmp/model'])
    await failure(hub.list({ type: 'model', id }, 'main'), 'missing-repository');
  for (const revision of ['../main', 'a//b', ''])
    await failure(hub.list(tiny, revision), 'missing-revision');
  await failure(fetchConfig(hub, server, '../../../etc/passwd'), 'damaged');
  assert.deepEqual(server.seen, [], 'none of these is a question to a server');
});

test('a listing whose names lead out of the folder is refused', async (context) => {
  const { server, open } = await rig(context);
  const body = JSON.stringify([{ type: 'file', path: '../evil', size: 1, oid: 'x' }]);
  server.fault = ({ url }) => (url.includes('/tree/') ? { kind: 'body', body } : null);
  assert.match(await failure(open().list(tiny, 'main'), 'damaged'), /\.\.\/evil/u);
});

test('an answer that is none of a hub', async (context) => {
  const { server, open } = await rig(context);
  for (const body of ['<html>', '[]', '{"sha": 3}', '{"sha": "../../x"}']) {
    server.fault = () => ({ kind: 'body', body });
    await failure(open().list(tiny, 'main'), 'server');
  }
});

test('too many requests: waits as long as the hub asks, and not for ever', async (context) => {
  const { server, open, waits } = await rig(context);
  let left = 2;
  const busy: Fault = { kind: 'status', status: 429, headers: { 'retry-after': '7' } };
  server.fault = () => (left-- > 0 ? busy : null);
  await open().list(tiny, 'main');
  assert.deepEqual(waits, [7000, 7000]);
  server.fault = () => busy;
  assert.match(
    await failure(open().list(tiny, 'main'), 'rate-limited'),
    /asks to wait 7 s[^]*set HF_TOKEN/u,
  );
  waits.length = 0;
  server.fault = () => ({ kind: 'status', status: 429, headers: { 'retry-after': '3600' } });
  await failure(open().list(tiny, 'main'), 'rate-limited');
  assert.deepEqual(waits, [], 'nobody waits an hour without being told');
});

test('how long a server asks to wait', () => {
  const wait = (headers: Record<string, string>): number | null =>
    retryAfterMs(new Headers(headers));
  assert.equal(wait({}), null);
  assert.equal(wait({ 'retry-after': '12' }), 12_000);
  assert.equal(wait({ 'retry-after': '0.5' }), 500);
  const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
  assert.equal(wait({ date, 'retry-after': 'Sun, 06 Nov 1994 08:50:07 GMT' }), 30_000);
  assert.equal(wait({ date, 'retry-after': 'Sun, 06 Nov 1994 08:00:00 GMT' }), 0);
  assert.equal(wait({ 'retry-after': 'soon' }), null);
  assert.equal(wait({ ratelimit: '"api";r=0;t=55' }), 55_000);
});

test('a failing server is asked again, with longer waits, then given up', async (context) => {
  const { server, open, waits } = await rig(context);
  server.fault = ({ url }) => (url.includes('/lfs/') ? { kind: 'status', status: 503 } : null);
  await failure(fetchConfig(open(), server, 'model.safetensors'), 'server');
  assert.equal(waits.length, 5);
  for (const [index, full] of [500, 1000, 2000, 4000, 8000].entries())
    assert.ok((waits[index] ?? 0) >= full / 2 && (waits[index] ?? 0) < full, waits.join());
  let left = 3;
  server.fault = () => (left-- > 0 ? { kind: 'status', status: 500 } : null);
  await fetchConfig(open(), server, 'model.safetensors');
});

test('waits spread by chance, but never shorter than a server asks', async (context) => {
  const shares = [0, 0.5, 1, 0.25, 0.75];
  const { server, open, waits } = await rig(context, tiny, { jitter: () => shares.shift() ?? 0 });
  server.fault = () => ({ kind: 'status', status: 429 });
  await failure(open().list(tiny, 'main'), 'rate-limited');
  assert.deepEqual(waits, [250, 750, 2000, 2500, 7000]);
  assert.deepEqual(
    [1, 2, 3].map((failures) => [backoffMs(failures, 0), backoffMs(failures, 1)]),
    [
      [250, 500],
      [500, 1000],
      [1000, 2000],
    ],
  );
});

test('Retry-After counts from the hub and from the store behind it', async (context) => {
  for (const [where, status, after, expected] of [
    ['/resolve/', 429, '3', 3000],
    ['/resolve/', 503, '5', 5000],
    ['/lfs/', 429, '4', 4000],
    ['/lfs/', 503, '6', 6000],
    // No time at all is no reason to ask at once.
    ['/lfs/', 503, '0', 250],
  ] as const) {
    const { server, open, waits } = await rig(context, tiny, { jitter: () => 0 });
    let left = 1;
    server.fault = ({ url }) =>
      url.includes(where) && left-- > 0
        ? { kind: 'status', status, headers: { 'retry-after': after } }
        : null;
    await fetchConfig(open(), server, 'model.safetensors');
    assert.deepEqual(waits, [expected]);
  }
});

test('nobody there', async (context) => {
  const { server, open } = await rig(context);
  const text = await failure(
    open({ HF_ENDPOINT: 'http://127.0.0.1:9', HF_TOKEN: TOKEN }).list(tiny, 'main'),
    'unreachable',
  );
  assert.match(text, /127\.0\.0\.1:9[^]*HF_HUB_OFFLINE/u);
  assert.deepEqual(server.seen, []);
});

test('a circle of redirects, and a store that refuses', async (context) => {
  const { server, open } = await rig(context);
  server.fault = ({ url, method }) =>
    url.includes('/resolve/') && method === 'GET'
      ? { kind: 'status', status: 302, headers: { location: url } }
      : null;
  assert.match(await failure(fetchConfig(open(), server), 'server'), /in a circle/u);
  server.fault = ({ host }) => (host === 'store' ? { kind: 'status', status: 403 } : null);
  await failure(fetchConfig(open(), server, 'model.safetensors'), 'server');
});

test('offline: nothing is asked, and what is missing is named', async (context) => {
  const { server, open } = await rig(context);
  const hub = open({ HF_HUB_OFFLINE: '1' });
  assert.match(
    await failure(hub.list(tiny, 'main'), 'offline'),
    /the model org\/tiny at main is not in/u,
  );
  await failure(fetchConfig(hub, server), 'offline');
  assert.deepEqual(server.seen, []);
  await fetchConfig(open(), server);
  await open().list(tiny, 'main');
  const { files } = await hub.list(tiny, 'main');
  assert.deepEqual(
    files.map(({ path }) => path),
    ['config.json'],
  );
});

test('a commit whose content is another than the locked one', async (context) => {
  const { server, open } = await rig(context);
  const file = { path: 'model.safetensors', size: 7, sha256: '0'.repeat(64) };
  const text = await failure(open().fetch(tiny, server.commit(tiny.id), [file]), 'damaged');
  assert.match(text, /not what was locked/u);
});
