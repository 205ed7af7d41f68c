import { planWaves } from '../../domain/campaigns/waves';
import type { WavePlanner } from '../../models/campaigns/planning';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';
import { startCampaignGround, startRun, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { countHistory } from '../support/histories';
import { wavesIn } from '../support/plans';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';

let planner: WavePlanner = planWaves;
let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround({ deps: { planner: (input) => planner(input) } });
  await ground.startWorker();
});

afterAll(() => ground.stop());

test('a campaign of 38 waves keeps within 200 events and 60 a wave', async () => {
  const zones = Intl.supportedValuesOf('timeZone').slice(0, 38);
  planner = wavesIn(Object.fromEntries(zones.map((zone, i) => [zone, 500 + i * 50])));
  const tenantId = await insertTenant(ground.db);
  await insertCustomers(
    ground.db,
    tenantId,
    zones.flatMap((timeZone, z) =>
      [0, 1].map((i) => ({ email: `h${z}-${i}@example.com`, timeZone })),
    ),
  );
  const campaignId = await insertCampaign(ground.db, tenantId);
  await startRun(ground, tenantId, campaignId, { schedule: { kind: 'now' } });
  const { client } = ground.temporal;
  const id = campaignWorkflowId(tenantId, campaignId);
  expect(await client.workflow.getHandle(id).result()).toMatchObject({ accepted: 76 });
  const events = await until('all 40 workflows to be listed', async () => {
    const found = await countHistory(client, campaignId);
    return found.workflows === 40 && found.events;
  });
  expect(events).toBeLessThanOrEqual(200 + 60 * 38);
});
