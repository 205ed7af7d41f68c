import { readInboundMessage, readStatusCallback } from '../../../providers/twilio/events';
import { callbackUrlOf, readCallbackKey } from '../../../providers/twilio/callbackKey';
import { isLaterStatus } from '../../../providers/twilio/statuses';

const receivedAt = new Date('2026-11-21T09:30:20.000Z');
const sid = `SM${'0a'.repeat(16)}`;
const reference = {
  runId: '019a9d00-0000-7000-8000-000000000001',
  dispatchN: 4,
  attempt: 2,
  messageN: 901,
};
const hook = 'https://carillon.example/webhooks/twilio/acc';
const url = callbackUrlOf(hook, reference);

const read = (parameters: Record<string, string>, at = url) =>
  readStatusCallback({
    url: at,
    parameters: { MessageSid: sid, To: '+4930123456', From: '+15005550006', ...parameters },
    receivedAt,
  });

test('a callback becomes an event of the message it was sent for', () => {
  expect(read({ MessageStatus: 'delivered', ChannelPrefix: 'sms' })).toEqual({
    providerEventId: `${sid}:delivered`,
    source: 'twilio',
    ...reference,
    kind: 'delivered',
    occurredAt: receivedAt,
    suppress: null,
    machine: false,
    detail: { status: 'delivered', providerMessageId: sid, type: 'sms' },
  });
});

test.each([
  ['queued', 'processed'],
  ['sending', 'processed'],
  ['sent', 'processed'],
  ['partially_delivered', 'processed'],
  ['delivered', 'delivered'],
  ['read', 'opened'],
  ['undelivered', 'bounced'],
  ['failed', 'dropped'],
  ['canceled', 'dropped'],
])('%s is %s', (status, kind) => {
  expect(read({ MessageStatus: status })).toMatchObject({ kind, ...reference });
});

test.each([
  ['21610', 'unsubscribed', 'sms', '+4930123456'],
  ['63014', 'unsubscribed', 'whatsapp', 'whatsapp:+4930123456'],
  ['30005', 'invalid', 'sms', '+4930123456'],
  ['30006', 'invalid', 'sms', '+4930123456'],
  ['63024', 'invalid', 'whatsapp', 'whatsapp:+4930123456'],
])('error %s suppresses the number: %s on %s', (code, reason, channel, to) => {
  expect(read({ MessageStatus: 'undelivered', ErrorCode: code, To: to })).toMatchObject({
    suppress: { address: '+4930123456', reason, channel },
    detail: { reason: code },
  });
});

test.each(['30003', '30007', '30008', '63016', '63049', '99999', 'x', ''])(
  'error %p suppresses nobody',
  (code) => {
    expect(read({ MessageStatus: 'undelivered', ErrorCode: code })).toMatchObject({
      suppress: null,
    });
  },
);

test('a callback without our key counts for what it says of the number alone', () => {
  expect(read({ MessageStatus: 'delivered' }, hook)).toBe('notOurs');
  expect(read({ MessageStatus: 'undelivered', ErrorCode: '30005' }, hook)).toMatchObject({
    runId: null,
    messageN: null,
    suppress: { reason: 'invalid' },
  });
});

test.each([
  ['no id', { MessageSid: '', MessageStatus: 'sent' }, 'unreadable'],
  ['an id of something else', { MessageSid: 'CA123', MessageStatus: 'sent' }, 'unreadable'],
  ['no status', {}, 'unreadable'],
  ['a new status', { MessageStatus: 'teleported' }, 'unknownKind'],
  ['an inbound one', { MessageStatus: 'received' }, 'unknownKind'],
])('%s is passed over', (_, parameters, reason) => {
  expect(read(parameters)).toBe(reason);
});

test.each([
  ['the carrier’s time, to the end of its minute', '2611210915', '2026-11-21T09:16:00.000Z'],
  ['the minute that is not over yet', '2611210930', receivedAt.toISOString()],
  ['the future', '2611220915', receivedAt.toISOString()],
  ['long ago', '2001010000', receivedAt.toISOString()],
  ['nonsense', 'yesterday!', receivedAt.toISOString()],
])('a receipt of %s', (_, date, instant) => {
  expect(read({ MessageStatus: 'delivered', RawDlrDoneDate: date })).toMatchObject({
    occurredAt: new Date(instant),
  });
});

test.each([
  null,
  '',
  'hello',
  `${reference.runId}.1.1`,
  `${reference.runId}.0.1.1`,
  `${reference.runId}.1.1.2147483648`,
  `${reference.runId}.1.1.1.1`,
  `${'z'.repeat(36)}.1.1.1`,
])('the key %p is not ours', (key) => {
  expect(readCallbackKey(key)).toBeNull();
});

test('our key keeps the query of the address', () => {
  expect(callbackUrlOf(`${hook}?a=1&b=%20#rc=2`, reference)).toBe(
    `${hook}?a=1&b=+&k=${reference.runId}.4.2.901#rc=2`,
  );
});

test.each([
  ['sent', null, true],
  ['delivered', 'sent', true],
  ['sent', 'delivered', false],
  ['delivered', 'undelivered', true],
  ['undelivered', 'delivered', false],
  ['read', 'delivered', true],
  ['delivered', 'delivered', false],
  ['unheard', null, false],
  ['queued', 'unheard', true],
])('%s after %s moves forward: %s', (status, known, expected) => {
  expect(isLaterStatus(status, known)).toBe(expected);
});

describe('an inbound message', () => {
  const inbound = { MessageSid: sid, From: '+4930123456', To: '+15005550006', Body: 'Hello' };

  test('is read with its channel, numbers and media', () => {
    expect(
      readInboundMessage({
        ...inbound,
        From: 'whatsapp:+4930123456',
        To: 'whatsapp:+15005550006',
        NumMedia: '1',
        MediaUrl0: 'https://api.twilio.example/m/1',
        MediaContentType0: 'image/jpeg',
      }),
    ).toEqual({
      channel: 'whatsapp',
      providerMessageId: sid,
      from: '+4930123456',
      to: '+15005550006',
      body: 'Hello',
      media: [{ url: 'https://api.twilio.example/m/1', type: 'image/jpeg' }],
      writtenAt: null,
      optOut: null,
    });
  });

  test.each([
    [{ Body: 'Stop' }, 'stop'],
    [{ Body: 'UNSTOP' }, 'start'],
    [{ Body: 'help' }, 'help'],
    [{ Body: 'Adios', OptOutType: 'STOP' }, 'stop'],
    [{ Body: 'stop it there' }, null],
  ])('%p wishes %p', (fields, optOut) => {
    expect(readInboundMessage({ ...inbound, ...fields })).toMatchObject({ optOut });
  });

  test.each([[{ MessageSid: '' }], [{ From: '' }], [{ To: '' }], [{ From: 'whatsapp:' }]])(
    'without %p it is none',
    (fields) => {
      expect(readInboundMessage({ ...inbound, ...fields })).toBeNull();
    },
  );
});
