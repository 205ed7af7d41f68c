import type { Knex } from 'knex';
import type { DoubtEnd, Proof } from '../../domain/messages/doubts/types';
import { releaseContactsOf } from './contacts';
import { following } from './counts';
import { isUnproven, planAgain } from './doubtsAgain';

/** A call in doubt: the newest attempt of a dispatch. */
export interface CallInDoubt {
  dispatchN: number;
  attempt: number;
  /** What the vendor calls it, where a look-up has shown it. */
  providerMessageId?: string | null;
}

/** Which doubts of a run are meant: calls, or all that were made before an instant. */
export type DoubtChoice = { calls: readonly CallInDoubt[] } | { calledBefore: Date | null };

/** What was settled. */
export interface SettledDoubts {
  dispatchNs: number[];
  messages: number;
}

/**
 * Ends doubts in one way; answers those that were ended. A call counts as long as it is the newest of
 * its dispatch and nothing else has settled it, so of two settlers one is the first and the other
 * changes nothing. What was ended as unconfirmed may still be settled by name. Calls that a stored
 * event is about to prove are not taken for unsent.
 */
export async function settleDoubts(
  trx: Knex.Transaction,
  run: { tenantId: string; runId: string; windowMinutes: number },
  settlement: { which: DoubtChoice; as: DoubtEnd; provenBy: Extract<Proof, 'lookUp' | 'operator'> },
): Promise<SettledDoubts> {
  const { tenantId, runId } = run;
  const { which, as, provenBy } = settlement;
  const calls = 'calls' in which ? which.calls : [];
  const states =
    'calls' in which && as !== 'unconfirmed' ? ['in_doubt', 'unconfirmed'] : ['in_doubt'];
  const chosen =
    'calls' in which
      ? '(d.n, d.attempt) in (select * from unnest(cast(:ns as int[]), cast(:attempts as int[])))'
      : '(cast(:calledBefore as timestamptz) is null or d.called_at < :calledBefore)';
  const bindings = {
    tenantId,
    runId,
    ns: calls.map(({ dispatchN }) => dispatchN),
    attempts: calls.map(({ attempt }) => attempt),
    calledBefore: 'calls' in which ? null : which.calledBefore,
  };
  const locked = await trx.raw(
    `select d.n, ${following} as messages
       from dispatches d
      where d.tenant_id = :tenantId and d.run_id = :runId
        and d.state = any(cast(:states as text[])) and ${chosen}
        ${as === 'notSent' ? `and ${isUnproven}` : ''}
      order by d.n for update of d`,
    { ...bindings, states },
  );
  const rows: { n: number; messages: number }[] = locked.rows;
  const ns = rows.map(({ n }) => n);
  if (ns.length > 0) {
    const known = new Map(calls.map((call) => [call.dispatchN, call.providerMessageId ?? null]));
    const ended = { tenantId, runId, ns, ids: ns.map((n) => known.get(n) ?? null), provenBy };
    await endings[as](trx, run, ended);
  }
  return { dispatchNs: ns, messages: rows.reduce((sum, { messages }) => sum + messages, 0) };
}

interface Ended {
  tenantId: string;
  runId: string;
  ns: number[];
  ids: (string | null)[];
  provenBy: string;
}

type Ending = (
  trx: Knex.Transaction,
  run: { tenantId: string; runId: string; windowMinutes: number },
  ended: Ended,
) => Promise<void>;

const endings: Record<DoubtEnd, Ending> = {
  async accepted(trx, _run, ended) {
    await noteOutcome(trx, ended, 'accepted');
    await trx.raw(
      `update dispatches d
          set state = 'accepted', settled_at = clock_timestamp(), reason = null,
              doubt_until = null,
              provider_message_id = coalesce(given.id, d.provider_message_id)
         from unnest(cast(:ns as int[]), cast(:ids as text[])) as given (n, id)
        where d.tenant_id = :tenantId and d.run_id = :runId and d.n = given.n`,
      { ...ended },
    );
  },

  async notSent(trx, run, ended) {
    await noteOutcome(trx, ended, 'not_sent');
    await releaseContactsOf(trx, run, ended.ns);
    await planAgain(trx, run, ended.ns);
  },

  // What became of the call stays unknown, so nothing is noted with it.
  async unconfirmed(trx, _run, { tenantId, runId, ns }) {
    await trx.raw(
      `update dispatches
          set state = 'unconfirmed', settled_at = clock_timestamp(), doubt_until = null
        where tenant_id = :tenantId and run_id = :runId and n = any(cast(:ns as int[]))`,
      { tenantId, runId, ns },
    );
  },
};

async function noteOutcome(
  trx: Knex.Transaction,
  ended: Ended,
  outcome: 'accepted' | 'not_sent',
): Promise<void> {
  await trx.raw(
    `update dispatch_attempts a
        set outcome = :outcome, proven_by = :provenBy, settled_at = clock_timestamp(),
            provider_message_id = coalesce(given.id, a.provider_message_id)
       from unnest(cast(:ns as int[]), cast(:ids as text[])) as given (n, id), dispatches d
      where d.tenant_id = :tenantId and d.run_id = :runId and d.n = given.n
        and a.run_id = d.run_id and a.dispatch_n = d.n and a.attempt = d.attempt`,
    { ...ended, outcome },
  );
}
