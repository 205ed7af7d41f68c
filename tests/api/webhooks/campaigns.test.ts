import { createAccountSenders } from '../../../activities/messages/accountSenders';
import type { Channel } from '../../../domain/campaigns/types';
import { loadConfig } from '../../../lib/config';
import { withTenant } from '../../../models/base';
import { makeDefault } from '../../../models/messages/accounts';
import { countRun, type RunCounts } from '../../../models/messages/counts';
import { DEMO_TWILIO_ACCOUNT } from '../../../sandbox';
import { ensureStandingWork } from '../../../workers/schedules';
import { startTestApi, type TestApi } from '../../support/api';
import { startCampaignGround, startRun, type CampaignGround } from '../../support/campaignGround';
import { until } from '../../support/conditions';
import { insertCampaign, insertCustomers, insertTenant } from '../../support/records';
import { clearFaults, setFaults } from '../../support/sandboxControl';
import { api as askSandbox } from '../../sandbox/support';
import { metaAccount } from './metaGround';
import { startProxy, type Proxy } from './proxy';
import { twilioAccount } from './twilioGround';

let proxy: Proxy;
let api: TestApi;
let ground: CampaignGround;

// One database: vendors' stand-ins report through a proxy to the API, workers send and apply.
beforeAll(async () => {
  proxy = await startProxy();
  api = await startTestApi({
    config: loadConfig([], { NODE_ENV: 'test', PUBLIC_URL: proxy.url }),
  });
  proxy.target = api.url;
  const { db, sealing } = api.deps;
  const senders = createAccountSenders({
    db,
    sealing,
    timeoutMs: 5_000,
    publicUrl: proxy.url,
    onlyPublic: false,
  });
  const own = await startCampaignGround({ deps: { db, senders, publicUrl: proxy.url } });
  ground = { ...own, db: api.db };
  await ground.startWorker();
  await ensureStandingWork(ground.temporal.client);
});

afterEach(() => clearFaults(ground.sandbox));

afterAll(async () => {
  await ground.stop();
  await proxy.close();
  await api.stop();
});

interface Vendor {
  channel: Exclude<Channel, 'email'>;
  /** Writes the tenant's account, and answers its id. */
  account(tenantId: string): Promise<string>;
  /** A customer writes to the account's number. */
  write(accountId: string, from: string, body: string): Promise<unknown>;
}

const vendors: Record<string, Vendor> = {
  'SMS by Twilio': {
    channel: 'sms',
    async account(tenantId) {
      const baseUrl = ground.sandbox.url;
      return (await twilioAccount(api, tenantId, { ...DEMO_TWILIO_ACCOUNT, baseUrl })).id;
    },
    write: (accountId, from, body) =>
      askSandbox(ground.sandbox, '/twilio/inbound', 'POST', {
        url: `${proxy.url}/webhooks/twilio/${accountId}/inbound`,
        from,
        to: '+15005550006',
        body,
      }),
  },
  'WhatsApp by Meta': {
    channel: 'whatsapp',
    async account(tenantId) {
      const { id } = await metaAccount(api, tenantId, { baseUrl: ground.sandbox.url });
      const url = `${proxy.url}/webhooks/meta/${id}`;
      await askSandbox(ground.sandbox, '/meta/webhook', 'PUT', { url });
      return id;
    },
    write: (_accountId, from, body) =>
      askSandbox(ground.sandbox, '/meta/inbound', 'POST', { from, body }),
  },
};

describe.each(Object.entries(vendors))('%s', (_name, vendor) => {
  let nextPhone = vendor.channel === 'sms' ? 1_000_000 : 2_000_000;

  async function tenantWith(customers: number) {
    const tenantId = await insertTenant(ground.db);
    const accountId = await vendor.account(tenantId);
    await withTenant(ground.db, tenantId, (trx) => makeDefault(trx, { tenantId, id: accountId }));
    const phones = Array.from({ length: customers }, () => `+4930${(nextPhone += 1)}`);
    await insertCustomers(
      ground.db,
      tenantId,
      phones.map((phone) => ({ email: null, phone, timeZone: 'Europe/Berlin' })),
    );
    return { tenantId, accountId, phones };
  }

  async function send(tenantId: string) {
    const { channel } = vendor;
    const campaignId = await insertCampaign(ground.db, tenantId, { channel });
    const run = await startRun(ground, tenantId, campaignId, {
      channel,
      schedule: { kind: 'now' },
    });
    const counts = () => withTenant(ground.db, tenantId, (trx) => countRun(trx, tenantId, run.id));
    return {
      run,
      become: (wanted: Partial<RunCounts>) =>
        until(
          JSON.stringify(wanted),
          async () => {
            const now: object = await counts();
            return Object.entries(wanted).every(([name, n]) => Reflect.get(now, name) === n);
          },
          40_000,
        ),
    };
  }

  async function receivedOf(runId: string): Promise<string[]> {
    const answer = await fetch(`${ground.sandbox.url}/api/messages?perPage=1000&run=${runId}`);
    const { items }: { items: { to: string }[] } = JSON.parse(await answer.text());
    return items.map(({ to }) => to.replace('whatsapp:', ''));
  }

  test('calls whose answers were lost are settled by what the vendor tells, and made once', async () => {
    const { tenantId, phones } = await tenantWith(60);
    await setFaults(ground.sandbox, {
      dropAfterAccept: 0.3,
      eventsDuplicate: 0.5,
      eventsShuffle: true,
      seed: vendor.channel,
    });
    const campaign = await send(tenantId);
    await campaign.become({ accepted: 60, inDoubt: 0, open: 0, delivered: 60 });
    await until('the run completes', async () => {
      const row = await ground.db('campaign_runs').where({ id: campaign.run.id }).first();
      return row.state === 'completed';
    });
    const received = await receivedOf(campaign.run.id);
    expect(received.toSorted((a, b) => a.localeCompare(b))).toEqual(phones);
    expect(await ground.db('message_events').whereNotNull('set_aside')).toEqual([]);
  });

  test('who answers STOP counts for that campaign, and gets nothing of the next one', async () => {
    const { tenantId, accountId, phones } = await tenantWith(3);
    const first = await send(tenantId);
    await first.become({ accepted: 3, delivered: 3 });
    const [stopped = '', ...others] = phones;
    await vendor.write(accountId, stopped, 'STOP');
    await first.become({ unsubscribed: 1 });
    const second = await send(tenantId);
    await second.become({ accepted: 2, delivered: 2, open: 0 });
    expect((await receivedOf(second.run.id)).toSorted((a, b) => a.localeCompare(b))).toEqual(
      others,
    );
  });
});
