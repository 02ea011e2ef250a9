// A hub that only a proxy reaches: HTTP_PROXY is heeded, and its password stays out of messages.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { startHub } from './server.ts';

const client = join(import.meta.dirname, `../../hub/client${extname(import.meta.filename)}`);
const script = `
const { openHub } = await import(${JSON.stringify(`file://${client}`)});
try {
  const { files } = await openHub(process.env).list({ type: 'model', id: 'org/tiny' }, 'main');
  console.log(files.map(({ path }) => path).join());
} catch ({ kind, message, hint }) {
  console.log(kind, message, hint);
}
`;

const ask = (env: Readonly<Record<string, string>>): Promise<string> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    child.on('close', () => resolve(text));
  });

test('through a proxy', async (context) => {
  const hub = await startHub(context, [
    { type: 'model', id: 'org/tiny', branches: { main: { 'config.json': '{}' } } },
  ]);
  const home = mkdtempSync(join(tmpdir(), 'mesa-hub-'));
  context.after(() => rmSync(home, { recursive: true, force: true }));
  const asked: string[] = [];
  const port = Number(new URL(hub.endpoint).port);
  const proxy = createServer((request, response) => {
    // Plain requests may come in the absolute form.
    asked.push(request.url ?? '');
    const { pathname, search } = new URL(request.url ?? '');
    fetch(`${hub.endpoint}${pathname}${search}`)
      .then(async (answer) => {
        response.end(await answer.text());
      })
      .catch(() => response.destroy());
  });
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    const through = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      through.pipe(socket).pipe(through);
    });
    for (const end of [socket, through]) end.on('error', () => end.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  const env = { HF_HOME: home, HF_ENDPOINT: 'http://hub.invalid' };
  const address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  assert.equal(await ask({ ...env, HTTP_PROXY: `http://${address}` }), 'config.json\n');
  assert.ok(asked.some((url) => url.includes('hub.invalid')));
  const broken = await ask({ ...env, HTTP_PROXY: 'http://ada:pa55word@127.0.0.1:9' });
  assert.match(broken, /^unreachable can't reach hub\.invalid.*proxy/u);
  assert.doesNotMatch(broken, /pa55word/u);
});
