import type { LlmRetention } from '../../domain/llm/budgets';
import type { Knex } from '../../lib/db';
import { settleCallsWithin } from './calls';

// Whoever worked on a call may still have its end to tell: the ledger of a process tries for a while.
const graceSeconds = 120;
/** As many calls are settled at a time. */
export const callsOfBatch = 500;

/**
 * Settles calls whose process is gone, as lost: nobody knows what became of them, so that they cost
 * what they could cost at most. One that is settled by itself meanwhile is passed over. Answers how
 * many there were, at most 500. For the purpose `llmLedger`.
 */
export async function settleLostCalls(trx: Knex.Transaction): Promise<number> {
  const found = await trx.raw(
    `select id as "callId", estimate_micros as "costMicros" from llm_calls
      where outcome = 'open'
        and expires_at < clock_timestamp() - cast(:graceSeconds as int) * interval '1 second'
      order by id limit :callsOfBatch for update skip locked`,
    { graceSeconds, callsOfBatch },
  );
  const calls: { callId: string; costMicros: number }[] = found.rows;
  await settleCallsWithin(
    trx,
    calls.map((call) => ({
      ...call,
      outcome: 'lost',
      failureKind: null,
      model: null,
      keyId: null,
      accountId: null,
      // Reserved under the plan, it is spent there, too.
      isOfPlatform: true,
      usage: null,
      costSource: 'estimate',
      firstTokenMs: null,
      totalMs: null,
      attempts: [],
    })),
  );
  return calls.length;
}

const rowsOfBatch = 2_000;

/**
 * Forgets what is kept no longer: words of calls after the days their tenant chose, and the records of
 * calls, with the counters of periods that are over, after those that are given. The sums of days stay.
 * Answers how many rows went, and whether there are more. For the purpose `llmLedger`.
 */
export async function forgetCalls(
  trx: Knex.Transaction,
  { callDays }: Pick<LlmRetention, 'callDays'>,
): Promise<{ rows: number; isMoreLeft: boolean }> {
  const forgotten = [
    await trx.raw(
      `delete from llm_prompts where call_id in (
         select call_id from llm_prompts where expires_at < now()
          order by expires_at limit :rowsOfBatch)`,
      { rowsOfBatch },
    ),
    await trx.raw(
      `delete from llm_calls where id in (
         select id from llm_calls
          where created_at < now() - cast(:callDays as int) * interval '1 day'
            and outcome <> 'open'
          order by created_at limit :rowsOfBatch)`,
      { callDays, rowsOfBatch },
    ),
    await trx.raw(
      `delete from llm_spend where id in (
         select id from llm_spend
          where starts_on < cast(now() - cast(:callDays as int) * interval '1 day' as date)
            and reserved_micros = 0
          limit :rowsOfBatch)`,
      { callDays, rowsOfBatch },
    ),
  ];
  return countForgotten(forgotten);
}

/** Forgets what happened to keys and accounts so many days ago. For the purpose `llmRing`. */
export async function forgetTransitions(
  trx: Knex.Transaction,
  { transitionDays }: Pick<LlmRetention, 'transitionDays'>,
): Promise<{ rows: number; isMoreLeft: boolean }> {
  return countForgotten([
    await trx.raw(
      `delete from llm_transitions where id in (
         select id from llm_transitions
          where at < now() - cast(:transitionDays as int) * interval '1 day'
          order by at limit :rowsOfBatch)`,
      { transitionDays, rowsOfBatch },
    ),
  ]);
}

function countForgotten(deleted: readonly { rowCount: number }[]) {
  return {
    rows: deleted.reduce((sum, { rowCount }) => sum + rowCount, 0),
    isMoreLeft: deleted.some(({ rowCount }) => rowCount === rowsOfBatch),
  };
}
