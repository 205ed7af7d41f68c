import { newApiKey } from '../../../lib/apiKeys';
import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import { createApiKey } from '../../../models/identity/apiKeys';
import { buildLedger } from '../../support/ledger';
import { signInAs } from '../../support/tokens';
import { buildTenant, type TestTenant } from '../../support/factories';
import { startTestApi, type TestApi } from '../../support/api';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

const values = { name: 'Second & Co', timeZone: 'Europe/Rome', defaultLanguage: 'it' };

function post(path: string, token: string, json?: unknown, headers: Record<string, string> = {}) {
  return api.send('post', `/api/v1${path}`, { token, json, headers });
}

function tenantRow({ tenantId }: TestTenant) {
  return api.db('tenants').where({ id: tenantId }).first();
}

describe('POST /tenants', () => {
  test('makes whoever asks the owner of another tenant, to which they switch', async () => {
    const { token, tenantId, userId } = await buildTenant(api.deps);
    const answer = await post('/tenants', token, values);

    expect(answer.status).toBe(201);
    expect(answer.body.data).toMatchObject({ ...values, allowedLanguages: [] });
    const { id } = answer.body.data;
    expect(answer.headers.get('Location')).toBe(`/api/v1/tenants/${id}`);
    const listed = await api.send('get', '/api/v1/tenants', { token });
    expect(listed.body.data.map((one: { id: string; role: string }) => [one.id, one.role])).toEqual(
      [
        [tenantId, 'owner'],
        [id, 'owner'],
      ],
    );

    const switched = await post('/auth/switch-tenant', token, { tenantId: id });
    expect(switched.body.data).toMatchObject({ tenantId: id, role: 'owner' });
    const there = switched.body.data.accessToken;
    const read = await api.send('get', `/api/v1/tenants/${id}`, { token: there });
    expect(read.body.data).toEqual(answer.body.data);
    const me = await api.send('get', '/api/v1/users/me', { token: there });
    expect(me.body.data).toMatchObject({ tenant: { id }, role: 'owner', user: { id: userId } });

    const entries = await api.db('audit_log').where({ tenant_id: id }).orderBy('at');
    expect(entries.map(({ action, actor_id }) => [action, actor_id])).toEqual([
      ['tenant.created', userId],
      ['user.tenantSwitched', userId],
    ]);
  });

  test('makes one for many requests with one Idempotency-Key', async () => {
    const { token, userId } = await buildTenant(api.deps);
    const headers = { 'Idempotency-Key': 'second' };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => post('/tenants', token, values, headers)),
    );
    const again = await post('/tenants', token, values, headers);
    const other = await post('/tenants', token, { ...values, name: 'Third' }, headers);

    expect(again.status).toBe(201);
    expect(answers.every(({ status }) => status === 201 || status === 409)).toBe(true);
    expect(other.body.code).toBe('idempotencyKeyReused');
    expect(await api.db('tenants').where({ created_by: userId, name: 'Third' })).toEqual([]);
    expect(await api.db('tenants').where({ created_by: userId })).toHaveLength(2);
  });

  test('lets one person make no more than twenty, however many ask at once', async () => {
    const { token, userId } = await buildTenant(api.deps);
    const answers = await Promise.all(
      Array.from({ length: 22 }, () => post('/tenants', token, values)),
    );

    expect(answers.filter(({ status }) => status === 201)).toHaveLength(19);
    expect(answers.find(({ status }) => status !== 201)?.body.code).toBe('tooManyTenants');
    expect(await api.db('tenants').where({ created_by: userId })).toHaveLength(20);
  });

  test('takes no role, owner or id, and no default outside of the allowed languages', async () => {
    const { token } = await buildTenant(api.deps);
    const answer = await post('/tenants', token, {
      ...values,
      id: '00000000-0000-7000-8000-000000000000',
      role: 'owner',
      createdBy: '00000000-0000-7000-8000-000000000000',
    });
    const language = await post('/tenants', token, { ...values, allowedLanguages: ['en', 'fr'] });

    expect(answer.status).toBe(422);
    expect(answer.body.errors.map(({ path }: { path: string }) => path).sort()).toEqual([
      'createdBy',
      'id',
      'role',
    ]);
    expect(language.body.errors).toMatchObject([
      { path: 'defaultLanguage', code: 'languageNotAllowed' },
    ]);
  });
});

describe('a tenant in the path', () => {
  test.each(['get', 'put'])('does not exist for others: %s', async (method) => {
    const mine = await buildTenant(api.deps);
    const theirs = await buildTenant(api.deps);
    const before = await tenantRow(theirs);
    const answer = await api.send(method, `/api/v1/tenants/${theirs.tenantId}`, {
      token: mine.token,
      ...(method === 'put' ? { json: values } : {}),
    });

    expect(answer.status).toBe(404);
    expect(answer.body.code).toBe('tenantNotFound');
    expect(await tenantRow(theirs)).toEqual(before);
  });

  test('is written by owners alone, unless it changed meanwhile', async () => {
    const tenant = await buildTenant(api.deps);
    const path = `/api/v1/tenants/${tenant.tenantId}`;
    const put = (token: string, headers: Record<string, string> = {}) =>
      api.send('put', path, {
        token,
        headers,
        json: { ...values, allowedLanguages: ['it', 'de', 'it'] },
      });
    const read = await api.send('get', path, { token: tenant.tokenOf('viewer') });
    const refused = await put(tenant.tokenOf('agency'));
    const written = await put(tenant.token, { 'If-Match': read.headers.get('ETag') ?? '' });
    const late = await put(tenant.token, { 'If-Match': read.headers.get('ETag') ?? '' });

    expect(refused.status).toBe(403);
    expect(written.status).toBe(200);
    expect(written.body.data).toMatchObject({ ...values, allowedLanguages: ['it', 'de'] });
    expect(late.status).toBe(412);
  });
});

