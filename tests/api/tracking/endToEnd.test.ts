import { loadConfig } from '../../../lib/config';
import { createTrackingTokens } from '../../../lib/trackingTokens';
import { withTenant } from '../../../models/base';
import { countRun, type RunCounts } from '../../../models/messages/counts';
import { createWebhookKeys } from '../../../sandbox';
import { ensureStandingWork } from '../../../workers/schedules';
import { ensureTestAccount, testSenders } from '../../support/accounts';
import { startTestApi, type TestApi } from '../../support/api';
import { startCampaignGround, startRun, type CampaignGround } from '../../support/campaignGround';
import { until } from '../../support/conditions';
import { insertCampaign, insertCustomers, insertTenant } from '../../support/records';
import { clearFaults, sandboxStats, setFaults } from '../../support/sandboxControl';

const keys = createWebhookKeys();
const trackingTokens = createTrackingTokens([{ id: 1, secret: 'of the API and of its workers' }]);
let api: TestApi;
let ground: CampaignGround;

// One database: events arrive at the API, workers send and apply.
beforeAll(async () => {
  api = await startTestApi({
    trackingTokens,
    config: loadConfig([], {
      NODE_ENV: 'test',
      SENDGRID_WEBHOOK_PUBLIC_KEY: keys.publicKeyBase64,
    }),
  });
  const own = await startCampaignGround({
    sandbox: {
      webhook: { url: `${api.url}/webhooks/sendgrid`, privateKeyPem: keys.privateKeyPem },
    },
    deps: {
      db: api.deps.db,
      senders: testSenders(api.deps.db),
      trackingTokens,
      publicUrl: api.url,
    },
  });
  ground = { ...own, db: api.db };
  await ensureTestAccount(ground.db, { baseUrl: ground.sandbox.url });
  await ground.startWorker();
  await ensureStandingWork(ground.temporal.client);
});

afterEach(() => clearFaults(ground.sandbox));

afterAll(async () => {
  await ground.stop();
  await api.stop();
});

async function send(emails: string[]) {
  const tenantId = await insertTenant(ground.db);
  const customerIds = await insertCustomers(
    ground.db,
    tenantId,
    emails.map((email) => ({ email })),
  );
  const campaignId = await insertCampaign(ground.db, tenantId);
  const run = await startRun(ground, tenantId, campaignId, { schedule: { kind: 'now' } });
  const counts = () => withTenant(ground.db, tenantId, (trx) => countRun(trx, tenantId, run.id));
  return {
    tenantId,
    run,
    counts,
    countsBecome: (wanted: Partial<RunCounts>) =>
      until(
        JSON.stringify(wanted),
        async () => {
          const now: object = await counts();
          return Object.entries(wanted).every(([name, count]) => Reflect.get(now, name) === count);
        },
        30_000,
      ),
    async factsOf(email: string): Promise<string[]> {
      const row: object = await ground
        .db('messages')
        .where({ run_id: run.id, customer_id: customerIds[emails.indexOf(email)] })
        .first();
      return Object.entries(row)
        .filter(([name, value]) => name.endsWith('_at') && value !== null)
        .map(([name]) => name)
        .sort();
    },
    async suppressed(): Promise<Record<string, string>> {
      const rows: { address: string; reason: string }[] = await ground
        .db('suppressions')
        .where({ tenant_id: tenantId });
      return Object.fromEntries(rows.map(({ address, reason }) => [address, reason]));
    },
  };
}

test('what recipients do reaches the ledger, each thing once', async () => {
  const people = ['plain', 'open', 'machineopen', 'click', 'bounce', 'block', 'drop', 'defer'];
  const emails = [...people, 'complain', 'unsub'].map((word) => `ana+${word}@e2e.example.com`);
  await setFaults(ground.sandbox, { eventsDuplicate: 0.5, eventsShuffle: true, seed: 'e2e' });
  const campaign = await send(emails);
  await campaign.countsBecome({
    accepted: 10,
    delivered: 7,
    bounced: 3,
    complained: 1,
    opened: 2,
    clicked: 1,
    unsubscribed: 1,
  });
  const facts = await Promise.all(emails.map((email) => campaign.factsOf(email)));
  expect(facts).toEqual([
    ['delivered_at'],
    ['delivered_at', 'first_opened_at'],
    ['delivered_at'],
    ['delivered_at', 'first_clicked_at', 'first_opened_at'],
    ['bounced_at'],
    ['bounced_at'],
    ['bounced_at'],
    ['delivered_at'],
    ['complained_at', 'delivered_at'],
    ['delivered_at', 'unsubscribed_at'],
  ]);
  expect(await campaign.suppressed()).toEqual({
    'ana+bounce@e2e.example.com': 'bounced',
    'ana+drop@e2e.example.com': 'bounced',
    'ana+complain@e2e.example.com': 'complained',
    'ana+unsub@e2e.example.com': 'unsubscribed',
  });

  const known = await ground.db('message_events').where({ run_id: campaign.run.id }).count();
  const replayed = await fetch(`${ground.sandbox.url}/api/events/replay`, { method: 'POST' });
  expect(replayed.status).toBe(200);
  expect(await ground.db('message_events').where({ run_id: campaign.run.id }).count()).toEqual(
    known,
  );
});

test('a call whose answer was lost settles by its events and is made once', async () => {
  const before = await sandboxStats(ground.sandbox);
  await setFaults(ground.sandbox, { dropAfterAccept: 1, count: 1, eventsHold: true });
  const campaign = await send(['a@lost.example.com', 'b@lost.example.com']);
  await campaign.countsBecome({ inDoubt: 2, accepted: 0 });
  await clearFaults(ground.sandbox);
  await fetch(`${ground.sandbox.url}/api/events/flush`, { method: 'POST' });
  await campaign.countsBecome({ inDoubt: 0, accepted: 2, delivered: 2 });
  await until('the run completes', async () => {
    const row = await ground.db('campaign_runs').where({ id: campaign.run.id }).first();
    return row.state === 'completed';
  });
  const after = await sandboxStats(ground.sandbox);
  expect(after.delivered - before.delivered).toBe(2);
  expect(after.duplicates).toEqual([]);
});
