import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { createWebhookKeys } from '../../../sandbox';
import { startTestApi, type TestApi } from '../../support/api';
import { deliver, signatureOf, type DeliveryOptions } from './delivery';
import { written } from './written';

const keys = createWebhookKeys();
const { privateKeyPem } = keys;
let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({
    config: loadConfig([], {
      NODE_ENV: 'test',
      SENDGRID_WEBHOOK_PUBLIC_KEY: keys.publicKeyBase64,
    }),
  });
});

afterAll(() => api.stop());

interface Delivery extends Partial<DeliveryOptions> {
  body?: string;
}

const timestampHeader = 'X-Twilio-Email-Event-Webhook-Timestamp';
const mebibyte = 1024 * 1024;

// What is told, the status, the code, what is delivered. An address of its own, so that a forged
// complaint could stop somebody.
const refused: [string, number, string, () => Delivery][] = [
  ['no signature', 401, 'invalidSignature', () => ({ signature: '' })],
  ['a signature that is none', 401, 'invalidSignature', () => ({ signature: 'not a signature' })],
  [
    'a signature of nothing',
    401,
    'invalidSignature',
    () => ({ signature: signatureOf('', { timestamp: now(), privateKeyPem }) }),
  ],
  ['another key', 401, 'invalidSignature', () => createWebhookKeys()],
  [
    'a body changed by one byte',
    401,
    'invalidSignature',
    () => {
      const timestamp = now();
      const body = complaint();
      return {
        body: body.replace('spamreport', 'spamreporT'),
        timestamp,
        signature: signatureOf(body, { timestamp, privateKeyPem }),
      };
    },
  ],
  [
    'a body one byte longer',
    401,
    'invalidSignature',
    () => {
      const timestamp = now();
      const body = complaint();
      return {
        body: `${body}\n`,
        timestamp,
        signature: signatureOf(body, { timestamp, privateKeyPem }),
      };
    },
  ],
  ['no timestamp', 401, 'invalidSignature', () => ({ timestamp: '' })],
  ['a timestamp that is no number', 401, 'invalidSignature', () => ({ timestamp: '1e9' })],
  [
    'the timestamp of another delivery',
    401,
    'invalidSignature',
    () => ({ headers: { [timestampHeader]: now(-1) } }),
  ],
  [
    'a digit moved from the body to the timestamp',
    401,
    'invalidSignature',
    () => {
      const timestamp = now();
      return {
        body: complaint(),
        timestamp: `${timestamp}1`,
        signature: signatureOf(`1${complaint()}`, { timestamp, privateKeyPem }),
      };
    },
  ],
  ['a recording of 26 hours ago', 401, 'staleSignature', () => ({ timestamp: now(-26 * 3600) })],
  ['a timestamp an hour ahead', 401, 'staleSignature', () => ({ timestamp: now(3600) })],
  ['broken JSON', 400, 'malformedJson', () => ({ body: '[{"event":"spamreport"' })],
  ['no body', 400, 'malformedJson', () => ({ body: '' })],
  ['an object', 400, 'notAnArray', () => ({ body: '{"event":"spamreport"}' })],
  ['a number', 400, 'notAnArray', () => ({ body: '7' })],
  ['too many events', 400, 'tooManyEvents', () => ({ body: `[${'0,'.repeat(20_000)}0]` })],
  ['a byte over 5 MiB', 413, 'bodyTooLarge', () => ({ body: sized(5 * mebibyte + 1) })],
  ['10 MB', 413, 'bodyTooLarge', () => ({ body: sized(10_000_000) })],
  [
    'plain text',
    415,
    'unsupportedMediaType',
    () => ({ headers: { 'Content-Type': 'text/plain' } }),
  ],
  [
    'a form',
    415,
    'unsupportedMediaType',
    () => ({ headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }),
  ],
  [
    'a packed body',
    415,
    'unsupportedMediaType',
    () => ({ headers: { 'Content-Encoding': 'gzip' } }),
  ],
];

test.each(refused)('%s: %d %s, and nothing is written', async (_name, status, code, delivery) => {
  const before = await written(api);
  const { body, ...options } = delivery();
  const answer = await deliver(api, body ?? complaint(), { privateKeyPem, ...options });
  expect([answer.status, answer.body.code]).toEqual([status, code]);
  expect(await written(api)).toEqual(before);
});

test('a replay is answered like the first delivery and writes nothing', async () => {
  const timestamp = now();
  const body = complaint();
  const recorded = {
    privateKeyPem,
    timestamp,
    signature: signatureOf(body, { timestamp, privateKeyPem }),
  };
  const first = await deliver(api, body, recorded);
  expect([first.status, first.body.data]).toEqual([200, { received: 1, stored: 1, skipped: 0 }]);
  const before = await written(api);
  const second = await deliver(api, body, recorded);
  expect([second.status, second.body.data]).toEqual([200, { received: 1, stored: 0, skipped: 0 }]);
  expect(await written(api)).toEqual(before);
});

test('a delivery of no events is fine and writes nothing', async () => {
  const before = await written(api);
  const answer = await deliver(api, [], { privateKeyPem });
  expect([answer.status, answer.body.data]).toEqual([200, { received: 0, stored: 0, skipped: 0 }]);
  expect(await written(api)).toEqual(before);
});

function complaint(): string {
  const event = { email: 'someone@example.com', event: 'spamreport', sg_event_id: newId() };
  return `${JSON.stringify([event])}\r\n`;
}

function sized(bytes: number): string {
  return `["${'x'.repeat(bytes - 4)}"]`;
}

function now(laterBySeconds = 0): string {
  return String(Math.floor(Date.now() / 1000) + laterBySeconds);
}
