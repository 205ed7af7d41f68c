import { createCallLedger } from '../../../gateway/ledger';
import { createLogger } from '../../../lib/logger';
import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { forgetCalls, forgetTransitions, settleLostCalls } from '../../../models/llm/tending';
import { testSealing } from '../../support/accounts';
import { openCall, settledCall, sumsOf } from '../../support/llmLedger';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(() => database.drop());

const ledgerOf = () =>
  createCallLedger({
    db: database.app,
    sealing: testSealing,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });

const settleLost = () => acrossTenants(database.app, 'llmLedger', settleLostCalls);
const passTime = (id: string) =>
  database
    .db('llm_calls')
    .where({ id })
    .update({ expires_at: new Date(Date.now() - 600_000) });

describe('calls of a process that is gone', () => {
  test('are settled by their estimate when their time is long over, once, and not before', async () => {
    const [ledger, tenantId] = [ledgerOf(), await insertTenant(database.db)];
    const [gone, living] = [openCall(tenantId), openCall(tenantId)];
    await Promise.all([ledger.open(gone), ledger.open(living)]);
    expect(await settleLost()).toBe(0);
    await passTime(gone.callId);
    const settled = await Promise.all([settleLost(), settleLost()]);
    expect(settled.reduce((sum, calls) => sum + calls, 0)).toBe(1);
    expect(await database.db('llm_calls').where({ id: gone.callId })).toMatchObject([
      { outcome: 'lost', cost_micros: 1_000, cost_source: 'estimate', attempts: 0 },
    ]);
    expect(await database.db('llm_usage_days').where({ tenant_id: tenantId })).toMatchObject([
      { calls: 1, failed: 1, cost_micros: 1_000, key_id: null },
    ]);
    const { counters } = await sumsOf(database.db, tenantId);
    expect(counters.every(({ spent, reserved }) => spent === 1_000 && reserved === 1_000)).toBe(
      true,
    );

    // Its process was only slow: what it tells now is too late.
    ledger.settle(settledCall(gone));
    ledger.settle(settledCall(living));
    await ledger.close();
    expect(await sumsOf(database.db, tenantId)).toMatchObject({
      calls: { spent: 1_700, reserved: 0 },
    });
    expect(await database.db('llm_attempts').where({ call_id: gone.callId })).toEqual([]);
  });
});

describe('what is kept for a time', () => {
  test('words go after the days of their tenant, calls and transitions after theirs, sums stay', async () => {
    const [ledger, tenantId] = [ledgerOf(), await insertTenant(database.db)];
    await database.db('llm_settings').insert({ tenant_id: tenantId, keeps_prompts: true });
    const [old, young] = [openCall(tenantId), openCall(tenantId)];
    await Promise.all([ledger.open(old), ledger.open(young)]);
    for (const call of [old, young]) {
      ledger.keepPrompt({ callId: call.callId, tenantId, content: 'Write about bells.' });
      ledger.settle(settledCall(call));
    }
    await ledger.close();
    const forget = () =>
      acrossTenants(database.app, 'llmLedger', (trx) => forgetCalls(trx, { callDays: 400 }));
    expect(await forget()).toEqual({ rows: 0, isMoreLeft: false });
    await database
      .db('llm_prompts')
      .where({ call_id: old.callId })
      .update({ expires_at: new Date(0) });
    expect(await forget()).toEqual({ rows: 1, isMoreLeft: false });
    expect(await database.db('llm_calls')).toHaveLength(2);

    const ago = (days: number) => new Date(Date.now() - days * 86_400_000);
    await database
      .db('llm_calls')
      .where({ id: old.callId })
      .update({ created_at: ago(401) });
    await database
      .db('llm_calls')
      .where({ id: young.callId })
      .update({ created_at: ago(399) });
    expect(await forget()).toEqual({ rows: 1, isMoreLeft: false });
    expect(await database.db('llm_calls').select('id')).toEqual([{ id: young.callId }]);
    expect(await database.db('llm_prompts').select('call_id')).toEqual([{ call_id: young.callId }]);
    expect(await database.db('llm_usage_days').sum({ calls: 'calls' })).toMatchObject([
      { calls: '2' },
    ]);

    for (const days of [91, 89]) {
      await database.db('llm_transitions').insert({
        id: newId(),
        at: ago(days),
        scope: 'platform',
        from_state: 'well',
        to_state: 'cooling',
        actor_kind: 'call',
      });
    }
    expect(
      await acrossTenants(database.app, 'llmRing', (trx) =>
        forgetTransitions(trx, { transitionDays: 90 }),
      ),
    ).toEqual({
      rows: 1,
      isMoreLeft: false,
    });
    expect(await database.db('llm_transitions')).toHaveLength(1);
  });
});
