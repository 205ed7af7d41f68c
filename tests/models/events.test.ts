import type { MessageEvent } from '../../domain/messages/events';
import type { Knex } from '../../lib/db';
import { newId, newRandomId } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { applyEvents, type AppliedEvents } from '../../models/messages/applyEvents';
import { storeDelivery, storeEvents } from '../../models/messages/events';
import { retrySetAside } from '../../models/messages/setAside';
import { createMetrics } from '../../lib/metrics';
import { collectEventMetrics } from '../../workers/eventMetrics';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { insertCampaign } from '../support/records';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

beforeEach(async () => {
  await db('message_events').delete();
  await db('waiting_events').delete();
});

function event(ledger: TestLedger, fields: Partial<MessageEvent> = {}): MessageEvent {
  return {
    providerEventId: newId(),
    source: 'sendgrid',
    runId: ledger.run.id,
    dispatchN: 1,
    attempt: 1,
    messageN: 1,
    kind: 'delivered',
    occurredAt: new Date('2026-01-01T12:00:00Z'),
    suppress: null,
    machine: false,
    detail: {},
    ...fields,
  };
}

/** Of one message each, so that every one of them can be seen on the ledger. */
function delivered(ledger: TestLedger, count: number): MessageEvent[] {
  return Array.from({ length: count }, (_, i) => event(ledger, { messageN: i + 1 }));
}

function store(events: MessageEvent[]): Promise<number> {
  return acrossTenants(db, 'eventIntake', (trx) => storeEvents(trx, events));
}

function apply(limit = 2_000): Promise<AppliedEvents> {
  return acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, limit));
}

function setAside() {
  return db('message_events').whereNotNull('set_aside').orderBy('id');
}

async function deliveredNs(ledger: TestLedger): Promise<number[]> {
  const rows = await db('messages').where({ run_id: ledger.run.id }).whereNotNull('delivered_at');
  return rows.map((row: { n: number }) => row.n).sort((a, b) => a - b);
}

// No index of Postgres takes a value of this size, and it cannot be packed into one that it takes.
const endlessAddress = `${Array.from({ length: 300 }, newRandomId).join('.')}@example.com`;
// JavaScript counts further back than Postgres.
const beforeTime = new Date(-8.64e15);

describe('an event that cannot be stored', () => {
  const storeAsDelivery = async (events: MessageEvent[]) =>
    (await storeDelivery(db, { accountId: 'sendgrid', events })).stored;
  const poisons: [string, string, Partial<MessageEvent>, (events: MessageEvent[]) => unknown][] = [
    ['an instant before time', 'refused:22008', { occurredAt: beforeTime }, store],
    ['the same in a delivery', 'refused:22008', { occurredAt: beforeTime }, storeAsDelivery],
    ['a text with NUL', 'refused:22P05', { detail: { reason: 'a\u0000b' } }, storeAsDelivery],
    ['a run that is no id', 'refused:22P02', { runId: 'no id' }, storeAsDelivery],
    ['a number too large', 'refused:22003', { messageN: 2 ** 40 }, storeAsDelivery],
  ];

  test.each(poisons)(
    'is kept aside with what it said: %s',
    async (_name, reason, fields, storeAll) => {
      const ledger = await buildLedger(db, { customers: 40 });
      const good = delivered(ledger, 40);
      const poisoned = event(ledger, fields);
      expect(await storeAll([...good.slice(0, 13), poisoned, ...good.slice(13)])).toBe(41);
      const [kept, ...more] = await setAside();
      expect(more).toEqual([]);
      expect(kept).toMatchObject({ run_id: null, kind: 'refused', set_aside: reason });
      expect(JSON.parse(kept.payload.refused)).toEqual({
        ...poisoned,
        occurredAt: String(poisoned.occurredAt.getTime()),
      });
      expect(await apply()).toMatchObject({ applied: 40, setAside: {} });
      expect(await deliveredNs(ledger)).toHaveLength(40);
    },
  );

  test('is kept once, however often it comes', async () => {
    const ledger = await buildLedger(db);
    const poisoned = event(ledger, { occurredAt: new Date(Number.NaN) });
    expect(await store([poisoned])).toBe(1);
    expect(await store([poisoned, poisoned])).toBe(0);
    expect(await setAside()).toHaveLength(1);
  });
});

