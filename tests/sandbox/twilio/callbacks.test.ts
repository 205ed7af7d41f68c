import { readInboundMessage, readStatusCallback } from '../../../providers/twilio/events';
import {
  fieldOf,
  isSignedByTwilio,
  parametersOf,
  signatureHeader,
} from '../../../providers/twilio/signature';
import type { MessageEvent } from '../../../domain/messages/events';
import { createWebhookKeys, type Sandbox } from '../../../sandbox';
import {
  api,
  closeAll,
  eventually,
  openReceiver,
  openSandbox,
  sendTo,
  setFaults,
} from '../support';
import { authToken, createMessage } from './support';

let sandbox: Sandbox;
let receiver: Awaited<ReturnType<typeof openReceiver>>;

beforeEach(async () => {
  sandbox = await openSandbox();
  receiver = await openReceiver();
});
afterEach(closeAll);

const run = '019a9d00-0000-7000-8000-00000000000a';
const hookOf = (messageN: number) => `${receiver.url}/twilio?k=${run}.3.1.${messageN}`;
const flush = () => api<{ posted: number; failed: number }>(sandbox, '/events/flush', 'POST');

/** The callbacks so far, as our own code reads what the stand-in posted. */
function callbacks() {
  return receiver.requests.map(({ url, headers, body }) => {
    const parameters = parametersOf(Buffer.from(body));
    const address = receiver.url + url;
    const signature = String(headers[signatureHeader.toLowerCase()]);
    return {
      status: fieldOf(parameters, 'MessageStatus'),
      signed: isSignedByTwilio(authToken, { signature, url: address, parameters }),
      event: readStatusCallback({ url: address, parameters, receivedAt: new Date() }),
    };
  });
}

function events(): MessageEvent[] {
  return callbacks().flatMap(({ event }) => (typeof event === 'string' ? [] : [event]));
}

test.each([
  ['+49301234567', ['sent', 'delivered'], ['processed', 'delivered']],
  ['+15010000001', [], []],
  ['+15011000001', ['sent'], ['processed']],
  ['+15012000001', ['sent', 'delivered', 'read'], ['processed', 'delivered', 'opened']],
  ['+15003000300', ['sent', 'undelivered'], ['processed', 'bounced']],
  ['+15003000500', ['sent', 'undelivered'], ['processed', 'bounced']],
  ['+15006301600', ['failed'], ['dropped']],
])('a message to %s is told of as %j', async (to, statuses, kinds) => {
  await createMessage(sandbox, { To: to, StatusCallback: hookOf(7) });
  await flush();
  expect(callbacks().map(({ status }) => status)).toEqual(statuses);
  expect(callbacks().every(({ signed }) => signed)).toBe(true);
  expect(events()).toMatchObject(kinds.map((kind) => ({ kind, runId: run, messageN: 7 })));
});

test('an error comes with its code, and suppresses the number that does not exist', async () => {
  await createMessage(sandbox, { To: '+15003000500', StatusCallback: hookOf(1) });
  await flush();
  expect(events().at(-1)).toMatchObject({
    suppress: { address: '+15003000500', reason: 'invalid', channel: 'sms' },
    detail: { reason: '30005', status: 'undelivered' },
  });
});

test('a pool tells that it queued, and a WhatsApp message its channel', async () => {
  await createMessage(sandbox, {
    To: 'whatsapp:+49301234567',
    From: undefined,
    MessagingServiceSid: `MG${'a'.repeat(32)}`,
    StatusCallback: hookOf(1),
  });
  await flush();
  expect(callbacks().map(({ status }) => status)).toEqual(['queued', 'sent', 'delivered']);
  expect(events().at(-1)?.detail).toMatchObject({ type: 'whatsapp' });
});

test('a message without a callback address tells nothing', async () => {
  await createMessage(sandbox);
  expect(await flush()).toEqual({ posted: 0, failed: 0 });
});

