import type { Knex } from 'knex';
import type { Channel } from '../../domain/campaigns/types';
import { conflict } from '../../domain/errors';
import type { TransactionalContent } from '../../domain/messages/transactional/content';
import { newId } from '../../lib/ids';
import { acrossTenantsWithin } from '../base';

/** A message somebody asked for, ready to leave. */
export interface NewMessage {
  tenantId: string;
  id: string;
  /** What makes two of them the same one: made of the Idempotency-Key, or the message's own id. */
  slot: string;
  /** Of all that was asked for. */
  digest: Buffer;
  accountId: string;
  /** Null for an address of nobody's. */
  customerId: string | null;
  /** Null to write to whatever the customer's address is when it leaves. */
  address: string | null;
  content: TransactionalContent;
  createdBy: string;
}

/**
 * Writes a message into today's standing run; `tellLanes` once it is committed. A message of the same slot is taken
 * for the same one, however long ago it was written: its id is the answer.
 *
 * @throws conflict idempotencyKeyReused when that one was another message
 */
export async function acceptMessage(
  trx: Knex.Transaction,
  message: NewMessage,
): Promise<{ id: string; isNew: boolean }> {
  const runId = await standingRun(trx, message);
  const written = await trx.raw(
    `with message as (
       insert into transactional_messages (tenant_id, id, slot, digest, run_id, n, created_by)
       values (:tenantId, :id, :slot, :digest, :runId, nextval('transactional_numbers'), :createdBy)
       on conflict do nothing
       returning run_id, n
     ), ledger as (
       insert into messages (run_id, n, tenant_id, dispatch_n, customer_id, channel, slot)
       select run_id, n, cast(:tenantId as uuid), n, coalesce(cast(:customerId as uuid), :id),
              cast(:channel as text), cast(:slot as text)
         from message
     ), dispatch as (
       insert into dispatches (run_id, n, tenant_id, time_zone, plan_version, wave_n,
         first_message_n, last_message_n, message_count, not_before, is_transactional)
       select run_id, n, cast(:tenantId as uuid), '', 1, 1, n, n, 1, clock_timestamp(), true
         from message
     ), content as (
       insert into transactional_contents (run_id, n, tenant_id, customer_id, address, content)
       select run_id, n, cast(:tenantId as uuid), cast(:customerId as uuid), cast(:address as text),
              cast(:content as jsonb)
         from message
     )
     select n from message`,
    {
      tenantId: message.tenantId,
      id: message.id,
      slot: message.slot,
      digest: message.digest,
      runId,
      createdBy: message.createdBy,
      customerId: message.customerId,
      channel: message.content.channel,
      address: message.address,
      content: JSON.stringify(message.content),
    },
  );
  return written.rows.length > 0 ? { id: message.id, isNew: true } : theSame(trx, message);
}

async function theSame(
  trx: Knex.Transaction,
  { tenantId, id, slot, digest }: NewMessage,
): Promise<{ id: string; isNew: boolean }> {
  const found = await trx.raw(
    `select id, digest = :digest as "isSame" from transactional_messages
      where tenant_id = :tenantId and (slot = :slot or id = :id)`,
    { tenantId, id, slot, digest },
  );
  const row: { id: string; isSame: boolean } | undefined = found.rows[0];
  if (row?.isSame !== true) {
    throw conflict(
      'idempotencyKeyReused',
      'This Idempotency-Key was used for another message; take a new one.',
    );
  }
  return { id: row.id, isNew: false };
}

interface RunKey {
  tenantId: string;
  channel: Channel;
  accountId: string;
}

/**
 * Today's run of a tenant, channel and account, by the database's clock; the first message of a day
 * opens it, and sees to it that a share of the account's limits is kept for today and tomorrow.
 */
async function standingRun(
  trx: Knex.Transaction,
  { tenantId, content: { channel }, accountId }: NewMessage,
): Promise<string> {
  for (;;) {
    const found = await findOrOpen(trx, { tenantId, channel, accountId });
    if (found !== null) {
      return found;
    }
    // Somebody else has just opened it, which this statement could not see yet.
  }
}

async function findOrOpen(trx: Knex.Transaction, key: RunKey): Promise<string | null> {
  const answer = await trx.raw(
    `with today as (
       select day, cast(day as timestamp) at time zone 'UTC' as begins_at,
              cast(day + 2 as timestamp) at time zone 'UTC' as closes_at
         from (select cast(clock_timestamp() at time zone 'UTC' as date) as day) utc
     ), found as (
       select r.id from campaign_runs r, today
        where r.tenant_id = :tenantId and r.kind = 'transactional' and r.day = today.day
          and r.channel = :channel and r.account_id = :accountId and r.gate <> 'closed'
     ), tenant as (
       -- Asked when a run is opened alone, and then kept as it is until the commit.
       select suspended_at is not null as is_suspended from tenants where id = :tenantId for share
     ), opened as (
       insert into campaign_runs (id, tenant_id, kind, day, channel, account_id, state, starts_at,
         gate, gate_reason)
       select cast(:id as uuid), cast(:tenantId as uuid), 'transactional', day,
              cast(:channel as text), cast(:accountId as text), 'sending', begins_at,
              case when (select is_suspended from tenant) then 'paused' else 'open' end,
              case when (select is_suspended from tenant) then 'tenantSuspended' end
         from today where not exists (select 1 from found)
       on conflict (tenant_id, day, channel, account_id)
         where kind = 'transactional' and gate <> 'closed' do nothing
       returning id
     ), wave as (
       insert into waves (run_id, plan_version, n, tenant_id, starts_at, closes_at, time_zones,
         planned_count)
       select id, 1, 1, cast(:tenantId as uuid), begins_at, closes_at, '{}', 0 from opened, today
     )
     select id, cast(null as timestamptz) as "closesAt" from found
     union all
     select id, closes_at from opened, today`,
    { ...key, id: newId() },
  );
  const row: { id: string; closesAt: Date | null } | undefined = answer.rows[0];
  const closesAt = row?.closesAt ?? null;
  if (closesAt !== null) {
    const step = { tenantId: key.tenantId, purpose: 'rates' } as const;
    await acrossTenantsWithin(trx, step, (within) => keepShare(within, key.accountId, closesAt));
  }
  return row?.id ?? null;
}

/**
 * Keeps a share of the account's limits for these messages until the instant; the account may be the
 * platform's. What is kept already goes on. Else it is kept in windows that begin in a while:
 * campaigns reserve up to a second ahead and left nothing in windows they know.
 */
async function keepShare(trx: Knex.Transaction, accountId: string, until: Date): Promise<void> {
  await trx.raw(
    `update provider_accounts
        set kept_since = case when kept_until > clock_timestamp() + interval '10 seconds'
              then kept_since else clock_timestamp() + interval '5 seconds' end,
            kept_until = :until
      where id = :accountId and coalesce(kept_until, '-infinity') < :until`,
    { accountId, until },
  );
}
