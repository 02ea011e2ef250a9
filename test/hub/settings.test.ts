// The variables of Python's huggingface_hub, and which of them wins.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hubSettings } from '../../hub/settings.ts';

test('folders: HF_HUB_CACHE before HF_HOME before XDG_CACHE_HOME before ~/.cache', () => {
  const cacheDir = (env: Record<string, string>): string =>
    hubSettings({ HOME: '/home/ada', ...env }).cacheDir;
  assert.equal(cacheDir({}), '/home/ada/.cache/huggingface/hub');
  assert.equal(cacheDir({ XDG_CACHE_HOME: '/x' }), '/x/huggingface/hub');
  assert.equal(cacheDir({ XDG_CACHE_HOME: '/x', HF_HOME: '/hf' }), '/hf/hub');
  assert.equal(cacheDir({ HF_HOME: '~/hf' }), '/home/ada/hf/hub');
  assert.equal(cacheDir({ HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old' }), '/old');
  assert.equal(cacheDir({ HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new' }), '/new');
  assert.equal(cacheDir({ HF_HOME: '' }), '/home/ada/.cache/huggingface/hub');
});

test('token: from the variable, else from the file that `hf auth login` writes', (context) => {
  const home = mkdtempSync(join(tmpdir(), 'mesa-hub-'));
  context.after(() => rmSync(home, { recursive: true, force: true }));
  const token = (env: Record<string, string>): string | null =>
    hubSettings({ HF_HOME: home, ...env }).token;
  assert.equal(token({}), null);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'token'), 'from-file\n');
  assert.equal(token({}), 'from-file');
  assert.equal(token({ HF_TOKEN: ' from-variable ' }), 'from-variable');
  assert.equal(token({ HF_TOKEN: 'x', HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }), null);
  writeFileSync(join(home, 'other'), 'elsewhere');
  assert.equal(token({ HF_TOKEN_PATH: join(home, 'other') }), 'elsewhere');
});

test('endpoint and offline', () => {
  assert.equal(hubSettings({}).endpoint, 'https://huggingface.co');
  assert.equal(
    hubSettings({ HF_ENDPOINT: 'https://hub.example/' }).endpoint,
    'https://hub.example',
  );
  const offline = (value: string): boolean => hubSettings({ HF_HUB_OFFLINE: value }).offline;
  for (const value of ['1', 'true', 'YES', 'on']) assert.ok(offline(value), value);
  for (const value of ['', '0', 'false', 'no']) assert.ok(!offline(value), value);
});
