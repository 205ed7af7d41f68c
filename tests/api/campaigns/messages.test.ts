import { withTenant } from '../../../models/base';
import { applyEvents, storeEvents } from '../../../models/messages/events';
import type { EventKind, MessageEvent } from '../../../domain/messages/events';
import { settleCall } from '../../../models/messages/settle';
import { newId } from '../../../lib/ids';
import { startTestApi, type TestApi } from '../../support/api';
import { buildReportedLedger, type ReportedLedger } from '../../support/reports';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

/** Sends the ledger's only call; who is suppressed is left out at its gate. */
async function sendAll(ledger: ReportedLedger): Promise<void> {
  const dispatch = await ledger.claimed();
  const gate = await ledger.gate(dispatch);
  if (gate.kind !== 'open') {
    throw new Error(`the gate is ${gate.kind}`);
  }
  await withTenant(api.deps.db, ledger.tenantId, (trx) =>
    settleCall(
      trx,
      {
        tenantId: ledger.tenantId,
        runId: ledger.run.id,
        dispatchN: dispatch.n,
        attempt: gate.attempt,
      },
      { outcome: 'accepted', status: 202, providerMessageId: 'provider-1' },
    ),
  );
}

async function happen(
  ledger: ReportedLedger,
  facts: { messageN: number; kind: EventKind; machine?: boolean; at: string }[],
): Promise<void> {
  const events = facts.map(({ messageN, kind, machine, at }): MessageEvent => ({
    providerEventId: newId(),
    source: 'sendgrid',
    runId: ledger.run.id,
    dispatchN: 1,
    attempt: 1,
    messageN,
    kind,
    occurredAt: new Date(at),
    suppress: null,
    machine: machine ?? false,
    detail: kind === 'clicked' ? { url: 'https://shop.example/sale' } : {},
  }));
  await api.db.transaction(async (trx) => {
    await storeEvents(trx, events);
    await applyEvents(trx, 100);
  });
}

async function buildSentLedger(): Promise<ReportedLedger> {
  const ledger = await buildReportedLedger(api, { customers: 4 });
  await api.db('suppressions').insert({
    tenant_id: ledger.tenantId,
    channel: 'email',
    address: 'c3@example.com',
    reason: 'manual',
  });
  await sendAll(ledger);
  await happen(ledger, [
    { messageN: 1, kind: 'clicked', at: '2026-03-20T10:02:00Z' },
    { messageN: 1, kind: 'delivered', at: '2026-03-20T10:00:00Z' },
    { messageN: 1, kind: 'opened', machine: true, at: '2026-03-20T10:00:30Z' },
    { messageN: 1, kind: 'opened', at: '2026-03-20T10:01:00Z' },
    { messageN: 2, kind: 'bounced', at: '2026-03-20T10:00:00Z' },
  ]);
  return ledger;
}

test('shows each message with its customer, its state and what happened to it', async () => {
  const ledger = await buildSentLedger();
  const { body } = await ledger.get('/messages');
  expect(body.meta).toMatchObject({ total: 4, page: 1, pages: 1, nextCursor: null });
  expect(body.data).toMatchObject([
    {
      n: 1,
      runId: ledger.run.id,
      customer: { email: expect.stringMatching(/^c\d@example\.com$/), firstName: 'Ana' },
      state: 'accepted',
      reason: null,
      dispatch: 1,
      wave: { planVersion: 1, n: 1 },
      timeZone: 'Europe/Paris',
      calledAt: expect.any(String),
      deliveredAt: '2026-03-20T10:00:00.000Z',
      firstOpenedAt: '2026-03-20T10:01:00.000Z',
      firstClickedAt: '2026-03-20T10:02:00.000Z',
      bouncedAt: null,
    },
    { n: 2, state: 'accepted', bouncedAt: '2026-03-20T10:00:00.000Z' },
    { n: 3, state: 'accepted', deliveredAt: null },
    { n: 4, state: 'leftOut', reason: 'suppressed' },
  ]);
});

