import { createPublicKey, verify } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import sendgridClient from '@sendgrid/client';
import sendgridMail from '@sendgrid/mail';
import { createLogger } from '../../lib/logger';
import { startSandbox, type Sandbox, type SandboxOptions } from '../../sandbox';

// The packages carry their classes as properties of a shared instance, which their types do not say.
const { Client } = sendgridClient as unknown as { Client: new () => typeof sendgridClient };
const { MailService } = sendgridMail as unknown as { MailService: new () => typeof sendgridMail };

export const API_KEY = 'SG.test-key';
export const quiet = createLogger({ name: 'sandbox-test', level: 'silent' });

const running: { close(): Promise<void> }[] = [];

/** A sandbox on a port of its own; closed by `closeAll`. */
export async function openSandbox(options: Partial<SandboxOptions> = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({ port: 0, logger: quiet, ...options });
  running.push(sandbox);
  return sandbox;
}

export async function closeAll(): Promise<void> {
  await Promise.all(running.splice(0).map((each) => each.close()));
}

/** The vendor's own client, pointed at the sandbox. */
export function mailClient(sandbox: Sandbox, apiKey = API_KEY): typeof sendgridMail {
  const client = new Client();
  client.setApiKey(apiKey);
  client.setDefaultRequest('baseUrl', sandbox.url);
  const service = new MailService();
  service.setClient(client);
  return service;
}

/** The smallest request the vendor accepts, with changes. */
export function mailRequest(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    from: { email: 'shop@example.com', name: 'Shop' },
    subject: 'Hello',
    personalizations: [{ to: [{ email: 'ana@example.com' }] }],
    content: [{ type: 'text/plain', value: 'Good morning' }],
    ...changes,
  };
}

export interface Answer {
  status: number;
  headers: Headers;
  errors: { message: string; field: string | null; help: string | null }[];
}

export async function sendRaw(
  sandbox: Sandbox,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${sandbox.url}/v3/mail/send`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${API_KEY}`,
      'content-type': 'application/json',
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const answer: { errors?: Answer['errors'] } = text === '' ? {} : JSON.parse(text);
  return { status: response.status, headers: response.headers, errors: answer.errors ?? [] };
}

/** Sends to these addresses, one personalization each. */
export function sendTo(sandbox: Sandbox, addresses: string[], changes = {}): Promise<Answer> {
  const personalizations = addresses.map((email) => ({ to: [{ email }] }));
  return sendRaw(sandbox, mailRequest({ personalizations, ...changes }));
}

/** JSON of the control API; typed by what the test looks at. */
export async function api<T = Record<string, unknown>>(
  sandbox: Sandbox,
  path: string,
  method = 'GET',
  body?: unknown,
): Promise<T> {
  const response = await fetch(`${sandbox.url}/api${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) {
    throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  }
  return JSON.parse(text === '' ? 'null' : text);
}

export const setFaults = (sandbox: Sandbox, plan: Record<string, unknown>) =>
  api(sandbox, '/faults', 'PUT', plan);

export interface PostedEvent {
  event: string;
  email: string;
  sg_event_id: string;
  sg_message_id: string;
  timestamp: number;
  [field: string]: unknown;
}

/**
 * A webhook of ours that keeps what it gets; `statuses` are its next answers, then 204. `answer`
 * makes the texts of 200s, where it has any.
 */
export async function openReceiver(publicKeyBase64?: string) {
  const posts: { events: PostedEvent[]; raw: string; signed: boolean }[] = [];
  const requests: { method: string; url: string; headers: IncomingHttpHeaders; body: string }[] =
    [];
  const statuses: number[] = [];
  const receiver: { answer: ((request: { url: string }) => string | null) | null } = {
    answer: null,
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      const { method = '', url = '', headers } = request;
      requests.push({ method, url, headers, body: raw.toString() });
      const text = receiver.answer?.({ url }) ?? null;
      response.statusCode = statuses.shift() ?? (text === null ? 204 : 200);
      if (url === '/events') {
        const signed = publicKeyBase64 ? isSigned(raw, headers, publicKeyBase64) : false;
        posts.push({ events: JSON.parse(raw.toString()), raw: raw.toString(), signed });
      }
      response.end(text ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  running.push({
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
  const address = server.address();
  const { port }: Pick<AddressInfo, 'port'> =
    typeof address === 'object' && address ? address : { port: 0 };
  const url = `http://127.0.0.1:${port}`;
  return Object.assign(receiver, {
    url,
    hook: `${url}/events`,
    posts,
    requests,
    statuses,
    events: () => posts.flatMap((post) => post.events),
  });
}

function isSigned(raw: Buffer, headers: IncomingHttpHeaders, publicKeyBase64: string): boolean {
  const key = createPublicKey({
    key: Buffer.from(publicKeyBase64, 'base64'),
    format: 'der',
    type: 'spki',
  });
  const timestamp = String(headers['x-twilio-email-event-webhook-timestamp']);
  const signature = String(headers['x-twilio-email-event-webhook-signature']);
  const signedBytes = Buffer.concat([Buffer.from(timestamp), raw]);
  return verify('sha256', signedBytes, key, Buffer.from(signature, 'base64'));
}

/** Waits until a condition holds, looking every few milliseconds. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  withinMs = 40_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      throw new Error(`did not come true within ${withinMs} ms: ${holds.toString()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
