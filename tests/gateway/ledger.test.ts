import { AppError } from '../../domain/errors';
import { createCallLedger } from '../../gateway/ledger';
import type { CallLedger } from '../../gateway/types';
import { createDatabase, type Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { createLogger } from '../../lib/logger';
import { sealedPlace } from '../../models/identity/sealedPlaces';
import { testSealing } from '../support/accounts';
import { insertBudget, openCall, settledCall, sumsOf } from '../support/llmLedger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { insertTenant } from '../support/records';

let database: TestDatabase;
const logger = createLogger({ name: 'test', level: 'silent' });
const pools: Knex[] = [];
const ledgers: CallLedger[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterEach(async () => {
  await Promise.all(ledgers.splice(0).map((ledger) => ledger.close()));
});

afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.destroy()));
  await database.drop();
});

type Options = Partial<Parameters<typeof createCallLedger>[0]>;

/** The ledger of a process, with connections of its own. */
function ledgerOf(options: Options = {}): CallLedger {
  const db = createDatabase({ url: database.url, applicationName: 'test-ledger', poolMax: 4 });
  pools.push(db);
  const ledger = createCallLedger({ db, sealing: testSealing, logger, ...options });
  ledgers.push(ledger);
  return ledger;
}

const newTenant = () => insertTenant(database.db);

async function refusalsOf(calls: Promise<unknown>[]): Promise<AppError[]> {
  const ended = await Promise.allSettled(calls);
  return ended.flatMap((one) => {
    if (one.status === 'rejected' && !(one.reason instanceof AppError)) {
      throw one.reason;
    }
    return one.status === 'rejected' && one.reason instanceof AppError ? [one.reason] : [];
  });
}

async function spendOf(tenantId: string | null, scope: string, period = 'month') {
  return database
    .db('llm_spend')
    .where({ tenant_id: tenantId, scope, period })
    .orderBy(['starts_on', 'subject'])
    .select('subject', 'spent_micros as spent', 'reserved_micros as reserved');
}

const callsOf = (tenantId: string) =>
  database.db('llm_calls').where({ tenant_id: tenantId }).orderBy('id');

describe('one call', () => {
  test('is reserved by its estimate, then recorded by its cost, with its attempts', async () => {
    const [ledger, tenantId, userId] = [ledgerOf(), await newTenant(), newId()];
    const call = openCall(tenantId, {
      asker: { tenantId, userId, feature: 'content', workflowId: 'content/1' },
    });
    await ledger.open(call);
    expect(await callsOf(tenantId)).toMatchObject([
      { id: call.callId, outcome: 'open', estimate_micros: 1_000, user_id: userId },
    ]);
    expect(await spendOf(tenantId, 'user')).toEqual([
      { subject: userId, spent: 0, reserved: 1_000 },
    ]);

    const ended = settledCall(call);
    ledger.settle(ended);
    await ledger.flush();
    expect(await callsOf(tenantId)).toMatchObject([
      {
        outcome: 'succeeded',
        model: call.model,
        key_id: ended.keyId,
        account_id: ended.accountId,
        cost_micros: 700,
        cost_source: 'vendor',
        prompt_tokens: 100,
        completion_tokens: 20,
        first_token_ms: 40,
        total_ms: 121,
        attempts: 1,
        workflow_id: 'content/1',
      },
    ]);
    expect(await database.db('llm_attempts').where({ call_id: call.callId })).toMatchObject([
      { n: 1, tenant_id: tenantId, key_id: ended.keyId, status: 200, total_ms: 120 },
    ]);
    for (const scope of ['plan', 'tenant', 'user', 'feature', 'model']) {
      expect(await spendOf(tenantId, scope)).toMatchObject([{ spent: 700, reserved: 0 }]);
    }
    expect(await database.db('llm_usage_days').where({ tenant_id: tenantId })).toMatchObject([
      { feature: 'content', model: call.model, calls: 1, failed: 0, cost_micros: 700 },
    ]);
  });

  test('is recorded with the prices that held when it was made', async () => {
    const [ledger, tenantId, model] = [ledgerOf(), await newTenant(), `test/${newId()}`];
    const call = openCall(tenantId, { model });
    const prices = {
      model,
      prompt_micros_per_million: 1,
      completion_micros_per_million: 1,
      cached_micros_per_million: 1,
      request_micros: 0,
      image_micros: 0,
    };
    const [before, after] = [newId(), newId()];
    await database.db('llm_price_snapshots').insert({ ...prices, id: before });
    await ledger.open(call);
    await database.db('llm_price_snapshots').insert({ ...prices, id: after });
    ledger.settle(settledCall(call));
    await ledger.flush();
    expect(await callsOf(tenantId)).toMatchObject([{ price_snapshot_id: before }]);
  });

  test('is settled once, however often it is told', async () => {
    const [ledger, other, tenantId] = [ledgerOf(), ledgerOf(), await newTenant()];
    const call = openCall(tenantId);
    await ledger.open(call);
    ledger.settle(settledCall(call));
    ledger.settle(settledCall(call));
    other.settle(settledCall(call));
    await Promise.all([ledger.flush(), other.flush()]);
    ledger.settle(settledCall(call, { costMicros: 5, outcome: 'failed' }));
    await ledger.flush();
    expect(await spendOf(tenantId, 'tenant')).toMatchObject([{ spent: 700, reserved: 0 }]);
    expect(await callsOf(tenantId)).toMatchObject([{ outcome: 'succeeded', cost_micros: 700 }]);
  });

  test('is not counted against the plan when an own key served it', async () => {
    const [ledger, tenantId] = [ledgerOf(), await newTenant()];
    const [either, own] = [openCall(tenantId), openCall(tenantId, { mayUsePlatform: false })];
    await Promise.all([ledger.open(either), ledger.open(own)]);
    const keyId = newId();
    ledger.settle(settledCall(either, { poolId: tenantId, keyId }));
    ledger.settle(settledCall(own, { poolId: tenantId, keyId }));
    await ledger.flush();
    expect(await spendOf(tenantId, 'plan')).toMatchObject([{ spent: 0, reserved: 0 }]);
    expect(await spendOf(tenantId, 'tenant')).toMatchObject([{ spent: 1_400, reserved: 0 }]);
    expect(await spendOf(tenantId, 'key')).toEqual([{ subject: keyId, spent: 1_400, reserved: 0 }]);
  });
});

