import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { platformPool } from '../../domain/llm/types';
import type { OpenCall, SettledCall } from '../../gateway/types';

/** A call of a tenant's script, for a minute. */
export function openCall(tenantId: string, values: Partial<OpenCall> = {}): OpenCall {
  return {
    callId: newId(),
    asker: { tenantId, userId: null, feature: 'script', workflowId: null },
    kind: 'chat',
    model: 'openai/gpt-small',
    estimateMicros: 1_000,
    mayUsePlatform: true,
    isStreamed: false,
    expiresAt: new Date(Date.now() + 60_000),
    ...values,
  };
}

/** What became of it: it succeeded by a key of the platform, unless told otherwise. */
export function settledCall(
  call: Pick<OpenCall, 'callId' | 'model'>,
  values: Partial<SettledCall> = {},
): SettledCall {
  const keyId = values.keyId ?? newId();
  const accountId = values.accountId ?? newId();
  return {
    callId: call.callId,
    outcome: 'succeeded',
    failureKind: null,
    model: call.model,
    keyId,
    accountId,
    poolId: platformPool,
    usage: {
      promptTokens: 100,
      completionTokens: 20,
      cachedTokens: 0,
      reasoningTokens: 0,
      costMicros: 700,
    },
    costMicros: 700,
    costSource: 'vendor',
    firstTokenMs: 40.4,
    totalMs: 120.6,
    attempts: [
      {
        n: 1,
        keyId,
        accountId,
        poolId: values.poolId ?? platformPool,
        usage: null,
        costMicros: values.costMicros ?? 700,
        costSource: values.costSource ?? 'vendor',
        model: call.model,
        failureKind: null,
        status: 200,
        generationId: `gen-${call.callId}`,
        firstTokenMs: 40,
        totalMs: 120,
        startedAt: new Date(),
      },
    ],
    ...values,
  };
}

/** Writes a budget; the platform's without a tenant. */
export async function insertBudget(
  admin: Knex,
  budget: {
    tenantId: string | null;
    scope?: string;
    subject?: string;
    period?: string;
    limitMicros: number;
  },
): Promise<string> {
  const { tenantId, scope = 'tenant', subject = '', period = 'month', limitMicros } = budget;
  const id = newId();
  await admin('llm_budgets').insert({
    id,
    tenant_id: tenantId,
    scope,
    subject,
    period,
    limit_micros: limitMicros,
  });
  return id;
}

/** What the three records of a tenant's money say: calls, sums of days, counters. */
export async function sumsOf(admin: Knex, tenantId: string) {
  const [calls] = await admin('llm_calls')
    .where({ tenant_id: tenantId })
    .select(
      admin.raw('coalesce(sum(cost_micros), 0)::bigint as spent'),
      admin.raw(
        `coalesce(sum(estimate_micros) filter (where outcome = 'open'), 0)::bigint as reserved`,
      ),
    );
  const [days] = await admin('llm_usage_days')
    .where({ tenant_id: tenantId })
    .select(admin.raw('coalesce(sum(cost_micros), 0)::bigint as spent'));
  const counters: { scope: string; period: string; spent: number; reserved: number }[] =
    await admin('llm_spend')
      .where({ tenant_id: tenantId })
      .groupBy('scope', 'period')
      .orderBy(['scope', 'period'])
      .select(
        'scope',
        'period',
        admin.raw('sum(spent_micros)::bigint as spent'),
        admin.raw('sum(reserved_micros)::bigint as reserved'),
      );
  return { calls, days, counters };
}
