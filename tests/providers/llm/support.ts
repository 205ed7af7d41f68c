import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ChatCall } from '../../../domain/llm/types';
import { LlmAttemptError, type LlmFailure } from '../../../domain/llm/failures';
import type { CallOptions, LlmCredentials } from '../../../providers/llm/types';

export const apiKey = 'sk-or-v1-c0ffee4b1d9a7e2f5c68';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
  /** Resolves once the connection it came by is closed before it was answered. */
  readonly gone: Promise<void>;
}

/** A vendor of our own that answers as each test says, and keeps what it was asked. */
export async function openVendor() {
  const asked: Asked[] = [];
  let answer: (response: ServerResponse, request: Asked) => void = () => undefined;
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    const gone = new Promise<void>((resolve) => {
      response.once('close', () => !response.writableFinished && resolve());
    });
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const one: Asked = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: text === '' ? {} : JSON.parse(text),
        gone,
      };
      asked.push(one);
      answer(response, one);
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const credentials: LlmCredentials = { baseUrl: `http://127.0.0.1:${port}/api/v1`, apiKey };
  return {
    asked,
    port,
    credentials,
    connections: () => connections,
    answers(next: typeof answer) {
      asked.length = 0;
      answer = next;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type Vendor = Awaited<ReturnType<typeof openVendor>>;

export function answerJson(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

export function beginStream(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write(': OPENROUTER PROCESSING\n\n');
}

export function event(data: unknown): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

export function chunk(delta: object, finish: string | null = null, more: object = {}) {
  return {
    id: 'gen-1',
    model: 'vendor/model',
    choices: [{ index: 0, delta, finish_reason: finish }],
    ...more,
  };
}

export const usage = {
  prompt_tokens: 12,
  completion_tokens: 34,
  total_tokens: 46,
  cost: 0.0001235,
  prompt_tokens_details: { cached_tokens: 5 },
  completion_tokens_details: { reasoning_tokens: 7 },
};

export const usageSeen = {
  promptTokens: 12,
  completionTokens: 34,
  cachedTokens: 5,
  reasoningTokens: 7,
  costMicros: 124,
};

export function reply(message: object, finish = 'stop', more: object = {}) {
  return {
    id: 'gen-1',
    model: 'vendor/model',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }],
    usage,
    ...more,
  };
}

export const prompt = 'Write two lines about the winter sale of a shop for bicycles in Utrecht.';

export function chatCall(more: Partial<ChatCall> = {}): ChatCall {
  return {
    model: 'vendor/model',
    messages: [{ role: 'user', content: prompt }],
    maxTokens: 500,
    temperature: null,
    tools: [],
    schema: null,
    sessionId: null,
    endUser: null,
    cachesPrompt: false,
    ...more,
  };
}

export function limits(more: Partial<CallOptions> = {}): CallOptions {
  return {
    signal: new AbortController().signal,
    timeoutMs: 30_000,
    firstTokenMs: 20_000,
    idleMs: 20_000,
    ...more,
  };
}

/** The failure of a call that must fail. Nothing of the key and of the prompt is in it. */
export async function failureOf(call: Promise<unknown>): Promise<LlmFailure> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof LlmAttemptError)) {
    throw new Error(`not a failed attempt: ${String(error)}`);
  }
  const all = `${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
  expect(all).not.toContain(apiKey);
  expect(all).not.toContain(prompt.slice(0, 40));
  return error.failure;
}

export async function collect<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const piece of pieces) {
    all.push(piece);
  }
  return all;
}
