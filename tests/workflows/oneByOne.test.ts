import { randomBytes } from 'node:crypto';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { createProviderAccount, makeDefault } from '../../models/messages/accounts';
import type { NewAccountValues } from '../../models/messages/accountCredentials';
import { countRun } from '../../models/messages/counts';
import { DEMO_TWILIO_ACCOUNT } from '../../sandbox';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';
import { testSealing } from '../support/accounts';
import { startCampaignGround, startRun, type CampaignGround } from '../support/campaignGround';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';

let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround({ sandbox: { smtp: { port: 0 } } });
  await ground.startWorker();
});

afterAll(() => ground.stop());

const vendors: { title: string; account: () => NewAccountValues }[] = [
  {
    title: 'mail over SMTP',
    account: () => ({
      channel: 'email',
      vendor: 'smtp',
      name: 'Own server',
      settings: { host: '127.0.0.1', port: ground.sandbox.smtp?.port ?? 0, security: 'none' },
      credentials: { username: 'carillon', password: 'sandbox' },
      senders: [],
      active: true,
    }),
  },
  {
    title: 'SMS by Twilio',
    account: () => ({
      channel: 'sms',
      vendor: 'twilio',
      name: 'Twilio',
      settings: { accountSid: DEMO_TWILIO_ACCOUNT.accountSid, baseUrl: ground.sandbox.url },
      credentials: { authToken: DEMO_TWILIO_ACCOUNT.authToken },
      senders: [{ address: '+15005550006', name: null }],
      active: true,
    }),
  },
];

describe.each(vendors)('$title', ({ account }) => {
  test('reaches everyone once and completes', async () => {
    const sent = await send(account(), 700);
    expect(sent.result).toMatchObject({
      status: 'completed',
      planned: 700,
      accepted: 700,
      open: 0,
    });
    expect(sent.received).toHaveLength(700);
    expect(new Set(sent.received).size).toBe(700);
    expect(sent.counts).toMatchObject({ planned: 700, accepted: 700, refused: 0, open: 0 });
  });
});

async function send(account: NewAccountValues, customers: number) {
  const { db } = ground;
  const tenantId = await insertTenant(db);
  const key = { tenantId, id: newId() };
  await withTenant(db, tenantId, async (trx) => {
    const extra = { createdBy: newId(), limitPerMinute: 0 };
    await createProviderAccount(trx, testSealing, key, account, extra);
    await makeDefault(trx, key);
  });
  const unique = randomBytes(4).toString('hex');
  await insertCustomers(
    db,
    tenantId,
    Array.from({ length: customers }, (_, i) => ({
      email: `c${i}@${unique}.example.com`,
      phone: phoneOf(i),
      timeZone: ['Europe/Paris', 'Asia/Tokyo'][i % 2] ?? null,
      firstName: `N${i}`,
    })),
  );
  const campaignId = await insertCampaign(db, tenantId, { channel: account.channel });
  const run = await startRun(ground, tenantId, campaignId, {
    channel: account.channel,
    schedule: { kind: 'now' },
  });
  const result = await ground.temporal.client.workflow
    .getHandle(campaignWorkflowId(tenantId, campaignId))
    .result();
  const counts = await withTenant(db, tenantId, (trx) => countRun(trx, tenantId, run.id));
  return { run, result, counts, received: await receivedOf(run.id) };
}

/** To whom the stand-in accepted messages of the run, one entry a message. */
async function receivedOf(runId: string): Promise<string[]> {
  const answer = await fetch(`${ground.sandbox.url}/api/messages?perPage=1000&run=${runId}`);
  const { items }: { items: { to: string }[] } = JSON.parse(await answer.text());
  return items.map(({ to }) => to);
}

const phoneOf = (i: number) => `+4930${String(1_000_000 + i)}`;
