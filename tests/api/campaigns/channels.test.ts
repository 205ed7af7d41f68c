import { startTestApi, type TestApi } from '../../support/api';
import {
  campaignBody,
  campaignsPath,
  contentBody,
  dataOf,
  postCampaign,
  smsBody,
  templateMessage,
  whatsAppBody,
} from '../../support/campaigns';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';
import {
  accountsPath,
  metaBody,
  postAccount,
  sendGridBody,
  twilioBody,
} from '../providerAccounts/ground';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

function send(method: string, path: string, { token }: TestTenant, json?: unknown) {
  return api.send(method, `${campaignsPath}${path}`, { token, json });
}

/** An account by which the tenant's messages of its channel leave. */
async function giveAccount(tenant: TestTenant, body: object): Promise<void> {
  const { id } = await postAccount(api, tenant, body);
  const { token } = tenant;
  dataOf(await api.send('post', `${accountsPath}/${id}/default`, { token, json: {} }), 200);
}

const whatsAppAccount = () => twilioBody({ channel: 'whatsapp', senders: [] });
const now = { schedule: { kind: 'now' } };

describe('a campaign by text message', () => {
  test('is answered as it is stored, and listed without a subject', async () => {
    const tenant = await buildTenant(api.deps);
    const campaign = dataOf(await send('post', '', tenant, smsBody({ sender: 'BELLS' })), 201);
    expect(campaign).toMatchObject({
      channel: 'sms',
      status: 'draft',
      content: { version: 1, sender: 'BELLS', body: smsBody().content.body },
    });
    expect(Object.keys(campaign.content)).toHaveLength(3);
    expect(dataOf(await send('get', `/${campaign.id}`, tenant), 200)).toEqual(campaign);
    expect(dataOf(await send('get', '', tenant), 200)).toMatchObject([
      { id: campaign.id, channel: 'sms', subject: null },
    ]);
    await postCampaign(api, tenant);
    expect(dataOf(await send('get', '?channel=sms', tenant), 200)).toHaveLength(1);
    expect(dataOf(await send('get', '?channel=whatsapp', tenant), 200)).toEqual([]);
    expect((await send('get', '?channel=fax', tenant)).status).toBe(422);
  });

  test('is changed part by part, and as a whole', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant, smsBody({ sender: '+4930123456' }));
    const changed = dataOf(
      await send('patch', `/${id}`, tenant, { content: { body: 'New {{ tenant.name }}' } }),
      200,
    );
    expect(changed.content).toEqual({
      version: 1,
      sender: '+4930123456',
      body: 'New {{ tenant.name }}',
    });
    const cleared = await send('patch', `/${id}`, tenant, { content: { sender: null } });
    expect(dataOf(cleared, 200).content).toMatchObject({ sender: null });
    const replaced = await send('put', `/${id}`, tenant, smsBody());
    expect(dataOf(replaced, 200).content).toMatchObject({
      sender: null,
      body: smsBody().content.body,
    });
  });

  test('keeps its channel, and takes no part of another one', async () => {
    const tenant = await buildTenant(api.deps);
    const before = await postCampaign(api, tenant, smsBody());
    for (const [method, json, path] of [
      ['put', campaignBody(), 'channel'],
      ['patch', { content: { subject: 'Hello' } }, 'content.subject'],
      ['patch', { content: { message: templateMessage() } }, 'content.message'],
      ['patch', { content: { body: '{{ customer.nope }}' } }, 'content.body'],
      ['patch', { channel: 'email' }, 'channel'],
    ] as const) {
      const answer = await send(method, `/${before.id}`, tenant, json);
      expect([answer.status, answer.body.errors?.map((one: { path: string }) => one.path)]).toEqual(
        [422, [path]],
      );
    }
    expect(dataOf(await send('get', `/${before.id}`, tenant), 200)).toEqual(before);
  });

  test('says in its preview what the phone will show, and in how many segments', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, { tenant, firstName: 'Łucja' });
    const { id } = await postCampaign(api, tenant, smsBody({ sender: 'BELLS' }));
    const sample = await send('post', `/${id}/preview`, tenant, { sample: true });
    expect(dataOf(sample, 200)).toEqual({
      contentVersion: 1,
      customerId: null,
      channel: 'sms',
      sender: 'BELLS',
      body: 'Hi Alex, the sale is on',
      segments: { encoding: 'gsm7', units: 23, segments: 1 },
    });
    const own = await send('post', `/${id}/preview`, tenant, { customerId: customer.id });
    expect(dataOf(own, 200)).toMatchObject({
      body: 'Hi Łucja, the sale is on',
      segments: { encoding: 'ucs2', units: 24, segments: 1 },
    });
  });

  test('says when a customer’s message cannot be rendered', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, { tenant, firstName: null });
    const { id } = await postCampaign(api, tenant, smsBody({ body: '{{ customer.firstName }}' }));
    const answer = await send('post', `/${id}/preview`, tenant, { customerId: customer.id });
    expect(answer.status).toBe(422);
    expect(answer.body.errors).toMatchObject([{ path: 'customerId', code: 'renderFailed' }]);
  });
});

