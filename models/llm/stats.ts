import type { KeyState } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import { dayAt, monthAt } from './periods';

/** How much language models are used, and how the platform's keys stand. */
export interface LlmStats {
  today: LlmSums;
  month: LlmSums;
  keys: Record<KeyState, number>;
  accountsOutOfCredit: number;
}

export interface LlmSums {
  calls: number;
  failed: number;
  costMicros: number;
}

/** For platform admins. */
export async function countLlm(trx: Knex.Transaction): Promise<LlmStats> {
  const counted = await trx.raw(
    `select (select ${sumsOf} from llm_usage_days where day = ${dayAt(now)}) as today,
            (select ${sumsOf} from llm_usage_days
              where day between ${monthAt(now)} and ${dayAt(now)}) as month,
            (select count(*) from llm_health h join llm_accounts a on a.id = h.account_id
              where h.tenant_id is null and h.scope = 'account' and h.state = 'suspended'
                and h.reason = 'credits' and a.standing <> 'revoked') as "accountsOutOfCredit"`,
  );
  const keys = await trx.raw(
    `select case when 'revoked' in (k.standing, a.standing) then 'revoked'
                 when 'paused' in (k.standing, a.standing) then 'paused'
                 when exists (${healthOf('suspended')}) then 'suspended'
                 when exists (${healthOf('cooling')}) then 'cooling'
                 when 'draining' in (k.standing, a.standing) or exists (${healthOf('draining')})
                 then 'draining' else 'active' end as state, count(*)
       from llm_keys k join llm_accounts a on a.id = k.account_id
      where k.tenant_id is null group by 1`,
  );
  const rows: { state: KeyState; count: number }[] = keys.rows;
  const byState = { ...noKeys };
  for (const { state, count } of rows) {
    byState[state] = count;
  }
  return { ...counted.rows[0], keys: byState };
}

const now = 'statement_timestamp()';

const sumsOf = `jsonb_build_object('calls', cast(coalesce(sum(calls), 0) as bigint),
  'failed', cast(coalesce(sum(failed), 0) as bigint),
  'costMicros', cast(coalesce(sum(cost_micros), 0) as bigint))`;

const healthOf = (state: string) =>
  `select 1 from llm_health h where h.state = '${state}'
     and (h.key_id = k.id or (h.scope = 'account' and h.account_id = k.account_id))`;

const noKeys: Record<KeyState, number> = {
  active: 0,
  paused: 0,
  revoked: 0,
  cooling: 0,
  suspended: 0,
  draining: 0,
};
