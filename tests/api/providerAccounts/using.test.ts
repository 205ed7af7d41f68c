import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import { openCredentials } from '../../../models/messages/accountCredentials';
import { resolveAccount } from '../../../models/messages/accounts';
import { ensurePlatformAccount } from '../../../models/messages/platformAccounts';
import { startTestApi, type TestApi } from '../../support/api';
import { dataOf, postCampaign } from '../../support/campaigns';
import { buildTenant, type TestTenant } from '../../support/factories';
import {
  accountsPath,
  apiKey,
  metaBody,
  postAccount,
  sendGridBody,
  startVendor,
  twilioBody,
  type VendorAnswer,
  type VendorStandIn,
} from './ground';

let api: TestApi;
let vendor: VendorStandIn;

beforeAll(async () => {
  vendor = await startVendor();
  // The vendor's stand-in is on this machine, where accounts may lead in development alone.
  api = await startTestApi({ config: loadConfig([], { NODE_ENV: 'development' }) });
});

afterAll(async () => {
  await api.stop();
  await vendor.close();
});

const act = (tenant: TestTenant, method: string, path: string, json?: object) =>
  api.send(method, `${accountsPath}/${path}`, { token: tenant.token, json });

const resolve = (tenantId: string, channel: 'email' | 'sms' = 'email') =>
  withTenant(api.deps.db, tenantId, (trx) => resolveAccount(trx, tenantId, channel));

const platform = {
  id: 'sendgrid',
  vendor: 'sendgrid',
  channel: 'email',
  name: 'Platform',
  active: true,
  senders: [],
  settings: { region: 'global' },
  credentials: { apiKey: 'SG.platform' },
  limitPerMinute: 0,
} as const;

const ensurePlatform = (change: object = {}) =>
  ensurePlatformAccount(api.deps.db, api.deps.sealing, { ...platform, senders: [], ...change });

