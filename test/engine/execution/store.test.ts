// The cache under bad luck: damaged, truncated and missing objects, two coordinators, full and read-only disks.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { readArtifact } from '../../../engine/artifact.ts';
import { write } from '../../../engine/database.ts';
import { asDigest, digestOf, hashFile } from '../../../engine/digest.ts';
import { gcCache, gcDefaults, listCache } from '../../../engine/gc.ts';
import { lockText, readLock, withEntry, writeLock, type LockEntry } from '../../../engine/lock.ts';
import { isSafeName, makeManifest, parseManifest } from '../../../engine/manifest.ts';
import { networkFileSystem, openProject } from '../../../engine/project.ts';
import { verifyCache } from '../../../engine/verify-cache.ts';
import { digests, Hand, states, unwrap, type HandStep } from './support/hand.ts';

let hand: Hand;
before(() => {
  hand = new Hand();
});
after(() => {
  hand.dispose();
});

/** Path of the object behind a step's text in the newest run. */
const objectOf = async (step: string): Promise<string> => {
  const artifact = unwrap(await readArtifact(hand.project, 'last', step, null));
  return artifact.files.find((file) => file.name === 'text')?.path ?? '';
};
/** Opens the cache as a new process would: nothing remembered but what is on disk. */
const reopened = async <T>(work: (fresh: Hand) => Promise<T>): Promise<T> => {
  const fresh = Object.create(hand, {
    project: { value: unwrap(openProject({ root: hand.root })) },
  }) as Hand;
  try {
    return await work(fresh);
  } finally {
    fresh.project.close();
  }
};

const chmodSyncQuietly = (path: string, mode: number): void => {
  try {
    chmodSync(path, mode);
  } catch {
    // A read-only mount has no modes to set.
  }
};

const damage: Readonly<Record<string, (path: string) => void>> = {
  flipped: (path) => {
    const { atime, mtime } = statSync(path);
    chmodSync(path, 0o644);
    const content = readFileSync(path);
    content[0] = (content[0] ?? 0) ^ 1;
    writeFileSync(path, content);
    // A disk that goes bad doesn't touch times.
    utimesSync(path, atime, mtime);
    chmodSync(path, 0o444);
  },
  truncated: (path) => {
    chmodSync(path, 0o644);
    writeFileSync(path, '');
  },
  missing: (path) => {
    rmSync(path);
  },
};

for (const [kind, harm] of Object.entries(damage)) {
  test(`a ${kind} object is noticed, dropped and computed again`, async () => {
    const steps: Record<string, HandStep> = { [kind]: {}, [`after-${kind}`]: { in: [kind] } };
    const first = await hand.run(steps);
    const path = await objectOf(kind);
    harm(path);
    await reopened(async (fresh) => {
      const second = await fresh.run(steps);
      assert.deepEqual(states(second.record), { [kind]: 'ran', [`after-${kind}`]: 'cached' });
      assert.deepEqual(digests(second.record), digests(first.record));
      const damaged = second.events.filter((event) => event.event === 'cache-damaged');
      assert.deepEqual(
        damaged.map((event) => event.step),
        [kind],
      );
    });
    assert.equal(readFileSync(path, 'utf8'), kind);
    assert.equal(statSync(path).mode & 0o777, 0o444, 'objects are read-only');
  });
}

test('verify reads everything and drops what is damaged', async () => {
  await hand.run({ good: {}, bad: {} });
  damage['flipped']?.(await objectOf('bad'));
  const found = await verifyCache(hand.project);
  assert.equal(found.damaged.length, 1);
  assert.match(found.damaged[0]?.message ?? '', /other content/);
  assert.equal((await verifyCache(hand.project)).damaged.length, 0);
});

test('a damaged database row is no hit', async () => {
  const steps = { rowed: {} };
  await hand.run(steps);
  hand.project.database.prepare("UPDATE manifests SET body = replace(body, 'text', 'tixt')").run();
  await reopened(async (fresh) => {
    const { record } = await fresh.run(steps);
    assert.deepEqual(states(record), { rowed: 'ran' });
  });
});

