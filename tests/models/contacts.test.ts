import type { FrequencyCap } from '../../domain/campaigns/rules/types';
import type { Schedule } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { planRun } from '../../models/campaigns/planning';
import { replanLate } from '../../models/campaigns/replanning';
import { createRun } from '../../models/campaigns/runs';
import {
  forgetContacts,
  holdBackCapped,
  lookAtCaps,
  noteContacts,
  releaseContacts,
  releaseContactsOf,
  type CappedMessages,
  type ContactCall,
} from '../../models/messages/contacts';
import { countRun } from '../../models/messages/counts';
import { ensureTestAccount } from '../support/accounts';
import { until } from '../support/conditions';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { everyone, insertCampaign, insertCustomers, insertTenant } from '../support/records';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
  await ensureTestAccount(db);
});

afterAll(() => database.drop());

const hourMs = 3_600_000;
const weekly: FrequencyCap = { messages: 1, days: 7, whenCapped: 'later' };
const nobody: CappedMessages = { later: [], never: [] };

async function buildTenant(customers = 3): Promise<string> {
  const tenantId = await insertTenant(db);
  await insertCustomers(
    db,
    tenantId,
    Array.from({ length: customers }, (_, i) => ({
      email: `c${i}@example.com`,
      timeZone: 'Europe/Paris',
    })),
  );
  return tenantId;
}

/** A planned run of the tenant with the cap; its one dispatch is the call. */
async function buildCall(
  tenantId: string,
  frequencyCap: FrequencyCap | null = weekly,
  schedule: Schedule = { kind: 'now' },
): Promise<ContactCall> {
  const campaignId = await insertCampaign(db, tenantId);
  const run = await withTenant(db, tenantId, (trx) =>
    createRun(trx, {
      id: newId(),
      tenantId,
      campaignId,
      channel: 'email',
      contentVersion: 1,
      audience: everyone,
      schedule: { ...schedule, ...(frequencyCap === null ? {} : { frequencyCap }) },
      actor: { kind: 'user', id: null },
    }),
  );
  await withTenant(db, tenantId, (trx) =>
    planRun(trx, { tenantId, runId: run.id, now: new Date() }),
  );
  const [dispatch] = await db('dispatches').where({ run_id: run.id });
  return {
    tenantId,
    runId: run.id,
    channel: 'email',
    dispatch: {
      n: dispatch.n,
      firstMessageN: dispatch.first_message_n,
      lastMessageN: dispatch.last_message_n,
    },
  };
}

/** What a gate does about caps, in its transaction. */
async function passIn(trx: Knex.Transaction, call: ContactCall): Promise<CappedMessages> {
  const capped = await lookAtCaps(trx, call);
  await holdBackCapped(trx, call, capped);
  await noteContacts(trx, call);
  return capped;
}

const pass = (call: ContactCall) => withTenant(db, call.tenantId, (trx) => passIn(trx, call));

const look = (call: ContactCall) => withTenant(db, call.tenantId, (trx) => lookAtCaps(trx, call));

const contactsOf = (call: ContactCall) =>
  db('customer_contacts').where({ run_id: call.runId }).orderBy('message_n');

/** As if the run's contacts had been so long ago. */
const age = (call: ContactCall, ms: number) =>
  db('customer_contacts')
    .where({ run_id: call.runId })
    .update({ at: new Date(Date.now() - ms) });

const dispatchesOf = (call: ContactCall) =>
  db('dispatches').where({ run_id: call.runId }).orderBy('n');

test('whoever had so many messages of capped runs is kept back until the oldest is long enough ago', async () => {
  const tenantId = await buildTenant();
  const twice = { ...weekly, messages: 2 };
  const calls = await Promise.all([1, 2, 3].map(() => buildCall(tenantId, twice)));
  const [first, second, third] = calls;
  if (first === undefined || second === undefined || third === undefined) {
    throw new Error('no calls');
  }
  expect(await pass(first)).toEqual(nobody);
  await age(first, 6 * 24 * hourMs);
  expect(await pass(second)).toEqual(nobody);
  const oldest = (await contactsOf(first))[0].at.getTime() + 7 * 24 * hourMs;
  const capped = await look(third);
  expect(capped.never).toEqual([]);
  expect(capped.later.map(({ n }) => n)).toEqual([1, 2, 3]);
  expect(Math.abs((capped.later[0]?.until.getTime() ?? 0) - oldest)).toBeLessThan(5);
  await age(first, 7 * 24 * hourMs + 1);
  expect(await look(third)).toEqual(nobody);
});