describe('DELETE /tenants/:id', () => {
  function end(tenantId: string, token: string) {
    return api.send('delete', `/api/v1/tenants/${tenantId}`, { token });
  }

  test('ends what the tenant sends, and closes it to its people and keys', async () => {
    const ledger = await buildLedger(api.db, { customers: 1 });
    const { tenantId } = ledger;
    const owner = await signInAs(api.deps, { tenantId, role: 'owner' });
    const made = newApiKey();
    const key = { tenantId, id: newId(), createdBy: owner.userId };
    const values = {
      name: 'Shop',
      scopes: ['customer:read' as const],
      expiresAt: null,
      allowedIps: [],
    };
    await withTenant(api.deps.db, tenantId, (trx) => createApiKey(trx, key, made, values));

    expect((await end(tenantId, owner.token)).status).toBe(204);
    const run = await api.db('campaign_runs').where({ id: ledger.run.id }).first();
    expect(run).toMatchObject({ gate: 'closed', gate_reason: 'tenantEnded' });
    for (const token of [owner.token, made.key]) {
      expect((await api.send('get', '/api/v1/customers', { token })).status).toBe(401);
    }
    expect(await api.db('customers').where({ tenant_id: tenantId })).toHaveLength(1);
    const [entry] = await api.db('audit_log').where({ tenant_id: tenantId });
    expect(entry).toMatchObject({ action: 'tenant.ended', after: { cancelledCampaigns: 1 } });
  });

  test('leaves its people their other tenants', async () => {
    const first = await buildTenant(api.deps);
    const second = (await post('/tenants', first.token, values)).body.data.id;
    const switched = await post('/auth/switch-tenant', first.token, { tenantId: second });
    await end(second, switched.body.data.accessToken);

    const listed = await api.send('get', '/api/v1/tenants', { token: first.token });
    expect(listed.body.data.map(({ id }: { id: string }) => id)).toEqual([first.tenantId]);
    const back = await post('/auth/switch-tenant', first.token, { tenantId: second });
    expect(back.status).toBe(404);
  });

  test('is for owners who have just shown that it is them, and in their own tenant', async () => {
    const tenant = await buildTenant(api.deps);
    const other = await buildTenant(api.deps);
    expect((await end(other.tenantId, tenant.token)).status).toBe(404);
    expect((await end(tenant.tenantId, tenant.tokenOf('agency'))).status).toBe(403);
    await api
      .db('sessions')
      .where({ user_id: tenant.userId })
      .update({ mfa_at: new Date(Date.now() - 3_600_000) });
    const unproven = await end(tenant.tenantId, tenant.token);
    expect([unproven.status, unproven.body.code]).toEqual([403, 'stepUpRequired']);
    for (const one of [tenant, other]) {
      expect(await tenantRow(one)).toMatchObject({ ended_at: null, suspended_at: null });
    }
  });
});

describe('POST /auth/switch-tenant', () => {
  test('leads to no tenant of somebody else', async () => {
    const mine = await buildTenant(api.deps);
    const theirs = await buildTenant(api.deps);
    const answer = await post('/auth/switch-tenant', mine.token, { tenantId: theirs.tenantId });

    expect(answer.status).toBe(404);
    const sessions = await api.db('sessions').where({ user_id: mine.userId });
    expect(sessions.map(({ tenant_id }) => tenant_id)).toEqual([mine.tenantId]);
  });

  test('gives an agency what it is in each of its tenants', async () => {
    const first = await buildTenant(api.deps);
    const second = await buildTenant(api.deps);
    const agency = await signInAs(api.deps, { tenantId: first.tenantId, role: 'agency' });
    await api
      .db('memberships')
      .insert({ tenant_id: second.tenantId, user_id: agency.userId, role: 'viewer' });
    const answer = await post('/auth/switch-tenant', agency.token, { tenantId: second.tenantId });

    expect(answer.body.data.role).toBe('viewer');
    const token = answer.body.data.accessToken;
    const me = await api.send('get', '/api/v1/users/me', { token });
    expect(me.body.data.permissions).not.toContain('customer:write');
    const members = await api.send('get', `/api/v1/tenants/${second.tenantId}/users`, { token });
    expect(members.status).toBe(403);
  });

  test('leads out of a suspended tenant, and not into one', async () => {
    const suspended = await buildTenant(api.deps);
    const other = await buildTenant(api.deps);
    const { userId, token } = await signInAs(api.deps, { ...suspended, role: 'member' });
    await api
      .db('memberships')
      .insert({ tenant_id: other.tenantId, user_id: userId, role: 'member' });
    await api.db('tenants').where({ id: suspended.tenantId }).update({ suspended_at: new Date() });

    const closed = await api.send('get', `/api/v1/tenants/${suspended.tenantId}`, { token });
    expect([closed.status, closed.body.code]).toEqual([403, 'tenantSuspended']);
    const out = await post('/auth/switch-tenant', token, { tenantId: other.tenantId });
    expect(out.status).toBe(200);
    const back = await post('/auth/switch-tenant', out.body.data.accessToken, {
      tenantId: suspended.tenantId,
    });
    expect([back.status, back.body.code]).toEqual([403, 'tenantSuspended']);
  });
});
