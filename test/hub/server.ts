// A hub on loopback: the pages of huggingface.co that a client asks for, and a second host, the store, which large files
// are redirected to. Faults are answers that a test puts in the way.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface HostedRepository {
  readonly type: 'model' | 'dataset';
  readonly id: string;
  /** Branch -> files. Those that end like weights or data are kept as LFS. */
  readonly branches: Readonly<Record<string, Readonly<Record<string, Buffer | string>>>>;
  /** Asks for a token. */
  readonly gated?: boolean;
}

export interface Seen {
  readonly host: 'hub' | 'store';
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** Announces everything, sends so many bytes, and breaks the connection. */
  | { readonly kind: 'cut'; readonly after: number }
  | { readonly kind: 'wrong-bytes' }
  | { readonly kind: 'ignore-range' }
  | { readonly kind: 'body'; readonly body: string };

export interface FakeHub {
  readonly endpoint: string;
  readonly seen: Seen[];
  /** Asked before every answer; null lets it pass. */
  fault: (request: Seen) => Fault | null;
  /** The commit of a branch. */
  commit(id: string, branch?: string): string;
  /** Requests for contents: `GET store /...`. */
  asked(pattern: RegExp): readonly Seen[];
  /** Replaces the files of a branch: a new commit. */
  push(id: string, branch: string, files: Readonly<Record<string, Buffer | string>>): void;
}

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
export const gitSha1 = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

const isLfs = (path: string): boolean => /\.(?:safetensors|bin|gguf|parquet)$/u.test(path);
const PAGE = 3;

interface Commit {
  readonly sha: string;
  readonly files: ReadonlyMap<string, Buffer>;
}

const commitOf = (files: Readonly<Record<string, Buffer | string>>): Commit => {
  const entries = new Map(
    Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]),
  );
  const text = [...entries].map(([path, content]) => `${path} ${gitSha1(content)}\n`).join('');
  return { sha: createHash('sha1').update(text).digest('hex'), files: entries };
};

const answer = (
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
  body: Buffer | string = '',
): ServerResponse => {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
  return response.end(response.req.method === 'HEAD' ? undefined : body);
};

