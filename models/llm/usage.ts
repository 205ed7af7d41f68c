import type { UsagePart } from '../../domain/llm/callRecords';
import type { Knex } from '../../lib/db';

export interface UsageQuestion {
  /** Null for all tenants. */
  tenantId: string | null;
  /** The first and the last day. */
  from: string;
  to: string;
  per: 'day' | 'month';
  by: readonly (UsagePart | 'tenant')[];
  feature?: string | undefined;
  model?: string | undefined;
  userId?: string | undefined;
  keyId?: string | undefined;
}

export interface UsageSums {
  calls: number;
  failed: number;
  promptTokens: number;
  completionTokens: number;
  costMicros: number;
}

export interface UsageRow extends UsageSums {
  startsOn: string;
  tenantId?: string;
  userId?: string | null;
  feature?: string;
  model?: string;
  keyId?: string | null;
}

/** One more than a caller is shown: that there are more is how it is known that it is too much. */
export const mostUsageRows = 5_000;

/** What calls cost, by day or month and by what is asked for, in that order; and all of it. */
export async function sumUsage(
  trx: Knex.Transaction,
  { tenantId, from, to, per, by, feature, model, userId, keyId }: UsageQuestion,
): Promise<{ rows: UsageRow[]; total: UsageSums }> {
  const startsOn = per === 'day' ? 'day' : `cast(date_trunc('month', day) as date)`;
  const parts = by.map((part) => columns[part]);
  const where = `day between cast(:from as date) and cast(:to as date)
     and (cast(:tenantId as uuid) is null or tenant_id = :tenantId)
     and (cast(:feature as text) is null or feature = :feature)
     and (cast(:model as text) is null or model = :model)
     and (cast(:userId as uuid) is null or user_id = :userId)
     and (cast(:keyId as uuid) is null or key_id = :keyId)`;
  const values = {
    from,
    to,
    tenantId,
    feature: feature ?? null,
    model: model ?? null,
    userId: userId ?? null,
    keyId: keyId ?? null,
    most: mostUsageRows + 1,
  };
  const groups = [startsOn, ...parts.map(({ column }) => column)].join(', ');
  const shown = parts.map(({ column, name }) => `${column} as "${name}", `).join('');
  const rows = await trx.raw(
    `select to_char(${startsOn}, 'YYYY-MM-DD') as "startsOn", ${shown}${sums}
       from llm_usage_days where ${where} group by ${groups} order by ${groups} limit :most`,
    values,
  );
  const total = await trx.raw(`select ${sums} from llm_usage_days where ${where}`, values);
  return { rows: rows.rows, total: total.rows[0] };
}

const columns: Record<UsagePart | 'tenant', { column: string; name: string }> = {
  tenant: { column: 'tenant_id', name: 'tenantId' },
  user: { column: 'user_id', name: 'userId' },
  feature: { column: 'feature', name: 'feature' },
  model: { column: 'model', name: 'model' },
  key: { column: 'key_id', name: 'keyId' },
};

const sumOf = (column: string, name: string) =>
  `cast(coalesce(sum(${column}), 0) as bigint) as "${name}"`;

const sums = [
  sumOf('calls', 'calls'),
  sumOf('failed', 'failed'),
  sumOf('prompt_tokens', 'promptTokens'),
  sumOf('completion_tokens', 'completionTokens'),
  sumOf('cost_micros', 'costMicros'),
].join(', ');
