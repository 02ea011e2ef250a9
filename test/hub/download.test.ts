// Files of the hub in the shared cache: the layout, what is asked for, breaks, wrong bytes and concurrent downloads.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { openHub, type Hub } from '../../hub/client.ts';
import { HubError, type HubErrorKind } from '../../hub/error.ts';
import { gitSha1, startHub, type FakeHub, type Fault } from './server.ts';

const id = 'org/tiny';
const repository = { type: 'model', id } as const;
const weights = Buffer.from(
  Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7919 + (index >> 8)) & 255),
);
const config = Buffer.from('{"model_type": "llama"}\n');
const weightsName = createHash('sha256').update(weights).digest('hex');
const files = { 'config.json': config, 'model.safetensors': weights, 'sub/notes.txt': 'x' };
const TOKEN = 'hf_secretsecretsecret';

interface Rig {
  readonly server: FakeHub;
  readonly home: string;
  readonly folder: string;
  readonly hub: Hub;
  /** What was waited before requests were made again. */
  readonly waits: number[];
  readonly open: (env?: Record<string, string>) => Hub;
  readonly fetch: (names?: readonly string[], hub?: Hub) => ReturnType<Hub['fetch']>;
}

const rig = async (
  context: TestContext,
  hosted: Record<string, Buffer | string> = files,
): Promise<Rig> => {
  const server = await startHub(context, [{ ...repository, branches: { main: hosted } }]);
  const home = mkdtempSync(join(tmpdir(), 'mesa-hub-'));
  context.after(() => rmSync(home, { recursive: true, force: true }));
  const waits: number[] = [];
  const open = (env: Record<string, string> = {}): Hub =>
    openHub(
      { HF_HOME: home, HF_ENDPOINT: server.endpoint, HF_TOKEN: TOKEN, ...env },
      {
        sleep: async (ms) => {
          waits.push(ms);
          await turn();
        },
      },
    );
  const hub = open();
  return {
    server,
    home,
    folder: join(home, 'hub/models--org--tiny'),
    hub,
    waits,
    open,
    fetch: async (names = Object.keys(hosted), from = hub) => {
      const commit = server.commit(id);
      const unknown = { size: null, sha256: null };
      const known = from.settings.offline ? [] : (await from.list(repository, 'main')).files;
      return from.fetch(
        repository,
        commit,
        names.map((path) => known.find((each) => each.path === path) ?? { path, ...unknown }),
      );
    },
  };
};

/** The error of a failing call, which must not hold the token. */
const failure = async (work: () => Promise<unknown>, kind: HubErrorKind): Promise<HubError> => {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof HubError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.doesNotMatch(`${error.message} ${error.hint ?? ''}`, /hf_secret|signature=/u);
    return error;
  }
  throw new assert.AssertionError({ message: 'did not fail' });
};

const once = (server: FakeHub, pattern: RegExp, fault: Fault, times = 1): void => {
  let left = times;
  server.fault = ({ host, method, url }) => {
    if (left === 0 || !pattern.test(`${method} ${host} ${url}`)) return null;
    left -= 1;
    return fault;
  };
};
const CONTENT = /^GET (?:store|hub .*\/resolve\/)/u;
const STORE = /^GET store/u;

const blobs = (folder: string): string[] => readdirSync(join(folder, 'blobs')).sort();

test('the cache is laid out as huggingface_hub lays it out', async (context) => {
  const { server, folder, fetch } = await rig(context);
  const fetched = await fetch();
  const commit = server.commit(id);
  const snapshot = join(folder, 'snapshots', commit);
  assert.deepEqual(
    fetched.map(({ path }) => path),
    Object.keys(files).map((name) => join(snapshot, name)),
  );
  assert.equal(fetched[1]?.sha256, weightsName);
  assert.deepEqual(readFileSync(join(snapshot, 'model.safetensors')), weights);
  assert.equal(readlinkSync(join(snapshot, 'config.json')), `../../blobs/${gitSha1(config)}`);
  assert.equal(readlinkSync(join(snapshot, 'model.safetensors')), `../../blobs/${weightsName}`);
  assert.equal(
    readlinkSync(join(snapshot, 'sub/notes.txt')),
    `../../../blobs/${gitSha1(Buffer.from('x'))}`,
  );
  assert.equal(readFileSync(join(folder, 'refs/main'), 'utf8'), commit);
  const names = [gitSha1(config), gitSha1(Buffer.from('x')), weightsName].sort();
  assert.deepEqual(blobs(folder), names);
  for (const name of names) assert.ok(lstatSync(join(folder, 'blobs', name)).isFile());
});

