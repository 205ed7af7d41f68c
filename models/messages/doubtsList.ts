import type { Knex } from 'knex';
import { raw, type QueryBuilder } from 'objection';
import type { SortKey } from '../pages';
import { following } from './counts';
import { DoubtfulCall } from './DoubtfulCall';

/** A run, or null for the one that is not there yet: it has no calls. */
interface RunKey {
  tenantId: string;
  runId: string | null;
}

export const doubtKinds = ['inDoubt', 'unconfirmed', 'acceptedTwice'] as const;

export type DoubtKind = (typeof doubtKinds)[number];

export const doubtSorts = {
  dispatch: { by: 'n', type: 'bigint' },
} as const satisfies Record<string, SortKey>;

/** The calls of a run that a person should look at: all kinds, or one. */
export function doubtsWhere(
  trx: Knex.Transaction,
  run: RunKey,
  kind?: DoubtKind,
): QueryBuilder<DoubtfulCall, DoubtfulCall[]> {
  const condition =
    kind === undefined
      ? `(d.state in ('in_doubt', 'unconfirmed') or twice.accepted > 1)`
      : conditionOf[kind];
  return doubts(trx, run, condition);
}

/** One dispatch with its newest call, whatever its state; null when the run has none of this number. */
export async function findDispatch(
  trx: Knex.Transaction,
  run: RunKey,
  n: number,
): Promise<DoubtfulCall | null> {
  return (await doubts(trx, run, 'true').where('n', n).first()) ?? null;
}

const conditionOf: Record<DoubtKind, string> = {
  inDoubt: `d.state = 'in_doubt'`,
  unconfirmed: `d.state = 'unconfirmed'`,
  acceptedTwice: 'twice.accepted > 1',
};

function doubts(
  trx: Knex.Transaction,
  { tenantId, runId }: RunKey,
  condition: string,
): QueryBuilder<DoubtfulCall, DoubtfulCall[]> {
  return DoubtfulCall.query(trx).from(
    raw(
      `(select d.run_id, d.n, d.state, d.attempt, ${following} as messages, d.reason, d.called_at,
               d.doubt_until, r.doubt_policy, a.status,
               case when a.outcome <> 'in_doubt' then a.proven_by end as proven_by,
               coalesce(a.look_ups, 0) as look_ups, a.look_up_at, a.looked_up_at,
               a.look_up_answer, a.look_up_reason,
               coalesce(twice.accepted, 0)::int as accepted_attempts
          from dispatches d
          join campaign_runs r on r.id = d.run_id
          left join dispatch_attempts a on a.run_id = d.run_id and a.dispatch_n = d.n
           and a.attempt = d.attempt
          left join (
            select dispatch_n, count(*) as accepted from dispatch_attempts
             where run_id = :runId and outcome = 'accepted' group by dispatch_n having count(*) > 1
          ) twice on twice.dispatch_n = d.n
         where d.tenant_id = :tenantId and d.run_id = :runId and ${condition}) as dispatches`,
      { tenantId, runId },
    ),
  );
}

/** How one call ended, as far as it is known; null when there was no such call. */
export async function callOutcome(
  trx: Knex.Transaction,
  call: { tenantId: string; runId: string; dispatchN: number; attempt: number },
): Promise<string | null> {
  const found = await trx.raw(
    `select outcome from dispatch_attempts
      where tenant_id = :tenantId and run_id = :runId and dispatch_n = :dispatchN
        and attempt = :attempt`,
    call,
  );
  return found.rows[0]?.outcome ?? null;
}

/** How many calls of a run are in doubt. */
export async function countInDoubt(
  trx: Knex.Transaction,
  { tenantId, runId }: { tenantId: string; runId: string },
): Promise<number> {
  const counted = await trx.raw(
    `select count(*) as doubts from dispatches
      where tenant_id = ? and run_id = ? and state = 'in_doubt'`,
    [tenantId, runId],
  );
  return counted.rows[0].doubts;
}
