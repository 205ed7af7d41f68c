import type { Channel } from '../../domain/campaigns/types';
import type { Knex } from 'knex';

export interface OpenRun {
  id: string;
  tenantId: string;
  campaignId: string;
  n: number;
  channel: Channel;
  name: string;
  isStarted: boolean;
  /** Somebody steered it a while ago and its workflow has not seen it. */
  isSteeringUnseen: boolean;
}

/** Runs that should have a living workflow, over all tenants; young ones are left to the API. */
export async function listOpenRuns(trx: Knex.Transaction): Promise<OpenRun[]> {
  const listed = await trx.raw(
    `select r.id, r.tenant_id as "tenantId", r.campaign_id as "campaignId", r.n, r.channel, r.campaign_name as name,
            r.workflow_started_at is not null as "isStarted",
            coalesce(r.steered_at > coalesce(r.steering_seen_at, '-infinity')
              and r.steered_at < now() - interval '5 seconds', false) as "isSteeringUnseen"
       from campaign_runs r
      where r.state in ('planning', 'waiting', 'sending') and r.kind = 'campaign'
        and r.created_at < now() - interval '5 seconds'
      order by r.id limit 1000`,
  );
  return listed.rows;
}
