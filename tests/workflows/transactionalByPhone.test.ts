import { ensurePlatformAccount } from '../../models/messages/platformAccounts';
import { DEMO_TWILIO_ACCOUNT } from '../../sandbox';
import { ensureStandingWork } from '../../workers/schedules';
import { testSealing } from '../support/accounts';
import { startTestApi, type TestApi } from '../support/api';
import { startCampaignGround, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { buildCustomer, buildTenant, type TestTenant } from '../support/factories';

let ground: CampaignGround;
let api: TestApi;

beforeAll(async () => {
  ground = await startCampaignGround();
  for (const channel of ['sms', 'whatsapp'] as const) {
    await ensurePlatformAccount(ground.db, testSealing, {
      id: `twilio-${channel}`,
      channel,
      vendor: 'twilio',
      name: 'Twilio',
      settings: { accountSid: DEMO_TWILIO_ACCOUNT.accountSid, baseUrl: ground.sandbox.url },
      credentials: { authToken: DEMO_TWILIO_ACCOUNT.authToken },
      senders: [{ address: '+15005550006', name: null }],
      active: true,
      limitPerMinute: 0,
    });
  }
  await ground.startWorker();
  await ensureStandingWork(ground.temporal.client);
  api = await startTestApi({ db: ground.deps.db });
});

afterAll(async () => {
  await api.stop();
  await ground.stop();
});

/** Sends it and waits until it is in this state. */
async function sendUntil(tenant: TestTenant, state: string, json: object) {
  const { token } = tenant;
  const answer = await api.send('post', '/api/v1/messages', { token, json });
  expect(answer).toMatchObject({ status: 202 });
  return until(`the message to be ${state}`, async () => {
    const path = `/api/v1/messages/${answer.body.data.id}`;
    const { data } = (await api.send('get', path, { token })).body;
    return data.state === state && data;
  });
}

/** The forms that the vendor's stand-in took for the number. */
async function receivedBy(to: string): Promise<Record<string, unknown>[]> {
  const { url } = ground.sandbox;
  const list = await fetch(`${url}/api/messages?to=${encodeURIComponent(to)}`);
  const { items }: { items: { id: string }[] } = JSON.parse(await list.text());
  return Promise.all(
    items.map(async ({ id }) => {
      const { raw }: { raw: Record<string, unknown> } = JSON.parse(
        await (await fetch(`${url}/api/messages/${id}`)).text(),
      );
      return raw;
    }),
  );
}

test('a text message reaches the customer’s phone, with the account’s first sender', async () => {
  const tenant = await buildTenant(api.deps);
  const phone = '+4930200001';
  const customer = await buildCustomer(api.deps, { tenant, phone, firstName: 'Kim' });
  await sendUntil(tenant, 'accepted', {
    channel: 'sms',
    to: { customerId: customer.id },
    content: { body: '{{ customer.firstName }}, your code is {{ data.code }}' },
    data: { code: 4711 },
  });
  expect(await receivedBy(phone)).toMatchObject([
    { body: 'Kim, your code is 4711', from: '+15005550006', to: phone },
  ]);
});

test('a text without a customer goes to the number, and STOP stops it', async () => {
  const tenant = await buildTenant(api.deps);
  const phone = '+4930200002';
  const message = {
    channel: 'sms',
    to: { phone },
    from: '+15005550006',
    content: { body: 'Your code is {{ data.code }}' },
    data: { code: 1 },
  };
  expect(await sendUntil(tenant, 'accepted', message)).toMatchObject({ customerId: null });
  await ground.db('suppressions').insert({
    tenant_id: tenant.tenantId,
    channel: 'sms',
    address: phone,
    reason: 'unsubscribed',
  });
  expect(await sendUntil(tenant, 'leftOut', message)).toMatchObject({ reason: 'suppressed' });
  expect(await receivedBy(phone)).toHaveLength(1);
});

test('a WhatsApp template travels with its variables filled in', async () => {
  const tenant = await buildTenant(api.deps);
  const phone = '+4930200003';
  const id = `HX${'0123456789abcdef'.repeat(2)}`;
  await sendUntil(tenant, 'accepted', {
    channel: 'whatsapp',
    to: { phone },
    content: {
      kind: 'template',
      id,
      language: 'en',
      variables: { 1: '{{ data.order }}' },
    },
    data: { order: 'A-17' },
  });
  expect(await receivedBy(`whatsapp:${phone}`)).toMatchObject([
    { contentSid: id, contentVariables: { 1: 'A-17' } },
  ]);
});

test('a text that is refused because of its number is not sent there again', async () => {
  const tenant = await buildTenant(api.deps);
  // One of the numbers that the stand-in knows not to exist.
  const message = {
    channel: 'sms',
    to: { phone: '+15005550001' },
    content: { body: 'Your code is 1' },
  };
  expect(await sendUntil(tenant, 'refused', message)).toMatchObject({
    attempts: [{ outcome: 'refused' }],
  });
  expect(await ground.db('suppressions').where({ tenant_id: tenant.tenantId })).toMatchObject([
    { channel: 'sms', address: '+15005550001', reason: 'invalid' },
  ]);
  expect(await sendUntil(tenant, 'leftOut', message)).toMatchObject({ reason: 'suppressed' });
});
