import { withTenant } from '../../models/base';
import { getRun } from '../../models/campaigns/runs';
import { countRun } from '../../models/messages/counts';
import { startCampaignGround, startRun, type CampaignGround } from '../support/campaignGround';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';

let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround();
  await ground.startWorker();
});

afterAll(() => ground.stop());

test('sends a campaign to everyone once and completes', async () => {
  const tenantId = await insertTenant(ground.db);
  await insertCustomers(
    ground.db,
    tenantId,
    Array.from({ length: 2500 }, (_, i) => ({
      email: `c${i}@now.example.com`,
      timeZone: ['Europe/Paris', 'Asia/Tokyo', 'America/New_York'][i % 3] ?? null,
      firstName: `N${i}`,
    })),
  );
  const campaignId = await insertCampaign(ground.db, tenantId);
  const run = await startRun(ground, tenantId, campaignId, { schedule: { kind: 'now' } });
  const handle = ground.temporal.client.workflow.getHandle(
    campaignWorkflowId(tenantId, campaignId),
  );
  const result = await handle.result();
  expect(result).toMatchObject({ status: 'completed', planned: 2500, accepted: 2500, open: 0 });
  const stats = await (await fetch(`${ground.sandbox.url}/api/stats`)).json();
  expect(stats).toMatchObject({ delivered: 2500, distinctRecipients: 2500, duplicates: [] });
  const counts = await withTenant(ground.db, tenantId, (trx) => countRun(trx, tenantId, run.id));
  expect(counts).toMatchObject({ planned: 2500, accepted: 2500, open: 0 });
  expect(
    await withTenant(ground.db, tenantId, (trx) => getRun(trx, tenantId, run.id)),
  ).toMatchObject({ state: 'completed' });
});