describe('an event that cannot be applied', () => {
  test('is set aside with its reason, wherever it lies, and stops no other', async () => {
    const ledger = await buildLedger(db, { customers: 60 });
    const poison = () =>
      event(ledger, {
        kind: 'bounced',
        messageN: 1,
        suppress: { address: endlessAddress, reason: 'bounced' },
      });
    const good = delivered(ledger, 60);
    const suppressing = event(ledger, {
      kind: 'complained',
      messageN: 2,
      suppress: { address: 'c1@example.com', reason: 'complained' },
    });
    const poisoned = [poison(), poison(), poison()];
    const [first, middle, last] = poisoned;
    if (first === undefined || middle === undefined || last === undefined) {
      throw new Error('three are needed');
    }
    await store([first, ...good.slice(0, 30), middle, suppressing, ...good.slice(30), last]);
    expect(await apply()).toMatchObject({
      applied: 61,
      setAside: { 'refused:54000': 3 },
      isMoreLikely: false,
    });
    expect(new Set((await setAside()).map((row) => row.provider_event_id))).toEqual(
      new Set(poisoned.map((one) => one.providerEventId)),
    );
    expect(await deliveredNs(ledger)).toHaveLength(60);
    expect(await ledger.dispatch(1)).toMatchObject({
      delivered_count: 60,
      complained_count: 1,
      bounced_count: 0,
    });
    expect(await db('suppressions').where({ tenant_id: ledger.tenantId })).toHaveLength(1);
    expect(await db('waiting_events')).toEqual([]);
    expect(await apply()).toMatchObject({ applied: 0, setAside: {} });
  });

  test.each([
    ['a run that is none', 'unknownRun', () => ({ runId: newId() })],
    ['a message its run has not', 'unknownMessage', () => ({ messageN: 4_711 })],
    ['a call its run has not', 'unknownDispatch', () => ({ dispatchN: 4_711 })],
  ])('names %s: %s', async (_name, reason, fields) => {
    const ledger = await buildLedger(db);
    const strange = event(ledger, {
      ...fields(),
      suppress: { address: 'c0@example.com', reason: 'complained' },
    });
    await store([strange, event(ledger, { messageN: 2 })]);
    expect(await apply()).toMatchObject({ applied: 1, setAside: { [reason]: 1 } });
    expect(await setAside()).toMatchObject([
      { provider_event_id: strange.providerEventId, set_aside: reason },
    ]);
    expect(await deliveredNs(ledger)).toEqual([2]);
    expect(await db('suppressions').where({ tenant_id: ledger.tenantId })).toEqual([]);
  });

  test('is none when it tells of a test, which has no messages', async () => {
    const ledger = await buildLedger(db);
    const id = newId();
    await db('test_sends').insert({
      id,
      tenant_id: ledger.tenantId,
      campaign_id: await insertCampaign(db, ledger.tenantId),
      addresses: ['author@example.com'],
      recipient_count: 1,
    });
    await store([event(ledger, { runId: id })]);
    expect(await apply()).toMatchObject({ applied: 1, setAside: {} });
  });

  test('is not one when the database itself is in trouble: it waits', async () => {
    const ledger = await buildLedger(db, { customers: 5 });
    await store(delivered(ledger, 5));
    await db.raw(`
      create function refuse_facts() returns trigger language plpgsql as
        $$ begin raise exception using errcode = 'disk_full'; end $$;
      create trigger refuse_facts before update on messages
        for each row execute function refuse_facts();`);
    try {
      await expect(apply()).rejects.toMatchObject({ code: '53100' });
    } finally {
      await db.raw('drop trigger refuse_facts on messages; drop function refuse_facts');
    }
    expect(await setAside()).toEqual([]);
    expect(await apply()).toMatchObject({ applied: 5, setAside: {} });
    expect(await deliveredNs(ledger)).toHaveLength(5);
  });
});