test('runs without a cap are not kept back and leave no contact', async () => {
  const tenantId = await buildTenant();
  await pass(await buildCall(tenantId));
  const uncapped = await buildCall(tenantId, null);
  expect(await pass(uncapped)).toEqual(nobody);
  expect(await contactsOf(uncapped)).toEqual([]);
});

test('another tenant, channel or customer does not count', async () => {
  const tenantId = await buildTenant();
  const first = await buildCall(tenantId);
  await pass(first);
  const second = await buildCall(tenantId);
  await db('customer_contacts')
    .where({ run_id: first.runId, message_n: 1 })
    .update({ channel: 'sms' });
  await db('customer_contacts')
    .where({ run_id: first.runId, message_n: 2 })
    .update({ tenant_id: newId() });
  await db('customer_contacts')
    .where({ run_id: first.runId, message_n: 3 })
    .update({ customer_id: newId() });
  expect(await look(second)).toEqual(nobody);
});

test('of two gates for one customer at the same moment the later one sees the earlier', async () => {
  const tenantId = await buildTenant();
  const [first, second] = [await buildCall(tenantId), await buildCall(tenantId)];
  const trx = await db.transaction();
  expect(await passIn(trx, first)).toEqual(nobody);
  const other = pass(second);
  await until('the second gate waits for its turn', async () => {
    const waiting = await db.raw(
      `select 1 from pg_locks where locktype = 'advisory' and not granted
          and database = (select oid from pg_database where datname = current_database())`,
    );
    return waiting.rows.length > 0;
  });
  await trx.commit();
  expect((await other).later).toHaveLength(3);
  expect(await contactsOf(second)).toEqual([]);
});

test('gates of several runs at once write to nobody more often than the cap', async () => {
  const tenantId = await buildTenant(20);
  const calls: ContactCall[] = [];
  for (let n = 0; n < 6; n += 1) {
    calls.push(await buildCall(tenantId, { ...weekly, messages: 2 }));
  }
  await Promise.all(calls.map(pass));
  const most = await db.raw(
    `select customer_id, count(*) as messages from customer_contacts
      where tenant_id = ? group by customer_id`,
    [tenantId],
  );
  expect(most.rows.map(({ messages }: { messages: number }) => messages)).toEqual(
    Array.from({ length: 20 }, () => 2),
  );
});

test('capped messages move to dispatches that wait, by the hour in which their caps end', async () => {
  const tenantId = await buildTenant();
  const first = await buildCall(tenantId);
  await pass(first);
  // In half an hour, and so in the window of an hour; in the third and fourth day.
  const ages = [7 * 24 * hourMs - hourMs / 2, 4 * 24 * hourMs, 3 * 24 * hourMs];
  for (const [i, ms] of ages.entries()) {
    await db('customer_contacts')
      .where({ run_id: first.runId, message_n: i + 1 })
      .update({ at: new Date(Date.now() - ms) });
  }
  const second = await buildCall(tenantId);
  await db('messages').where({ run_id: second.runId }).update({ outcome: null });
  expect((await pass(second)).later).toHaveLength(3);
  const [parent, ...children] = await dispatchesOf(second);
  expect(parent).toMatchObject({ message_count: 0, state: 'planned', not_before: null });
  expect(
    children.map((child) => [
      child.message_count,
      child.first_message_n,
      child.last_message_n,
      child.wait_reason,
      child.parent_n,
      Math.round((child.not_before.getTime() - Date.now()) / (hourMs / 2)) / 2,
    ]),
  ).toEqual([
    [1, 1, 1, 'frequencyCap', 1, 0.5],
    [1, 2, 2, 'frequencyCap', 1, 72],
    [1, 3, 3, 'frequencyCap', 1, 96],
  ]);
  const messages = await db('messages').where({ run_id: second.runId }).orderBy('n');
  expect(messages.map((message) => message.dispatch_n)).toEqual(children.map(({ n }) => n));
  expect(await contactsOf(second)).toEqual([]);
  expect(
    await withTenant(db, tenantId, (trx) => countRun(trx, tenantId, second.runId)),
  ).toMatchObject({ planned: 3, open: 3, leftOut: 0 });
});

test('when their wave closes they get waves that begin in the hour after the cap', async () => {
  const tenantId = await buildTenant();
  const first = await buildCall(tenantId);
  await pass(first);
  const second = await buildCall(tenantId);
  await pass(second);
  const late = new Date(Date.now() + hourMs);
  await withTenant(db, tenantId, (trx) =>
    replanLate(trx, { tenantId, runId: second.runId, planVersion: 1, waveN: 1, now: late }),
  );
  const waves = await db('waves').where({ run_id: second.runId }).orderBy('n');
  const week = Date.now() + 7 * 24 * hourMs;
  expect(waves.slice(1)).toMatchObject([
    { kind: 'late', waits_for: 'frequencyCap', planned_count: 3 },
  ]);
  const startsAtMs = waves[1].starts_at.getTime();
  expect(startsAtMs % hourMs).toBe(0);
  expect(startsAtMs).toBeGreaterThan(week - 60_000);
  expect(startsAtMs).toBeLessThan(week + 2 * hourMs);
  expect((await dispatchesOf(second))[1]).toMatchObject({ wave_n: 2, not_before: null });
});