describe('the account of a channel', () => {
  test('is the tenant’s default, else the platform’s, else none', async () => {
    const [tenant, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
    const account = await postAccount(api, tenant);
    expect(await resolve(tenant.tenantId, 'sms')).toBeNull();

    await ensurePlatform();
    expect(await resolve(tenant.tenantId)).toMatchObject({ id: 'sendgrid', tenantId: null });

    expect((await act(tenant, 'post', `${account.id}/default`, {})).status).toBe(200);
    const resolved = await resolve(tenant.tenantId);
    expect(resolved).toMatchObject({
      id: account.id,
      tenantId: tenant.tenantId,
      vendor: 'sendgrid',
      senders: [{ address: 'Shop@example.com', name: 'Bells & Co' }],
    });
    expect(JSON.stringify(resolved)).not.toContain('credentials');
    expect(await resolve(other.tenantId)).toMatchObject({ id: 'sendgrid' });

    const cleared = await act(tenant, 'delete', `${account.id}/default`);
    expect(dataOf(cleared, 200).isDefault).toBe(false);
    expect(await resolve(tenant.tenantId)).toMatchObject({ id: 'sendgrid' });
  });

  test('opens for its own tenant alone', async () => {
    const [tenant, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
    const { id } = await postAccount(api, tenant);
    const open = (tenantId: string | null) =>
      withTenant(api.deps.db, tenant.tenantId, (trx) =>
        openCredentials(trx, api.deps.sealing, { id, tenantId }),
      );
    expect((await open(tenant.tenantId)).credentials).toEqual({ apiKey });
    await expect(open(other.tenantId)).rejects.toMatchObject({ code: 'providerAccountNotFound' });
    await expect(open(null)).rejects.toMatchObject({ code: 'providerAccountNotFound' });
  });

  test('does not open with another row’s credentials put into it', async () => {
    const [tenant, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
    const [mine, theirs] = [await postAccount(api, tenant), await postAccount(api, other)];
    const { credentials } = await api.db('provider_accounts').where({ id: theirs.id }).first();
    await api.db('provider_accounts').where({ id: mine.id }).update({ credentials });
    await expect(
      withTenant(api.deps.db, tenant.tenantId, (trx) =>
        openCredentials(trx, api.deps.sealing, { id: mine.id, tenantId: tenant.tenantId }),
      ),
    ).rejects.toMatchObject({ failure: 'notAuthentic' });
    expect((await act(tenant, 'post', `${mine.id}/test`, {})).body.code).toBe(
      'credentialsUnreadable',
    );
  });
});

describe('the platform’s account', () => {
  const row = () => api.db('provider_accounts').where({ id: 'sendgrid' }).first();

  test('is written once, follows the configuration, and keeps what an operator chose', async () => {
    await Promise.all([ensurePlatform(), ensurePlatform(), ensurePlatform()]);
    const first = await row();
    expect(first).toMatchObject({ tenant_id: null, is_default: true, vendor: 'sendgrid' });
    await ensurePlatform();
    expect(await row()).toEqual(first);

    await api.db('provider_accounts').where({ id: 'sendgrid' }).update({ name: 'Main' });
    await ensurePlatform({ credentials: { apiKey: 'SG.next' } });
    const second = await row();
    expect(second).toMatchObject({ name: 'Main', is_default: true, version: first.version + 1 });
    expect(
      await api.db.transaction((trx) =>
        openCredentials(trx, api.deps.sealing, { id: 'sendgrid', tenantId: null }),
      ),
    ).toMatchObject({ credentials: { apiKey: 'SG.next' } });
  });

  test('that only had a rate until now keeps it', async () => {
    const id = newId();
    const blockedUntil = new Date('2030-01-01T00:00:00Z');
    await api.db('provider_accounts').insert({ id, blocked_until: blockedUntil });
    await ensurePlatform({ id, channel: 'email' });
    expect(await api.db('provider_accounts').where({ id }).first()).toMatchObject({
      blocked_until: blockedUntil,
      vendor: 'sendgrid',
      // There is one of the channel already.
      is_default: false,
    });
  });

  test('is no tenant’s to read or change', async () => {
    await ensurePlatform();
    const tenant = await buildTenant(api.deps);
    expect(dataOf(await api.send('get', accountsPath, tenant), 200)).toEqual([]);
  });
});

describe('the default', () => {
  test('is one account a channel, however many wishes come at once', async () => {
    const tenant = await buildTenant(api.deps);
    const accounts = await Promise.all(
      [1, 2, 3, 4].map((n) => postAccount(api, tenant, sendGridBody({ name: `Account ${n}` }))),
    );
    const texts = await postAccount(api, tenant, twilioBody());
    await act(tenant, 'post', `${texts.id}/default`, {});
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(
        accounts.map(({ id }) => act(tenant, 'post', `${id}/default`, {})),
      );
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      const defaults = await api
        .db('provider_accounts')
        .where({ tenant_id: tenant.tenantId, is_default: true })
        .orderBy('channel');
      expect(defaults.map(({ channel }) => channel)).toEqual(['email', 'sms']);
    }
  });

  test('has to be active, and stays so', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postAccount(api, tenant, sendGridBody({ active: false }));
    const refused = await act(tenant, 'post', `${id}/default`, {});
    expect([refused.status, refused.body.code]).toEqual([409, 'accountInactive']);

    await act(tenant, 'patch', id, { active: true });
    await act(tenant, 'post', `${id}/default`, {});
    const before = await api.db('provider_accounts').where({ id }).first();
    const inactive = await act(tenant, 'patch', id, { active: false });
    expect([inactive.status, inactive.body.code]).toEqual([409, 'accountIsDefault']);
    expect(await api.db('provider_accounts').where({ id }).first()).toEqual(before);
  });
});

describe('removing', () => {
  async function openRun({ tenantId, token }: TestTenant, state = 'waiting') {
    const campaign = await postCampaign(api, { token });
    const id = newId();
    await api.db('campaign_runs').insert({
      id,
      tenant_id: tenantId,
      campaign_id: campaign.id,
      n: 1,
      channel: 'email',
      content_version: 1,
      audience: '{}',
      campaign_name: 'Spring sale',
      schedule: '{}',
      state,
    });
    return id;
  }

  test('takes the account, its secrets and its rate', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postAccount(api, tenant);
    await openRun(tenant);
    expect((await act(tenant, 'delete', id)).status).toBe(204);
    expect((await act(tenant, 'get', id)).status).toBe(404);
    expect(await api.db('provider_accounts').where({ id })).toEqual([]);
  });

  test('waits for the open runs of the default, also of one that was it meanwhile', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postAccount(api, tenant);
    const next = await postAccount(api, tenant);
    await act(tenant, 'post', `${id}/default`, {});
    const runId = await openRun(tenant);
    const remove = async () => {
      const { status, body } = await act(tenant, 'delete', id);
      return [status, body?.code];
    };
    expect(await remove()).toEqual([409, 'accountInUse']);
    await act(tenant, 'post', `${next.id}/default`, {});
    expect(await remove()).toEqual([409, 'accountInUse']);
    expect(await api.db('provider_accounts').where({ id })).toHaveLength(1);

    await api.db('campaign_runs').where({ id: runId }).update({ state: 'completed' });
    expect(await remove()).toEqual([204, undefined]);
  });
});