test('what follows # stays with the vendor, and the signature holds', async () => {
  await createMessage(sandbox, { StatusCallback: `${hookOf(1)}#rc=3&rt=5000` });
  await flush();
  expect(callbacks().map(({ signed }) => signed)).toEqual([true, true]);
});

test('callbacks that were not taken come again, and are the same events', async () => {
  receiver.statuses.push(500);
  await createMessage(sandbox, { StatusCallback: hookOf(1) });
  await eventually(() => receiver.requests.length === 3);
  expect(new Set(events().map(({ providerEventId }) => providerEventId)).size).toBe(2);
});

test('held, doubled and shuffled callbacks are the same events in the end', async () => {
  await setFaults(sandbox, {
    eventsHold: true,
    eventsDuplicate: 1,
    eventsShuffle: true,
    seed: 'twilio',
  });
  for (let n = 1; n <= 12; n += 1) {
    await createMessage(sandbox, { To: `+4930123450${n}`, StatusCallback: hookOf(n) });
  }
  expect(receiver.requests).toHaveLength(0);
  await flush();
  expect(receiver.requests).toHaveLength(48);
  const ids = events().map(({ providerEventId }) => providerEventId);
  expect(new Set(ids).size).toBe(24);
  const kinds = events().map(({ kind }) => kind);
  expect(kinds.indexOf('delivered')).toBeLessThan(kinds.lastIndexOf('processed'));
});

test('events of SendGrid that are not taken hold no callback up', async () => {
  const keys = createWebhookKeys();
  const webhook = { url: `${receiver.url}/events`, privateKeyPem: keys.privateKeyPem };
  const both = await openSandbox({ webhook });
  const other = await openReceiver();
  await setFaults(both, { eventsHold: true });
  await sendTo(both, ['ana@example.com']);
  await createMessage(both, { StatusCallback: `${other.url}/twilio?k=${run}.3.1.1` });
  receiver.statuses.push(503, 503);
  expect(await api(both, '/events/flush', 'POST')).toEqual({ posted: 2, failed: 2 });
  expect([receiver.requests.length, other.requests.length]).toEqual([2, 2]);
});

describe('a customer who writes', () => {
  const write = (message: Record<string, unknown>) =>
    api<{ sid: string; status: number }>(sandbox, '/twilio/inbound', 'POST', {
      url: `${receiver.url}/inbound`,
      from: '+49301234567',
      to: '+15005550006',
      body: 'STOP',
      ...message,
    });
  const received = () => {
    const [request] = receiver.requests;
    const parameters = parametersOf(Buffer.from(request?.body ?? ''));
    const signature = String(request?.headers[signatureHeader.toLowerCase()]);
    const url = `${receiver.url}/inbound`;
    return {
      message: readInboundMessage(parameters),
      signed: isSignedByTwilio(authToken, { signature, url, parameters }),
    };
  };

  test('is heard, signed, and understood', async () => {
    const { sid, status } = await write({});
    expect(status).toBe(204);
    expect(received()).toEqual({
      signed: true,
      message: {
        channel: 'sms',
        providerMessageId: sid,
        from: '+49301234567',
        to: '+15005550006',
        body: 'STOP',
        media: [],
        writtenAt: null,
        optOut: 'stop',
      },
    });
  });

  test('on WhatsApp, with a picture and words of their own for it', async () => {
    await write({
      from: 'whatsapp:+49301234567',
      to: 'whatsapp:+15005550006',
      body: 'Lasst mich in Ruhe',
      optOutType: 'STOP',
      mediaUrls: ['https://media.example/1'],
    });
    expect(received().message).toMatchObject({
      channel: 'whatsapp',
      from: '+49301234567',
      optOut: 'stop',
      media: [{ url: 'https://media.example/1', type: 'application/octet-stream' }],
    });
  });

  test('to a webhook that is not there is told so', async () => {
    await expect(write({ url: 'http://127.0.0.1:9/' })).rejects.toThrow('502');
    await expect(write({ accountSid: 'AC1' })).rejects.toThrow('404');
    await expect(write({ url: 'nowhere' })).rejects.toThrow('400');
  });
});