test.each([
  ['the author asks for it', { ...weekly, whenCapped: 'skip' }, { kind: 'now' }],
  [
    'nothing may go out late',
    weekly,
    {
      kind: 'localHour',
      date: new Date(Date.now() + 48 * hourMs).toISOString().slice(0, 10),
      time: '09:00',
      unknownZone: 'utc',
      hourPast: 'skip',
    },
  ],
] as const)('they are left out for good where %s', async (_, cap, schedule) => {
  const tenantId = await buildTenant();
  const first = await buildCall(tenantId);
  await pass(first);
  const second = await buildCall(tenantId, cap, schedule);
  expect(await pass(second)).toEqual({ later: [], never: [1, 2, 3] });
  expect(await db('messages').where({ run_id: second.runId })).toMatchObject(
    Array.from({ length: 3 }, () => ({ outcome: 'left_out', reason: 'capped', dispatch_n: 1 })),
  );
  expect(await dispatchesOf(second)).toHaveLength(1);
});

test('a message that is called again is not kept back by its own first call', async () => {
  const tenantId = await buildTenant(1);
  const call = await buildCall(tenantId);
  await pass(call);
  expect(await pass(call)).toEqual(nobody);
  expect(await contactsOf(call)).toMatchObject([{ calls: 2 }]);
});

test('only a definite refusal releases, and only its own call', async () => {
  const tenantId = await buildTenant(2);
  const [first, second] = [await buildCall(tenantId), await buildCall(tenantId)];
  await pass(first);
  await pass(first);
  const release = (ns: number[]) =>
    withTenant(db, tenantId, (trx) => releaseContacts(trx, first, ns));
  await release([1]);
  expect(await contactsOf(first)).toMatchObject([{ calls: 1 }, { calls: 2 }]);
  await release([1]);
  expect(await contactsOf(first)).toMatchObject([{ message_n: 2, calls: 2 }]);
  expect((await look(second)).later).toMatchObject([{ n: 2 }]);
  await withTenant(db, tenantId, (trx) => releaseContactsOf(trx, first, [first.dispatch.n]));
  await withTenant(db, tenantId, (trx) => releaseContactsOf(trx, first, [first.dispatch.n]));
  expect(await contactsOf(first)).toEqual([]);
  expect(await look(second)).toEqual(nobody);
});

test('of all contacts only those of the call’s customers are read', async () => {
  const tenantId = await buildTenant(200);
  const first = await buildCall(tenantId);
  await pass(first);
  // Rows that came after the last analyze, as most do while campaigns are sent.
  await db.raw(
    `insert into customer_contacts (tenant_id, channel, customer_id, run_id, message_n, at)
     select ?, 'email', gen_random_uuid(), ?, 1000 + n, now() from generate_series(1, 5000) n`,
    [tenantId, first.runId],
  );
  const second = await buildCall(tenantId);
  const [before, after] = await withTenant(db, tenantId, async (trx) => {
    const start = await readOf(trx);
    expect((await lookAtCaps(trx, second)).later).toHaveLength(200);
    return [start, await readOf(trx)];
  });
  expect(after.rows - before.rows).toBe(0);
  expect(after.entries - before.entries).toBeLessThanOrEqual(400);
});

/**
 * What the connection read of all contacts, since it last reported its statistics: earlier
 * transactions, of up to a second ago, are counted, too.
 */
async function readOf(trx: Knex.Transaction): Promise<{ rows: number; entries: number }> {
  const counted = await trx.raw(
    `select pg_stat_get_xact_tuples_returned('customer_contacts'::regclass)::int as rows,
            pg_stat_get_xact_tuples_returned('customer_contacts_pkey'::regclass)::int as entries`,
  );
  return counted.rows[0];
}

test('contacts are forgotten when no cap can ask for them', async () => {
  const tenantId = await buildTenant(2);
  const call = await buildCall(tenantId);
  await pass(call);
  await db('customer_contacts')
    .where({ run_id: call.runId, message_n: 1 })
    .update({ at: new Date(Date.now() - 92 * 24 * hourMs) });
  await db.transaction(forgetContacts);
  expect(await contactsOf(call)).toMatchObject([{ message_n: 2 }]);
});