describe('budgets', () => {
  test('of a thousand calls at once, from two processes, exactly as many are opened as there is room for', async () => {
    const [ledger, other, tenantId] = [ledgerOf(), ledgerOf(), await newTenant()];
    await insertBudget(database.db, { tenantId, limitMicros: 100_500 });
    const calls = Array.from({ length: 1_000 }, () => openCall(tenantId));
    const refused = await refusalsOf(
      calls.map((call, index) => (index % 2 === 0 ? ledger : other).open(call)),
    );
    expect(refused).toHaveLength(900);
    expect(new Set(refused.map(({ code, kind }) => `${kind} ${code}`))).toEqual(
      new Set(['planLimit llmBudgetSpent']),
    );
    const sums = await sumsOf(database.db, tenantId);
    expect(sums.calls).toEqual({ spent: 0, reserved: 100_000 });

    // Costs of their own, as real ones are; then it is refilled by what was not used.
    const opened: { id: string }[] = await callsOf(tenantId);
    let spent = 0;
    opened.forEach(({ id }, index) => {
      spent += 1_000 - index;
      (index % 2 === 0 ? other : ledger).settle(
        settledCall({ callId: id, model: 'openai/gpt-small' }, { costMicros: 1_000 - index }),
      );
    });
    await Promise.all([ledger.flush(), other.flush()]);
    const more = Array.from({ length: 200 }, () => openCall(tenantId));
    await refusalsOf(more.map((call, index) => (index % 2 === 0 ? ledger : other).open(call)));
    const after = await sumsOf(database.db, tenantId);
    const room = Math.floor((100_500 - spent) / 1_000);
    expect(after.calls).toEqual({ spent, reserved: room * 1_000 });
    expect(after.days).toEqual({ spent });
    for (const { scope, spent: counted, reserved } of after.counters) {
      expect({ scope, counted, reserved }).toEqual(
        scope === 'key'
          ? { scope, counted: 0, reserved: 0 }
          : { scope, counted: spent, reserved: room * 1_000 },
      );
    }
  });

  test('calls of different sizes fill it as far as they fit', async () => {
    const [ledger, tenantId] = [ledgerOf(), await newTenant()];
    await insertBudget(database.db, { tenantId, limitMicros: 10 });
    const sizes = [9, 5, 4, 1, 1, 1];
    const calls = sizes.map((estimateMicros) => openCall(tenantId, { estimateMicros }));
    const ended = await Promise.allSettled(calls.map((call) => ledger.open(call)));
    const opened = sizes.filter((_, index) => ended[index]?.status === 'fulfilled');
    expect(opened).toEqual([9, 1]);
  });

  test('of user, feature and model hold together, and a call is reserved under all or none', async () => {
    const [ledger, tenantId, userId] = [ledgerOf(), await newTenant(), newId()];
    await insertBudget(database.db, {
      tenantId,
      scope: 'user',
      subject: userId,
      limitMicros: 5_000,
    });
    await insertBudget(database.db, {
      tenantId,
      scope: 'feature',
      subject: 'script',
      limitMicros: 8_000,
    });
    await insertBudget(database.db, {
      tenantId,
      scope: 'model',
      subject: 'big',
      period: 'day',
      limitMicros: 2_000,
    });
    const asker = { tenantId, userId, feature: 'script', workflowId: null };
    const ofUser = Array.from({ length: 6 }, () => openCall(tenantId, { asker }));
    const ofModel = Array.from({ length: 4 }, () => openCall(tenantId, { model: 'big' }));
    const ofOthers = Array.from({ length: 4 }, () => openCall(tenantId));
    const byUser = await refusalsOf(ofUser.map((call) => ledger.open(call)));
    const byModel = await refusalsOf(ofModel.map((call) => ledger.open(call)));
    const byFeature = await refusalsOf(ofOthers.map((call) => ledger.open(call)));
    expect(byUser.map(({ details }) => details['scope'])).toEqual(['user']);
    expect(byModel.map(({ details }) => details['scope'])).toEqual(['model', 'model']);
    expect(byFeature.map(({ details }) => details['scope'])).toEqual([
      'feature',
      'feature',
      'feature',
    ]);
    expect(await spendOf(tenantId, 'tenant')).toMatchObject([{ reserved: 8_000 }]);
    expect(await spendOf(tenantId, 'user')).toMatchObject([{ reserved: 5_000 }]);
    expect(await spendOf(tenantId, 'model')).toMatchObject([
      { subject: 'big', reserved: 2_000 },
      { subject: 'openai/gpt-small', reserved: 6_000 },
    ]);
  });

  test('begin anew with the day and the month, while a call counts in the ones it was made in', async () => {
    let at = new Date('2026-11-30T23:59:59.900Z');
    const [ledger, tenantId] = [ledgerOf({ now: () => at }), await newTenant()];
    await insertBudget(database.db, { tenantId, period: 'day', limitMicros: 1_000 });
    await insertBudget(database.db, { tenantId, period: 'month', limitMicros: 1_500 });
    const [november, late, december] = [openCall(tenantId), openCall(tenantId), openCall(tenantId)];
    await ledger.open(november);
    const refused = await refusalsOf([ledger.open(late)]);
    // The month ends no earlier than the day: it is what is named.
    expect(refused[0]?.message).toBe(
      'The AI budget of this month, 0.0015 USD, has 0.0005 USD left, and this may cost 0.001 USD; it begins anew on 1 December (UTC).',
    );
    expect(refused[0]?.details).toMatchObject({
      scope: 'tenant',
      period: 'month',
      limitMicros: 1_500,
      reservedMicros: 1_000,
      resetsAt: '2026-12-01T00:00:00.000Z',
    });

    at = new Date('2026-12-01T00:00:00.100Z');
    await ledger.open(december);
    ledger.settle(settledCall(november, { costMicros: 900 }));
    ledger.settle(settledCall(december, { costMicros: 800 }));
    await ledger.flush();
    for (const period of ['day', 'month']) {
      expect(await spendOf(tenantId, 'tenant', period)).toMatchObject([
        { spent: 900, reserved: 0 },
        { spent: 800, reserved: 0 },
      ]);
    }
    const days = await database
      .db('llm_usage_days')
      .where({ tenant_id: tenantId })
      .orderBy('day')
      .select(database.db.raw('day::text as day'), 'cost_micros');
    expect(days).toEqual([
      { day: '2026-11-30', cost_micros: 900 },
      { day: '2026-12-01', cost_micros: 800 },
    ]);
  });

  test('what the plan allows is a budget of calls by the platform’s keys', async () => {
    const [ledger, tenantId] = [ledgerOf(), await newTenant()];
    await database.db('subscriptions').where({ tenant_id: tenantId }).update({ plan: 'free' });
    const large = { estimateMicros: 600_000 };
    await ledger.open(openCall(tenantId, large));
    const [refused] = await refusalsOf([ledger.open(openCall(tenantId, large))]);
    expect(refused?.details).toMatchObject({
      scope: 'plan',
      limitMicros: 1_000_000,
      requiredPlan: 'starter',
    });
    expect(refused?.message).toMatch(/^What the plan allows for AI this month, 1\.00 USD, /);
    await ledger.open(openCall(tenantId, { ...large, mayUsePlatform: false }));

    const limitIs = (limits: object, columns: object = {}) =>
      database
        .db('subscriptions')
        .where({ tenant_id: tenantId })
        .update({ limits: JSON.stringify(limits), ...columns });
    await limitIs({ aiMicros: 1_200_000 });
    await ledger.open(openCall(tenantId, large));
    expect(await refusalsOf([ledger.open(openCall(tenantId, large))])).toHaveLength(1);
    await limitIs({ aiMicros: null });
    await ledger.open(openCall(tenantId, large));
    // What is over has fallen to free.
    await limitIs({ aiMicros: null }, { expires_at: new Date(0) });
    expect(await refusalsOf([ledger.open(openCall(tenantId, large))])).toHaveLength(1);
  });

  test('of a key are counted when its calls are settled; who is told benches it', async () => {
    const told: unknown[] = [];
    const now = () => new Date('2026-11-21T10:00:00Z');
    const ledger = ledgerOf({ spentKey: (key) => told.push(key), now });
    const [tenantId, keyId, accountId] = [await newTenant(), newId(), newId()];
    await insertBudget(database.db, {
      tenantId: null,
      scope: 'key',
      subject: keyId,
      period: 'day',
      limitMicros: 1_000,
    });
    const [first, second] = [openCall(tenantId), openCall(tenantId)];
    await Promise.all([ledger.open(first), ledger.open(second)]);
    ledger.settle(settledCall(first, { keyId, accountId }));
    await ledger.flush();
    expect(told).toEqual([]);
    ledger.settle(settledCall(second, { keyId, accountId }));
    await ledger.flush();
    expect(told).toEqual([
      {
        keyId,
        accountId,
        poolId: '00000000-0000-0000-0000-000000000000',
        resetsAt: Date.UTC(2026, 10, 22),
      },
    ]);
    const counters = await database
      .db('llm_spend')
      .where({ tenant_id: null, scope: 'key', subject: keyId });
    expect(counters).toMatchObject([{ spent_micros: 1_400 }, { spent_micros: 1_400 }]);
  });
});

