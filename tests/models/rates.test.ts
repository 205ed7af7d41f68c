import type { RateLimit } from '../../domain/messages/rateLimits';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { blockAccount, slowDown } from '../../models/messages/accountPace';
import { ensureAccount, listLimits, setLimits } from '../../models/messages/accountLimits';
import { lookAtRate, reserveRate } from '../../models/messages/rates';
import { until } from '../support/conditions';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;
let db: Knex;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

async function account(limits: RateLimit[]): Promise<string> {
  const id = newId();
  await db.transaction((trx) => ensureAccount(trx, { id: id, tenantId: null }, 0));
  await db.transaction((trx) => setLimits(trx, id, limits));
  return id;
}

const tenant = newId();

const callOf = (accountId: string, messages: number, tenantId = tenant) => ({
  accountId,
  tenantId,
  calls: 1,
  messages,
});

const used = async (id: string) =>
  (await db('provider_limits').where({ account_id: id })).reduce(
    (sum: number, row: { used: number }) => sum + row.used,
    0,
  );

test('an account without limits is asked nothing', async () => {
  expect(await reserveRate(db, callOf(await account([]), 1_000))).toEqual({ kind: 'unlimited' });
});

test("a configured limit is a new account's, and never replaces a row that is there", async () => {
  const id = newId();
  await db.transaction((trx) => ensureAccount(trx, { id: id, tenantId: null }, 600));
  await db.transaction((trx) => ensureAccount(trx, { id: id, tenantId: null }, 1));
  expect(await db.transaction((trx) => listLimits(trx, id))).toEqual([
    { per: 'minute', unit: 'messages', most: 600, timeZone: 'UTC', growth: null },
  ]);
});

test.each(['hour', 'day'] as const)('no %s gets more than its limit', async (per) => {
  const id = await account([{ per, unit: 'messages', most: 1_000 }]);
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => reserveRate(db, callOf(id, 90))),
  );
  const reserved = answers.filter(({ kind }) => kind === 'reserved');
  expect(reserved).toHaveLength(11);
  const refused = answers.find(({ kind }) => kind === 'wait');
  expect(refused).toMatchObject({
    reason: `rateLimit: 1,000 messages ${per === 'hour' ? 'an' : 'a'} ${per}`,
  });
  const until = refused?.kind === 'wait' ? refused.until : new Date(0);
  expect(until.getTime() % (per === 'hour' ? 3_600_000 : 86_400_000)).toBe(0);
  expect(until.getTime()).toBeGreaterThan(Date.now());
  expect(await used(id)).toBe(990);
});

test('an account that is stopped for long stays so, and keeps its reason', async () => {
  const id = await account([]);
  await blockAccount(db, id, { forMs: 3_600_000, reason: 'providerThrottled' });
  const long = await reserveRate(db, callOf(id, 1));
  expect(long).toMatchObject({ kind: 'wait', reason: 'providerThrottled' });
  await blockAccount(db, id, { forMs: 60_000, reason: 'providerUnreachable' });
  expect(await reserveRate(db, callOf(id, 1))).toEqual(long);
  await blockAccount(db, id, { forMs: 7_200_000, reason: 'providerUnreachable' });
  expect(await reserveRate(db, callOf(id, 1))).toMatchObject({ reason: 'providerUnreachable' });
});

test('how long a call may leave is known here too, and never as longer than it is', async () => {
  const id = await account([{ per: 'day', unit: 'messages', most: 10 }]);
  const askedAtMs = performance.now();
  const answer = await reserveRate(db, callOf(id, 1));
  const { rows } = await db.raw('select clock_timestamp() as now');
  const answeredAtMs = performance.now();
  if (answer.kind !== 'reserved') {
    throw new Error(`no room: ${answer.kind}`);
  }
  const { before, beforeMs } = answer.leave;
  const leftMs = before.getTime() - rows[0].now.getTime();
  // Instants come in whole milliseconds.
  expect(beforeMs - answeredAtMs).toBeLessThanOrEqual(leftMs + 1);
  expect(beforeMs - askedAtMs).toBeGreaterThanOrEqual(leftMs - 1);
});

test('seconds are filled in order, each call with its turn and the end of its window', async () => {
  const id = await account([{ per: 'second', unit: 'calls', most: 10 }]);
  const turns: number[] = [];
  for (let call = 0; call < 40; call += 1) {
    const answer = await reserveRate(db, callOf(id, 1));
    if (answer.kind !== 'reserved') {
      break;
    }
    const turnMs = Date.now() + answer.waitMs;
    // Neither process's clock is the database's: what is promised is compared among itself.
    expect(answer.leave.before.getTime() % 1_000).toBe(875);
    turns.push(answer.leave.before.getTime() - 875);
    expect(answer.leave.before.getTime() - turnMs).toBeLessThan(1_100);
  }
  const bySecond = new Map<number, number>();
  for (const second of turns) {
    bySecond.set(second, (bySecond.get(second) ?? 0) + 1);
  }
  expect(Math.max(...bySecond.values())).toBeLessThanOrEqual(10);
  expect(turns).toEqual(turns.toSorted((a, b) => a - b));
  expect(turns.length).toBeGreaterThanOrEqual(10);
});