test('objects without a row are not believed in, and gc takes them away', async () => {
  const digest = digestOf('never committed');
  const path = hand.project.objects.objectPath(digest);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, 'never committed');
  await hand.run({ kept: { params: { text: 'kept by its run' } } });
  const kept = await objectOf('kept');
  const before = listCache(hand.project);
  assert.ok(before.objects > 0 && before.entries.some((entry) => entry.id === 'kept'));
  const dry = gcCache(hand.project, { ...gcDefaults, dryRun: true });
  assert.ok(dry.objects >= 1 && existsSync(path));
  gcCache(hand.project);
  assert.equal(existsSync(path), false);
  assert.equal(existsSync(kept), true);
  assert.equal(
    (await reopened((fresh) => fresh.run({ kept: { params: { text: 'kept by its run' } } }))).record
      .steps[0]?.state,
    'cached',
  );
});

test('gc forgets results that only older runs reach, unless they are pinned', async () => {
  const [old, pinned] = [
    { old: { params: { text: 'old' } } },
    { pinned: { params: { text: 'pinned' } } },
  ];
  await hand.run(old);
  const { record } = await hand.run(pinned);
  writeFileSync(join(hand.project.runsDir, record.run, 'pinned'), '');
  await hand.run({ newest: {} });
  gcCache(hand.project, { ...gcDefaults, runs: 1 });
  await reopened(async (fresh) => {
    assert.equal((await fresh.plan(old)).steps[0]?.planned.status.kind, 'stale');
    assert.equal((await fresh.plan(pinned)).steps[0]?.planned.status.kind, 'fresh');
  });
});

test('a result whose files changed after they were hashed is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesa-ingest-'));
  const path = join(folder, 'f');
  writeFileSync(path, 'other');
  const file = {
    name: 'f',
    size: 5,
    digest: digestOf('hello'),
    path,
    referenced: false,
    stamp: null,
    seen: '1:5:1',
  };
  const { database, objects } = hand.project;
  assert.throws(() => {
    write(database, () => {
      objects.ingest(makeManifest([file]), [file]);
    });
  }, /changed after it was hashed/);
  rmSync(folder, { recursive: true });
});

test('manifests: sorted, one text for one content, and no name leaves the artifact', () => {
  const name = fc
    .array(fc.stringMatching(/^[a-zé.0-9 -]{1,6}$/), { minLength: 1, maxLength: 3 })
    .map((parts) => parts.join('/'))
    .filter(isSafeName);
  const file = fc.record({
    name,
    size: fc.nat(),
    digest: fc.stringMatching(/^[0-9a-f]{64}$/).map(asDigest),
  });
  fc.assert(
    fc.property(fc.uniqueArray(file, { selector: (each) => each.name, maxLength: 6 }), (files) => {
      const made = makeManifest(files);
      assert.equal(makeManifest(files.toReversed()).digest, made.digest);
      assert.deepEqual(
        parseManifest(made.digest, made.text)?.files.map((each) => ({ ...each })),
        made.files.map((each) => ({ ...each })),
      );
      assert.equal(parseManifest(made.digest, `${made.text} `), null);
    }),
  );
  for (const bad of ['../x', '/x', 'a/../b', 'a//b', '.', '', 'a\0', 'a\\b'])
    assert.throws(() => makeManifest([{ name: bad, size: 0, digest: digestOf('') }]), /not a name/);
});

test('hashing a file in pieces gives the digest of the whole', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesa-hash-'));
  for (const size of [0, 1, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (6 << 20) + 7]) {
    const content = Buffer.alloc(size, `${size}:`);
    writeFileSync(join(folder, 'f'), content);
    const hashed = await hashFile(join(folder, 'f'));
    assert.deepEqual([hashed.digest, hashed.size], [digestOf(content), size]);
  }
  rmSync(folder, { recursive: true });
});

const tmpfs = mkdtempSync(join(tmpdir(), 'mesa-tmpfs-'));
const mounted =
  process.platform === 'linux' &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', tmpfs]).status === 0;
after(() => {
  if (mounted) spawnSync('umount', [tmpfs]);
  rmSync(tmpfs, { recursive: true, force: true });
});

