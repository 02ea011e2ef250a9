// A server on the loopback that speaks OpenAI's protocol: answers by a rule, after the faults it is told to make.

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

/** What the server does instead of answering. */
export type Fault =
  | { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
  /** The connection breaks. */
  | 'reset'
  /** Nothing is ever answered. */
  | 'silence'
  | { readonly text: string };

export interface FakeServer {
  readonly url: string;
  readonly seen: Seen[];
  /** Taken from the front, one a request. */
  readonly faults: (Fault | null)[];
  /** Most requests that were open at once. */
  readonly most: number;
  answer: (seen: Seen) => unknown;
  close(): Promise<void>;
}

export const chatAnswer = (content: string, finish = 'stop'): unknown => ({
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: finish }],
  usage: { prompt_tokens: 5, completion_tokens: 3 },
});

/** Echoes the prompt as tokens of two characters, each with log-probability -(its length), and one more that was made. */
export const echoAnswer = ({ body }: Seen): unknown => {
  const prompt = body['prompt'];
  const tokens = Array.isArray(prompt)
    ? prompt.map((id) => `<${String(id)}>`)
    : (String(prompt).match(/[\s\S]{1,2}/gu) ?? []);
  const all = [...tokens, '!'];
  return {
    choices: [
      {
        text: all.join(''),
        logprobs: {
          tokens: all,
          token_logprobs: all.map((token, index) => (index === 0 ? null : -token.length)),
          top_logprobs: all.map((token, index) =>
            index === 0 ? null : { [token]: -token.length, other: token === 'zz' ? -0.5 : -99 },
          ),
        },
        finish_reason: 'length',
      },
    ],
    usage: { prompt_tokens: tokens.length, completion_tokens: 1 },
  };
};

const misbehave = (fault: Fault, response: ServerResponse): void => {
  if (fault === 'silence') return;
  if (fault === 'reset') response.socket?.resetAndDestroy();
  else if ('text' in fault) response.end(fault.text);
  else response.writeHead(fault.status, fault.headers).end(fault.body);
};

export const fakeServer = async (answer: (seen: Seen) => unknown): Promise<FakeServer> => {
  let open = 0;
  let most = 0;
  const server = createServer((request, response) => {
    open += 1;
    most = Math.max(most, open);
    response.on('close', () => (open -= 1));
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
      const seen = { path: request.url ?? '', headers: request.headers, body };
      fake.seen.push(seen);
      const fault = fake.faults.shift() ?? null;
      if (fault !== null) misbehave(fault, response);
      else response.end(JSON.stringify(fake.answer(seen)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakeServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen: [],
    faults: [],
    get most() {
      return most;
    },
    answer,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
  return fake;
};
