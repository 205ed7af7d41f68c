import type { QueryBuilder } from 'objection';
import { notFound } from '../../domain/errors';
import type { ModelPrices } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import type { SortKey } from '../pages';
import { LlmCall } from './LlmCall';

export const llmCallSorts = {
  // Ids of calls are made in the order of time, and have an index.
  createdAt: { by: 'llm_calls.id', type: 'uuid' },
} as const satisfies Record<string, SortKey>;

export interface CallFilters {
  outcome?: string | undefined;
  feature?: string | undefined;
  /** The one that was asked for. */
  model?: string | undefined;
  userId?: string | undefined;
  keyId?: string | undefined;
  workflowId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Calls of a tenant, or of all: null. */
export function llmCallsWhere(
  trx: Knex.Transaction,
  tenantId: string | null,
  { outcome, feature, model, userId, keyId, workflowId, from, to }: CallFilters = {},
): QueryBuilder<LlmCall, LlmCall[]> {
  const given = Object.entries({
    tenant_id: tenantId ?? undefined,
    outcome,
    feature,
    model_asked: model,
    user_id: userId,
    key_id: keyId,
    workflow_id: workflowId,
  }).filter(([, value]) => value !== undefined);
  const query = LlmCall.query(trx).where(Object.fromEntries(given));
  if (from !== undefined) {
    query.where('created_at', '>=', from);
  }
  if (to !== undefined) {
    query.where('created_at', '<', to);
  }
  return query;
}

/** How one attempt of a call went. */
export interface CallTry {
  n: number;
  accountId: string;
  keyId: string;
  model: string;
  failureKind: string | null;
  status: number | null;
  generationId: string | null;
  firstTokenMs: number | null;
  totalMs: number;
  startedAt: Date;
}

export interface CallDetail {
  call: LlmCall;
  tries: CallTry[];
  prices: ModelPrices | null;
}

/** A call with its attempts and the prices that held, or notFound. */
export async function requireLlmCall(
  trx: Knex.Transaction,
  { tenantId, id }: { tenantId: string | null; id: string },
): Promise<CallDetail> {
  const call = await llmCallsWhere(trx, tenantId).findById(id);
  if (call === undefined) {
    throw notFound('llmCall');
  }
  const tries = await trx.raw(
    `select n, account_id as "accountId", key_id as "keyId", model,
            failure_kind as "failureKind", status, generation_id as "generationId",
            first_token_ms as "firstTokenMs", total_ms as "totalMs", started_at as "startedAt"
       from llm_attempts where call_id = ? order by n`,
    [id],
  );
  const prices = await trx.raw(
    `select prompt_micros_per_million as "promptMicrosPerMillion",
            completion_micros_per_million as "completionMicrosPerMillion",
            cached_micros_per_million as "cachedMicrosPerMillion",
            request_micros as "requestMicros", image_micros as "imageMicros"
       from llm_price_snapshots where id = ?`,
    [call.priceSnapshotId],
  );
  return { call, tries: tries.rows, prices: prices.rows[0] ?? null };
}

/** What was asked and answered, sealed; null where it is not kept, or not any more. */
export async function findPrompt(
  trx: Knex.Transaction,
  { tenantId, callId }: { tenantId: string; callId: string },
): Promise<{ content: string; expiresAt: Date } | null> {
  const found = await trx.raw(
    `select content, expires_at as "expiresAt" from llm_prompts
      where call_id = :callId and tenant_id = :tenantId and expires_at > now()`,
    { tenantId, callId },
  );
  return found.rows[0] ?? null;
}
