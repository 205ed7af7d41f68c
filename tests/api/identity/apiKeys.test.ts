import { isScope, tenantActionNames } from '../../../domain/identity/permissions';
import { hashOfApiKey, newApiKey } from '../../../lib/apiKeys';
import type { Knex } from '../../../lib/db';
import { startTestApi, type TestApi } from '../../support/api';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';
import { untilWaiting } from './people';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

const path = '/api/v1/api-keys';
const values = { name: 'Shop', scopes: ['customer:read', 'customer:write'] };

function create(
  { token }: Pick<TestTenant, 'token'>,
  overrides: Record<string, unknown> = {},
  headers: Record<string, string> = {},
) {
  return api.send('post', path, { token, headers, json: { ...values, ...overrides } });
}

async function keyOf(tenant: TestTenant, overrides: Record<string, unknown> = {}) {
  const answer = await create(tenant, overrides);
  expect(answer.status).toBe(201);
  const { id, key }: { id: string; key: string } = answer.body.data;
  return { id, token: key };
}

function customers(token: string) {
  return api.send('get', '/api/v1/customers', { token });
}

function change(id: string, columns: Record<string, unknown>) {
  return api.db('api_keys').where({ id }).update(columns);
}

function auditOf(targetId: string) {
  return api.db('audit_log').where({ target_id: targetId }).orderBy('at');
}

describe('POST /api-keys', () => {
  test('shows the key once and keeps its hash alone', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await create(tenant, { allowedIps: ['192.0.2.7/24', '2001:db8::1'] });
    const { id, key, prefix } = answer.body.data;

    expect(key).toMatch(/^ck_[\w-]{49}$/);
    expect(key.startsWith(prefix)).toBe(true);
    expect(answer.body.data).toMatchObject({
      ...values,
      expiresAt: null,
      allowedIps: ['192.0.2.0/24', '2001:db8::1/128'],
      createdBy: tenant.userId,
      isActive: true,
    });
    const read = await api.send('get', `${path}/${id}`, tenant);
    const listed = await api.send('get', path, tenant);
    expect(read.text + listed.text).not.toContain(key);
    const row = await api.db('api_keys').where({ id }).first();
    expect(row.hash).toEqual(hashOfApiKey(key));
    expect(JSON.stringify([row, await auditOf(id)])).not.toContain(key);
  });

  test('makes one key for repeated requests and keeps it from the stored answer', async () => {
    const tenant = await buildTenant(api.deps);
    const headers = { 'Idempotency-Key': 'shop' };
    const first = await create(tenant, {}, headers);
    const again = await create(tenant, {}, headers);

    expect(again.headers.get('Idempotency-Replayed')).toBe('true');
    expect(again.body.data).toEqual({ ...first.body.data, key: null });
    expect(await api.db('api_keys').where({ tenant_id: tenant.tenantId })).toHaveLength(1);
    const [kept] = await api.db('idempotency_keys').where({ tenant_id: tenant.tenantId });
    expect(kept.body).not.toContain(first.body.data.key);
    expect((await customers(first.body.data.key)).status).toBe(200);
  });

  test.each(tenantActionNames.filter((name) => !isScope(name)))(
    'gives no key %s',
    async (scope) => {
      const tenant = await buildTenant(api.deps);
      const answer = await create(tenant, { scopes: ['customer:read', scope] });
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].path).toBe('scopes.1');
    },
  );

  test.each([
    ['scopes.0', { scopes: ['platform:read'] }],
    ['scopes.0', { scopes: ['self:write'] }],
    ['scopes.0', { scopes: ['everything'] }],
    ['scopes', { scopes: [] }],
    ['expiresAt', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['expiresAt', { expiresAt: '2999-01-01T00:00:00Z' }],
    ['allowedIps.0', { allowedIps: ['300.1.1.1'] }],
    ['allowedIps.0', { allowedIps: ['10.0.0.0/33'] }],
    ['allowedIps.0', { allowedIps: ['::ffff:10.0.0.1'] }],
    ['tenantId', { tenantId: '00000000-0000-7000-8000-000000000000' }],
    ['hash', { hash: 'x' }],
    ['createdBy', { createdBy: '00000000-0000-7000-8000-000000000000' }],
  ])('refuses %s of %j', async (field, overrides) => {
    const tenant = await buildTenant(api.deps);
    const answer = await create(tenant, overrides);
    expect(answer.status).toBe(422);
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toContain(field);
    expect(await api.db('api_keys').where({ tenant_id: tenant.tenantId })).toEqual([]);
  });
});

test('a plan has so many keys, also for many who ask at once, and revoking one makes room', async () => {
  const tenant = await buildTenant(api.deps);
  await api
    .db('subscriptions')
    .where({ tenant_id: tenant.tenantId })
    .update({ plan: 'free', limits: '{}' });
  const answers = await Promise.all(Array.from({ length: 4 }, () => create(tenant)));
  const made = answers.filter(({ status }) => status === 201);
  expect(made).toHaveLength(2);
  expect(answers.find(({ status }) => status !== 201)).toMatchObject({
    status: 402,
    body: { code: 'quotaReached', requiredPlan: 'starter' },
  });
  expect(await api.db('api_keys').where({ tenant_id: tenant.tenantId })).toHaveLength(2);

  await api.send('delete', `${path}/${made[0]?.body.data.id}`, tenant);
  await api.send('delete', `${path}/${made[0]?.body.data.id}`, tenant);
  const more = await Promise.all([create(tenant), create(tenant)]);
  expect(more.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 402]);
});

