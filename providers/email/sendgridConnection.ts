import sendgridClient from '@sendgrid/client';
import type { ConnectionOutcome } from '../../domain/messages/accounts/types';

export interface SendGridConnection {
  apiKey: string;
  region: 'global' | 'eu';
  /** In place of the region's address. */
  baseUrl?: string | undefined;
  timeoutMs: number;
}

// The package exports its class as a property of a shared instance, which its own types hide.
const { Client } = sendgridClient as unknown as { Client: new () => ScopesClient };

interface ScopesClient {
  setApiKey(apiKey: string): void;
  setDataResidency(region: string): void;
  /** Whatever is given goes to axios as it is. */
  setDefaultRequest(defaults: Record<string, unknown>): void;
  request(request: { method: 'GET'; url: string }): Promise<[{ statusCode: number }, unknown]>;
}

const maxAnswerBytes = 1024 * 1024;
const maxReasonLength = 300;

/** Asks SendGrid what the key may do (GET /v3/scopes), once. Nothing is sent or changed by it. */
export async function testSendGrid(connection: SendGridConnection): Promise<ConnectionOutcome> {
  const client = new Client();
  client.setApiKey(connection.apiKey);
  client.setDataResidency(connection.region);
  client.setDefaultRequest({
    timeout: connection.timeoutMs,
    maxRedirects: 0,
    maxContentLength: maxAnswerBytes,
    ...(connection.baseUrl === undefined ? {} : { baseUrl: connection.baseUrl }),
  });
  try {
    const [, body] = await client.request({ method: 'GET', url: '/v3/scopes' });
    return outcomeOf(body);
  } catch (error) {
    return failureOf(error, connection.apiKey);
  }
}

function outcomeOf(body: unknown): ConnectionOutcome {
  const scopes = isObject(body) ? body['scopes'] : undefined;
  if (!Array.isArray(scopes)) {
    return { kind: 'unreachable', reason: 'the answer is not one of SendGrid' };
  }
  return scopes.includes('mail.send')
    ? { kind: 'accepted' }
    : { kind: 'refused', reason: 'the key may not send mail: it lacks the scope mail.send' };
}

// The errors themselves hold the request with its key, so none of them is passed on.
function failureOf(error: unknown, apiKey: string): ConnectionOutcome {
  const reply = isObject(error) && isObject(error['response']) ? error['response'] : null;
  const code = isObject(error) ? error['code'] : undefined;
  if (reply === null || typeof code !== 'number') {
    return { kind: 'unreachable', reason: typeof code === 'string' ? code : 'no answer' };
  }
  const reason = `status ${code}: ${messageOf(reply['body'])}`
    .replaceAll(apiKey, '[key]')
    .slice(0, maxReasonLength);
  return { kind: code === 401 || code === 403 ? 'refused' : 'unreachable', reason };
}

function messageOf(body: unknown): string {
  const errors = isObject(body) ? body['errors'] : undefined;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  const message = isObject(first) ? first['message'] : undefined;
  // Postgres keeps no NUL, and a reason is one line.
  return typeof message === 'string' ? message.replace(/\p{Cc}/gu, ' ') : 'no reason given';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
