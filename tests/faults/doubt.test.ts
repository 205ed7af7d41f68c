import { newId } from '../../lib/ids';
import { acrossTenants, withTenant } from '../../models/base';
import { settleOverdueDoubts } from '../../models/messages/doubt';
import { applyEvents, storeEvents } from '../../models/messages/events';
import { settleCall } from '../../models/messages/settle';
import { buildLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

test('a doubt whose proof is stored, but not applied yet, is not sent again at its deadline', async () => {
  const { db } = database;
  const ledger = await buildLedger(db, { doubtPolicy: 'sendAgain', doubtDeadlineMs: 0 });
  const { tenantId, run } = ledger;
  const dispatch = await ledger.claimed();
  await ledger.gate(dispatch);
  const settleOverdue = () =>
    withTenant(db, tenantId, (trx) =>
      settleOverdueDoubts(trx, { tenantId, runId: run.id, windowMinutes: 60 }),
    );
  await withTenant(db, tenantId, (trx) =>
    settleCall(
      trx,
      { tenantId, runId: run.id, dispatchN: dispatch.n, attempt: 1 },
      { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' },
    ),
  );
  await acrossTenants(db, 'eventIntake', (trx) =>
    storeEvents(trx, [
      {
        providerEventId: newId(),
        source: 'sendgrid',
        runId: run.id,
        dispatchN: dispatch.n,
        attempt: 1,
        messageN: dispatch.firstMessageN,
        kind: 'processed',
        occurredAt: new Date(),
        suppress: null,
        machine: false,
        detail: {},
      },
    ]),
  );
  expect(await settleOverdue()).toEqual({ assumed: 0, unconfirmed: 0, again: 0 });

  await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 100));
  expect(await settleOverdue()).toEqual({ assumed: 0, unconfirmed: 0, again: 0 });
  expect(await ledger.dispatch(dispatch.n)).toMatchObject({ state: 'accepted', attempt: 1 });
});

test('without any proof it is sent again', async () => {
  const { db } = database;
  const ledger = await buildLedger(db, { doubtPolicy: 'sendAgain', doubtDeadlineMs: 0 });
  const { tenantId, run } = ledger;
  const dispatch = await ledger.claimed();
  await ledger.gate(dispatch);
  const call = { tenantId, runId: run.id, dispatchN: dispatch.n, attempt: 1 };
  await withTenant(db, tenantId, (trx) =>
    settleCall(trx, call, { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' }),
  );
  const settled = await withTenant(db, tenantId, (trx) =>
    settleOverdueDoubts(trx, { tenantId, runId: run.id, windowMinutes: 60 }),
  );
  expect(settled).toEqual({ assumed: 0, unconfirmed: 0, again: 1 });
});
