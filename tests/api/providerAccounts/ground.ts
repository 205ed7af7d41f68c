import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { dataOf } from '../../support/campaigns';
import type { TestApi } from '../../support/api';
import type { TestTenant } from '../../support/factories';

export const accountsPath = '/api/v1/provider-accounts';

export const apiKey = 'SG.a-key-of-the-tests.that-nobody-may-see';

/** A SendGrid account as a caller writes it. */
export function sendGridBody(overrides: Record<string, unknown> = {}) {
  return {
    vendor: 'sendgrid',
    channel: 'email',
    name: 'Newsletter',
    credentials: { apiKey },
    senders: [{ address: 'Shop@Example.com', name: 'Bells & Co' }],
    ...overrides,
  };
}

export function smtpBody(overrides: Record<string, unknown> = {}) {
  return {
    vendor: 'smtp',
    channel: 'email',
    name: 'Own server',
    settings: { host: 'smtp.example.com' },
    credentials: { username: 'mailer', password: 'a password nobody may see' },
    ...overrides,
  };
}

export function twilioBody(overrides: Record<string, unknown> = {}) {
  return {
    vendor: 'twilio',
    channel: 'sms',
    name: 'Texts',
    settings: { accountSid: `AC${'0'.repeat(32)}` },
    credentials: { authToken: 'f'.repeat(32) },
    senders: [{ address: '+4930123456' }, { address: 'BELLS' }],
    ...overrides,
  };
}

export function metaBody(overrides: Record<string, unknown> = {}) {
  return {
    vendor: 'meta',
    channel: 'whatsapp',
    name: 'WhatsApp',
    settings: { phoneNumberId: '106540352242922', businessAccountId: '102290129340398' },
    credentials: {
      accessToken: 'EAAG-token',
      appSecret: 'e'.repeat(32),
      verifyToken: 'chosen-by-the-owner',
    },
    ...overrides,
  };
}

/** Writes an account through the API and answers its data. */
export async function postAccount(
  api: TestApi,
  { token }: Pick<TestTenant, 'token'>,
  json: object = sendGridBody(),
) {
  return dataOf(await api.send('post', accountsPath, { token, json }), 201);
}

/** One answer of the vendor's stand-in; null cuts the connection. */
export type VendorAnswer = {
  status: number;
  headers?: Record<string, string>;
  body: string;
} | null;

export interface VendorStandIn {
  url: string;
  /** What it was asked, with the headers. */
  asked: { path: string; headers: IncomingHttpHeaders }[];
  answer: VendorAnswer;
  close(): Promise<void>;
}

/** A server that answers every request the same. */
export async function startVendor(): Promise<VendorStandIn> {
  const asked: VendorStandIn['asked'] = [];
  const server = createServer((request, response) => {
    asked.push({ path: `${request.method} ${request.url}`, headers: request.headers });
    const { answer } = standIn;
    if (answer === null) {
      request.socket.destroy();
      return;
    }
    response.writeHead(answer.status, { 'Content-Type': 'application/json', ...answer.headers });
    response.end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('The stand-in listens on no port');
  }
  const standIn: VendorStandIn = {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    answer: null,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return standIn;
}