describe('what was set aside', () => {
  test('is counted by reason in the metrics of a worker, beside what waits', async () => {
    const ledger = await buildLedger(db, { customers: 4 });
    const registry = createMetrics('worker');
    collectEventMetrics(registry, db);
    expect(await registry.metrics()).toMatch(/carillon_events_waiting\{.*\} 0\n/);
    const strange = [4_711, 4_712].map((messageN) => event(ledger, { messageN }));
    await store([...strange, event(ledger, { runId: newId() }), event(ledger, { runId: 'no id' })]);
    await apply();
    await store(delivered(ledger, 4));
    const shown = await registry.metrics();
    expect(shown).toMatch(/carillon_events_waiting\{.*\} 4\n/);
    expect(shown).toMatch(/carillon_events_oldest_waiting_seconds\{.*\} \d/);
    expect(shown).toMatch(/carillon_events_set_aside\{reason="unknownMessage",.*\} 2\n/);
    expect(shown).toMatch(/carillon_events_set_aside\{reason="unknownRun",.*\} 1\n/);
    expect(shown).toMatch(/carillon_events_set_aside\{reason="refused:22P02",.*\} 1\n/);
  });

  test('is applied when it is asked for and its cause is gone', async () => {
    const ledger = await buildLedger(db);
    const early = event(ledger, { messageN: 4 });
    await store([early, event(ledger, { runId: 'no id' }), event(ledger, { runId: newId() })]);
    expect(await apply()).toMatchObject({ applied: 0 });
    const retry = (reason: string | null) =>
      acrossTenants(db, 'eventApply', (trx) => retrySetAside(trx, reason));
    await db.raw(
      `insert into messages (run_id, n, tenant_id, dispatch_n, customer_id, channel)
       select run_id, 4, tenant_id, dispatch_n, ?, channel from messages where run_id = ? and n = 1`,
      [newId(), ledger.run.id],
    );
    expect(await retry('unknownMessage')).toBe(1);
    expect(await apply()).toMatchObject({ applied: 1, setAside: {} });
    expect(await deliveredNs(ledger)).toEqual([4]);
    // What could not be stored stays; what is still unknown comes back.
    expect(await retry(null)).toBe(1);
    expect(await apply()).toMatchObject({ applied: 0, setAside: { unknownRun: 1 } });
    expect(await setAside()).toHaveLength(2);
  });
});

describe('what waits', () => {
  test('is taken by one applier alone, the oldest first', async () => {
    const ledger = await buildLedger(db, { customers: 30, zones: ['Europe/Paris', 'Asia/Tokyo'] });
    const events = delivered(ledger, 30);
    for (let from = 0; from < 30; from += 10) {
      await store(events.slice(from, from + 10));
    }
    await acrossTenants(db, 'eventApply', async (trx) => {
      expect(await applyEvents(trx, 1)).toMatchObject({ applied: 10, isMoreLikely: true });
      // The first still holds its list, and every free list it has looked at.
      expect(await apply()).toMatchObject({ applied: 0 });
    });
    expect(await deliveredNs(ledger)).toHaveLength(10);
    expect(await apply(15)).toMatchObject({ applied: 20, isMoreLikely: false });
    expect(await deliveredNs(ledger)).toHaveLength(30);
  });

  test('comes back when its application is rolled back', async () => {
    const ledger = await buildLedger(db);
    await store(delivered(ledger, 3));
    const lost = acrossTenants(db, 'eventApply', async (trx) => {
      await applyEvents(trx, 100);
      throw new Error('the worker is gone');
    });
    await expect(lost).rejects.toThrow('the worker is gone');
    expect(await deliveredNs(ledger)).toEqual([]);
    expect(await apply()).toMatchObject({ applied: 3 });
  });

  test('of a delivery of thousands, a part fits a batch', async () => {
    const ledger = await buildLedger(db, { customers: 2_500 });
    await store(delivered(ledger, 2_500));
    const lists = await db('waiting_events').orderBy('id').pluck('event_count');
    expect(lists).toEqual([1_000, 1_000, 500]);
    expect(await apply(1_000)).toMatchObject({ applied: 1_000, isMoreLikely: true });
  });
});
