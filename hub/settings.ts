// Where the hub is, where its cache lies and who asks: from the variables that Python's huggingface_hub reads.

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** The folder with `models--*` and `datasets--*`. */
  readonly cacheDir: string;
  readonly token: string | null;
  readonly offline: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const given = (env: Environment, ...names: readonly string[]): string | null => {
  for (const name of names) {
    const value = env[name]?.trim();
    if (value !== undefined && value !== '') return value;
  }
  return null;
};

const isTrue = (value: string | null): boolean =>
  value !== null && ['1', 'ON', 'YES', 'TRUE'].includes(value.toUpperCase());

const expandHome = (path: string, home: string): string =>
  path === '~' || path.startsWith('~/') ? join(home, path.slice(1)) : path;

const savedToken = (path: string): string | null => {
  try {
    const token = readFileSync(path, 'utf8').trim();
    return token === '' ? null : token;
  } catch {
    // No such file, or none of ours to read: the hub is asked without a token.
    return null;
  }
};

export const hubSettings = (env: Environment): HubSettings => {
  const userHome = given(env, 'HOME', 'USERPROFILE') ?? homedir();
  const path = (value: string): string => expandHome(value, userHome);
  const home = path(
    given(env, 'HF_HOME') ??
      join(given(env, 'XDG_CACHE_HOME') ?? join(userHome, '.cache'), 'huggingface'),
  );
  const cacheDir = given(env, 'HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub');
  const implicit = !isTrue(given(env, 'HF_HUB_DISABLE_IMPLICIT_TOKEN'));
  const tokenPath = given(env, 'HF_TOKEN_PATH') ?? join(home, 'token');
  const token = given(env, 'HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN') ?? savedToken(path(tokenPath));
  return {
    endpoint: (given(env, 'HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/u, ''),
    cacheDir: path(cacheDir),
    token: implicit ? token : null,
    offline: isTrue(given(env, 'HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE')),
  };
};
