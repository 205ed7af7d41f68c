import { AppError } from '../../domain/errors';
import { plans, quotaNames, type PlanName, type CountedQuota } from '../../domain/identity/plans';
import { newId } from '../../lib/ids';
import { acrossTenants, withTenant } from '../../models/base';
import { createQuotaLeases } from '../../models/identity/quotaLeases';
import {
  freeQuota,
  listUsage,
  reserveQuota,
  settleAbandonedQuotas,
  settleQuota,
  useQuota,
} from '../../models/identity/quotas';
import { changeSubscription, findPlan } from '../../models/identity/subscriptions';
import { until } from '../support/conditions';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { insertTenant } from '../support/records';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolMax: 20 });
});

afterAll(() => database.drop());

const actor = { kind: 'system', id: null } as const;

/** A tenant with so many messages a month. */
async function tenantWith(limit: number | null, quota: CountedQuota = 'messages'): Promise<string> {
  const tenantId = await insertTenant(database.db);
  await withTenant(database.db, tenantId, (trx) =>
    changeSubscription(
      trx,
      { tenantId, plan: 'starter', status: 'active', expiresAt: null, limits: { [quota]: limit } },
      { actor, reason: null },
    ),
  );
  return tenantId;
}

async function usageOf(tenantId: string, quota: CountedQuota = 'messages') {
  const usage = await withTenant(database.db, tenantId, async (trx) =>
    listUsage(trx, tenantId, await findPlan(trx, tenantId)),
  );
  const { used, reserved } = usage.find((one) => one.quota === quota) ?? {};
  return { used, reserved };
}

const use = (tenantId: string, amount: number, quota: CountedQuota = 'messages') =>
  withTenant(database.db, tenantId, (trx) => useQuota(trx, { tenantId, quota, amount }));

const reserve = (tenantId: string, id: string, amount: number) =>
  withTenant(database.db, tenantId, (trx) =>
    reserveQuota(trx, { tenantId, quota: 'messages', id, amount }),
  );

const settle = (tenantId: string, id: string, amount: number) =>
  withTenant(database.db, tenantId, (trx) =>
    settleQuota(trx, { tenantId, quota: 'messages', id, amount }),
  );

async function refusals(calls: Promise<unknown>[]): Promise<string[]> {
  const ended = await Promise.allSettled(calls);
  return ended.flatMap((one) =>
    one.status === 'rejected' && one.reason instanceof AppError ? [one.reason.code] : [],
  );
}

describe('what is used', () => {
  test('cannot pass the limit, however many use it at once', async () => {
    const tenantId = await tenantWith(10);
    const refused = await refusals(Array.from({ length: 25 }, () => use(tenantId, 1)));

    expect(refused).toEqual(Array.from({ length: 15 }, () => 'quotaReached'));
    expect(await usageOf(tenantId)).toEqual({ used: 10, reserved: 0 });
  });

  test('is refused as a whole when it is too much, with what would do', async () => {
    const tenantId = await tenantWith(10);
    await use(tenantId, 8);

    await expect(use(tenantId, 3)).rejects.toMatchObject({
      kind: 'planLimit',
      code: 'quotaReached',
      details: { requiredPlan: 'free', quota: 'messages', used: 8, limit: 10 },
    });
    await expect(use(tenantId, 2_500_000)).rejects.toMatchObject({
      details: { requiredPlan: 'enterprise' },
    });
    expect(await usageOf(tenantId)).toEqual({ used: 8, reserved: 0 });
  });

  test('has no limit where there is none, and is counted all the same', async () => {
    const tenantId = await tenantWith(null);
    await use(tenantId, 5_000_000);
    expect(await usageOf(tenantId)).toEqual({ used: 5_000_000, reserved: 0 });
  });

  test('is given back when it is gone', async () => {
    const tenantId = await tenantWith(1, 'customers');
    await use(tenantId, 1, 'customers');
    await withTenant(database.db, tenantId, (trx) =>
      freeQuota(trx, { tenantId, quota: 'customers', amount: 1 }),
    );
    await use(tenantId, 1, 'customers');
    expect(await usageOf(tenantId, 'customers')).toEqual({ used: 1, reserved: 0 });
  });
});

