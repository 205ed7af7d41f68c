import { keysFirst } from '../customers/reach';
import type { Knex } from 'knex';
import type { Channel } from '../../domain/campaigns/types';
import { notFound } from '../../domain/errors';

export type TestSendState =
  | 'planned'
  | 'calling'
  | 'accepted'
  | 'refused'
  | 'not_sent'
  | 'in_doubt'
  | 'expired'
  | 'cancelled';

/** How the reason of a test begins that had no turn at its account in time: what it waited for follows. */
export const noTurn = 'noTurn: ';
/** The same where some of the addresses were taken: why not the others follows. */
export const onlySome = 'onlySome: ';
/** The reason of a test that was not called because its worker or the database went away. */
export const interrupted = 'interrupted';

/** A campaign's message sent to people its author named, beside all runs. */
export interface TestSend {
  id: string;
  campaignId: string;
  customerId: string | null;
  /** Empty once it has ended. */
  addresses: string[];
  recipientCount: number;
  state: TestSendState;
  reason: string | null;
  createdAt: Date;
  settledAt: Date | null;
}

interface Key {
  tenantId: string;
  id: string;
}

const columns = `
  id, campaign_id as "campaignId", customer_id as "customerId", addresses,
  recipient_count as "recipientCount", state, reason, created_at as "createdAt",
  settled_at as "settledAt"`;

/**
 * Writes a test to be sent. One with this id is taken for the same test; when it surely was not
 * sent, it is to be sent after all.
 */
export async function writeTestSend(
  trx: Knex.Transaction,
  key: Key,
  test: { campaignId: string; customerId: string | null; addresses: string[]; createdBy: string },
): Promise<TestSend> {
  await trx.raw(
    `insert into test_sends (tenant_id, id, campaign_id, customer_id, addresses, recipient_count,
       created_by)
     values (:tenantId, :id, :campaignId, :customerId, :addresses, :count, :createdBy)
     on conflict (tenant_id, id) do update
        set state = 'planned', addresses = excluded.addresses, reason = null, created_at = now(),
            called_at = null, settled_at = null
      where test_sends.state in ('cancelled', 'expired', 'not_sent')`,
    { ...key, ...test, count: test.addresses.length },
  );
  return getTestSend(trx, key);
}

/** The test, or notFound. */
export async function getTestSend(trx: Knex.Transaction, key: Key): Promise<TestSend> {
  const found = await trx.raw(
    `select ${columns} from test_sends where tenant_id = :tenantId and id = :id`,
    { ...key },
  );
  if (found.rows[0] === undefined) {
    throw notFound('testSend');
  }
  return found.rows[0];
}

// Who asked for a test has stopped waiting for it by then.
const freshFor = '10 minutes';

/**
 * Takes a planned test for its one call. null: there is nothing to call, because it was taken
 * before (its call's outcome is not known then, unless it is settled), withdrawn, or is too old.
 */
export async function claimTestSend(trx: Knex.Transaction, key: Key): Promise<TestSend | null> {
  const claimed = await trx.raw(
    `update test_sends
        set state = case when state = 'calling' then 'in_doubt'
                         when created_at < clock_timestamp() - interval '${freshFor}' then 'expired'
                         else 'calling' end,
            called_at = coalesce(called_at, clock_timestamp())
      where tenant_id = :tenantId and id = :id and state in ('planned', 'calling')
     returning ${columns}`,
    { ...key },
  );
  const test: TestSend | undefined = claimed.rows[0];
  if (test === undefined || test.state === 'calling') {
    return test ?? null;
  }
  await settleTestSend(trx, key, {
    state: test.state === 'expired' ? 'expired' : 'in_doubt',
    reason: test.state === 'expired' ? 'noWorkerInTime' : 'workerLost',
  });
  return null;
}

/** Ends a test and forgets its addresses. The reply to a call in doubt still counts. */
export async function settleTestSend(
  trx: Knex.Transaction,
  key: Key,
  end: { state: Exclude<TestSendState, 'planned' | 'calling'>; reason: string | null },
): Promise<void> {
  await trx.raw(
    `update test_sends
        set state = :state, reason = :reason, addresses = '{}', settled_at = clock_timestamp()
      where tenant_id = :tenantId and id = :id
        and state in ('planned', 'calling', 'in_doubt', 'expired')`,
    { ...key, ...end },
  );
}

/** Withdraws a test that nobody has taken yet. */
export async function withdrawTestSend(trx: Knex.Transaction, key: Key): Promise<void> {
  await trx.raw(
    `update test_sends
        set state = 'cancelled', addresses = '{}', settled_at = clock_timestamp()
      where tenant_id = :tenantId and id = :id and state = 'planned'`,
    { ...key },
  );
}

/** Ends the tests of all tenants that nobody ever took, and forgets their addresses. */
export async function expireTestSends(trx: Knex.Transaction): Promise<number> {
  const expired = await trx.raw(
    `update test_sends
        set state = 'expired', reason = 'noWorkerInTime', addresses = '{}',
            settled_at = clock_timestamp()
      where state = 'planned' and created_at < clock_timestamp() - interval '${freshFor}'
     returning id`,
  );
  return expired.rows.length;
}

/** Which of the addresses nothing may be sent to on the channel. */
export async function suppressedAmong(
  trx: Knex.Transaction,
  of: { tenantId: string; channel: Channel; addresses: string[] },
): Promise<Set<string>> {
  const found = await trx.raw(
    `select given.address
       from (select address, lower(address) as suppression_key
               from unnest(cast(:addresses as text[])) as a (address) ${keysFirst}) given
       join suppressions s on s.tenant_id = :tenantId and s.channel = :channel
        and s.address = given.suppression_key`,
    of,
  );
  const rows: { address: string }[] = found.rows;
  return new Set(rows.map(({ address }) => address));
}