/** Content with its ranges and its faults. */
const sendContent = (
  request: IncomingMessage,
  response: ServerResponse,
  whole: Buffer,
  headers: Record<string, string>,
  fault: Fault | null,
): ServerResponse => {
  const content = Buffer.from(whole);
  if (fault?.kind === 'wrong-bytes' && content.length > 0) content[content.length - 1]! ^= 1;
  const from = /^bytes=(\d+)-$/u.exec(request.headers.range ?? '')?.[1];
  const ifRange = request.headers['if-range'];
  const stale = ifRange !== undefined && ifRange !== headers['etag'];
  const start = from === undefined || stale || fault?.kind === 'ignore-range' ? null : Number(from);
  if (start !== null && start >= content.length) {
    return answer(response, 416, { 'content-range': `bytes */${content.length}` });
  }
  const body = content.subarray(start ?? 0);
  const range: Record<string, string> =
    start === null
      ? {}
      : { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` };
  if (fault?.kind !== 'cut') {
    return answer(response, start === null ? 200 : 206, { ...headers, ...range }, body);
  }
  response.writeHead(start === null ? 200 : 206, {
    ...headers,
    ...range,
    'content-length': body.length,
  });
  response.write(body.subarray(0, fault.after), () => {
    // What has been written must leave before the connection breaks, else the client sees none of it.
    setImmediate(() => response.destroy());
  });
  return response;
};

const listen = async (server: Server): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

export const startHub = async (
  test: TestContext,
  repositories: readonly HostedRepository[],
): Promise<FakeHub> => {
  const commits = new Map<string, Map<string, Commit>>();
  const put = (id: string, branch: string, commit: Commit): void => {
    const known = commits.get(id) ?? new Map<string, Commit>();
    known.set(branch, commit);
    known.set(commit.sha, commit);
    commits.set(id, known);
  };
  for (const { id, branches } of repositories)
    for (const [branch, files] of Object.entries(branches)) put(id, branch, commitOf(files));
  const seen: Seen[] = [];
  const hub: FakeHub = {
    endpoint: '',
    seen,
    fault: () => null,
    commit: (id, branch = 'main') => commits.get(id)?.get(branch)?.sha ?? '',
    asked: (pattern) =>
      seen.filter(({ method, host, url }) => pattern.test(`${method} ${host} ${url}`)),
    push: (id, branch, files) => put(id, branch, commitOf(files)),
  };
  /** Notes the request; true where a fault has answered it. */
  const faulty = (
    host: Seen['host'],
    request: IncomingMessage,
    response: ServerResponse,
  ): Fault | null | 'answered' => {
    const { method = '', url = '', headers } = request;
    const one = { host, method, url, headers };
    seen.push(one);
    const fault = hub.fault(one);
    if (fault?.kind === 'status') answer(response, fault.status, fault.headers);
    else if (fault?.kind === 'body') answer(response, 200, {}, fault.body);
    else return fault;
    return 'answered';
  };

  const store = createServer((request, response) => {
    const fault = faulty('store', request, response);
    if (fault === 'answered') return;
    const wanted = request.url?.split('/').at(-1)?.split('?')[0] ?? '';
    for (const versions of commits.values())
      for (const { files } of versions.values())
        for (const content of files.values())
          if (sha256(content) === wanted) {
            // The store's own ETag, which is no digest of the content.
            sendContent(request, response, content, { etag: '"store-etag-1"' }, fault);
            return;
          }
    answer(response, 404);
  });
  const storeAddress = await listen(store);

  const main = createServer((request, response) => {
    const fault = faulty('hub', request, response);
    if (fault === 'answered') return;
    const url = new URL(request.url ?? '', 'http://hub');
    const path = decodeURIComponent(url.pathname);
    const refuse = (status: number, code: string): ServerResponse =>
      answer(response, status, { 'x-error-code': code });
    const hosted = repositories.find(({ type, id }) => {
      const prefix = type === 'model' ? '' : 'datasets/';
      return path.startsWith(`/api/${type}s/${id}/`) || path.startsWith(`/${prefix}${id}/resolve/`);
    });
    if (hosted === undefined) return refuse(404, 'RepoNotFound');
    const { type, id } = hosted;
    const versions = commits.get(id) ?? new Map<string, Commit>();
    const info = new RegExp(`^/api/${type}s/${id}/revision/(.+)$`, 'u').exec(path)?.[1];
    if (info !== undefined) {
      const commit = versions.get(info);
      if (commit === undefined) return refuse(404, 'RevisionNotFound');
      return answer(
        response,
        200,
        {},
        JSON.stringify({ id, sha: commit.sha, gated: hosted.gated ? 'auto' : false }),
      );
    }
    const tree = new RegExp(`^/api/${type}s/${id}/tree/(.+)$`, 'u').exec(path)?.[1];
    if (tree !== undefined) {
      const commit = versions.get(tree);
      if (commit === undefined) return refuse(404, 'RevisionNotFound');
      const folders = new Set(
        [...commit.files.keys()].flatMap((name) => (name.includes('/') ? name.split('/', 1) : [])),
      );
      const entries: object[] = [...folders].map((name) => ({
        type: 'directory',
        oid: '0'.repeat(40),
        path: name,
        size: 0,
      }));
      for (const [name, content] of commit.files) {
        const lfs = { oid: sha256(content), size: content.length, pointerSize: 134 };
        entries.push({
          type: 'file',
          path: name,
          size: content.length,
          oid: gitSha1(content),
          ...(isLfs(name) ? { lfs } : {}),
        });
      }
      const at = Number(url.searchParams.get('cursor') ?? '0');
      const next = new URL(`${hub.endpoint}${request.url ?? ''}`);
      next.searchParams.set('cursor', String(at + PAGE));
      const more: Record<string, string> =
        at + PAGE < entries.length ? { link: `<${next.href}>; rel="next"` } : {};
      return answer(response, 200, more, JSON.stringify(entries.slice(at, at + PAGE)));
    }
    const resolved = /\/resolve\/([^/]+)\/(.+)$/u.exec(path);
    const commit = versions.get(resolved?.[1] ?? '');
    if (commit === undefined) return refuse(404, 'RevisionNotFound');
    if (hosted.gated === true && request.headers.authorization === undefined)
      return refuse(401, 'GatedRepo');
    const content = commit.files.get(resolved?.[2] ?? '');
    if (content === undefined) return refuse(404, 'EntryNotFound');
    const common = { 'x-repo-commit': commit.sha };
    if (!isLfs(resolved?.[2] ?? ''))
      return sendContent(
        request,
        response,
        content,
        { ...common, etag: `"${gitSha1(content)}"` },
        fault,
      );
    return answer(response, 302, {
      ...common,
      'x-linked-etag': `"${sha256(content)}"`,
      'x-linked-size': String(content.length),
      location: `${storeAddress}/lfs/${sha256(content)}?signature=for-a-short-time`,
    });
  });
  const address = await listen(main);
  test.after(() => {
    for (const server of [main, store]) {
      server.close();
      server.closeAllConnections();
    }
  });
  return Object.assign(hub, { endpoint: address });
};
