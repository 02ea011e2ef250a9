// HTTP_PROXY, HTTPS_PROXY and NO_PROXY: Node's fetch heeds them only when asked to.

import * as http from 'node:http';

const NAMES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'];

const proxySet = (): boolean => NAMES.some((name) => (process.env[name] ?? '') !== '');

let used = false;

/** Makes fetch use the proxies of the environment, once for the process. Newer Nodes can; on others see `proxyHint`. */
export const useProxies = (): void => {
  if (used || !proxySet() || process.env['NODE_USE_ENV_PROXY'] === '1') return;
  used = true;
  const able = http as { setGlobalProxyFromEnv?: () => unknown };
  able.setGlobalProxyFromEnv?.();
};

/** For the hint of a connection that failed. The proxy's address may hold a password, so it isn't shown. */
export const proxyHint = (): string => {
  if (!proxySet()) return ' (behind a proxy set HTTPS_PROXY)';
  const able = 'setGlobalProxyFromEnv' in http || process.env['NODE_USE_ENV_PROXY'] === '1';
  return able
    ? ' and the proxy in HTTPS_PROXY'
    : ' and set NODE_USE_ENV_PROXY=1, without which this Node ignores the proxy';
};
