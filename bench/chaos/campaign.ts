import type { DoubtPolicy } from '../../domain/campaigns/types';
import type { CampaignRun } from '../../models/campaigns/runs';
import { insertCampaign, insertTenant } from '../../tests/support/records';
import { startRun } from '../startRun';
import { channelOf, type Route } from './accounts';
import type { ProcessGround } from './ground';

/** A campaign under fire: whose it is, and how many people it is for. */
export interface FiredCampaign {
  tenantId: string;
  campaignId: string;
  customers: number;
  route: Route;
  run: Pick<CampaignRun, 'id'>;
}

// Half of the people live in these few zones, so that some calls are full and many are small.
const bigZones = 40;

/**
 * Writes a tenant with customers over so many of the zones the runtime knows (all of them by default)
 * and one campaign. There is at least one call a zone. Addresses and numbers are no other tenant's.
 */
export async function writeCampaign(
  ground: Pick<ProcessGround, 'db'>,
  customers: number,
  options: { zoneCount?: number; route?: Route } = {},
): Promise<{ tenantId: string; campaignId: string; route: Route }> {
  const { zoneCount, route = 'sendgrid' } = options;
  const tenantId = await insertTenant(ground.db);
  const zones = Intl.supportedValuesOf('timeZone').slice(0, zoneCount);
  await ground.db.raw(
    `insert into customers (id, tenant_id, email, phone, first_name, time_zone)
     select gen_random_uuid(), :tenantId, 'c' || i || '@' || :route || '.example.com',
            :prefix || 1000000 + i, 'Ana ' || i,
            (cast(:zones as text[]))[1 + case when i % 2 = 0 then (i / 2) % :big
                                              else (i / 2) % :all end]
       from generate_series(1, :customers) as i`,
    {
      tenantId,
      route,
      prefix: prefixOf[route],
      zones,
      customers,
      big: Math.min(bigZones, zones.length),
      all: zones.length,
    },
  );
  await ground.db.raw('analyze customers');
  const campaignId = await insertCampaign(ground.db, tenantId, { channel: channelOf[route] });
  return { tenantId, campaignId, route };
}

const prefixOf: Record<Route, string> = {
  sendgrid: '+4930',
  smtp: '+4931',
  twilio: '+4932',
  meta: '+4933',
};

/** Writes a run for now and starts its workflow, as scheduling does. */
export async function fireCampaign(
  ground: Pick<ProcessGround, 'db' | 'campaigns'>,
  options: {
    tenantId: string;
    campaignId: string;
    customers: number;
    route: Route;
    doubtPolicy: DoubtPolicy;
    doubtDeadlineMs: number;
  },
): Promise<FiredCampaign> {
  const { tenantId, campaignId, customers, route } = options;
  const { doubtPolicy, doubtDeadlineMs } = options;
  const run = await startRun(
    ground,
    { tenantId, campaignId, name: 'Chaos' },
    { channel: channelOf[route], schedule: { kind: 'now' }, doubtPolicy, doubtDeadlineMs },
  );
  return { tenantId, campaignId, customers, route, run };
}
