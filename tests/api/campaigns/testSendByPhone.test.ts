import { createTestSends } from '../../../clients/testSends';
import type { RateLimit } from '../../../domain/messages/rateLimits';
import { newId } from '../../../lib/ids';
import { setLimits } from '../../../models/messages/accountLimits';
import { ensurePlatformAccount } from '../../../models/messages/platformAccounts';
import { DEMO_TWILIO_ACCOUNT } from '../../../sandbox';
import { testSendWorkflowId } from '../../../workflows/campaigns/testSend';
import { testSealing } from '../../support/accounts';
import { startTestApi, type TestApi } from '../../support/api';
import {
  campaignsPath,
  dataOf,
  postCampaign,
  smsBody,
  templateMessage,
  whatsAppBody,
} from '../../support/campaigns';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';

let ground: CampaignGround;
let api: TestApi;

beforeAll(async () => {
  ground = await startCampaignGround();
  await Promise.all(
    (['sms', 'whatsapp'] as const).map((channel) =>
      ensurePlatformAccount(ground.db, testSealing, {
        id: `twilio-${channel}`,
        channel,
        vendor: 'twilio',
        name: 'Twilio',
        settings: { accountSid: DEMO_TWILIO_ACCOUNT.accountSid, baseUrl: ground.sandbox.url },
        credentials: { authToken: DEMO_TWILIO_ACCOUNT.authToken },
        senders: [{ address: '+15005550006', name: null }],
        active: true,
        limitPerMinute: 0,
      }),
    ),
  );
  await ground.startWorker();
  api = await startTestApi({ db: ground.deps.db, testSends: createTestSends(ground.temporal) });
});

afterEach(() => limitTexts([]));

afterAll(async () => {
  await api.stop();
  await ground.stop();
});

function ask(tenant: TestTenant, campaignId: string, json: object, key = newId()) {
  return api.send('post', `${campaignsPath}/${campaignId}/test-send`, {
    token: tenant.token,
    json,
    headers: { 'Idempotency-Key': key },
  });
}

/** The forms that the vendor's stand-in took for the address. */
async function receivedBy(to: string) {
  const { url } = ground.sandbox;
  const list = await fetch(`${url}/api/messages?to=${encodeURIComponent(to)}`);
  const { items }: { items: { id: string }[] } = JSON.parse(await list.text());
  return Promise.all(
    items.map(async ({ id }) => {
      const message = await (await fetch(`${url}/api/messages/${id}`)).text();
      const { raw }: { raw: Record<string, unknown> } = JSON.parse(message);
      return raw;
    }),
  );
}

const limitTexts = (limits: RateLimit[]) =>
  ground.db.transaction((trx) => setLimits(trx, 'twilio-sms', limits));

let lastNumber = 49_30_100_000;
function newNumber(): string {
  lastNumber += 2;
  return `+${lastNumber}`;
}

test('sends to each number once what the preview shows', async () => {
  const tenant = await buildTenant(api.deps);
  const customer = await buildCustomer(api.deps, { tenant, firstName: 'Zoë <3 \u0007"&To=+1' });
  const { id } = await postCampaign(api, tenant, smsBody());
  const json = { customerId: customer.id };
  const preview = await api.send('post', `${campaignsPath}/${id}/preview`, {
    token: tenant.token,
    json,
  });
  const [first, second] = [newNumber(), newNumber()];
  const spaced = `${first.slice(0, 3)} (${first.slice(3, 6)}) ${first.slice(6)}`;
  const to = [first, second, spaced];
  const answer = await ask(tenant, id, { to, ...json }, 'once');
  expect(dataOf(answer, 200)).toMatchObject({ state: 'accepted', reason: null, recipients: 2 });
  expect((await ask(tenant, id, { to, ...json }, 'once')).body).toEqual(answer.body);
  for (const number of [first, second]) {
    expect(await receivedBy(number)).toMatchObject([
      { to: number, from: '+15005550006', body: preview.body.data.body },
    ]);
  }
  expect(preview.body.data.body).toBe('Hi Zoë <3 "&To=+1, the sale is on');
});

