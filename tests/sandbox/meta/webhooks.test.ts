import type { MessageEvent } from '../../../domain/messages/events';
import { readMetaWebhook } from '../../../providers/meta/events';
import {
  answerVerification,
  isSignedByMeta,
  signatureHeader,
} from '../../../providers/meta/signature';
import { DEMO_META_ACCOUNT, type Sandbox } from '../../../sandbox';
import { api, closeAll, eventually, openReceiver, openSandbox, setFaults } from '../support';
import { appSecret, idOf, phoneNumberId, run, sendMessage, text, verifyToken } from './support';

let sandbox: Sandbox;
let receiver: Awaited<ReturnType<typeof openReceiver>>;

beforeEach(async () => {
  receiver = await openReceiver();
  const webhookUrl = `${receiver.url}/meta`;
  sandbox = await openSandbox({ metaAccounts: [{ ...DEMO_META_ACCOUNT, webhookUrl }] });
});
afterEach(closeAll);

const flush = () => api<{ posted: number; failed: number }>(sandbox, '/events/flush', 'POST');
const send = (to: string, messageN = 7, changes: object = {}) =>
  sendMessage(sandbox, { to, biz_opaque_callback_data: `${run}.3.1.${messageN}`, ...changes });

/** What was posted so far, as our own code reads it. */
function posts() {
  return receiver.requests.map(({ headers, body }) => {
    const bytes = Buffer.from(body);
    const signature = String(headers[signatureHeader.toLowerCase()]);
    return {
      body,
      signed: isSignedByMeta(appSecret, bytes, signature),
      ...readMetaWebhook(JSON.parse(body), new Date()),
    };
  });
}

function events(): MessageEvent[] {
  return posts().flatMap(({ numbers }) => numbers.flatMap((number) => number.events));
}

test.each([
  ['+49301234567', ['processed', 'delivered']],
  ['+15010000001', []],
  ['+15011000001', ['processed']],
  ['+15012000001', ['processed', 'delivered', 'opened']],
  ['+15001310269', ['dropped']],
])('a message to %s is told of as %j', async (to, kinds) => {
  const id = idOf(await send(to));
  await flush();
  expect(events()).toMatchObject(
    kinds.map((kind) => ({ kind, runId: run, dispatchN: 3, attempt: 1, messageN: 7 })),
  );
  expect(events().every(({ providerEventId }) => providerEventId.startsWith(`${id}:`))).toBe(true);
  expect(posts().every(({ signed }) => signed)).toBe(true);
  expect(posts().flatMap(({ numbers }) => numbers.map((number) => number.phoneNumberId))).toEqual(
    posts().map(() => phoneNumberId),
  );
});

test('an error comes with its code, and suppresses who wants no more', async () => {
  await send('+15001310505');
  await flush();
  expect(events()).toMatchObject([
    {
      kind: 'dropped',
      suppress: { address: '+15001310505', reason: 'unsubscribed', channel: 'whatsapp' },
      detail: { reason: '131050', status: 'failed' },
    },
  ]);
});

test('a free text is not delivered until its customer has written, and only by this number', async () => {
  const write = (from: string) => api(sandbox, '/meta/inbound', 'POST', { from, body: 'Hello' });
  await send('+49301234567', 1, text('Before'));
  await write('+49309999999');
  await send('+49301234567', 2, text('Another wrote'));
  await write('+49301234567');
  await send('+49301234567', 3, text('After'));
  await flush();
  const told = events().map(({ messageN, kind, detail }) => [messageN, kind, detail.reason ?? '']);
  expect(told).toEqual(
    expect.arrayContaining([
      [1, 'dropped', '131047'],
      [2, 'dropped', '131047'],
      [3, 'processed', ''],
      [3, 'delivered', ''],
    ]),
  );
  expect(told).toHaveLength(4);
});

test('statuses of many messages come together, and those of each number apart', async () => {
  const other = { ...DEMO_META_ACCOUNT, phoneNumberId: '300000000000001' };
  const webhookUrl = `${receiver.url}/meta`;
  sandbox = await openSandbox({
    metaAccounts: [DEMO_META_ACCOUNT, other].map((account) => ({ ...account, webhookUrl })),
  });
  await setFaults(sandbox, { eventsHold: true });
  for (let n = 1; n <= 30; n += 1) {
    await send('+49301234567', n);
  }
  await fetch(`${sandbox.url}/v25.0/${other.phoneNumberId}/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${other.accessToken}` },
    body: JSON.stringify({
      messaging_product: 'whatsapp',
      to: '+49301234567',
      type: 'template',
      template: { name: 'a', language: { code: 'de' } },
    }),
  });
  await flush();
  expect(events()).toHaveLength(60);
  expect(receiver.requests.length).toBeLessThan(10);
  const numbers = posts().map((post) => post.numbers.map((number) => number.phoneNumberId));
  expect(new Set(numbers.flat())).toEqual(new Set([phoneNumberId, other.phoneNumberId]));
  expect(numbers.every((each) => each.length === 1)).toBe(true);
});