describe('a test of the connection', () => {
  const scopes = (...names: string[]) => ({
    status: 200,
    body: JSON.stringify({ scopes: names }),
  });
  const refusal = (status: number, message: string, headers = {}) => ({
    status,
    headers,
    body: JSON.stringify({ errors: [{ message, field: null }] }),
  });

  test.each<[string, VendorAnswer, string, string | null]>([
    ['a key that may send', scopes('mail.send', 'alerts.read'), 'accepted', null],
    ['a key that may not send', scopes('alerts.read'), 'refused', 'mail.send'],
    ['an unknown key', refusal(401, 'authorization required'), 'refused', 'status 401'],
    ['a forbidden key', refusal(403, 'access forbidden'), 'refused', 'access forbidden'],
    ['too many calls', refusal(429, 'too many requests'), 'unreachable', 'status 429'],
    ['an error of the vendor’s', refusal(500, 'Internal Server Error'), 'unreachable', '500'],
    ['a page in place of JSON', { status: 200, body: '<html>' }, 'unreachable', 'not one of'],
    ['JSON of another kind', { status: 200, body: '{"scopes":7}' }, 'unreachable', 'not one of'],
    ['a redirect', refusal(302, '', { Location: 'http://127.0.0.1:1/' }), 'unreachable', 'ERR_'],
    ['a cut connection', null, 'unreachable', 'ECONNRESET'],
    ['an answer that repeats the key', refusal(401, `no: ${apiKey}`), 'refused', 'no: [key]'],
    ['an answer with NUL', refusal(401, 'a\u0000b'), 'refused', 'a b'],
    ['an endless answer', { status: 200, body: 'x'.repeat(2_000_000) }, 'unreachable', 'ERR_'],
  ])('%s', async (_, answer, outcome, reason) => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postAccount(
      api,
      tenant,
      sendGridBody({ settings: { baseUrl: vendor.url } }),
    );
    vendor.answer = answer;
    vendor.asked.length = 0;
    const tested = await act(tenant, 'post', `${id}/test`, {});

    const { lastTest } = dataOf(tested, 200);
    expect(lastTest).toMatchObject({ at: expect.any(String), outcome });
    expect(String(lastTest.reason)).toContain(String(reason));
    expect(tested.text).not.toContain(apiKey);
    expect(vendor.asked.map(({ path }) => path)).toEqual(['GET /v3/scopes']);
    expect(vendor.asked[0]?.headers.authorization).toBe(`Bearer ${apiKey}`);
    expect(dataOf(await act(tenant, 'get', id), 200)).toEqual(tested.body.data);
  });

  test('finds nobody where nobody listens', async () => {
    const tenant = await buildTenant(api.deps);
    const gone = await startVendor();
    await gone.close();
    const { id } = await postAccount(
      api,
      tenant,
      sendGridBody({ settings: { baseUrl: gone.url } }),
    );
    const tested = await act(tenant, 'post', `${id}/test`, {});
    expect(dataOf(tested, 200).lastTest).toMatchObject({
      outcome: 'unreachable',
      reason: 'ECONNREFUSED',
    });
  });

  test('is not written down for what was changed under it', async () => {
    const tenant = await buildTenant(api.deps);
    let change: Promise<unknown> = Promise.resolve();
    const changing = await startTestApi({
      db: api.deps.db,
      config: api.deps.config,
      connectionTests: {
        async test() {
          change = act(tenant, 'patch', id, { credentials: { apiKey: 'SG.newer' } });
          await change;
          return { kind: 'refused', reason: 'the old key is gone' };
        },
      },
    });
    const { id } = await postAccount(api, tenant);
    const tested = await changing.send('post', `${accountsPath}/${id}/test`, {
      token: tenant.token,
      json: {},
    });
    expect([tested.status, tested.body.code]).toEqual([409, 'accountChanged']);
    expect(dataOf(await act(tenant, 'get', id), 200).lastTest).toBeNull();
    await changing.stop();
  });

  test.each<[string, VendorAnswer, string, string | null]>([
    ['an active account', { status: 200, body: '{"status":"active"}' }, 'accepted', null],
    ['a suspended one', { status: 200, body: '{"status":"suspended"}' }, 'refused', 'suspended'],
    [
      'a wrong token, repeated',
      { status: 401, body: JSON.stringify({ code: 20003, message: `no: ${'f'.repeat(32)}` }) },
      'refused',
      '[secret]',
    ],
    ['a cut connection', null, 'unreachable', 'ECONNRESET'],
  ])('at Twilio: %s', async (_, answer, outcome, reason) => {
    const tenant = await buildTenant(api.deps);
    const { settings } = twilioBody();
    const json = twilioBody({ settings: { ...settings, baseUrl: vendor.url } });
    const { id } = await postAccount(api, tenant, json);
    vendor.answer = answer;
    vendor.asked.length = 0;
    const tested = await act(tenant, 'post', `${id}/test`, {});

    const { lastTest } = dataOf(tested, 200);
    expect(lastTest).toMatchObject({ outcome });
    expect(String(lastTest.reason)).toContain(String(reason));
    expect(tested.text).not.toContain('f'.repeat(32));
    expect(vendor.asked.map(({ path }) => path)).toEqual([
      `GET /2010-04-01/Accounts/${settings.accountSid}.json`,
    ]);
  });

  const metaError = (code: number, message: string) =>
    JSON.stringify({ error: { code, message, type: 'OAuthException' } });
  test.each<[string, VendorAnswer, string, string | null]>([
    ['a number of ours', { status: 200, body: '{"id":"106540352242922"}' }, 'accepted', null],
    ['another number', { status: 200, body: '{"id":"1"}' }, 'unreachable', 'not one of'],
    [
      'a wrong token, repeated',
      { status: 401, body: metaError(190, 'no: EAAG-token') },
      'refused',
      'no: [secret]',
    ],
    ['too many calls', { status: 400, body: metaError(80007, 'later') }, 'unreachable', 'later'],
    ['a cut connection', null, 'unreachable', 'ECONNRESET'],
  ])('at Meta: %s', async (_, answer, outcome, reason) => {
    const tenant = await buildTenant(api.deps);
    const { settings } = metaBody();
    const json = metaBody({ settings: { ...settings, baseUrl: vendor.url } });
    const { id } = await postAccount(api, tenant, json);
    vendor.answer = answer;
    vendor.asked.length = 0;
    const tested = await act(tenant, 'post', `${id}/test`, {});

    const { lastTest } = dataOf(tested, 200);
    expect(lastTest).toMatchObject({ outcome });
    expect(String(lastTest.reason)).toContain(String(reason));
    expect(tested.text).not.toContain('EAAG-token');
    expect(vendor.asked.map(({ path }) => path)).toEqual([
      `GET /v25.0/${settings.phoneNumberId}?fields=id,status`,
    ]);
  });
});
