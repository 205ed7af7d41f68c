import { createCallLedger } from '../../../gateway/ledger';
import { platformPool } from '../../../domain/llm/types';
import { createDatabase, type Knex } from '../../../lib/db';
import { newId } from '../../../lib/ids';
import { createLogger } from '../../../lib/logger';
import { acrossTenants } from '../../../models/base';
import { settleLostCalls } from '../../../models/llm/tending';
import { testSealing } from '../../support/accounts';
import { insertBudget, openCall, settledCall } from '../../support/llmLedger';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';

let database: TestDatabase;
const pools: Knex[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.destroy()));
  await database.drop();
});

/** The ledger of a process. */
function ledgerOf() {
  const db = createDatabase({ url: database.url, applicationName: 'test-ledger', poolMax: 4 });
  pools.push(db);
  return createCallLedger({
    db,
    sealing: testSealing,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
}

// Repeatable: a linear congruential generator.
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('whatever three processes do at once, counters and days are the sums of calls, and no budget is passed', async () => {
  const below = numbersFrom(20_261_121);
  const pick = <T>(of: readonly T[]): T => {
    const one = of[below(of.length)];
    if (one === undefined) {
      throw new Error('Nothing to pick');
    }
    return one;
  };
  const ledgers = [ledgerOf(), ledgerOf(), ledgerOf()];
  const tenants = [await insertTenant(database.db), await insertTenant(database.db)];
  const users = [newId(), newId(), newId()];
  const [models, features] = [
    ['a/one', 'b/two', 'c/three'],
    ['script', 'content'],
  ];
  const keys = [newId(), newId(), newId(), newId()];
  const budgets: { tenantId: string; scope: string; subject: string; limitMicros: number }[] =
    tenants.flatMap((tenantId) => [
      { tenantId, scope: 'tenant', subject: '', limitMicros: 260_000 },
      { tenantId, scope: 'user', subject: pick(users), limitMicros: 60_000 },
      { tenantId, scope: 'feature', subject: 'content', limitMicros: 110_000 },
      { tenantId, scope: 'model', subject: 'b/two', limitMicros: 50_000 },
    ]);
  await Promise.all(budgets.map((budget) => insertBudget(database.db, budget)));

  let refused = 0;
  await Promise.all(
    Array.from({ length: 900 }, async () => {
      const tenantId = pick(tenants);
      const call = openCall(tenantId, {
        asker: {
          tenantId,
          userId: pick([...users, null]),
          feature: pick(features),
          workflowId: null,
        },
        model: pick(models),
        estimateMicros: 1 + below(3_000),
        mayUsePlatform: below(2) === 0,
      });
      const costMicros = below(8) === 0 ? below(call.estimateMicros) : call.estimateMicros;
      const [opener, settler] = [pick(ledgers), pick(ledgers)];
      const fate = below(10);
      const ended = settledCall(call, {
        costMicros,
        keyId: pick(keys),
        model: pick([call.model, ...models]),
        poolId: call.mayUsePlatform && below(2) === 0 ? platformPool : tenantId,
        outcome: fate < 8 ? 'succeeded' : 'failed',
      });
      try {
        await opener.open(call);
      } catch {
        refused += 1;
        return;
      }
      // One of ten is never heard of again.
      if (fate > 0) {
        settler.settle(ended);
      }
    }),
  );
  await Promise.all(ledgers.map((ledger) => ledger.close()));
  expect(refused).toBeGreaterThan(50);
  await compareSums();

  const expired = new Date(Date.now() - 3_600_000);
  const lost = await database
    .db('llm_calls')
    .where({ outcome: 'open' })
    .update({ expires_at: expired });
  expect(lost).toBeGreaterThan(20);
  const settled = await Promise.all(
    [0, 1].map(() => acrossTenants(database.app, 'llmLedger', settleLostCalls)),
  );
  expect(settled.reduce((sum, calls) => sum + calls, 0)).toBe(lost);
  await compareSums();
  expect(await database.db('llm_calls').where({ outcome: 'open' })).toEqual([]);

  for (const { tenantId, scope, subject, limitMicros } of budgets) {
    const [counter] = await database
      .db('llm_spend')
      .where({ tenant_id: tenantId, scope, subject, period: 'month' });
    expect(counter.reserved_micros).toBe(0);
    expect(counter.spent_micros).toBeLessThanOrEqual(limitMicros);
    // They were worth asking for.
    expect(counter.spent_micros).toBeGreaterThan(limitMicros / 10);
  }
});

/** Every counter against the calls it is of, and every sum of a day against its calls. */
async function compareSums(): Promise<void> {
  // What is the plan's depends on whose key served, which calls do not keep.
  const counters = await database.db.raw(`
    with said as (
      select c.tenant_id, k.scope, k.subject, p.period,
             sum(case when c.outcome = 'open' then c.estimate_micros else 0 end) as reserved,
             coalesce(sum(c.cost_micros), 0) as spent
        from llm_calls c cross join (values ('day'), ('month')) as p (period)
       cross join lateral (values ('tenant', ''), ('user', c.user_id::text),
             ('feature', c.feature), ('model', c.model_asked)) as k (scope, subject)
       where k.subject is not null group by 1, 2, 3, 4
    ), counted as (
      select * from llm_spend where scope not in ('key', 'plan')
    )
    select * from counted full join said using (tenant_id, scope, subject, period)
     where (coalesce(reserved_micros, 0), coalesce(spent_micros, 0))
       is distinct from (coalesce(reserved, 0), coalesce(spent, 0))`);
  expect(counters.rows).toEqual([]);
  const keys = await database.db.raw(`
    select key_id, sum(cost_micros) as said,
           (select sum(spent_micros) from llm_spend s
             where s.scope = 'key' and s.period = 'day' and s.subject = key_id::text) as counted
      from llm_calls where key_id is not null group by key_id`);
  expect(keys.rows.length).toBeGreaterThan(0);
  for (const { said, counted } of keys.rows) {
    expect(counted).toBe(said);
  }
  const days = await database.db.raw(`
    with said as (
      select tenant_id, feature, coalesce(model, model_asked) as model, key_id, user_id, count(*) as calls,
             count(*) filter (where outcome in ('failed', 'lost')) as failed,
             sum(cost_micros) as cost
        from llm_calls where outcome <> 'open' group by 1, 2, 3, 4, 5
    )
    select * from llm_usage_days u full join said s
        on s.tenant_id = u.tenant_id and s.feature = u.feature and s.model = u.model
       and s.key_id is not distinct from u.key_id and s.user_id is not distinct from u.user_id
     where (u.calls, u.failed, u.cost_micros) is distinct from (s.calls, s.failed, s.cost)`);
  expect(days.rows).toEqual([]);
}
