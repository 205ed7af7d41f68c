import type { Knex } from '../../lib/db';
import { liftBlock, replaceLimits, type WokenRun } from '../../models/messages/limits';
import { setLimits } from '../../models/messages/accountLimits';
import {
  campaignWorkflowId,
  cancelUpdate,
  runWorkflowId,
  statusQuery,
  waveWorkflowId,
  type RunStatus,
  type Steering,
} from '../../workflows/campaigns/messages';
import { ensureStandingWork } from '../../workers/schedules';
import { startCampaignGround, startRun, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';
import { sandboxStats } from '../support/sandboxControl';
import { inClearText } from '../support/histories';

let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround();
  await ground.startWorker();
});

afterAll(() => ground.stop());

test('an operator reads of a throttled campaign which limit holds it up, and until when', async () => {
  const { db } = ground;
  await db.transaction((trx) =>
    setLimits(trx, 'sendgrid', [{ per: 'day', unit: 'messages', most: 10 }]),
  );
  const tenantId = await insertTenant(db);
  await insertCustomers(
    db,
    tenantId,
    Array.from({ length: 25 }, (_, i) => ({
      email: `c${i}@example.com`,
      timeZone: 'Europe/Paris',
    })),
  );
  const campaignId = await insertCampaign(db, tenantId);
  await startRun(ground, tenantId, campaignId, { schedule: { kind: 'now' } });
  const { workflow } = ground.temporal.client;
  const runId = runWorkflowId(tenantId, campaignId, 1);
  const midnight = new Date(Math.ceil(Date.now() / 86_400_000) * 86_400_000).toISOString();
  const why = `held up until ${midnight} by rateLimit: 10 messages a day`;

  const status = await until('the campaign to say so', async () => {
    const found = await workflow
      .getHandle(campaignWorkflowId(tenantId, campaignId))
      .query(statusQuery);
    return found.explanation.includes(why) ? found : null;
  });

  expect(status).toMatchObject({ planned: 25, accepted: 10, open: 15 });
  expect((await sandboxStats(ground.sandbox)).delivered).toBe(10);
  const waveId = waveWorkflowId(runId, 1, 1);
  expect(await detailsOf(waveId)).toContain(
    `Waits until ${midnight}: rateLimit: 10 messages a day.`,
  );
  expect(await detailsOf(runId)).toContain(why);
  expect(await detailsOf(runId)).toContain('| 25 | 10 | 0 | 0 | 0 | 15 |');
  expect(await timersOf(waveId)).toContainEqual(
    expect.stringMatching(/^Waits: rateLimit: 10 messages a day\. Wave 1 of 1/),
  );
  await workflow
    .getHandle(campaignWorkflowId(tenantId, campaignId))
    .executeUpdate<RunStatus, [Steering]>(cancelUpdate.name, { args: [{}] });
});

test('a limit that is raised and a block that is lifted wake what waits, at once', async () => {
  const { db } = ground;
  await db.transaction((trx) =>
    setLimits(trx, 'sendgrid', [{ per: 'day', unit: 'messages', most: 3 }]),
  );
  const tenantId = await insertTenant(db);
  await insertCustomers(
    db,
    tenantId,
    Array.from({ length: 25 }, (_, i) => ({ email: `w${i}@example.com`, timeZone: 'UTC' })),
  );
  const campaignId = await insertCampaign(db, tenantId);
  const run = await startRun(ground, tenantId, campaignId, { schedule: { kind: 'now' } });
  const handle = ground.temporal.client.workflow.getHandle(
    campaignWorkflowId(tenantId, campaignId),
  );
  const toSay = (what: string) =>
    until(`the campaign to say ${what}`, async () => {
      const { explanation } = await handle.query(statusQuery);
      return explanation.includes(what);
    });
  const wake = async (work: (trx: Knex.Transaction) => Promise<WokenRun[]>) => {
    // By the administrator: the account is the platform's, which is no tenant's to change.
    const woken = await db.transaction(work);
    expect(woken).toEqual([{ tenantId, campaignId, runN: 1 }]);
    await ground.deps.signalSteering({ tenantId, campaignId });
  };
  const account = { tenantId, id: 'sendgrid' };

  await toSay('rateLimit: 3 messages a day');
  await db.raw(
    `update provider_accounts set blocked_until = now() + interval '1 day',
            blocked_reason = 'providerThrottled' where id = 'sendgrid'`,
  );
  await wake((trx) =>
    replaceLimits(trx, account, [{ per: 'day', unit: 'messages', most: 100_000 }]),
  );
  await toSay('providerThrottled');
  await db.raw(`update provider_accounts set blocked_until = null where id = 'sendgrid'`);
  await wake((trx) => liftBlock(trx, account));
  await until('the run to be completed', async () => {
    const [{ state }] = await db('campaign_runs').where({ id: run.id });
    return state === 'completed';
  });
});

test('a campaign that nobody told of its raised limit is reminded by the reconciler', async () => {
  const { db } = ground;
  await db.transaction((trx) =>
    setLimits(trx, 'sendgrid', [{ per: 'day', unit: 'messages', most: 1 }]),
  );
  const tenantId = await insertTenant(db);
  await insertCustomers(db, tenantId, [{ email: 'r@example.com', timeZone: 'UTC' }]);
  const campaignId = await insertCampaign(db, tenantId);
  const run = await startRun(ground, tenantId, campaignId, { schedule: { kind: 'now' } });
  await until('the call to be put back', async () => {
    const [call] = await db('dispatches').where({ run_id: run.id });
    return call?.wait_reason?.startsWith('rateLimit');
  });
  await db.transaction((trx) => replaceLimits(trx, { tenantId, id: 'sendgrid' }, []));
  await db('campaign_runs')
    .where({ id: run.id })
    .update({ created_at: db.raw(`now() - interval '1 minute'`) });
  await ensureStandingWork(ground.temporal.client);
  const completed = await until(
    'the run to be completed',
    async () => {
      const [{ state }] = await db('campaign_runs').where({ id: run.id });
      return state === 'completed';
    },
    45_000,
  );
  expect(completed).toBe(true);
});

/** The markdown that the Temporal UI shows of a workflow. */
async function detailsOf(workflowId: string): Promise<string> {
  const metadata: { currentDetails?: string } = await ground.temporal.client.workflow
    .getHandle(workflowId)
    .query('__temporal_workflow_metadata');
  return metadata.currentDetails ?? '';
}

/** The summaries of all timers a workflow has started. */
async function timersOf(workflowId: string): Promise<string[]> {
  const { client } = ground.temporal;
  const encrypted = await client.workflow.getHandle(workflowId).fetchHistory();
  const history = await inClearText(client, encrypted);
  return (history.events ?? []).flatMap((event) => {
    const summary = event.userMetadata?.summary?.data;
    const isTimer = event.timerStartedEventAttributes !== undefined;
    return isTimer && summary ? [JSON.parse(Buffer.from(summary).toString('utf8'))] : [];
  });
}
