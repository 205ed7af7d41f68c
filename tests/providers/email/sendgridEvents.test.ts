import { readSendGridEvents } from '../../../providers/email/sendgridEvents';

const receivedAt = new Date('2026-11-20T12:00:00Z');
const runId = '0193f000-0000-7000-8000-000000000001';
const ours = { carillon_r: runId, carillon_d: '12.3', carillon_m: '4567' };
const seconds = 1_790_000_000;

function read(fields: Record<string, unknown>) {
  const item = {
    email: 'ana@example.com',
    timestamp: seconds,
    event: 'delivered',
    sg_event_id: 'event-1',
    ...ours,
    ...fields,
  };
  return readSendGridEvents([item], receivedAt);
}

test('an event of ours has its run, call, attempt and message', () => {
  expect(read({}).events).toEqual([
    {
      providerEventId: 'event-1',
      source: 'sendgrid',
      runId,
      dispatchN: 12,
      attempt: 3,
      messageN: 4567,
      kind: 'delivered',
      occurredAt: new Date(seconds * 1000),
      suppress: null,
      machine: false,
      detail: {},
    },
  ]);
});

test.each([
  ['processed', 'processed'],
  ['deferred', 'deferred'],
  ['delivered', 'delivered'],
  ['bounce', 'bounced'],
  ['dropped', 'dropped'],
  ['spamreport', 'complained'],
  ['open', 'opened'],
  ['click', 'clicked'],
  ['unsubscribe', 'unsubscribed'],
  ['group_unsubscribe', 'unsubscribed'],
])('%s is %s here', (event, kind) => {
  expect(read({ event }).events).toMatchObject([{ kind }]);
});

test.each(['group_resubscribe', 'account_status_change', '', 'toString', '__proto__'])(
  '%j is passed over and counted',
  (event) => {
    expect(read({ event })).toEqual({
      events: [],
      skipped: { unreadable: 0, unknownKind: 1, notOurs: 0 },
    });
  },
);

test('what is no event is passed over and counted', () => {
  const read = readSendGridEvents([null, 1, 'text', [], {}, { event: 7 }], receivedAt);
  expect(read).toEqual({ events: [], skipped: { unreadable: 6, unknownKind: 0, notOurs: 0 } });
});

test.each([
  [{ carillon_r: runId.toUpperCase() }, { runId }],
  [{ carillon_m: 4567 }, { messageN: 4567 }],
  [{ carillon_m: '2147483647' }, { messageN: 2_147_483_647 }],
])('arguments %j are read', (fields, expected) => {
  expect(read(fields).events).toMatchObject([expected]);
});

test.each([
  [{ carillon_r: undefined }],
  [{ carillon_r: 'x' }],
  [{ carillon_r: [runId] }],
  [{ carillon_d: '12' }],
  [{ carillon_d: '12.3.4' }],
  [{ carillon_d: '0.1' }],
  [{ carillon_d: '1.0' }],
  [{ carillon_d: '12.3\n' }],
  [{ carillon_d: 12.3, carillon_m: null }],
  [{ carillon_m: '' }],
  [{ carillon_m: '2147483648' }],
  [{ carillon_m: '1e3' }],
  [{ carillon_m: true }],
])('arguments %j are not ours: only the address is spoken of', (fields) => {
  expect(read(fields).skipped.notOurs).toBe(1);
  expect(read({ ...fields, event: 'spamreport' }).events).toMatchObject([
    {
      runId: null,
      dispatchN: null,
      attempt: null,
      messageN: null,
      suppress: { address: 'ana@example.com', reason: 'complained' },
    },
  ]);
});

test.each([
  [{ event: 'spamreport', email: '' }],
  [{ event: 'spamreport', email: undefined }],
  [{ event: 'spamreport', email: { a: 1 } }],
  [{ event: 'spamreport', email: `${'x'.repeat(320)}@example.com` }],
])('%j has no address to suppress', (fields) => {
  expect(read(fields).events).toMatchObject([{ suppress: null }]);
});

test.each([
  [seconds, new Date(seconds * 1000)],
  [seconds + 0.5, new Date(seconds * 1000 + 500)],
  [undefined, receivedAt],
  [String(seconds), receivedAt],
  [0, receivedAt],
  [-1, receivedAt],
  [1e15, receivedAt],
  [Number.NaN, receivedAt],
  [receivedAt.getTime() / 1000 + 90_000, receivedAt],
])('timestamp %p is %p', (timestamp, occurredAt) => {
  expect(read({ timestamp }).events).toMatchObject([{ occurredAt }]);
});

test.each([
  ['open', { useragent: 'Mozilla/5.0' }, 'machine', 'applePrivacy'],
  ['open', { useragent: 'curl/8.5.0' }, 'bot', 'knownBot'],
  ['open', { useragent: 'Mozilla/5.0 (via ggpht.com GoogleImageProxy)' }, 'human', 'imageProxy'],
  [
    'click',
    { useragent: 'Mozilla/5.0 (X11) Firefox/140.0', ip: '40.94.1.2' },
    'bot',
    'scannerNetwork',
  ],
  ['click', {}, 'human', 'person'],
])('an %s with %j is by a %s', (event, fields, name, because) => {
  expect(read({ event, ...fields }).events).toMatchObject([
    { machine: name !== 'human', detail: { class: name, because } },
  ]);
});

test('only what says that a machine opened it is a machine', () => {
  const machines = [true, false, undefined, 'true', 1].map(
    (flag) => read({ event: 'open', sg_machine_open: flag }).events[0]?.machine,
  );
  expect(machines).toEqual([true, false, false, false, false]);
});

test('an event without an id is the same one when it comes again', () => {
  const [first, again, other] = [
    read({ sg_event_id: undefined }),
    read({ sg_event_id: undefined }),
    read({ sg_event_id: undefined, timestamp: seconds + 1 }),
  ].map(({ events }) => events[0]?.providerEventId);
  expect(first).toMatch(/^sha256:/);
  expect(again).toBe(first);
  expect(other).not.toBe(first);
});

test('keeps the details that people look for, and cuts them', () => {
  const detail = read({
    event: 'bounce',
    type: 'blocked',
    reason: 'x'.repeat(5_000),
    status: '5.7.1',
    bounce_classification: 'Reputation',
    sg_message_id: 'abc.recv-1',
    ip: '203.0.113.7',
    category: ['a'],
  }).events[0]?.detail;
  expect(detail).toEqual({
    type: 'blocked',
    reason: 'x'.repeat(1_000),
    status: '5.7.1',
    classification: 'Reputation',
    providerMessageId: 'abc.recv-1',
  });
});