test('what is in the cache is not asked for again, and needs no network', async (context) => {
  const { server, open, fetch } = await rig(context);
  await fetch();
  server.seen.length = 0;
  await fetch(Object.keys(files), open({ HF_HUB_OFFLINE: '1' }));
  assert.deepEqual(server.seen, []);
  await fetch();
  assert.deepEqual(server.asked(/resolve|store/u), []);
});

test('the token goes to the hub and to nobody else', async (context) => {
  const { server, fetch } = await rig(context);
  await fetch();
  for (const { host, headers } of server.seen)
    assert.equal(headers.authorization, host === 'hub' ? `Bearer ${TOKEN}` : undefined);
  assert.ok(server.asked(STORE).length > 0);
});

test('content that another revision brought is linked, not downloaded', async (context) => {
  const { server, fetch, folder } = await rig(context);
  await fetch();
  server.push(id, 'main', { ...files, 'config.json': '{}' });
  server.seen.length = 0;
  const [, model] = await fetch();
  assert.deepEqual(server.asked(STORE), []);
  assert.equal(model?.path, join(folder, 'snapshots', server.commit(id), 'model.safetensors'));
});

for (const name of ['model.safetensors', 'notes.txt']) {
  test(`a download goes on after a break: ${name}`, async (context) => {
    const { server, fetch, hub } = await rig(context, { [name]: weights });
    once(server, CONTENT, { kind: 'cut', after: 100_000 }, 2);
    const seen: number[] = [];
    const { files: listed, commit } = await hub.list(repository, 'main');
    const [fetched] = await hub.fetch(repository, commit, listed, {
      onProgress: (done, total) => {
        seen.push(done);
        assert.equal(total, weights.length);
      },
    });
    assert.deepEqual(readFileSync(fetched?.path ?? ''), weights);
    const ranges = server.asked(CONTENT).map(({ headers }) => headers.range);
    assert.deepEqual(
      ranges.filter((range) => range !== undefined).length >= 1,
      true,
      'nothing was continued',
    );
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
      'progress goes back',
    );
    assert.equal(seen.at(-1), weights.length);
    assert.deepEqual((await fetch())[0]?.sha256, weightsName);
  });
}