describe('an API key', () => {
  test('opens its scopes in its tenant and nothing else', async () => {
    const tenant = await buildTenant(api.deps);
    const other = await buildTenant(api.deps);
    const theirs = await buildCustomer(api.deps, { tenant: other });
    const { id, token } = await keyOf(tenant);

    const made = await api.send('post', '/api/v1/customers', {
      token,
      json: { email: 'kim@example.com' },
      headers: { 'Idempotency-Key': 'kim' },
    });
    expect(made.status).toBe(201);
    const statuses = await Promise.all(
      [
        '/api/v1/campaigns',
        path,
        '/api/v1/users/me',
        '/api/v1/tenants',
        `/api/v1/tenants/${tenant.tenantId}/users`,
        '/api/v1/audit-log',
      ].map(async (where) => (await api.send('get', where, { token })).status),
    );
    expect(new Set(statuses)).toEqual(new Set([403]));
    const elsewhere = await api.send('get', `/api/v1/customers/${theirs.id}`, { token });
    expect(elsewhere.status).toBe(404);
    const escalation = await create({ token });
    expect(escalation.status).toBe(403);
    const row = await api.db('api_keys').where({ id }).first();
    expect(row).toMatchObject({ last_used_at: expect.any(Date), last_used_ip: '127.0.0.1' });
  });

  test('is what the audit log names for what it did', async () => {
    const tenant = await buildTenant(api.deps);
    const { id, token } = await keyOf(tenant, { scopes: ['suppression:write'] });
    await api.send('post', '/api/v1/suppressions', { token, json: { address: 'kim@example.com' } });

    const [entry] = await api
      .db('audit_log')
      .where({ tenant_id: tenant.tenantId, action: 'suppression.added' });
    expect(entry).toMatchObject({ actor_kind: 'apiKey', actor_id: id });
  });

  test('writes down its use once a minute, however often it is used', async () => {
    const tenant = await buildTenant(api.deps);
    const { id, token } = await keyOf(tenant);
    await Promise.all(Array.from({ length: 5 }, () => customers(token)));
    const first = await api.db('api_keys').where({ id }).first();
    await customers(token);
    const second = await api.db('api_keys').where({ id }).first();
    expect(second.last_used_at).toEqual(first.last_used_at);

    await change(id, { last_used_at: new Date(Date.now() - 61_000) });
    await customers(token);
    const third = await api.db('api_keys').where({ id }).first();
    expect(third.last_used_at.getTime()).toBeGreaterThanOrEqual(first.last_used_at.getTime());
  });

  test.each([
    ['revoked', { revoked_at: new Date() }, 401, 'apiKeyRevoked'],
    ['over', { expires_at: new Date(Date.now() - 1_000) }, 401, 'apiKeyExpired'],
    ['used from elsewhere', { allowed_ips: '{192.0.2.0/24,2001:db8::/32}' }, 403, 'ipNotAllowed'],
  ])(
    'opens nothing when it is %s, and its use is remembered once',
    async (_, columns, status, code) => {
      const tenant = await buildTenant(api.deps);
      const { id, token } = await keyOf(tenant);
      await change(id, columns);
      const answers = await Promise.all(Array.from({ length: 3 }, () => customers(token)));

      expect(answers.map((answer) => [answer.status, answer.body.code])).toEqual(
        Array.from({ length: 3 }, () => [status, code]),
      );
      const row = await api.db('api_keys').where({ id }).first();
      expect(row.last_used_at).toBeNull();
      const refusals = (await auditOf(id)).filter(({ action }) => action === 'apiKey.refused');
      // Two, when a minute began between the requests.
      expect([1, 2]).toContain(refusals.length);
      expect(refusals[0]).toMatchObject({ after: { reason: code }, tenant_id: tenant.tenantId });
    },
  );

  test('opens what it opens from an address that is allowed', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = await keyOf(tenant, { allowedIps: ['10.0.0.0/8', '127.0.0.0/8', '::1'] });
    expect((await customers(token)).status).toBe(200);
  });

  test('opens nothing while its tenant or whoever made it is suspended', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = await keyOf(tenant);
    const suspend = (table: string, id: string, at: Date | null) =>
      api.db(table).where({ id }).update({ suspended_at: at });

    await suspend('tenants', tenant.tenantId, new Date());
    const ofTenant = await customers(token);
    expect([ofTenant.status, ofTenant.body.code]).toEqual([403, 'tenantSuspended']);
    await suspend('tenants', tenant.tenantId, null);
    await suspend('users', tenant.userId, new Date());
    const ofUser = await customers(token);
    expect([ofUser.status, ofUser.body.code]).toEqual([403, 'userSuspended']);
    await suspend('users', tenant.userId, null);
    expect((await customers(token)).status).toBe(200);
  });

  test('goes on when whoever made it leaves the tenant', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = await keyOf(tenant);
    await api.db('memberships').where({ user_id: tenant.userId }).delete();
    expect((await customers(token)).status).toBe(200);
  });

  test.each([
    ['made up', () => newApiKey().key],
    ['mistyped', () => `${newApiKey().key.slice(0, -1)}!`],
    ['cut', () => 'ck_short'],
  ])('that is %s is none', async (_, made) => {
    const answer = await customers(made());
    expect([answer.status, answer.body.code]).toEqual([401, expect.stringMatching(/^token/)]);
  });
});