describe('what is reserved', () => {
  test('is kept from others until it is settled with what was used', async () => {
    const tenantId = await tenantWith(100);
    const run = newId();
    await reserve(tenantId, run, 80);
    await expect(use(tenantId, 30)).rejects.toMatchObject({ details: { used: 80 } });

    await settle(tenantId, run, 50);
    await settle(tenantId, run, 50);
    expect(await usageOf(tenantId)).toEqual({ used: 50, reserved: 0 });
    await use(tenantId, 50);
  });

  test('is the newest amount when the same work asks again', async () => {
    const tenantId = await tenantWith(100);
    const run = newId();
    for (const amount of [60, 90, 40]) {
      await reserve(tenantId, run, amount);
      expect(await usageOf(tenantId)).toEqual({ used: 0, reserved: amount });
    }
    await expect(reserve(tenantId, run, 101)).rejects.toMatchObject({ code: 'quotaReached' });
    expect(await usageOf(tenantId)).toEqual({ used: 0, reserved: 40 });
  });

  test('is measured by the plan of now when it is asked for again', async () => {
    const tenantId = await tenantWith(100);
    const run = newId();
    await reserve(tenantId, run, 80);
    await withTenant(database.db, tenantId, (trx) =>
      changeSubscription(
        trx,
        { tenantId, plan: 'starter', status: 'active', expiresAt: null, limits: { messages: 50 } },
        { actor, reason: null },
      ),
    );
    await expect(reserve(tenantId, run, 80)).rejects.toMatchObject({ code: 'quotaReached' });
    await reserve(tenantId, run, 50);
    expect(await usageOf(tenantId)).toEqual({ used: 0, reserved: 50 });
  });

  test('moves to the month in which its work goes on', async () => {
    const tenantId = await tenantWith(100);
    const run = newId();
    await reserve(tenantId, run, 100);
    for (const table of ['quota_usage', 'quota_reservations']) {
      await database.db(table).where({ tenant_id: tenantId }).update({ period: '2020-01-01' });
    }
    await reserve(tenantId, run, 90);
    expect(await usageOf(tenantId)).toEqual({ used: 0, reserved: 90 });
    const [earlier] = await database
      .db('quota_usage')
      .where({ tenant_id: tenantId, period: '2020-01-01' });
    expect(earlier).toMatchObject({ used: 0, reserved: 0 });
  });

  test('cannot pass the limit, however many ask at once', async () => {
    const tenantId = await tenantWith(100);
    const refused = await refusals(
      Array.from({ length: 20 }, () => reserve(tenantId, newId(), 30)),
    );

    expect(refused).toHaveLength(17);
    expect(await usageOf(tenantId)).toEqual({ used: 0, reserved: 90 });
  });
});

describe('what processes count in memory', () => {
  test('cannot pass the limit together, and is written when it is closed', async () => {
    const tenantId = await tenantWith(100);
    const processes = Array.from({ length: 3 }, () => createQuotaLeases(database.db, fail));
    const refused = await refusals(
      processes.flatMap((leases) =>
        Array.from({ length: 60 }, () => leases.take(tenantId, 'messages')),
      ),
    );
    const taken = 180 - refused.length;
    expect(taken).toBeLessThanOrEqual(100);

    await Promise.all(processes.map((leases) => leases.close()));
    expect(await usageOf(tenantId)).toEqual({ used: taken, reserved: 0 });
  });

  test('is used to the last one by who comes after another', async () => {
    const tenantId = await tenantWith(70);
    const [first, second] = [1, 2].map(() => createQuotaLeases(database.db, fail));
    await first?.take(tenantId, 'messages');
    await first?.close();
    const takes = Array.from({ length: 70 }, () => second?.take(tenantId, 'messages'));
    expect(await refusals(takes.map((take) => Promise.resolve(take)))).toEqual(['quotaReached']);
    await second?.close();
    expect(await usageOf(tenantId)).toEqual({ used: 70, reserved: 0 });
  });

  test('is not counted when it was given back', async () => {
    const tenantId = await tenantWith(1);
    const leases = createQuotaLeases(database.db, fail);
    await leases.take(tenantId, 'messages');
    leases.giveBack(tenantId, 'messages');
    await leases.take(tenantId, 'messages');
    await leases.close();
    expect(await usageOf(tenantId)).toEqual({ used: 1, reserved: 0 });
  });

  test('shows in the records within seconds', async () => {
    const tenantId = await tenantWith(100);
    const leases = createQuotaLeases(database.db, fail);
    await leases.take(tenantId, 'messages');
    await until('it is written', async () => (await usageOf(tenantId)).used === 1);
    expect(await usageOf(tenantId)).toEqual({ used: 1, reserved: 0 });
    await leases.close();
  });

  test('counts as used in whole when its process is gone', async () => {
    const tenantId = await tenantWith(100);
    await withTenant(database.db, tenantId, (trx) =>
      reserveQuota(trx, { tenantId, quota: 'messages', id: newId(), amount: 64, forMs: 0 }),
    );
    await acrossTenants(database.db, 'reconcile', settleAbandonedQuotas);
    expect(await usageOf(tenantId)).toEqual({ used: 64, reserved: 0 });
  });
});

test('a larger plan has all that a smaller one has', () => {
  const order: PlanName[] = ['free', 'starter', 'professional', 'enterprise'];
  for (const [index, name] of order.slice(1).entries()) {
    const smaller = plans[order[index] ?? 'free'];
    expect(plans[name].features).toEqual(expect.arrayContaining([...smaller.features]));
    for (const quota of quotaNames) {
      expect(plans[name].limits[quota] ?? Infinity).toBeGreaterThan(
        (smaller.limits[quota] ?? Infinity) - 1,
      );
    }
  }
});

function fail(error: unknown): never {
  throw error;
}