test('the bytes are right wherever the connection breaks', async (context) => {
  const cuts = fc.array(fc.integer({ min: 0, max: weights.length }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(cuts, fc.boolean(), async (places, ignoresRange) => {
      const { server, fetch } = await rig(context, { 'model.safetensors': weights });
      const left = [...places];
      server.fault = ({ host, method }) => {
        if (host !== 'store' || method !== 'GET') return null;
        const after = left.shift();
        if (after !== undefined) return { kind: 'cut', after };
        return ignoresRange ? { kind: 'ignore-range' } : null;
      };
      const [fetched] = await fetch();
      assert.deepEqual(readFileSync(fetched?.path ?? ''), weights);
    }),
    { numRuns: 15 },
  );
});

test('what a killed process left is continued', async (context) => {
  const { server, fetch, folder } = await rig(context);
  const { pid } = spawnSync(process.execPath, ['--version']);
  const host = hostname().replace(/[^A-Za-z0-9]/gu, '') || 'host';
  mkdirSync(join(folder, 'blobs'), { recursive: true });
  writeFileSync(
    join(folder, 'blobs', `${weightsName}.mesa-${host}-${pid}.incomplete`),
    weights.subarray(0, 123_456),
  );
  const [fetched] = await fetch(['model.safetensors']);
  assert.deepEqual(readFileSync(fetched?.path ?? ''), weights);
  assert.deepEqual(
    server.asked(STORE).map(({ headers }) => headers.range),
    ['bytes=123456-'],
  );
  assert.deepEqual(blobs(folder), [weightsName]);
});

test('a wrong beginning that was left is found out and thrown away', async (context) => {
  const { fetch, folder, server } = await rig(context);
  const { pid } = spawnSync(process.execPath, ['--version']);
  const host = hostname().replace(/[^A-Za-z0-9]/gu, '') || 'host';
  mkdirSync(join(folder, 'blobs'), { recursive: true });
  const wrong = Buffer.alloc(1000, 1);
  writeFileSync(join(folder, 'blobs', `${weightsName}.mesa-${host}-${pid}.incomplete`), wrong);
  const [fetched] = await fetch(['model.safetensors']);
  assert.deepEqual(readFileSync(fetched?.path ?? ''), weights);
  assert.equal(server.asked(STORE).length, 2);
});

test('wrong bytes: once is an accident, twice a failure that leaves nothing behind', async (context) => {
  const { server, fetch, folder } = await rig(context);
  once(server, STORE, { kind: 'wrong-bytes' });
  await fetch();
  rmSync(folder, { recursive: true });
  once(server, STORE, { kind: 'wrong-bytes' }, 99);
  await failure(() => fetch(['model.safetensors']), 'damaged');
  assert.ok(!blobs(folder).includes(weightsName));
  // Files of git are verified too, by git's own digest.
  once(server, CONTENT, { kind: 'wrong-bytes' }, 99);
  await failure(() => fetch(['config.json']), 'damaged');
});

test('a connection that always breaks at one place ends as truncated, and goes on later', async (context) => {
  const { server, fetch } = await rig(context);
  let sent = 0;
  server.fault = ({ host }) => {
    if (host !== 'store') return null;
    sent += 1;
    return sent === 1 ? { kind: 'cut', after: 50_000 } : { kind: 'cut', after: 0 };
  };
  const { message, hint } = await failure(() => fetch(['model.safetensors']), 'truncated');
  assert.match(
    message,
    /model\.safetensors of the model org\/tiny breaks off after \d+ of 300000/u,
  );
  assert.match(hint ?? '', /goes on where it stopped/u);
  server.fault = () => null;
  server.seen.length = 0;
  await fetch(['model.safetensors']);
  assert.match(server.asked(STORE)[0]?.headers.range ?? '', /^bytes=\d+-$/u);
});

test('a file damaged in the cache is downloaded again; offline it is an error', async (context) => {
  const { fetch, open, folder, server } = await rig(context);
  await fetch();
  const blob = join(folder, 'blobs', weightsName);
  const damage = (content: Buffer): void => {
    rmSync(blob, { force: true });
    writeFileSync(blob, content);
  };
  damage(weights.subarray(1));
  await failure(() => fetch(undefined, open({ HF_HUB_OFFLINE: '1' })), 'damaged');
  const flipped = Buffer.from(weights);
  flipped[5]! ^= 4;
  damage(flipped);
  server.seen.length = 0;
  const [, model] = await fetch();
  assert.deepEqual(readFileSync(model?.path ?? ''), weights);
  assert.equal(server.asked(STORE).length, 1);
});

test('two downloads of one file at once transfer it once', async (context) => {
  const { server, fetch, open } = await rig(context);
  const both = await Promise.all([
    fetch(['model.safetensors']),
    fetch(['model.safetensors'], open()),
  ]);
  for (const [fetched] of both) assert.deepEqual(readFileSync(fetched?.path ?? ''), weights);
  assert.equal(server.asked(STORE).length, 1);
});

test('an interrupt stops a download at once', async (context) => {
  const { hub, server } = await rig(context);
  const { commit, files: listed } = await hub.list(repository, 'main');
  const controller = new AbortController();
  server.fault = ({ host }) => {
    if (host === 'store') controller.abort(new Error('stop'));
    return null;
  };
  await assert.rejects(
    hub.fetch(repository, commit, listed, { signal: controller.signal }),
    /stop|abort/u,
  );
});

test('a disk without room is an error before anything is written', async (context) => {
  const { server, hub, folder } = await rig(context);
  const headers = {
    'x-linked-etag': `"${weightsName}"`,
    'x-linked-size': String(2 ** 52),
    location: 'http://127.0.0.1:9/',
  };
  once(server, /^HEAD/u, { kind: 'status', status: 302, headers });
  const file = { path: 'model.safetensors', size: null, sha256: weightsName };
  const error = await failure(() => hub.fetch(repository, server.commit(id), [file]), 'disk-full');
  assert.match(error.message, /4503599\.6 GB more are needed/u);
  assert.ok(!blobs(folder).includes(weightsName));
});