describe('a campaign by WhatsApp', () => {
  test.each([
    ['a template', templateMessage()],
    ['a text', { kind: 'text', body: 'Hi *{{ customer.firstName }}*' }],
    ['a file', { kind: 'media', url: 'https://shop.example/a.png', caption: 'New' }],
    ['a file alone', { kind: 'media', url: 'https://shop.example/a.pdf', caption: null }],
  ])('is answered as it is stored: %s', async (_what, message) => {
    const tenant = await buildTenant(api.deps);
    const campaign = dataOf(
      await send('post', '', tenant, whatsAppBody({ message, sender: '+49 (30) 123456' })),
      201,
    );
    expect(campaign.content).toEqual({ version: 1, sender: '+4930123456', message });
    expect(dataOf(await send('get', `/${campaign.id}`, tenant), 200)).toEqual(campaign);
    // What is written again as it is changes nothing, in whatever order the database keeps it.
    const again = await send('put', `/${campaign.id}`, tenant, {
      ...whatsAppBody({ message, sender: '+4930123456' }),
    });
    expect(dataOf(again, 200).updatedAt).toBe(campaign.updatedAt);
  });

  test('renders its variables in the preview', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant, whatsAppBody());
    const preview = await send('post', `/${id}/preview`, tenant, { sample: true });
    expect(dataOf(preview, 200)).toEqual({
      contentVersion: 1,
      customerId: null,
      channel: 'whatsapp',
      sender: null,
      message: templateMessage({ variables: { '1': 'Alex', '2': 'Bells & Co' } }),
    });
  });

  test('replaces its message as a whole, and takes no name for a sender', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant, whatsAppBody());
    const message = { kind: 'text', body: 'Hi' };
    const changed = await send('patch', `/${id}`, tenant, { content: { message } });
    expect(dataOf(changed, 200).content).toEqual({ version: 1, sender: null, message });
    const named = await send('patch', `/${id}`, tenant, { content: { sender: 'BELLS' } });
    expect(named.status).toBe(422);
    expect(named.body.errors).toMatchObject([{ path: 'content.sender', code: 'wrongPhone' }]);
  });
});