describe('what goes wrong', () => {
  test('a call that cannot be written fails alone', async () => {
    const [ledger, tenantId] = [ledgerOf(), await newTenant()];
    const asker = { tenantId, userId: null, feature: 'No Feature', workflowId: null };
    const calls = [openCall(tenantId), openCall(tenantId, { asker }), openCall(tenantId)];
    const ended = await Promise.allSettled(calls.map((call) => ledger.open(call)));
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await spendOf(tenantId, 'tenant')).toMatchObject([{ reserved: 2_000 }]);
  });

  test('a group that is opened again, its answer having been lost, is reserved once', async () => {
    const [ledger, other, tenantId] = [ledgerOf(), ledgerOf(), await newTenant()];
    const call = openCall(tenantId);
    await Promise.all([ledger.open(call), ledger.open(call), other.open(call)]);
    await ledger.open(call);
    expect(await spendOf(tenantId, 'tenant')).toMatchObject([{ reserved: 1_000 }]);
    expect(await callsOf(tenantId)).toHaveLength(1);
  });
});

describe('words of a call', () => {
  test('are kept, sealed, where the tenant wants it, and nowhere else', async () => {
    const [ledger, keeping, other] = [ledgerOf(), await newTenant(), await newTenant()];
    await database
      .db('llm_settings')
      .insert({ tenant_id: keeping, keeps_prompts: true, prompt_days: 3 });
    const [kept, unkept] = [openCall(keeping), openCall(other)];
    await Promise.all([ledger.open(kept), ledger.open(unkept)]);
    for (const [call, tenantId] of [
      [kept, keeping],
      [unkept, other],
    ] as const) {
      ledger.keepPrompt({ callId: call.callId, tenantId, content: 'Write about bells.' });
    }
    await ledger.flush();
    const rows: { call_id: string; content: string; expires_at: Date }[] = await database
      .db('llm_prompts')
      .whereIn('tenant_id', [keeping, other]);
    expect(rows).toMatchObject([{ call_id: kept.callId }]);
    const content = rows[0]?.content ?? '';
    const expiresAt = rows[0]?.expires_at ?? new Date(0);
    expect(content).not.toContain('bells');
    const place = sealedPlace('llmPrompts', { key: [kept.callId], tenantId: keeping });
    expect(testSealing.open(content, place)).toBe('Write about bells.');
    expect(Math.round((expiresAt.getTime() - Date.now()) / 3_600_000)).toBe(72);
  });
});
