import type { DoubtPolicy } from '../../domain/campaigns/types';
import type { CampaignRun } from '../../models/campaigns/runs';
import { insertCampaign, insertTenant } from '../../tests/support/records';
import { startRun } from '../startRun';
import type { ProcessGround } from './ground';

/** A campaign under fire: whose it is, and how many people it is for. */
export interface FiredCampaign {
  tenantId: string;
  campaignId: string;
  customers: number;
  run: Pick<CampaignRun, 'id'>;
}

// Half of the people live in these few zones, so that some calls are full and many are small.
const bigZones = 40;

/**
 * Writes a tenant with customers over so many of the zones the runtime knows (all of them by default)
 * and one campaign. There is at least one call a zone.
 */
export async function writeCampaign(
  ground: Pick<ProcessGround, 'db'>,
  customers: number,
  zoneCount?: number,
): Promise<{ tenantId: string; campaignId: string }> {
  const tenantId = await insertTenant(ground.db);
  const zones = Intl.supportedValuesOf('timeZone').slice(0, zoneCount);
  await ground.db.raw(
    `insert into customers (id, tenant_id, email, first_name, time_zone)
     select gen_random_uuid(), :tenantId, 'c' || i || '@chaos.example.com', 'Ana ' || i,
            (cast(:zones as text[]))[1 + case when i % 2 = 0 then (i / 2) % :big
                                              else (i / 2) % :all end]
       from generate_series(1, :customers) as i`,
    { tenantId, zones, customers, big: Math.min(bigZones, zones.length), all: zones.length },
  );
  await ground.db.raw('analyze customers');
  const campaignId = await insertCampaign(ground.db, tenantId);
  return { tenantId, campaignId };
}

/** Writes a run for now and starts its workflow, as scheduling does. */
export async function fireCampaign(
  ground: Pick<ProcessGround, 'db' | 'campaigns'>,
  options: {
    tenantId: string;
    campaignId: string;
    customers: number;
    doubtPolicy: DoubtPolicy;
    doubtDeadlineMs: number;
  },
): Promise<FiredCampaign> {
  const { tenantId, campaignId, customers } = options;
  const { doubtPolicy, doubtDeadlineMs } = options;
  const run = await startRun(
    ground,
    { tenantId, campaignId, name: 'Chaos' },
    { schedule: { kind: 'now' }, doubtPolicy, doubtDeadlineMs },
  );
  return { tenantId, campaignId, customers, run };
}