test.each([
  ['second', 200, 'accepted', 2],
  ['day', 502, 'refused', 1],
] as const)(
  'a test of two numbers under a limit of one a %s goes by parts',
  async (per, status, state, count) => {
    const tenant = await buildTenant(api.deps);
    const { id: campaignId } = await postCampaign(api, tenant, smsBody());
    const numbers = [newNumber(), newNumber()];
    const key = newId();
    await limitTexts([{ per, unit: 'messages', most: 1 }]);
    const answer = await ask(tenant, campaignId, { to: numbers }, key);
    expect(answer.status).toBe(status);
    expect(await ground.db('test_sends').where({ campaign_id: campaignId })).toMatchObject([
      { state },
    ]);
    const again = await ask(tenant, campaignId, { to: numbers }, key);
    expect(again.status).toBe(status);
    expect((await Promise.all(numbers.map(receivedBy))).flat()).toHaveLength(count);
  },
);

test('keeps numbers out of Temporal, and forgets them once it has ended', async () => {
  const tenant = await buildTenant(api.deps);
  const { id: campaignId } = await postCampaign(api, tenant, smsBody());
  const to = newNumber();
  const { id } = dataOf(await ask(tenant, campaignId, { to: [to] }), 200);
  expect(await ground.db('test_sends').where({ id }).first()).toMatchObject({
    state: 'accepted',
    addresses: [],
  });
  const handle = ground.temporal.client.workflow.getHandle(testSendWorkflowId(tenant.tenantId, id));
  expect(JSON.stringify(await handle.fetchHistory())).not.toContain(to);
});

test('sends a WhatsApp template with its variables', async () => {
  const tenant = await buildTenant(api.deps);
  const template = `HX${'a'.repeat(32)}`;
  const { id } = await postCampaign(
    api,
    tenant,
    whatsAppBody({ message: templateMessage({ id: template }), sender: '+15005550006' }),
  );
  const to = newNumber();
  expect(dataOf(await ask(tenant, id, { to: [to] }), 200)).toMatchObject({ state: 'accepted' });
  expect(await receivedBy(`whatsapp:${to}`)).toMatchObject([
    {
      to: `whatsapp:${to}`,
      from: 'whatsapp:+15005550006',
      contentSid: template,
      contentVariables: { '1': 'Alex', '2': 'Bells & Co' },
    },
  ]);
});

test('refuses what is no number, and a number that is suppressed on this channel', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postCampaign(api, tenant, smsBody());
  const stopped = newNumber();
  await ground.db('suppressions').insert({
    tenant_id: tenant.tenantId,
    channel: 'sms',
    address: stopped,
    reason: 'unsubscribed',
  });
  const wrong = await ask(tenant, id, { to: [newNumber(), 'a@example.com', '030 123'] });
  expect([wrong.status, wrong.body.errors]).toMatchObject([
    422,
    [
      { path: 'to.1', code: 'wrongPhone' },
      { path: 'to.2', code: 'wrongPhone' },
    ],
  ]);
  const refused = await ask(tenant, id, { to: [stopped] });
  expect([refused.status, refused.body.errors]).toMatchObject([
    422,
    [{ path: 'to.0', code: 'suppressed' }],
  ]);
  expect(await ground.db('test_sends').where({ campaign_id: id })).toEqual([]);
  // What was stopped by text message may still be written to by WhatsApp.
  const other = await postCampaign(
    api,
    tenant,
    whatsAppBody({ message: { kind: 'text', body: 'Hi' } }),
  );
  expect((await ask(tenant, other.id, { to: [stopped] })).body.code).not.toBe('validationFailed');
});

test('says why the provider did not take it', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postCampaign(api, tenant, smsBody());
  // The vendor's own test number for one that does not exist.
  const answer = await ask(tenant, id, { to: ['+15005550001'] });
  expect([answer.status, answer.body.code]).toEqual([502, 'providerFailed']);
  expect(answer.body.detail).not.toContain('+15005550001');
});
