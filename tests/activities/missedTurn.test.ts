import { createRunContents } from '../../activities/messages/runContent';
import { createSendDispatch } from '../../activities/messages/sendDispatch';
import { createSendLane } from '../../activities/messages/sendLane';
import { sendClaimed } from '../../activities/transactional/sendClaimed';
import { createSettler } from '../../activities/transactional/settler';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { claimMessages } from '../../models/transactional/claims';
import type { EmailProvider } from '../../providers/email/types';
import { quiet } from '../sandbox/support';
import { acceptingSender } from '../support/accountSender';
import { ensureTestAccount } from '../support/accounts';
import { until } from '../support/conditions';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { askForMessages, dispatchesOf } from '../support/transactional';

let db: Knex;
let database: TestDatabase;

// A gate's commit that takes longer than the windows in which its calls were counted, the first time.
beforeEach(async () => {
  database = await createTestDatabase();
  db = database.db;
  await ensureTestAccount(db);
  await db.raw(`
    create function wait_for_the_disk() returns trigger language plpgsql as
      $$ begin perform pg_sleep(1.2); return null; end $$;
    create constraint trigger slow_commit after update on dispatches
      deferrable initially deferred for each row
      when (old.state = 'claimed' and new.state = 'calling' and new.attempt = 1)
      execute function wait_for_the_disk()`);
});

afterEach(() => database.drop());

const customers = 3;
const accepted = { kind: 'accepted', status: 202, providerMessageId: null } as const;
const links = {
  publicUrl: 'http://carillon.test',
  trackingTokens: { token: ({ messageN }: { messageN: number }) => `token-${messageN}` },
};
const signal = new AbortController().signal;

const limit = () =>
  db('provider_limits').insert({
    account_id: 'sendgrid',
    per: 'second',
    unit: 'messages',
    most: 100,
  });

/** Reserved early in a second, a call comes to its gate before the second is over. */
const earlyInASecond = () =>
  until('the first half of a second', async () => {
    const { rows } = await db.raw(
      'select extract(milliseconds from clock_timestamp())::int % 1000 < 400 as "isEarly"',
    );
    return rows[0].isEarly;
  });

async function workOf(ledger: TestLedger) {
  return {
    wave: ledger.wave(),
    dispatch: await ledger.claimed(),
    content: await createRunContents({ db })(ledger.tenantId, ledger.run.id),
    signal,
  };
}

test('a call of many messages that missed its window is not made, and another one is', async () => {
  const ledger = await buildLedger(db, { customers });
  await limit();
  const calls: ReadonlySet<number>[] = [];
  const batch: EmailProvider = {
    accountId: 'sendgrid',
    maxRecipients: 1_000,
    draft: () => ({
      add: () => undefined,
      async send(_, without) {
        calls.push(without);
        return accepted;
      },
    }),
    send: () => Promise.resolve(accepted),
  };
  const sendDispatch = createSendDispatch({ db, leaseMs: 60_000, ...links });
  const send = async () => {
    const { content, ...work } = await workOf(ledger);
    await earlyInASecond();
    if (content.channel !== 'email') {
      throw new Error('the campaign sends mail');
    }
    return sendDispatch({ ...work, mail: content, sender: acceptingSender({ batch }), batch });
  };
  expect(await send()).toMatchObject({ accepted: 0, inDoubt: 0 });
  expect(calls).toHaveLength(0);
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'planned', reason: 'missedTurn' });
  expect(await send()).toMatchObject({ accepted: customers });
  expect(calls).toHaveLength(1);
  expect(await db('dispatch_attempts').orderBy('attempt')).toMatchObject([
    { attempt: 1, outcome: 'not_sent', reason: 'missedTurn' },
    { attempt: 2, outcome: 'accepted' },
  ]);
});

test('calls of a block that missed their window are not made, and others are', async () => {
  const ledger = await buildLedger(db, { customers });
  await limit();
  const called: number[] = [];
  const leaveByMs: unknown[] = [];
  const sender = acceptingSender({
    async send(_, { messageN }, byMs) {
      called.push(messageN);
      leaveByMs.push(byMs);
      return accepted;
    },
  });
  const sendLane = createSendLane({ db, leaseMs: 60_000, ...links });
  const send = async () => {
    const work = await workOf(ledger);
    await earlyInASecond();
    return sendLane({ ...work, sender, endsAtMs: Date.now() + 60_000 });
  };
  expect(await send()).toMatchObject({ accepted: 0, refused: 0, inDoubt: 0 });
  expect(called).toEqual([]);
  await db.raw('drop trigger slow_commit on dispatches');
  expect(await send()).toMatchObject({ accepted: customers });
  expect(called.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  // Where calls stand in line for a connection, they know until when.
  expect(leaveByMs).toEqual(called.map(() => expect.any(Number)));
});

test('single messages that missed their window are not called, and asked for again', async () => {
  const { tenantId } = await askForMessages(db, 1);
  await limit();
  const called: unknown[] = [];
  const openAccount = async () =>
    acceptingSender({
      async send(_, { messageN }, byMs) {
        called.push([messageN, byMs]);
        return accepted;
      },
    });
  const send = async () => {
    const slice = { workflowRunId: newId(), activityId: '1', attempt: 1 };
    await earlyInASecond();
    return sendClaimed(
      { db, logger: quiet, leaseMs: 60_000, openAccount },
      await claimMessages(db, slice, 10),
      { settler: createSettler(db, signal), onSettled: () => undefined },
    );
  };
  expect(await send()).toEqual({ calls: 0, accepted: 0 });
  expect(called).toEqual([]);
  expect(await dispatchesOf(db, tenantId)).toMatchObject([{ state: 'planned', attempt: 1 }]);
  await until('accepted', async () => (await send()).accepted === 1);
  expect(called).toEqual([[1, expect.any(Number)]]);
});
