import { setTimeout as sleep } from 'node:timers/promises';
import { createCallLedger } from '../../gateway/ledger';
import { createDatabase, type Knex } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { migrate } from '../../migrations';
import { acrossTenants } from '../../models/base';
import { settleLostCalls } from '../../models/llm/tending';
import { ensureAppLogin } from '../../workers/launch/appLogin';
import { testSealing } from '../support/accounts';
import { until } from '../support/conditions';
import { insertBudget, openCall, settledCall, sumsOf } from '../support/llmLedger';
import {
  administer,
  appLogin,
  startPostgres,
  withDatabase,
  withLogin,
  type RunningPostgres,
} from '../support/postgres';
import { insertTenant } from '../support/records';

let postgres: RunningPostgres;
let admin: Knex;
let app: Knex;

beforeAll(async () => {
  // What waits for no disk is written late, so that a kill surely takes it back.
  postgres = await startPostgres({ settings: { wal_writer_delay: '10s' } });
  await administer(postgres.url, 'create database carillon');
  const url = withDatabase(postgres.url, 'carillon');
  admin = createDatabase({ url, applicationName: 'test-admin', poolMax: 2 });
  await migrate(admin);
  await ensureAppLogin(postgres.url, appLogin);
  app = createDatabase({
    url: withLogin(url, appLogin),
    applicationName: 'test-ledger',
    poolMax: 4,
  });
});

afterAll(async () => {
  await Promise.all([admin.destroy(), app.destroy()]);
  await postgres.stop();
});

test('Postgres killed under calls: what is recorded adds up, and what is reserved is given back', async () => {
  const logger = createLogger({ name: 'test', level: 'silent' });
  const ledger = createCallLedger({ db: app, sealing: testSealing, logger });
  const tenantId = await insertTenant(admin);
  await insertBudget(admin, { tenantId, limitMicros: 3_000_000 });
  const opened = { count: 0 };
  const failed: string[] = [];
  let isOver = false;

  // Callers who open, work and settle, one call after the other, whatever happens.
  const callers = Array.from({ length: 24 }, async (_, index) => {
    while (!isOver) {
      const call = openCall(tenantId, { expiresAt: new Date(Date.now() + 4_000) });
      try {
        await ledger.open(call);
        opened.count += 1;
        await sleep(index % 5);
        ledger.settle(settledCall(call, { costMicros: 100 + index }));
      } catch (error) {
        failed.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
      }
    }
  });
  await until('calls are made', () => opened.count > 200);
  await postgres.kill9();
  const before = opened.count;
  await postgres.restart();
  await until('calls are made again', () => opened.count > before + 200);
  isOver = true;
  await Promise.all(callers);
  await ledger.flush();
  await ledger.close();
  expect(failed.filter((code) => code !== 'llmUnavailable')).toEqual([]);

  // What was under way when it was killed is left open by some: its time passes, and it is settled.
  const left = await sumsOf(admin, tenantId);
  await admin('llm_calls')
    .where({ outcome: 'open' })
    .update({ expires_at: new Date(Date.now() - 3_600_000) });
  await acrossTenants(app, 'llmLedger', settleLostCalls);
  expect(await acrossTenants(app, 'llmLedger', settleLostCalls)).toBe(0);

  const { calls, days, counters } = await sumsOf(admin, tenantId);
  expect(calls).toEqual({ spent: left.calls.spent + left.calls.reserved, reserved: 0 });
  expect(days).toEqual({ spent: calls.spent });
  for (const counter of counters) {
    const expected = { scope: counter.scope, period: counter.period, reserved: 0 };
    expect(counter).toEqual({ ...expected, spent: calls.spent });
  }
});

test('a call that a crash took back is reserved again before another one, and is recorded', async () => {
  const logger = createLogger({ name: 'test', level: 'silent' });
  const ledger = createCallLedger({ db: app, sealing: testSealing, logger });
  const tenantId = await insertTenant(admin);
  await insertBudget(admin, { tenantId, limitMicros: 40_500 });
  const calls = Array.from({ length: 40 }, () => openCall(tenantId));
  await Promise.all(calls.map((call) => ledger.open(call)));
  await postgres.kill9();
  await postgres.restart();
  expect(await admin('llm_calls').where({ tenant_id: tenantId })).toEqual([]);

  const more = await Promise.allSettled(
    Array.from({ length: 10 }, () => ledger.open(openCall(tenantId))),
  );
  expect(more.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  expect(await sumsOf(admin, tenantId)).toMatchObject({ calls: { spent: 0, reserved: 40_000 } });

  // Nobody opens anything after the next crash: those who settle find out.
  await postgres.kill9();
  await postgres.restart();
  for (const call of calls) {
    ledger.settle(settledCall(call));
  }
  await ledger.close();
  const { calls: recorded, days, counters } = await sumsOf(admin, tenantId);
  expect(recorded).toEqual({ spent: 28_000, reserved: 0 });
  expect(days).toEqual({ spent: 28_000 });
  expect(counters.every(({ spent, reserved }) => spent === 28_000 && reserved === 0)).toBe(true);
});

test('calls whose end a crash took back, or all of them, are recorded by the next one', async () => {
  const logger = createLogger({ name: 'test', level: 'silent' });
  const ledger = createCallLedger({ db: app, sealing: testSealing, logger });
  const tenantId = await insertTenant(admin);
  const make = async () => {
    const calls = Array.from({ length: 20 }, () => openCall(tenantId));
    await Promise.all(calls.map((call) => ledger.open(call)));
    return calls;
  };
  const [, unended] = [await make(), await make()];
  // Whatever came before waits for the disk with it.
  await admin('llm_settings').insert({ tenant_id: tenantId });
  const forgotten = await make();
  for (const call of [...unended, ...forgotten]) {
    ledger.settle(settledCall(call));
  }
  await ledger.flush();
  await postgres.kill9();
  await postgres.restart();
  expect(await sumsOf(admin, tenantId)).toMatchObject({ calls: { spent: 0, reserved: 40_000 } });

  await ledger.open(openCall(tenantId));
  await ledger.close();
  const { calls, days, counters } = await sumsOf(admin, tenantId);
  expect(calls).toEqual({ spent: 28_000, reserved: 21_000 });
  expect(days).toEqual({ spent: 28_000 });
  const open = counters.filter(({ scope }) => scope !== 'key');
  expect(open.every(({ spent, reserved }) => spent === 28_000 && reserved === 21_000)).toBe(true);
});
