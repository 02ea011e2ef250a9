// The runtime's own habits: what it would write and send unless told not to.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

test('a session leaves no usage events, logs or device ids in the folders of its user', () => {
  const root = mkdtempSync(join(tmpdir(), 'mesa-habits-'));
  try {
    const folders = { HOME: join(root, 'home'), TMPDIR: join(root, 'tmp') };
    for (const folder of Object.values(folders)) mkdirSync(folder);
    const builder = new URL('../../tensor/builder.js', import.meta.url).href;
    const session = new URL('../../tensor/session.js', import.meta.url).href;
    const script = `
      const { GraphBuilder } = await import(${JSON.stringify(builder)});
      const { createSession } = await import(${JSON.stringify(session)});
      const g = new GraphBuilder();
      g.output('y', g.add(g.input('x', 'float32', [1]), 1));
      const made = await createSession(g.build());
      await made.run({ x: { data: new Float32Array(1), shape: [1] } });
      await made.release();`;
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(ORT_|XDG_)/.test(name)),
    );
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...env, ...folders },
    });
    for (const folder of Object.values(folders)) assert.deepEqual(readdirSync(folder), []);
  } finally {
    rmSync(root, { recursive: true });
  }
});