test(
  'a full disk fails the step that needed it, and the cache stays good',
  { skip: !mounted && 'no tmpfs can be mounted here' },
  async () => {
    const full = Object.create(hand, {
      project: { value: unwrap(openProject({ root: hand.root, cacheDir: join(tmpfs, 'cache') })) },
    }) as Hand;
    const small = { little: {} };
    const first = await full.run(small);
    const big = hand.path('big.bin');
    writeFileSync(big, Buffer.alloc(32 << 20, 1));
    const { record } = await full.run({ ...small, copier: { params: { file: big } } });
    assert.deepEqual(states(record), { little: 'cached', copier: 'failed' });
    const failure = record.steps[1]?.failure;
    assert.ok(failure?.reason === 'storage', JSON.stringify(failure));
    assert.match(failure.message, /disk is full/);
    assert.match(failure.hint ?? '', /gc|MESA_CACHE_DIR/);
    full.project.close();
    const again = Object.create(hand, {
      project: { value: unwrap(openProject({ root: hand.root, cacheDir: join(tmpfs, 'cache') })) },
    }) as Hand;
    const second = await again.run(small);
    assert.deepEqual(digests(second.record), digests(first.record));
    assert.deepEqual(states(second.record), { little: 'cached' });
    again.project.close();
  },
);

test('a read-only cache folder is one clear error', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesa-ro-'));
  // Root may write where the mode forbids it, but not to a read-only mount.
  const isRoot = process.getuid?.() === 0;
  const readOnly =
    isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder]).status === 0;
  chmodSyncQuietly(folder, 0o555);
  const opened = openProject({ root: folder });
  if (!isRoot || readOnly) {
    assert.ok(!opened.ok);
    assert.equal(opened.error.code, 'E410');
    assert.match(opened.error.message, /can't write to the cache folder/);
    assert.match(opened.error.hint ?? '', /MESA_CACHE_DIR/);
  } else if (opened.ok) opened.value.close();
  if (readOnly) spawnSync('umount', [folder]);
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
});

test('a full disk when results are taken in is the same clear failure', async () => {
  const { objects } = hand.project;
  const failing = Object.create(objects, {
    ingest: {
      value: () => {
        throw Object.assign(new Error('ENOSPC: no space left on device, rename'), {
          code: 'ENOSPC',
        });
      },
    },
  }) as typeof objects;
  const broken = Object.create(hand, {
    project: { value: { ...hand.project, objects: failing } },
  }) as Hand;
  const { record } = await broken.run({ unlucky: {} });
  assert.equal(record.steps[0]?.failure?.reason, 'storage');
  assert.deepEqual(states((await hand.run({ unlucky: {} })).record), { unlucky: 'ran' });
});

test('network file systems are recognised by the mount a path lies on', () => {
  const mounts = [
    '22 1 254:0 / / rw - ext4 /dev/vda rw',
    '30 22 0:40 / /home rw - nfs4 server:/home rw',
    '31 30 0:41 / /home/local\\040disk rw - xfs /dev/vdb rw',
    '32 22 0:42 / /mnt/ssh rw - fuse.sshfs host:/ rw',
  ].join('\n');
  assert.equal(networkFileSystem(mounts, '/tmp/x'), null);
  assert.equal(networkFileSystem(mounts, '/home/me/project/.mesa'), 'nfs4');
  assert.equal(networkFileSystem(mounts, '/homely'), null);
  assert.equal(networkFileSystem(mounts, '/home/local disk/p'), null);
  assert.equal(networkFileSystem(mounts, '/mnt/ssh/p'), 'fuse.sshfs');
});

test('the lock file: same entries, same bytes; a damaged one is an error', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesa-lock-'));
  const entry = (id: string): LockEntry => ({
    type: 'model',
    id,
    requested: 'main',
    revision: 'abc',
    files: [
      { path: 'b', size: 1, sha256: '0'.repeat(64) },
      { path: 'a', size: 2, sha256: '1'.repeat(64) },
    ],
  });
  const lock = withEntry(withEntry({ entries: [] }, entry('z')), entry('a'));
  const other = withEntry(
    withEntry(withEntry({ entries: [] }, entry('a')), { ...entry('z'), revision: 'old' }),
    entry('z'),
  );
  assert.equal(lockText(lock), lockText(other));
  assert.deepEqual(unwrap(readLock(folder)), { entries: [] });
  writeLock(folder, lock);
  assert.equal(lockText(unwrap(readLock(folder))), lockText(lock));
  for (const bad of [
    '{',
    '{}',
    '{"version":1,"entries":[{}]}',
    lockText(lock).replace('"a"', '"../a"').replace('"path": "a"', '"path": "../a"'),
  ]) {
    writeFileSync(join(folder, 'mesa.lock.json'), bad);
    const read = readLock(folder);
    assert.ok(!read.ok && read.error.code === 'E415', bad);
  }
  rmSync(folder, { recursive: true });
});