describe('PUT and DELETE /api-keys/:id', () => {
  test('hold from the next use on', async () => {
    const tenant = await buildTenant(api.deps);
    const { id, token } = await keyOf(tenant);
    const written = await api.send('put', `${path}/${id}`, {
      token: tenant.token,
      json: { ...values, scopes: ['campaign:read'] },
    });
    expect(written.status).toBe(200);
    expect((await customers(token)).status).toBe(403);
    expect((await api.send('get', '/api/v1/campaigns', { token })).status).toBe(200);

    const revoked = await api.send('delete', `${path}/${id}`, tenant);
    const again = await api.send('delete', `${path}/${id}`, tenant);
    expect([revoked.status, again.status]).toEqual([204, 204]);
    expect((await api.send('get', '/api/v1/campaigns', { token })).status).toBe(401);
    const late = await api.send('put', `${path}/${id}`, { token: tenant.token, json: values });
    expect([late.status, late.body.code]).toEqual([409, 'apiKeyRevoked']);
    const active = await api.send('get', `${path}?active=true`, tenant);
    const over = await api.send('get', `${path}?active=false`, tenant);
    expect([active.body.data.length, over.body.data.length]).toEqual([0, 1]);
    const actions = (await auditOf(id)).map(({ action }) => action);
    expect(actions.filter((action) => action !== 'apiKey.refused')).toEqual([
      'apiKey.created',
      'apiKey.changed',
      'apiKey.revoked',
    ]);
  });

  test('count a change of the key as one, and its use as none', async () => {
    const tenant = await buildTenant(api.deps);
    const { id, token } = await keyOf(tenant);
    const before = (await api.send('get', `${path}/${id}`, tenant)).headers.get('ETag') ?? '';
    await customers(token);
    const after = (await api.send('get', `${path}/${id}`, tenant)).headers.get('ETag') ?? '';
    const put = () =>
      api.send('put', `${path}/${id}`, {
        token: tenant.token,
        json: { ...values, name: 'Other' },
        headers: { 'If-Match': before },
      });

    expect(after).not.toBe(before);
    expect((await put()).status).toBe(200);
    expect((await put()).status).toBe(412);
  });

  test.each(['get', 'put', 'delete'])('know no key of another tenant: %s', async (method) => {
    const mine = await buildTenant(api.deps);
    const { id } = await keyOf(await buildTenant(api.deps));
    const before = await api.db('api_keys').where({ id }).first();
    const answer = await api.send(method, `${path}/${id}`, {
      token: mine.token,
      ...(method === 'put' ? { json: values } : {}),
    });
    expect(answer.status).toBe(404);
    expect(await api.db('api_keys').where({ id }).first()).toEqual(before);
  });
});

describe('whoever lost the permission while the request came in', () => {
  test.each([
    ['is an owner no more', (tenant: TestTenant) => roleOf(tenant)],
    ['was signed out', (tenant: TestTenant) => signedOut(tenant)],
  ])('neither creates nor changes a key: %s', async (_, lose) => {
    const tenant = await buildTenant(api.deps);
    const { id } = await keyOf(tenant);
    const replace = () =>
      api.send('put', `${path}/${id}`, { token: tenant.token, json: { ...values, name: 'Mine' } });
    for (const ask of [() => create(tenant), replace]) {
      const { loses, regains } = lose(tenant);
      const answer = await api.db.transaction(async (trx) => {
        await trx('memberships').where({ tenant_id: tenant.tenantId }).forUpdate();
        const asked = { answer: ask() };
        await untilWaiting(api);
        await loses(trx);
        return asked;
      });
      const { status, body } = await answer.answer;
      expect([status, body.code]).toEqual([403, 'forbidden']);
      await regains(api.db);
    }

    const keys = await api.db('api_keys').where({ tenant_id: tenant.tenantId });
    expect(keys.map(({ name }) => name)).toEqual(['Shop']);
  });
});

function roleOf({ tenantId, userId }: TestTenant) {
  const write = (db: Knex, role: string) =>
    db('memberships').where({ tenant_id: tenantId, user_id: userId }).update({ role });
  return {
    loses: (db: Knex) => write(db, 'viewer'),
    regains: (db: Knex) => write(db, 'owner'),
  };
}

function signedOut({ userId }: TestTenant) {
  const write = (db: Knex, at: Date | null) =>
    db('sessions').where({ user_id: userId }).update({ revoked_at: at });
  return {
    loses: (db: Knex) => write(db, new Date()),
    regains: (db: Knex) => write(db, null),
  };
}
