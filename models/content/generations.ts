import type { QueryBuilder } from 'objection';
import type { ContentBrief, ContentFailure, ContentVariant } from '../../domain/content/types';
import { invalidField, notFound } from '../../domain/errors';
import type { Knex } from '../../lib/db';
import { Campaign } from '../campaigns/Campaign';
import type { SortKey } from '../pages';
import { ContentGeneration } from './ContentGeneration';

export const generationSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
} as const satisfies Record<string, SortKey>;

interface Key {
  tenantId: string;
  id: string;
}

/** What calls of models cost, and which they were. */
export interface ContentCost {
  readonly callIds: readonly string[];
  readonly costMicros: number;
  readonly model: string | null;
}

/**
 * Writes down what is asked for. One with this id is taken for the same one; when it failed, it is to
 * be done after all.
 *
 * @throws invalid for a campaign that is not the tenant's
 */
export async function planGeneration(
  trx: Knex.Transaction,
  key: Key,
  asked: ContentBrief & { campaignId: string | null; model: string | null; createdBy: string },
): Promise<ContentGeneration> {
  const { model: askedModel, ...brief } = asked;
  if (brief.campaignId !== null) {
    await requireCampaign(trx, key.tenantId, brief.campaignId);
  }
  await ContentGeneration.query(trx)
    .insert({ ...key, ...brief, facts: [...brief.facts], askedModel, state: 'planned' })
    .onConflict(['tenant_id', 'id'])
    .ignore();
  await ContentGeneration.query(trx)
    .findById([key.tenantId, key.id])
    .where({ state: 'failed' })
    .patch({ state: 'planned', reason: null, endedAt: null, createdAt: trx.fn.now() });
  return requireGeneration(trx, key);
}

/** The generation, or notFound. */
export async function requireGeneration(
  trx: Knex.Transaction,
  { tenantId, id }: Key,
): Promise<ContentGeneration> {
  const found = await ContentGeneration.query(trx).findById([tenantId, id]);
  if (found === undefined) {
    throw notFound('contentGeneration');
  }
  return found;
}

/** Generations of the tenant, of one campaign or of all. */
export function generationsOf(
  trx: Knex.Transaction,
  tenantId: string,
  filter: { campaignId?: string | undefined; state?: ContentGeneration['state'] | undefined },
): QueryBuilder<ContentGeneration, ContentGeneration[]> {
  return ContentGeneration.query(trx)
    .where({ tenant_id: tenantId })
    .where((query) => {
      if (filter.campaignId !== undefined) {
        query.where({ campaign_id: filter.campaignId });
      }
      if (filter.state !== undefined) {
        query.where({ state: filter.state });
      }
    });
}

/** Ends it, with what it cost; one that has ended stays as it is. */
export async function endGeneration(
  trx: Knex.Transaction,
  { tenantId, id }: Key,
  end: { variants: readonly ContentVariant[] } | { reason: ContentFailure },
  cost: ContentCost = nothing,
): Promise<void> {
  await planned(trx, { tenantId, id }).patch({
    ...('reason' in end
      ? { state: 'failed', reason: end.reason }
      : { state: 'done', variants: [...end.variants] }),
    ...added(trx, cost),
    waitsUntil: null,
    endedAt: trx.fn.now(),
  });
}

/** Writes down that it goes on later, and what it cost until now. */
export async function postponeGeneration(
  trx: Knex.Transaction,
  { tenantId, id }: Key,
  waitsUntil: Date,
  cost: ContentCost,
): Promise<void> {
  await planned(trx, { tenantId, id }).patch({ ...added(trx, cost), waitsUntil });
}

/** Ends those of all tenants whose workflow is gone, or was never started. */
export async function endLostGenerations(trx: Knex.Transaction): Promise<void> {
  await ContentGeneration.query(trx)
    .where({ state: 'planned' })
    .whereRaw(`created_at < clock_timestamp() - interval '1 hour'`)
    .patch({ state: 'failed', reason: 'notEnded', waitsUntil: null, endedAt: trx.fn.now() });
}

const nothing: ContentCost = { callIds: [], costMicros: 0, model: null };

function planned(trx: Knex.Transaction, { tenantId, id }: Key) {
  return ContentGeneration.query(trx).findById([tenantId, id]).where({ state: 'planned' });
}

// Written again by whoever did not hear that it was, it adds nothing.
function added(trx: Knex.Transaction, { callIds, costMicros, model }: ContentCost) {
  const ids = [...callIds];
  return {
    callIds: trx.raw(
      'case when call_ids @> cast(? as uuid[]) then call_ids else call_ids || cast(? as uuid[]) end',
      [ids, ids],
    ),
    costMicros: trx.raw(
      'cost_micros + case when call_ids @> cast(? as uuid[]) then 0 else cast(? as bigint) end',
      [ids, costMicros],
    ),
    ...(model === null ? {} : { model }),
  };
}

async function requireCampaign(
  trx: Knex.Transaction,
  tenantId: string,
  campaignId: string,
): Promise<void> {
  const campaign = await Campaign.query(trx)
    .select('id')
    .findById([tenantId, campaignId])
    // Nobody removes it before the generation is written.
    .forKeyShare();
  if (campaign === undefined) {
    throw invalidField('campaignId', 'notFound', 'There is no such campaign.');
  }
}
