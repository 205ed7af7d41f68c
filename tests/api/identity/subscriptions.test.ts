import { newApiKey } from '../../../lib/apiKeys';
import { newId } from '../../../lib/ids';
import { acrossTenants, withTenant } from '../../../models/base';
import { createApiKey, revokeApiKey } from '../../../models/identity/apiKeys';
import { pauseOpenRuns } from '../../../models/campaigns/heldRuns';
import {
  changeSubscription,
  expireSubscriptions,
  type Subscribed,
} from '../../../models/identity/subscriptions';
import { startTestApi, type TestApi } from '../../support/api';
import { campaignsPath } from '../../support/campaigns';
import { buildTenant, type TestTenant } from '../../support/factories';
import { buildLedger } from '../../support/ledger';
import { insertCampaign, insertCustomers } from '../../support/records';
import { signInAs, tokenFor } from '../../support/tokens';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

async function subscribe(tenantId: string, change: Partial<Subscribed>): Promise<void> {
  await withTenant(api.deps.db, tenantId, (trx) =>
    changeSubscription(
      trx,
      { tenantId, plan: 'free', status: 'active', expiresAt: null, limits: {}, ...change },
      { actor: { kind: 'system', id: null }, reason: null },
    ),
  );
}

async function platformAdmin(): Promise<string> {
  const { tenantId } = await buildTenant(api.deps);
  const { userId, token } = await signInAs(api.deps, { tenantId, role: 'viewer' });
  await api.db('users').where({ id: userId }).update({ is_platform_admin: true });
  return token;
}

const pathOf = ({ tenantId }: TestTenant, what = 'subscription') =>
  `/api/v1/tenants/${tenantId}/${what}`;

describe('a subscription', () => {
  test('of a new tenant is free and active', async () => {
    const { body } = await api.send('post', '/api/v1/auth/register', {
      json: {
        companyName: 'Bells & Co',
        email: 'new-tenant@example.com',
        password: 'a password of some length',
      },
    });
    const answer = await api.send('get', '/api/v1/users/me/subscription', {
      token: body.data.accessToken,
    });
    expect(answer.body.data).toMatchObject({
      plan: 'free',
      status: 'active',
      expiresAt: null,
      planInForce: 'free',
      limits: { customers: 5_000, messages: 10_000 },
    });
  });

  test('is changed by platform admins alone, who leave a trail', async () => {
    const tenant = await buildTenant(api.deps, { plan: 'free' });
    const json = { plan: 'starter', limits: { customers: 30_000 }, reason: 'signed for a year' };
    const change = (token: string) => api.send('put', pathOf(tenant), { token, json });

    expect((await change(tenant.token)).status).toBe(403);
    const changed = await change(await platformAdmin());
    expect(changed.status).toBe(200);
    expect(changed.body.data).toMatchObject({
      plan: 'starter',
      limits: { customers: 30_000, messages: 100_000 },
    });

    const { token } = tenant;
    const changes = await api.send('get', pathOf(tenant, 'subscription/changes'), { token });
    expect(changes.body.data[0]).toMatchObject({
      plan: 'starter',
      reason: 'signed for a year',
      actor: { kind: 'user' },
    });
    expect(
      await api.db('audit_log').where({ tenant_id: tenant.tenantId }).pluck('action'),
    ).toContain('tenant.subscriptionChanged');
  });

  test('is not changed for a tenant that is not there, nor with what is no plan', async () => {
    const token = await platformAdmin();
    const tenant = await buildTenant(api.deps);
    const unknown = await api.send(
      'put',
      '/api/v1/tenants/0190a000-0000-7000-8000-000000000000/subscription',
      { token, json: { plan: 'starter' } },
    );
    const wrong = await api.send('put', pathOf(tenant), {
      token,
      json: { plan: 'gold', limits: { customers: -1, unknown: 1 } },
    });
    expect([unknown.status, wrong.status]).toEqual([404, 422]);
  });

  test('of another tenant is not there', async () => {
    const [one, other] = await Promise.all([buildTenant(api.deps), buildTenant(api.deps)]);
    const statuses = await Promise.all(
      ['subscription', 'subscription/changes', 'usage'].map(
        async (what) => (await api.send('get', pathOf(other, what), { token: one.token })).status,
      ),
    );
    expect(statuses).toEqual([404, 404, 404]);
  });

  test('falls to free when it is over, and pauses what is sent', async () => {
    const ledger = await buildLedger(api.db, { customers: 2 });
    await subscribe(ledger.tenantId, { plan: 'starter', expiresAt: new Date(Date.now() - 1_000) });
    const token = await tokenFor(api.deps, ledger.tenantId);
    const get = () => api.send('get', '/api/v1/users/me/subscription', { token });
    expect((await get()).body.data).toMatchObject({ status: 'active', planInForce: 'free' });

    const expire = () => acrossTenants(api.deps.db, 'reconcile', expireSubscriptions);
    await expire();
    await expire();
    expect((await get()).body.data).toMatchObject({ plan: 'starter', status: 'expired' });
    const [run] = await api.db('campaign_runs').where({ id: ledger.run.id });
    expect(run).toMatchObject({ gate: 'paused', gate_reason: 'planExpired' });
    const log = await api.db('campaign_log').where({ run_id: ledger.run.id, kind: 'paused' });
    expect(log).toHaveLength(1);
  });
});