test.each([
  ['state=accepted', [1, 2, 3]],
  ['state=leftOut', [4]],
  ['state=refused', []],
  ['state=planned', []],
  ['reason=suppressed', [4]],
  ['fact=opened', [1]],
  ['fact=bounced&state=accepted', [2]],
  ['sort=-n', [4, 3, 2, 1]],
  ['page=2&perPage=3', [4]],
])('lists by %s', async (query, expected) => {
  const ledger = await buildSentLedger();
  const { body } = await ledger.get(`/messages?${query}`);
  expect(body.data.map((row: { n: number }) => row.n)).toEqual(expected);
});

test('goes on by cursor, and finds one customer’s message', async () => {
  const ledger = await buildSentLedger();
  const seen: number[] = [];
  let cursor = '';
  do {
    const { body } = await ledger.get(`/messages?perPage=3&fields=n${cursor}`);
    seen.push(...body.data.map((row: { n: number }) => row.n));
    cursor = body.meta.nextCursor === null ? '' : `&cursor=${body.meta.nextCursor}`;
  } while (cursor !== '');
  expect(seen).toEqual([1, 2, 3, 4]);

  const [, second] = (await ledger.get('/messages')).body.data;
  const found = await ledger.get(`/messages?customerId=${second.customerId}`);
  expect(found.body.data).toEqual([second]);
});

test('keeps the message of a customer who is gone', async () => {
  const ledger = await buildSentLedger();
  const [first] = (await ledger.get('/messages')).body.data;
  await api.db('customers').where({ id: first.customerId }).delete();
  const { body } = await ledger.get('/messages/1');
  expect(body.data).toMatchObject({ customerId: first.customerId, customer: null });
});

test('tells one message’s calls and events in the order they happened', async () => {
  const ledger = await buildSentLedger();
  const { body } = await ledger.get('/messages/1?run=1');
  expect(body.data).toMatchObject({
    n: 1,
    state: 'accepted',
    providerMessageId: 'provider-1',
    attempts: [{ attempt: 1, outcome: 'accepted', provenBy: 'reply', status: 202, reason: null }],
    events: [
      { kind: 'delivered', source: 'sendgrid', machine: false },
      { kind: 'opened', machine: true },
      { kind: 'opened', machine: false },
      { kind: 'clicked', detail: { url: 'https://shop.example/sale' } },
    ],
  });
});

test.each(['0', '5', 'first', '01', '99999999999'])('there is no message %s', async (n) => {
  const ledger = await buildReportedLedger(api);
  const answer = await ledger.get(`/messages/${n}`);
  expect([answer.status, answer.body.code]).toEqual([404, 'messageNotFound']);
});

test('metrics count each message once and add up', async () => {
  const ledger = await buildSentLedger();
  const { body } = await ledger.get('/metrics');
  expect(body.data).toMatchObject({
    run: { id: ledger.run.id, n: 1 },
    planned: 4,
    accepted: 3,
    refused: 0,
    inDoubt: 0,
    unconfirmed: 0,
    cancelled: 0,
    expired: 0,
    open: 0,
    delivered: 1,
    bounced: 1,
    opened: 1,
    clicked: 1,
    complained: 0,
    unsubscribed: 0,
    leftOut: { planning: {}, call: { suppressed: 1 } },
    waves: [{ planVersion: 1, n: 1, planned: 4, accepted: 3, leftOut: 1, opened: 1 }],
    asOf: expect.any(String),
  });
});

test('metrics name who was left out by the plan', async () => {
  const ledger = await buildReportedLedger(api, {
    customers: 3,
    zones: ['Europe/Paris', null, null],
    schedule: {
      kind: 'localHour',
      date: '2030-06-03',
      time: '09:00',
      unknownZone: 'skip',
      hourPast: 'skip',
    },
  });
  expect((await ledger.get('/metrics')).body.data).toMatchObject({
    planned: 1,
    open: 1,
    leftOut: { planning: { unknownZone: 2 }, call: {} },
  });
});
