import type { Knex } from 'knex';
import type { Channel } from '../../domain/campaigns/types';
import type { TransactionalContent } from '../../domain/messages/transactional/content';
import { inOneTrip } from './trips';
import { releaseWhere, type Slice } from '../messages/claims';

/** One message of one call. */
export interface MessageKey {
  tenantId: string;
  runId: string;
  /** Of the message and of its dispatch. */
  n: number;
}

/** A claimed message; `claimN` is its fencing token. */
export interface ClaimedMessage extends MessageKey {
  claimN: number;
  channel: Channel;
  /** Null when it was removed. */
  accountId: string | null;
  /** Rises when the account's settings or credentials change. */
  accountVersion: number | null;
  /** Whether its owner lets messages leave by it. */
  isAccountActive: boolean;
  /** Whether the account has limits or is blocked: its rate must be asked. */
  isCounted: boolean;
  /** Null when it was forgotten meanwhile. */
  content: TransactionalContent | null;
}

// From the claim to the gate are some milliseconds, or a reservation's trip.
const claimLeaseMs = 10_000;

/**
 * Takes the messages that are due longest, of all tenants and accounts but those that have no place
 * left, skipping what others hold. The lease runs
 * by the database's clock and is short: whoever died before the gate has called nobody.
 */
export async function claimMessages(
  db: Knex,
  slice: Slice,
  most: number,
  full: { accountIds: string[]; tenantIds: string[] } = { accountIds: [], tenantIds: [] },
): Promise<ClaimedMessage[]> {
  const raw = db
    .raw(
      `with due as materialized (
         select d.run_id, d.n
           from dispatches d join campaign_runs r on r.id = d.run_id and r.gate = 'open'
          where d.is_transactional and d.state = 'planned'
            and coalesce(d.not_before, '-infinity') <= statement_timestamp()
            and d.tenant_id <> all (cast(:fullTenants as uuid[]))
            and coalesce(r.account_id, '') <> all (cast(:fullAccounts as text[]))
          order by coalesce(d.not_before, '-infinity') limit :most
            for update of d skip locked
       ), claimed as (
         update dispatches d
            set state = 'claimed', claim_n = d.claim_n + 1,
                slice_workflow_run_id = :workflowRunId, slice_activity_id = :activityId,
                slice_attempt = :sliceAttempt, wait_reason = null,
                lease_until = clock_timestamp() + :leaseMs * interval '1 millisecond'
           from due
          where d.run_id = due.run_id and d.n = due.n
         returning d.tenant_id, d.run_id, d.n, d.claim_n
       )
       select c.tenant_id as "tenantId", c.run_id as "runId", c.n, c.claim_n as "claimN", r.channel,
              r.account_id as "accountId", a.version as "accountVersion",
              coalesce(a.active, false) as "isAccountActive", t.content,
              coalesce(a.blocked_until > clock_timestamp(), false)
                or exists (select 1 from provider_limits l where l.account_id = a.id) as "isCounted"
         from claimed c
         join campaign_runs r on r.id = c.run_id
         left join transactional_contents t on t.run_id = c.run_id and t.n = c.n
         left join provider_accounts a on a.id = r.account_id`,
      {
        most,
        fullTenants: full.tenantIds,
        fullAccounts: full.accountIds,
        workflowRunId: slice.workflowRunId,
        activityId: slice.activityId,
        sliceAttempt: slice.attempt,
        leaseMs: claimLeaseMs,
      },
    )
    .options({ name: 'claimTransactional' });
  // A claim that the server forgets in a crash has called nobody: it need not wait for the disk.
  const [, claimed] = await inOneTrip(db, [
    { raw: db.raw('set local synchronous_commit = off').options({ name: 'unflushed' }) },
    { raw },
  ]);
  return claimed ?? [];
}

/**
 * Before a later attempt of a slice starts: what its earlier attempts left claimed is planned again,
 * what they left calling is in doubt. Running it twice changes nothing.
 */
export function releaseEarlierSlices(
  trx: Knex.Transaction,
  slice: Slice,
): Promise<{ released: number; doubted: number }> {
  return releaseWhere(
    trx,
    `d.is_transactional and d.slice_workflow_run_id = :workflowRunId
       and d.slice_activity_id = :activityId and d.slice_attempt < :sliceAttempt`,
    {
      workflowRunId: slice.workflowRunId,
      activityId: slice.activityId,
      sliceAttempt: slice.attempt,
    },
  );
}

/** Why claimed messages go back, and until when they wait; no delay when another may take them at once. */
export interface PutBack {
  messages: readonly Pick<ClaimedMessage, 'runId' | 'n' | 'claimN'>[];
  wait: { until: Date; reason: string } | null;
}

/** Gives claims back before their calls. */
export async function putBack(db: Knex, { messages, wait }: PutBack): Promise<void> {
  const raw = db
    .raw(
      `update dispatches d
          set state = case when r.gate = 'closed' then 'cancelled' else 'planned' end,
              settled_at = case when r.gate = 'closed' then clock_timestamp() end,
              not_before = coalesce(:until, d.not_before), wait_reason = :reason,
              lease_until = null
         from unnest(cast(:runIds as uuid[]), cast(:ns as int[]), cast(:claimNs as int[]))
                as c (run_id, n, claim_n),
              campaign_runs r
        where d.run_id = c.run_id and d.n = c.n and d.state = 'claimed' and d.claim_n = c.claim_n
          and r.id = d.run_id`,
      {
        runIds: messages.map(({ runId }) => runId),
        ns: messages.map(({ n }) => n),
        claimNs: messages.map(({ claimN }) => claimN),
        until: wait?.until ?? null,
        reason: wait?.reason ?? null,
      },
    )
    .options({ name: 'putBackTransactional' });
  await inOneTrip(db, [{ raw: lockDispatches(db, messages) }, { raw }]);
}

/** Locks dispatches in the order in which all that writes several of them does. */
export function lockDispatches(
  db: Knex,
  messages: readonly Pick<MessageKey, 'runId' | 'n'>[],
): Knex.Raw {
  return db
    .raw(
      `select 1 from dispatches d
        where (d.run_id, d.n) in (
          select * from unnest(cast(:runIds as uuid[]), cast(:ns as int[])))
        order by d.run_id, d.n for update of d`,
      { runIds: messages.map(({ runId }) => runId), ns: messages.map(({ n }) => n) },
    )
    .options({ name: 'lockTransactional' });
}