test('the limit that has the least room decides, and the others count only what is reserved', async () => {
  const id = await account([
    { per: 'day', unit: 'messages', most: 100 },
    { per: 'hour', unit: 'calls', most: 1 },
  ]);
  expect(await reserveRate(db, callOf(id, 50))).toMatchObject({ kind: 'reserved' });
  expect(await reserveRate(db, callOf(id, 50))).toMatchObject({
    kind: 'wait',
    reason: 'rateLimit: 1 calls an hour',
  });
  expect(await used(id)).toBe(51);
});

test('a call that is larger than a limit is to be divided', async () => {
  const id = await account([{ per: 'day', unit: 'messages', most: 40 }]);
  expect(await lookAtRate(db, callOf(id, 41))).toEqual({ kind: 'tooLarge', most: 40 });
  expect(await reserveRate(db, callOf(id, 41))).toEqual({ kind: 'tooLarge', most: 40 });
  expect(await used(id)).toBe(0);
});

test('looking reserves nothing', async () => {
  const id = await account([{ per: 'day', unit: 'messages', most: 40 }]);
  expect(await lookAtRate(db, callOf(id, 40))).toMatchObject({ kind: 'reserved' });
  expect(await used(id)).toBe(0);
  expect(await reserveRate(db, callOf(id, 40))).toMatchObject({ kind: 'reserved' });
  expect(await lookAtRate(db, callOf(id, 1))).toMatchObject({ kind: 'wait' });
});

test('a warm-up allows more each day, until the limit', async () => {
  const on = async (days: number) => {
    const since = new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
    return account([
      { per: 'day', unit: 'messages', most: 1_000, growth: { from: 50, by: 1.5, since } },
    ]);
  };
  expect(await lookAtRate(db, callOf(await on(0), 51))).toEqual({ kind: 'tooLarge', most: 50 });
  expect(await lookAtRate(db, callOf(await on(2), 1_000))).toEqual({ kind: 'tooLarge', most: 112 });
  expect(await lookAtRate(db, callOf(await on(30), 1_000))).toMatchObject({ kind: 'reserved' });
});

test('a day begins where the vendor says', async () => {
  const id = await account([
    { per: 'day', unit: 'messages', most: 10, timeZone: 'America/Los_Angeles' },
  ]);
  await reserveRate(db, callOf(id, 10));
  const answer = await reserveRate(db, callOf(id, 10));
  const until = answer.kind === 'wait' ? answer.until : new Date(0);
  const local = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'America/Los_Angeles',
    timeStyle: 'medium',
  });
  expect(local.format(until)).toBe('00:00:00');
});

test('a blocked account waits as long as the vendor asked', async () => {
  const id = await account([{ per: 'day', unit: 'messages', most: 10 }]);
  await blockAccount(db, id, { forMs: 60_000, reason: 'providerThrottled' });
  expect(await reserveRate(db, callOf(id, 1))).toMatchObject({
    kind: 'wait',
    reason: 'providerThrottled',
  });
  expect(await used(id)).toBe(0);
});

test('refusals for now halve the pace once for all calls of a burst', async () => {
  const id = await account([{ per: 'minute', unit: 'messages', most: 100 }]);
  await slowDown(db, id);
  await slowDown(db, id);
  const row = await db('provider_accounts').where({ id }).first();
  expect(Number(row.slowed_to)).toBe(0.5);
  expect(await lookAtRate(db, callOf(id, 100))).toMatchObject({ kind: 'reserved' });
  await db('provider_limits')
    .where({ account_id: id })
    .update({
      window_start: db.raw(`date_trunc('minute', now())`),
      used: 20,
    });
  expect(await lookAtRate(db, callOf(id, 40))).toMatchObject({ kind: 'wait' });
});

test('what two processes reserve at once adds up', async () => {
  const id = await account([{ per: 'day', unit: 'calls', most: 1_000 }]);
  await Promise.all(Array.from({ length: 200 }, () => reserveRate(db, callOf(id, 7))));
  expect(await used(id)).toBe(200);
});

describe('tenants that share an account', () => {
  const limits: RateLimit[] = [{ per: 'second', unit: 'messages', most: 100 }];
  const isServed = async (id: string, tenantId: string) =>
    (await reserveRate(db, callOf(id, 5, tenantId))).kind === 'reserved';

  test('are served alike, however many calls one of them has waiting', async () => {
    const id = await account(limits);
    const [large, small] = [newId(), newId()];
    let alone = 0;
    while (await isServed(id, large)) {
      alone += 1;
    }
    // Everything within a second is taken by now. The large one asks three times as often.
    const after = { small: 0, large: 0 };
    await until('the small tenant to be served', async () => {
      for (let ask = 0; ask < 3; ask += 1) {
        after.large += (await isServed(id, large)) ? 1 : 0;
      }
      after.small += (await isServed(id, small)) ? 1 : 0;
      return after.small === 6;
    });
    expect(alone).toBeGreaterThanOrEqual(15);
    expect(after.large).toBeLessThanOrEqual(8);
  });

  test('begin alike after a break, whatever they were served before', async () => {
    const id = await account(limits);
    const [early, late] = [newId(), newId()];
    await db('provider_shares').insert({
      account_id: id,
      tenant_id: early,
      served: 1_000_000,
      asked_at: db.raw(`now() - interval '1 day'`),
    });
    await isServed(id, late);
    await isServed(id, early);
    const shares = await db('provider_shares').where({ account_id: id });
    expect(Math.max(...shares.map(({ served }) => Number(served)))).toBeLessThanOrEqual(15);
  });
});
