import type { EventKind, MessageEvent } from '../../domain/messages/events';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { acrossTenants, withTenant } from '../../models/base';
import { applyEvents } from '../../models/messages/applyEvents';
import { storeEvents } from '../../models/messages/events';
import { setAsideRecipients, settleCall, splitDispatch } from '../../models/messages/settle';
import { seededRandom, shuffled } from '../../sandbox/chance';
import { until } from '../support/conditions';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolMax: 20 });
  db = database.db;
});

afterAll(() => database.drop());

const zones = [
  'Europe/Paris',
  'Europe/London',
  'Asia/Tokyo',
  'Asia/Kolkata',
  'America/New_York',
  'America/Denver',
  'Australia/Perth',
  'Pacific/Auckland',
];
const kinds: EventKind[] = ['processed', 'delivered', 'opened', 'clicked', 'opened'];

test('four appliers, and all that settles calls meanwhile, never lock up and count the same', async () => {
  const ledger = await buildLedger(db, { customers: 800, zones });
  const calls = await callAll(ledger);
  const random = seededRandom('at once');
  const events = shuffled(
    calls.flatMap((call) =>
      call.ns.flatMap((n) => kinds.map((kind) => event(ledger, call, n, kind))),
    ),
    random,
  );
  let isStored = false;
  const storing = storeAll(events).finally(() => {
    isStored = true;
  });
  // Nothing is tried again here: whoever Postgres ended for a deadlock would fail the test.
  await Promise.all([
    storing,
    ...Array.from({ length: 4 }, () => applyAll(() => isStored)),
    ...calls.map((call, i) => settleSomehow(ledger, call, i)),
  ]);
  while ((await applySome()) > 0) {
    // What was stored last.
  }
  expect(await db('waiting_events')).toEqual([]);
  expect(await db('message_events').whereNotNull('set_aside')).toEqual([]);
  const counted = await db('dispatches')
    .where({ run_id: ledger.run.id })
    .sum({ delivered: 'delivered_count', opened: 'opened_count', clicked: 'clicked_count' });
  expect(counted).toEqual([{ delivered: 800, opened: 800, clicked: 800 }]);
  const earliest = await db('messages')
    .where({ run_id: ledger.run.id })
    .distinct('first_opened_at');
  expect(earliest).toEqual([{ first_opened_at: occurredAt('opened') }]);
});

test('openings, which name no call, wait for the dispatch of their message before they change it', async () => {
  const ledger = await buildLedger(db, { customers: 1 });
  const dispatch = await ledger.claimed();
  expect(await ledger.gate(dispatch)).toMatchObject({ kind: 'open' });
  const call = { n: dispatch.n, ns: [dispatch.firstMessageN] };
  const opening = event(ledger, call, dispatch.firstMessageN, 'opened');
  await storeAll([{ ...opening, source: 'carillon', dispatchN: null, attempt: null }]);
  const applying = await withTenant(db, ledger.tenantId, async (trx) => {
    await trx.raw('select 1 from dispatches where run_id = ? for update', [ledger.run.id]);
    const waiting = applySome();
    await until('the applier waits for a lock', async () => {
      const found = await db.raw(
        `select 1 from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return found.rows.length > 0;
    });
    const free = await trx.raw('select n from messages where run_id = ? for update nowait', [
      ledger.run.id,
    ]);
    expect(free.rows).toHaveLength(1);
    return { waiting };
  });
  expect(await applying.waiting).toBe(1);
  expect(await ledger.dispatch(dispatch.n)).toMatchObject({ opened_count: 1 });
});

interface Called {
  n: number;
  ns: number[];
}

/** Every dispatch is calling. */
async function callAll(ledger: TestLedger): Promise<Called[]> {
  const calls: Called[] = [];
  for (let i = 0; i < zones.length; i += 1) {
    const dispatch = await ledger.claimed();
    const loaded = await ledger.load(dispatch);
    expect(await ledger.gate(dispatch, { loaded })).toMatchObject({ kind: 'open', attempt: 1 });
    calls.push({ n: dispatch.n, ns: [...loaded.ns] });
  }
  return calls;
}

async function storeAll(events: MessageEvent[]): Promise<void> {
  const posts: MessageEvent[][] = [];
  for (let from = 0; from < events.length; from += 40) {
    posts.push(events.slice(from, from + 40));
  }
  const lane = async () => {
    for (let post = posts.shift(); post !== undefined; post = posts.shift()) {
      const known = post;
      await acrossTenants(db, 'eventIntake', (trx) => storeEvents(trx, known));
    }
  };
  await Promise.all([lane(), lane(), lane()]);
}

async function applyAll(isStored: () => boolean): Promise<void> {
  for (;;) {
    const wasStored = isStored();
    const applied = await applySome();
    if (applied === 0 && wasStored) {
      return;
    }
  }
}

async function applySome(): Promise<number> {
  const { applied } = await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 200));
  return applied;
}

/** As replies do: some accept, some are lost, some name recipients, some are refused unexplained. */
async function settleSomehow(ledger: TestLedger, { n, ns }: Called, i: number): Promise<void> {
  const call = { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN: n, attempt: 1 };
  await withTenant(db, ledger.tenantId, async (trx) => {
    switch (i % 4) {
      case 0:
        await settleCall(trx, call, {
          outcome: 'accepted',
          providerMessageId: 'id',
          status: 202,
        });
        break;
      case 1:
        await settleCall(trx, call, { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' });
        break;
      case 2:
        await setAsideRecipients(trx, call, {
          messageNs: ns.slice(0, 20).toReversed(),
          status: 400,
          reason: 'invalidAddress',
        });
        break;
      default:
        await splitDispatch(trx, call, { status: 400, reason: 'unexplained' });
    }
  });
}

function event(ledger: TestLedger, call: Called, n: number, kind: EventKind): MessageEvent {
  return {
    providerEventId: newId(),
    source: 'sendgrid',
    runId: ledger.run.id,
    dispatchN: call.n,
    attempt: 1,
    messageN: n,
    kind,
    occurredAt: occurredAt(kind),
    suppress: null,
    machine: false,
    detail: {},
  };
}

function occurredAt(kind: EventKind): Date {
  return new Date(Date.UTC(2026, 0, 1, 12, kinds.indexOf(kind)));
}
