import { AppError } from '../../domain/errors';
import { createCallLedger } from '../../gateway/ledger';
import type { CallLedger, SettledAttempt } from '../../gateway/types';
import { platformPool } from '../../domain/llm/types';
import { newId } from '../../lib/ids';
import { createLogger } from '../../lib/logger';
import { testSealing } from '../support/accounts';
import { insertBudget, openCall, settledCall, sumsOf } from '../support/llmLedger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { insertTenant } from '../support/records';

// What the second attempt of a call costs: reserved before it, booked to its own key after it.

let database: TestDatabase;
let ledger: CallLedger;

beforeAll(async () => {
  database = await createTestDatabase();
  ledger = createCallLedger({
    db: database.app,
    sealing: testSealing,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
});

afterAll(async () => {
  await ledger.close();
  await database.drop();
});

const newTenant = () => insertTenant(database.db);

async function refusalOf(call: Promise<void>): Promise<AppError | null> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error !== null && !(error instanceof AppError)) {
    throw error;
  }
  return error;
}

describe('more for a call that is open', () => {
  test('is reserved under the same budgets, and given back with the rest', async () => {
    const tenantId = await newTenant();
    const call = openCall(tenantId, { estimateMicros: 1_000 });
    await ledger.open(call);
    await ledger.reserveMore({ callId: call.callId, estimateMicros: 1_700 });
    const raised = await sumsOf(database.db, tenantId);
    expect(raised.calls).toMatchObject({ reserved: 1_700 });
    expect(raised.counters.map(({ reserved }) => reserved)).toEqual(
      raised.counters.map(() => 1_700),
    );
    ledger.settle(settledCall(call, { costMicros: 1_500 }));
    await ledger.flush();
    const settled = await sumsOf(database.db, tenantId);
    expect(settled.calls).toMatchObject({ spent: 1_500, reserved: 0 });
    for (const { spent, reserved } of settled.counters) {
      expect({ spent, reserved }).toEqual({ spent: 1_500, reserved: 0 });
    }
  });

  test('is the same when it is asked twice, and never less than there was', async () => {
    const tenantId = await newTenant();
    const call = openCall(tenantId, { estimateMicros: 1_000 });
    await ledger.open(call);
    await ledger.reserveMore({ callId: call.callId, estimateMicros: 1_700 });
    await ledger.reserveMore({ callId: call.callId, estimateMicros: 1_700 });
    await ledger.reserveMore({ callId: call.callId, estimateMicros: 400 });
    expect((await sumsOf(database.db, tenantId)).calls).toMatchObject({ reserved: 1_700 });
  });

  test('is refused where there is no room, and then changes nothing', async () => {
    const tenantId = await newTenant();
    await insertBudget(database.db, { tenantId, limitMicros: 1_500 });
    const call = openCall(tenantId, { estimateMicros: 1_000 });
    await ledger.open(call);
    const refusal = await refusalOf(
      ledger.reserveMore({ callId: call.callId, estimateMicros: 1_501 }),
    );
    expect(refusal).toMatchObject({
      kind: 'planLimit',
      code: 'llmBudgetSpent',
      details: { scope: 'tenant', limitMicros: 1_500, reservedMicros: 1_000 },
    });
    expect((await sumsOf(database.db, tenantId)).calls).toMatchObject({ reserved: 1_000 });
    await ledger.reserveMore({ callId: call.callId, estimateMicros: 1_500 });
  });

  test('never passes a budget, however many ask at once', async () => {
    const tenantId = await newTenant();
    await insertBudget(database.db, { tenantId, limitMicros: 50_000 });
    const calls = Array.from({ length: 40 }, () => openCall(tenantId, { estimateMicros: 1_000 }));
    await Promise.all(calls.map((call) => ledger.open(call)));
    const refusals = await Promise.all(
      calls.map(({ callId }) => refusalOf(ledger.reserveMore({ callId, estimateMicros: 2_000 }))),
    );
    expect(refusals.filter((refusal) => refusal === null)).toHaveLength(10);
    const { calls: sums, counters } = await sumsOf(database.db, tenantId);
    expect(sums).toMatchObject({ reserved: 50_000 });
    for (const { reserved } of counters) {
      expect(reserved).toBe(50_000);
    }
  });

  test('is none of a call that is over', async () => {
    const tenantId = await newTenant();
    const call = openCall(tenantId);
    await ledger.open(call);
    ledger.settle(settledCall(call));
    await ledger.flush();
    await expect(
      ledger.reserveMore({ callId: call.callId, estimateMicros: 9_000 }),
    ).rejects.toThrow('not open');
    expect((await sumsOf(database.db, tenantId)).calls).toMatchObject({ reserved: 0 });
  });
});

test('what attempts cost is booked to their keys, pools and models', async () => {
  const tenantId = await newTenant();
  const call = openCall(tenantId, { model: 'vendor/asked' });
  const [own, platform] = [newId(), newId()];
  await ledger.open(call);
  const ended = settledCall(call, {
    model: 'vendor/other',
    keyId: platform,
    poolId: platformPool,
    costMicros: 900,
    usage: usageOf(150, 30),
  });
  const [last] = ended.attempts;
  const attempts: SettledAttempt[] =
    last === undefined
      ? []
      : [
          {
            ...last,
            keyId: own,
            poolId: tenantId,
            model: 'vendor/asked',
            failureKind: 'brokenAnswer',
            usage: usageOf(100, 10),
            costMicros: 600,
          },
          { ...last, n: 2, model: 'vendor/other', usage: usageOf(50, 20), costMicros: 300 },
        ];
  ledger.settle({ ...ended, attempts });
  await ledger.flush();

  const days = await database.db('llm_usage_days').where({ tenant_id: tenantId }).orderBy('model');
  expect(days).toMatchObject([
    {
      model: 'vendor/asked',
      key_id: own,
      calls: 0,
      prompt_tokens: 100,
      completion_tokens: 10,
      cost_micros: 600,
    },
    {
      model: 'vendor/other',
      key_id: platform,
      calls: 1,
      prompt_tokens: 50,
      completion_tokens: 20,
      cost_micros: 300,
    },
  ]);
  const spentOf = (values: object) =>
    database
      .db('llm_spend')
      .where({ period: 'month', ...values })
      .pluck('spent_micros');
  expect(await spentOf({ tenant_id: tenantId, scope: 'plan' })).toEqual([300]);
  expect(await spentOf({ tenant_id: tenantId, scope: 'tenant' })).toEqual([900]);
  expect(await spentOf({ tenant_id: tenantId, scope: 'key', subject: own })).toEqual([600]);
  expect(await spentOf({ tenant_id: null, scope: 'key', subject: platform })).toEqual([300]);
  const { calls, days: sums } = await sumsOf(database.db, tenantId);
  expect([calls.spent, sums.spent]).toEqual([900, 900]);
});

function usageOf(promptTokens: number, completionTokens: number) {
  return { promptTokens, completionTokens, cachedTokens: 0, reasoningTokens: 0, costMicros: null };
}
