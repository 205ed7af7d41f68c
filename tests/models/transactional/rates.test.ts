import type { Knex } from '../../../lib/db';
import { newId } from '../../../lib/ids';
import type { RateLimit } from '../../../domain/messages/rateLimits';
import { blockAccount } from '../../../models/messages/accountPace';
import { ensureAccount, setLimits } from '../../../models/messages/accountLimits';
import { reserveRate } from '../../../models/messages/rates';
import { reserveKept } from '../../../models/transactional/rates';
import { liftBlock, readRate } from '../../../models/messages/limits';
import { claimMessages } from '../../../models/transactional/claims';
import { ensureTestAccount } from '../../support/accounts';
import { until } from '../../support/conditions';
import { insertTenant } from '../../support/records';
import { askForMessages } from '../../support/transactional';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;
let db: Knex;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

const day = (most: number): RateLimit => ({ per: 'day', unit: 'messages', most });

/** An account whose share has been kept for a while, or is not kept at all. */
async function account(limits: RateLimit[], { isKept }: { isKept: boolean }): Promise<string> {
  const id = newId();
  await db.transaction((trx) => ensureAccount(trx, { id: id, tenantId: null }, 0));
  await db.transaction((trx) => setLimits(trx, id, limits));
  if (isKept) {
    await db('provider_accounts')
      .where({ id })
      .update({
        kept_since: db.raw(`now() - interval '2 days'`),
        kept_until: db.raw(`now() + interval '2 days'`),
      });
  }
  return id;
}

const tenantId = newId();

/** Reserves single calls of a campaign until there is no room; answers how many there were. */
async function bulkUntilFull(accountId: string): Promise<number> {
  for (let calls = 0; ; calls += 1) {
    const answer = await reserveRate(db, { accountId, tenantId, calls: 1, messages: 1 });
    if (answer.kind !== 'reserved') {
      return calls;
    }
  }
}

test('an account without limits is asked nothing', async () => {
  expect(await reserveKept(db, await account([], { isKept: true }), 5)).toEqual({
    kind: 'unlimited',
  });
});

test('campaigns leave a twentieth of a window, and it is there when they have used the rest', async () => {
  const id = await account([day(100)], { isKept: true });
  expect(await bulkUntilFull(id)).toBe(95);
  expect(await reserveKept(db, id, 3)).toMatchObject({ kind: 'granted', calls: 3 });
  expect(await reserveKept(db, id, 3)).toMatchObject({ kind: 'granted', calls: 2 });
  expect(await reserveKept(db, id, 1)).toMatchObject({ kind: 'wait', reason: expect.any(String) });
});

test('where nothing is kept campaigns have the whole window', async () => {
  const id = await account([day(100)], { isKept: false });
  expect(await bulkUntilFull(id)).toBe(100);
  expect(await reserveKept(db, id, 1)).toMatchObject({ kind: 'wait' });
});

test('what transactional messages take beyond their share is less for campaigns', async () => {
  const id = await account([day(100)], { isKept: true });
  expect(await reserveKept(db, id, 60)).toMatchObject({ kind: 'granted', calls: 60 });
  expect(await bulkUntilFull(id)).toBe(40);
  expect(await reserveKept(db, id, 1)).toMatchObject({ kind: 'wait' });
});

test('a limit of one is never all kept', async () => {
  const id = await account([day(1)], { isKept: true });
  expect(await bulkUntilFull(id)).toBe(1);
});

test('the limit with the least room decides', async () => {
  const id = await account([day(100), { per: 'hour', unit: 'calls', most: 3 }], { isKept: true });
  expect(await reserveKept(db, id, 10)).toMatchObject({ kind: 'granted', calls: 3 });
  expect(await reserveKept(db, id, 10)).toMatchObject({ kind: 'wait' });
});

test('many at once and campaigns beside them never pass a limit together', async () => {
  const id = await account([day(200)], { isKept: true });
  const granted = await Promise.all(
    Array.from({ length: 30 }, async (_, n) => {
      if (n % 2 === 0) {
        const answer = await reserveKept(db, id, 10);
        return answer.kind === 'granted' ? answer.calls : 0;
      }
      const answer = await reserveRate(db, { accountId: id, tenantId, calls: 1, messages: 20 });
      return answer.kind === 'reserved' ? 20 : 0;
    }),
  );
  const sum = granted.reduce((total, each) => total + each, 0);
  expect(sum).toBeLessThanOrEqual(200);
  expect(sum).toBeGreaterThan(170);
});

test('campaigns ahead in the next second do not take what is kept of this one', async () => {
  const id = await account([{ per: 'second', unit: 'calls', most: 40 }], { isKept: true });
  let ahead = false;
  while (!ahead) {
    const answer = await reserveRate(db, { accountId: id, tenantId, calls: 1, messages: 1 });
    ahead = answer.kind === 'wait';
  }
  // In the last eighth of a second nothing leaves any more; in the next one the same holds.
  const granted = await until('room', async () => {
    const answer = await reserveKept(db, id, 2);
    return answer.kind === 'granted' && answer;
  });
  expect(granted.calls).toBe(2);
});

test('a blocked account waits as long as the vendor asked', async () => {
  const id = await account([day(10)], { isKept: true });
  await blockAccount(db, id, { forMs: 60_000, reason: 'providerThrottled' });
  expect(await reserveKept(db, id, 1)).toMatchObject({
    kind: 'wait',
    reason: 'providerThrottled',
  });
});

test('what is shown of a window counts campaigns and single messages together', async () => {
  const tenant = await insertTenant(db);
  const id = await account([day(100)], { isKept: true });
  await db('provider_accounts').where({ id }).update({ tenant_id: tenant });
  await reserveRate(db, { accountId: id, tenantId, calls: 1, messages: 10 });
  await reserveKept(db, id, 4);
  const { windows } = await db.transaction((trx) => readRate(trx, { id, tenantId: tenant }));
  expect(windows).toMatchObject([{ allowed: 100, used: 14 }]);
});

test('single messages that wait for a limit are due when it changes, and no campaign is told', async () => {
  await ensureTestAccount(db);
  const { tenantId: asker } = await askForMessages(db, 1);
  await db('provider_accounts').where({ id: 'sendgrid' }).update({ tenant_id: asker });
  await db('dispatches')
    .where({ tenant_id: asker })
    .update({
      not_before: new Date(Date.now() + 3_600_000),
      wait_reason: 'providerThrottled',
    });
  expect(
    await db.transaction((trx) => liftBlock(trx, { id: 'sendgrid', tenantId: asker })),
  ).toEqual([]);
  const claimed = await claimMessages(
    db,
    { workflowRunId: newId(), activityId: '1', attempt: 1 },
    10,
  );
  expect(claimed).toHaveLength(1);
});