test('statuses that were not taken come again, and are the same events', async () => {
  receiver.statuses.push(500);
  await send('+49301234567');
  await eventually(() => receiver.requests.length === 3);
  expect(new Set(events().map(({ providerEventId }) => providerEventId)).size).toBe(2);
});

test('held, doubled and shuffled statuses are the same events in the end', async () => {
  await setFaults(sandbox, {
    eventsHold: true,
    eventsDuplicate: 1,
    eventsShuffle: true,
    seed: 'meta',
  });
  for (let n = 1; n <= 12; n += 1) {
    await send('+49301234567', n);
  }
  expect(receiver.requests).toHaveLength(0);
  await flush();
  expect(events()).toHaveLength(48);
  const ids = events().map(({ providerEventId }) => providerEventId);
  expect(new Set(ids).size).toBe(24);
  const kinds = events().map(({ kind }) => kind);
  expect(kinds.indexOf('delivered')).toBeLessThan(kinds.lastIndexOf('processed'));
});

describe('an address for webhooks', () => {
  const setWebhook = (url: string | null, number?: string) =>
    api(sandbox, '/meta/webhook', 'PUT', { url, ...(number ? { phoneNumberId: number } : {}) });

  test('is asked first, as our own code answers', async () => {
    await setWebhook(null);
    receiver.answer = ({ url }) => {
      const query = new URL(url, receiver.url).searchParams;
      const field = (name: string) => query.get(`hub.${name}`) ?? '';
      return answerVerification(verifyToken, {
        mode: field('mode'),
        verifyToken: field('verify_token'),
        challenge: field('challenge'),
      });
    };
    await setWebhook(`${receiver.url}/meta?a=1`);
    const [asked] = receiver.requests.splice(0);
    expect([asked?.method, asked?.url]).toEqual([
      'GET',
      expect.stringMatching(/^\/meta\?a=1&hub\.mode=subscribe&/),
    ]);
    await send('+49301234567');
    await flush();
    expect(receiver.requests.map(({ url }) => url)).toEqual(['/meta?a=1', '/meta?a=1']);
  });

  test('that does not answer is not taken', async () => {
    await setWebhook(null);
    await expect(setWebhook(`${receiver.url}/other`)).rejects.toThrow('502');
    await expect(setWebhook('http://127.0.0.1:9/')).rejects.toThrow('502');
    await expect(setWebhook('nowhere')).rejects.toThrow('400');
    await expect(setWebhook(null, '1')).rejects.toThrow('404');
    receiver.requests.length = 0;
    await send('+49301234567');
    expect(await flush()).toEqual({ posted: 0, failed: 0 });
  });
});

describe('a customer who writes', () => {
  const write = (message: object = {}) =>
    api<{ id: string; status: number }>(sandbox, '/meta/inbound', 'POST', {
      from: '+49301234567',
      body: 'STOP',
      ...message,
    });
  const received = () =>
    posts().flatMap(({ numbers, signed }) =>
      signed ? numbers.flatMap((number) => number.inbound) : [],
    );

  test('is heard, signed, and understood', async () => {
    const { id, status } = await write();
    expect(status).toBe(204);
    expect(received()).toEqual([
      {
        channel: 'whatsapp',
        providerMessageId: id,
        from: '+49301234567',
        to: `+${DEMO_META_ACCOUNT.displayPhoneNumber}`,
        body: 'STOP',
        media: [],
        writtenAt: expect.any(Date),
        optOut: 'stop',
      },
    ]);
  });

  test('in any script: what is posted is ASCII, as the vendor signs it', async () => {
    await write({ body: 'Grüße 🔔' });
    expect(posts()[0]?.body).toMatch(/^[\x20-\x7e]+$/);
    expect(received()).toMatchObject([{ body: 'Grüße 🔔' }]);
  });

  test('by a button, and with a picture', async () => {
    await write({ body: 'Abmelden', buttonPayload: 'STOP' });
    await write({ body: 'Look', mediaType: 'image' });
    expect(received()).toMatchObject([
      { body: 'Abmelden', optOut: 'stop', media: [] },
      { body: 'Look', optOut: null, media: [{ id: expect.any(String), type: 'image/sandbox' }] },
    ]);
  });

  test('can stop marketing in WhatsApp itself', async () => {
    await api(sandbox, '/meta/preference', 'POST', { from: '+49301234567', value: 'stop' });
    expect(events()).toMatchObject([
      { kind: 'unsubscribed', runId: null, suppress: { address: '+49301234567' } },
    ]);
  });

  test('to a webhook that is not there is told so, and to none has written all the same', async () => {
    await expect(write({ url: 'http://127.0.0.1:9/' })).rejects.toThrow('502');
    await expect(write({ phoneNumberId: '1' })).rejects.toThrow('404');
    await expect(write({ from: 'nobody' })).rejects.toThrow('400');
    const silent = await openSandbox();
    const told = await api(silent, '/meta/inbound', 'POST', { from: '+49301234567' });
    expect(told).toMatchObject({ status: null });
  });
});
