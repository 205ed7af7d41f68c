import { MockActivityEnvironment } from '@temporalio/testing';
import type { ActivityDeps } from '../../activities/deps';
import { createApplyStoredEvents } from '../../activities/messages/applyStoredEvents';
import type { MessageEvent } from '../../domain/messages/events';
import type { Knex } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { newId } from '../../lib/ids';
import { acrossTenants, withTenant } from '../../models/base';
import { storeEvents } from '../../models/messages/events';
import { until } from '../support/conditions';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

test('what waits behind a locked dispatch is applied meanwhile, by the other applier', async () => {
  const ledger = await buildLedger(db, { customers: 2, zones: ['Europe/Paris', 'Asia/Tokyo'] });
  const [first, second] = await callAll(ledger);
  if (first === undefined || second === undefined) {
    throw new Error('two zones are two dispatches');
  }
  // More lists than a batch looks at, so that there are some for two.
  await storeOpenings(ledger, first, 256);
  await storeOpenings(ledger, second, 20);
  const { environment, applying } = await withTenant(db, ledger.tenantId, async (trx) => {
    await trx.raw('select 1 from dispatches where run_id = ? and n = ? for update', [
      ledger.run.id,
      first.n,
    ]);
    const begun = begin();
    await until('the other dispatch counts its openings', async () => {
      const { human_opens_count: opens } = await ledger.dispatch(second.n);
      return opens === 20;
    });
    expect(await ledger.dispatch(first.n)).toMatchObject({ human_opens_count: 0 });
    return begun;
  });
  await until('nothing waits', async () => (await db('waiting_events')).length === 0);
  expect(await ledger.dispatch(first.n)).toMatchObject({ human_opens_count: 256 });
  environment.cancel();
  expect(await applying).toBe(276);
});

test('where one applier fails, the other ends and the activity fails, to be tried again', async () => {
  const ledger = await buildLedger(db, { customers: 1 });
  const [call] = await callAll(ledger);
  if (call === undefined) {
    throw new Error('one message is one dispatch');
  }
  await db('dispatches').where({ run_id: ledger.run.id }).update({ state: 'in_doubt' });
  await storeOpenings(ledger, call, 1);
  const { applying } = begin(async () => {
    throw new Error('Temporal is gone');
  });
  await expect(applying).rejects.toThrow('Temporal is gone');
  expect(await ledger.dispatch(call.n)).toMatchObject({ state: 'accepted' });
  // Half of the minute that an applier goes on for where nothing ends it.
}, 30_000);

function begin(signalRun: ActivityDeps['signalRun'] = async () => undefined) {
  const environment = new MockActivityEnvironment();
  const logger = createLogger({ name: 'test', level: 'silent' });
  const activity = createApplyStoredEvents({ db, logger, signalRun });
  return { environment, applying: environment.run<[], number, typeof activity>(activity) };
}

interface Called {
  n: number;
  messageN: number;
}

/** The ledger's dispatches, all calling, each with its first message. */
async function callAll(ledger: TestLedger): Promise<Called[]> {
  const calls: Called[] = [];
  for (let claim = await ledger.claim(); claim.kind === 'claimed'; claim = await ledger.claim()) {
    expect(await ledger.gate(claim.dispatch)).toMatchObject({ kind: 'open' });
    calls.push({ n: claim.dispatch.n, messageN: claim.dispatch.firstMessageN });
  }
  return calls;
}

/** Openings of the call's first message, each in a list of its own. */
async function storeOpenings(ledger: TestLedger, call: Called, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const opening: MessageEvent = {
      providerEventId: newId(),
      source: 'sendgrid',
      runId: ledger.run.id,
      dispatchN: call.n,
      attempt: 1,
      messageN: call.messageN,
      kind: 'opened',
      occurredAt: new Date(),
      suppress: null,
      machine: false,
      detail: {},
    };
    await acrossTenants(db, 'eventIntake', (trx) => storeEvents(trx, [opening]));
  }
}
