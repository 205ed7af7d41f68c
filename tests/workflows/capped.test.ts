import type { FrequencyCap } from '../../domain/campaigns/rules/types';
import {
  campaignWorkflowId,
  cancelUpdate,
  statusQuery,
  type RunStatus,
  type Steering,
} from '../../workflows/campaigns/messages';
import { withTenant } from '../../models/base';
import { countLeftOut } from '../../models/messages/counts';
import { startCampaignGround, startRun, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';
import { sandboxStats } from '../support/sandboxControl';

let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround();
  await ground.startWorker();
});

afterAll(() => ground.stop());

test('a capped campaign waits and says so, goes on when the cap ends, and writes to nobody twice', async () => {
  const { db } = ground;
  const tenantId = await insertTenant(db);
  const customers = 20;
  await insertCustomers(
    db,
    tenantId,
    Array.from({ length: customers }, (_, i) => ({ email: `c${i}@example.com`, timeZone: 'UTC' })),
  );
  const weekly: FrequencyCap = { messages: 1, days: 7, whenCapped: 'later' };
  const send = async (frequencyCap: FrequencyCap) => {
    const campaignId = await insertCampaign(db, tenantId);
    const run = await startRun(ground, tenantId, campaignId, {
      schedule: { kind: 'now', frequencyCap },
    });
    return { campaignId, runId: run.id };
  };
  const toBe = ({ runId }: { runId: string }, state: string) =>
    until(`the run to be ${state}`, async () => {
      const [run] = await db('campaign_runs').where({ id: runId });
      return run.state === state;
    });
  const handleOf = ({ campaignId }: { campaignId: string }) =>
    ground.temporal.client.workflow.getHandle(campaignWorkflowId(tenantId, campaignId));

  const first = await send(weekly);
  await toBe(first, 'completed');
  expect((await sandboxStats(ground.sandbox)).delivered).toBe(customers);

  const skipping = await send({ ...weekly, whenCapped: 'skip' });
  await toBe(skipping, 'completed');
  expect(
    await withTenant(db, tenantId, (trx) => countLeftOut(trx, tenantId, skipping.runId)),
  ).toEqual({ capped: customers });

  const waiting = await send(weekly);
  await until('the campaign to say what it waits for', async () => {
    const { explanation } = await handleOf(waiting).query(statusQuery);
    return /held up until \d{4}-.* by frequencyCap/.test(explanation);
  });
  await handleOf(waiting).executeUpdate<RunStatus, [Steering]>(cancelUpdate.name, { args: [{}] });
  await toBe(waiting, 'cancelled');
  expect((await sandboxStats(ground.sandbox)).delivered).toBe(customers);

  // The week is over in a few seconds.
  await db('customer_contacts').update({
    at: db.raw(`clock_timestamp() - interval '7 days' + interval '4 seconds'`),
  });
  const last = await send(weekly);
  await toBe(last, 'completed');
  expect((await sandboxStats(ground.sandbox)).delivered).toBe(2 * customers);
  const [called] = await db('dispatch_attempts').where({ run_id: last.runId });
  const contacts = await db('customer_contacts').where({ run_id: first.runId });
  expect(called.called_at.getTime()).toBeGreaterThanOrEqual(
    Math.max(...contacts.map(({ at }) => at.getTime())) + 7 * 86_400_000,
  );
});

test('a campaign that is sent in quiet hours says until when it waits, and can be cancelled', async () => {
  const { db } = ground;
  const tenantId = await insertTenant(db);
  await insertCustomers(db, tenantId, [{ email: 'q@example.com', timeZone: 'UTC' }]);
  const campaignId = await insertCampaign(db, tenantId);
  const clock = (hours: number) =>
    new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
  const before = (await sandboxStats(ground.sandbox)).delivered;
  const run = await startRun(ground, tenantId, campaignId, {
    schedule: { kind: 'now', quietHours: { from: clock(-2), to: clock(1) } },
  });
  const handle = ground.temporal.client.workflow.getHandle(
    campaignWorkflowId(tenantId, campaignId),
  );
  await until('the campaign to say so', async () => {
    const { explanation, status } = await handle.query(statusQuery);
    return status === 'scheduled' && /\d{4}-.*Z \(quiet hours\)/.test(explanation);
  });
  await handle.executeUpdate<RunStatus, [Steering]>(cancelUpdate.name, { args: [{}] });
  await until('the run to be cancelled', async () => {
    const [{ state }] = await db('campaign_runs').where({ id: run.id });
    return state === 'cancelled';
  });
  expect((await sandboxStats(ground.sandbox)).delivered).toBe(before);
});