describe('a plan', () => {
  test('that has no text messages answers 402 with one that has', async () => {
    const tenant = await buildTenant(api.deps, { plan: 'free' });
    const campaignId = await insertCampaign(api.db, tenant.tenantId, { channel: 'sms' });
    const answer = await api.send('post', `${campaignsPath}/${campaignId}/schedule`, {
      token: tenant.token,
      json: { schedule: { kind: 'now' } },
    });
    expect([answer.status, answer.body.code, answer.body.requiredPlan]).toEqual([
      402,
      'featureNotInPlan',
      'starter',
    ]);
  });

  test('keeps a campaign from being scheduled that it has no messages for', async () => {
    const tenant = await buildTenant(api.deps);
    await subscribe(tenant.tenantId, { limits: { messages: 2 } });
    await insertCustomers(
      api.db,
      tenant.tenantId,
      [1, 2, 3].map((n) => ({ email: `${n}@example.com` })),
    );
    const campaignId = await insertCampaign(api.db, tenant.tenantId);
    const schedule = () =>
      api.send('post', `${campaignsPath}/${campaignId}/schedule`, {
        token: tenant.token,
        json: { schedule: { kind: 'now' } },
      });
    const refused = await schedule();
    expect(refused.status).toBe(402);
    expect(refused.body).toMatchObject({
      code: 'quotaReached',
      requiredPlan: 'free',
      quota: 'messages',
      used: 0,
      limit: 2,
    });
    expect(await api.db('campaign_runs').where({ campaign_id: campaignId })).toEqual([]);

    await subscribe(tenant.tenantId, { limits: { messages: 3 } });
    expect((await schedule()).status).toBe(202);
    const usage = await api.send('get', pathOf(tenant, 'usage'), { token: tenant.token });
    expect(usage.body.data).toContainEqual(
      expect.objectContaining({ quota: 'messages', used: 0, reserved: 3, limit: 3 }),
    );
  });

  test('lets a campaign that it held go on when there is room', async () => {
    const ledger = await buildLedger(api.db, { customers: 3 });
    await acrossTenants(api.deps.db, 'reconcile', (trx) =>
      pauseOpenRuns(trx, [ledger.tenantId], 'planLimit'),
    );
    await subscribe(ledger.tenantId, { limits: { messages: 2 } });
    const token = await tokenFor(api.deps, ledger.tenantId);
    const resume = () =>
      api.send('post', `${campaignsPath}/${ledger.campaignId}/resume`, { token });
    expect((await resume()).body.code).toBe('quotaReached');

    await subscribe(ledger.tenantId, { limits: { messages: 3 } });
    expect((await resume()).status).toBe(202);
  });

  test('asks again on every resume: neither a reservation nor another pause opens it', async () => {
    const ledger = await buildLedger(api.db, { customers: 3 });
    const { tenantId } = ledger;
    const token = await tokenFor(api.deps, tenantId);
    const steer = (what: string) =>
      api.send('post', `${campaignsPath}/${ledger.campaignId}/${what}`, { token });
    await steer('pause');
    expect((await steer('resume')).status).toBe(202);
    await steer('pause');
    await subscribe(tenantId, { limits: { messages: 2 } });
    expect((await steer('resume')).body.code).toBe('quotaReached');

    await acrossTenants(api.deps.db, 'reconcile', (trx) =>
      pauseOpenRuns(trx, [tenantId], 'planExpired'),
    );
    expect((await steer('resume')).body.code).toBe('quotaReached');
    const [run] = await api.db('campaign_runs').where({ id: ledger.run.id });
    expect(run.gate).toBe('paused');
  });

  test('keeps the customers it has room for, however they come', async () => {
    const tenant = await buildTenant(api.deps);
    await subscribe(tenant.tenantId, { limits: { customers: 2 } });
    const { token } = tenant;
    const create = (n: number) =>
      api.send('post', '/api/v1/customers', { token, json: { email: `c${n}@example.com` } });
    const answers = await Promise.all([1, 2, 3, 4].map(create));
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 201, 402, 402]);

    const [customer] = await api.db('customers').where({ tenant_id: tenant.tenantId });
    await api.send('delete', `/api/v1/customers/${customer.id}`, { token });
    expect((await create(5)).status).toBe(201);

    const form = new FormData();
    form.append('file', new Blob(['email\na@example.com\nb@example.com\n']), 'two.csv');
    const upload = await api.send('post', '/api/v1/customers/upload', { token, body: form });
    expect([upload.status, upload.body.code]).toEqual([402, 'quotaReached']);
    const [failed] = await api.db('imports').where({ tenant_id: tenant.tenantId });
    expect(failed).toMatchObject({ state: 'failed', failure_code: 'quotaReached' });
    expect(await api.db('customers').where({ tenant_id: tenant.tenantId })).toHaveLength(2);
  });

  test('keeps the API keys it has room for, and counts those that are not revoked', async () => {
    const tenant = await buildTenant(api.deps);
    await subscribe(tenant.tenantId, { limits: { apiKeys: 1 } });
    const { tenantId, userId } = tenant;
    const create = () =>
      withTenant(api.deps.db, tenantId, (trx) =>
        createApiKey(trx, { tenantId, id: newId(), createdBy: userId }, newApiKey(), {
          name: 'Shop',
          scopes: ['customer:read'],
          expiresAt: null,
          allowedIps: [],
        }),
      );
    const key = await create();
    await expect(create()).rejects.toMatchObject({ code: 'quotaReached' });
    await withTenant(api.deps.db, tenantId, (trx) => revokeApiKey(trx, key));
    expect((await create()).name).toBe('Shop');
  });

  test('counts requests, and still shows what is used when there are no more', async () => {
    const tenant = await buildTenant(api.deps);
    await subscribe(tenant.tenantId, { limits: { apiCalls: 2 } });
    const { token } = tenant;
    const list = async () => (await api.send('get', '/api/v1/customers', { token })).status;
    expect([await list(), await list(), await list()]).toEqual([200, 200, 402]);
    expect((await api.send('get', pathOf(tenant, 'usage'), { token })).status).toBe(200);
  });
});

test('the plans are there for everybody to compare', async () => {
  const { status, body } = await api.send('get', '/api/v1/plans');
  expect(status).toBe(200);
  expect(body.data.map(({ name }: { name: string }) => name)).toEqual([
    'free',
    'starter',
    'professional',
    'enterprise',
  ]);
});