describe('the account of a channel', () => {
  test.each([
    ['a text message', smsBody()],
    ['WhatsApp', whatsAppBody()],
  ])('has to be there before %s is planned, scheduled, sent or tested', async (_what, body) => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant, body);
    for (const [path, json] of [
      ['plan', now],
      ['schedule', now],
      ['send', {}],
      ['test-send', { to: ['+4930123456'] }],
    ] as const) {
      const answer = await send('post', `/${id}/${path}`, tenant, json);
      expect([path, answer.status, answer.body.code]).toEqual([path, 409, 'noProviderAccount']);
    }
    expect(await api.db('campaign_runs').where({ campaign_id: id })).toEqual([]);
    expect(await api.db('test_sends').where({ campaign_id: id })).toEqual([]);
  });

  test('of another tenant is none', async () => {
    await giveAccount(await buildTenant(api.deps), twilioBody());
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant, smsBody());
    const answer = await send('post', `/${id}/plan`, tenant, now);
    expect([answer.status, answer.body.code]).toEqual([409, 'noProviderAccount']);
  });

  test('lists the senders a campaign may name', async () => {
    const tenant = await buildTenant(api.deps);
    await giveAccount(tenant, twilioBody());
    await buildCustomer(api.deps, { tenant, phone: '+4930999' });
    const { id } = await postCampaign(api, tenant, smsBody({ sender: 'OTHERS' }));
    const refused = await send('post', `/${id}/schedule`, tenant, now);
    expect([refused.status, refused.body.code]).toEqual([409, 'senderNotOfAccount']);
    expect(refused.body.errors).toMatchObject([{ path: 'content.sender' }]);

    for (const sender of ['bells', '+4930123456', null]) {
      await send('patch', `/${id}`, tenant, { content: { sender } });
      const plan = dataOf(await send('post', `/${id}/plan`, tenant, now), 200);
      expect(plan).toMatchObject({ total: 1, planned: 1 });
    }
    expect(dataOf(await send('post', `/${id}/schedule`, tenant, now), 202).run).not.toBeNull();
  });

  test('without a sender of its own needs one from the campaign', async () => {
    const tenant = await buildTenant(api.deps);
    await giveAccount(tenant, whatsAppAccount());
    const message = { kind: 'text', body: 'Hi' };
    const { id } = await postCampaign(api, tenant, whatsAppBody({ message }));
    const refused = await send('post', `/${id}/schedule`, tenant, now);
    expect([refused.status, refused.body.code]).toEqual([409, 'senderMissing']);
    await send('patch', `/${id}`, tenant, { content: { sender: '+4930123456' } });
    expect((await send('post', `/${id}/plan`, tenant, now)).status).toBe(200);
  });

  test.each([
    ['twilio', 'spring_sale', `HX${'0a'.repeat(16)}`],
    ['meta', `HX${'0a'.repeat(16)}`, 'spring_sale'],
  ] as const)('at %s knows its templates by names of its own', async (vendor, wrong, right) => {
    const tenant = await buildTenant(api.deps);
    await giveAccount(tenant, vendor === 'meta' ? metaBody() : twilioBody({ channel: 'whatsapp' }));
    const { id } = await postCampaign(
      api,
      tenant,
      whatsAppBody({ message: templateMessage({ id: wrong }) }),
    );
    for (const path of ['plan', 'schedule']) {
      const refused = await send('post', `/${id}/${path}`, tenant, now);
      expect([refused.status, refused.body.code]).toEqual([409, 'templateNotOfVendor']);
      expect(refused.body.errors).toMatchObject([{ path: 'content.message.id' }]);
    }
    const message = templateMessage({ id: right });
    await send('patch', `/${id}`, tenant, { content: { message } });
    expect((await send('post', `/${id}/plan`, tenant, now)).status).toBe(200);
  });

  test('that lists addresses of mail sends from these alone', async () => {
    const tenant = await buildTenant(api.deps);
    await giveAccount(tenant, sendGridBody({ senders: [{ address: 'Shop@Example.com' }] }));
    const other = await postCampaign(api, tenant, {
      content: contentBody({ fromEmail: 'someone@example.com' }),
    });
    const refused = await send('post', `/${other.id}/schedule`, tenant, now);
    expect([refused.status, refused.body.code]).toEqual([409, 'senderNotOfAccount']);
    expect(refused.body.errors).toMatchObject([{ path: 'content.fromEmail' }]);
    const { id } = await postCampaign(api, tenant);
    expect((await send('post', `/${id}/schedule`, tenant, now)).status).toBe(202);
  });

  test('that lists none asks nothing of mail', async () => {
    const tenant = await buildTenant(api.deps);
    await giveAccount(tenant, sendGridBody({ senders: [] }));
    const { id } = await postCampaign(api, tenant);
    expect((await send('post', `/${id}/schedule`, tenant, now)).status).toBe(202);
  });
});

describe('the plan of a text message', () => {
  test('counts by phones, their consent and their suppressions', async () => {
    const tenant = await buildTenant(api.deps);
    await giveAccount(tenant, twilioBody());
    await buildCustomer(api.deps, { tenant, phone: '+4930111', emailConsent: 'withdrawn' });
    await buildCustomer(api.deps, { tenant });
    await buildCustomer(api.deps, { tenant, email: null, phone: '+4930222' });
    await buildCustomer(api.deps, { tenant, phone: '+4930333' });
    const { tenantId } = tenant;
    await api.db('suppressions').insert([
      { tenant_id: tenantId, channel: 'sms', address: '+4930333', reason: 'unsubscribed' },
      { tenant_id: tenantId, channel: 'whatsapp', address: '+4930222', reason: 'unsubscribed' },
    ]);
    const { id } = await postCampaign(api, tenant, smsBody());
    expect(dataOf(await send('post', `/${id}/plan`, tenant, now), 200)).toMatchObject({
      total: 4,
      planned: 2,
      leftOut: { noAddress: 1, suppressed: 1 },
    });
  });
});
