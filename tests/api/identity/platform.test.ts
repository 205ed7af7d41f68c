import { newId } from '../../../lib/ids';
import { acrossTenants, withTenant } from '../../../models/base';
import { createRun, setGate } from '../../../models/campaigns/runs';
import { platformTenantId } from '../../../models/identity/platformTenant';
import { revokeSessions } from '../../../models/identity/sessions';
import { lockTenant } from '../../../models/identity/tenants';
import { findUserToken, issueUserToken } from '../../../models/identity/userTokens';
import { startTestApi, type TestApi } from '../../support/api';
import { buildTenant } from '../../support/factories';
import { buildLedger } from '../../support/ledger';
import { askForMessages } from '../../support/transactional';
import { signInAs, tokenFor, type SignedIn } from '../../support/tokens';

let api: TestApi;
let admin: SignedIn;

beforeAll(async () => {
  api = await startTestApi();
  admin = await buildAdmin();
});

afterAll(async () => {
  await api.stop();
});

async function buildAdmin(): Promise<SignedIn> {
  const { tenantId } = await buildTenant(api.deps);
  const person = await signInAs(api.deps, { tenantId, role: 'viewer' });
  await api.db('users').where({ id: person.userId }).update({ is_platform_admin: true });
  return person;
}

function call(method: string, path: string, token: string, json?: unknown) {
  return api.send(method, `/api/v1${path}`, { token, json });
}

function suspend(tenantId: string, reason = 'unpaid') {
  return call('post', `/admin/tenants/${tenantId}/suspend`, admin.token, { reason });
}

function runOf(runId: string) {
  return api
    .db('campaign_runs')
    .where({ id: runId })
    .first('gate', 'gate_reason as reason', 'state');
}

describe('what is of the platform', () => {
  test('is closed to everybody else, owners included', async () => {
    const tenant = await buildTenant(api.deps);
    const before = await api.db('tenants').where({ id: tenant.tenantId }).first();
    for (const [method, path, json] of [
      ['get', '/admin/tenants'],
      ['get', `/admin/tenants/${tenant.tenantId}`],
      ['post', `/admin/tenants/${tenant.tenantId}/suspend`, { reason: 'x' }],
      ['post', `/admin/tenants/${tenant.tenantId}/resume`],
      ['get', '/admin/users'],
      ['get', `/admin/users/${tenant.userId}`],
      ['post', `/admin/users/${tenant.userId}/suspend`, { reason: 'x' }],
      ['post', `/admin/users/${tenant.userId}/resume`],
      [
        'post',
        `/admin/users/${tenant.userId}/impersonate`,
        { tenantId: tenant.tenantId, reason: 'x' },
      ],
      ['get', '/admin/stats'],
    ] as const) {
      const answer = await call(method, path, tenant.token, json);
      expect([path, answer.status]).toEqual([path, 403]);
    }
    expect(await api.db('tenants').where({ id: tenant.tenantId }).first()).toEqual(before);
  });

  test('is closed to whoever was an admin', async () => {
    const other = await buildAdmin();
    expect((await call('get', '/admin/stats', other.token)).status).toBe(200);
    await api.db('users').where({ id: other.userId }).update({ is_platform_admin: false });
    expect((await call('get', '/admin/stats', other.token)).status).toBe(403);
  });

  test('is listed, found by name and counted', async () => {
    const name = `Bells of ${Date.now()}`;
    const tenant = await buildTenant(api.deps, { companyName: name });
    const listed = await call(
      'get',
      `/admin/tenants?search=${encodeURIComponent(name)}`,
      admin.token,
    );
    expect(listed.body.data).toMatchObject([
      { id: tenant.tenantId, name, members: 4, openRuns: 0, isSuspended: false },
    ]);
    const read = await call('get', `/admin/tenants/${tenant.tenantId}`, admin.token);
    expect(read.body.data).toEqual(listed.body.data[0]);
    const users = await call('get', `/admin/users?search=${tenant.email}`, admin.token);
    expect(users.body.data).toMatchObject([{ id: tenant.userId, isSuspended: false }]);
    const user = await call('get', `/admin/users/${tenant.userId}`, admin.token);
    expect(user.body.data.tenants).toEqual([{ id: tenant.tenantId, name, role: 'owner' }]);
    expect(user.text).not.toMatch(/password|secret|hash/i);
    const stats = await call('get', '/admin/stats', admin.token);
    expect(stats.body.data.tenants).toBeGreaterThan(1);
  });

  test('shows nothing of the tenant that mails about accounts are sent for, nor suspends it', async () => {
    const path = `/admin/tenants/${platformTenantId}`;
    expect((await call('get', path, admin.token)).status).toBe(404);
    const suspended = await call('post', `${path}/suspend`, admin.token, { reason: 'x' });
    expect(suspended.status).toBe(404);
    const listed = await call('get', '/admin/tenants?perPage=200', admin.token);
    expect(JSON.stringify(listed.body.data)).not.toContain(platformTenantId);
    const [tenant] = await api.db('tenants').where({ id: platformTenantId });
    expect(tenant.suspended_at).toBeNull();
  });
});

describe('a suspended tenant', () => {
  test('sends nothing, and goes on with what its suspension paused', async () => {
    const open = await buildLedger(api.db, { customers: 1 });
    const answer = await suspend(open.tenantId);
    expect(answer.body.data).toMatchObject({
      isSuspended: true,
      suspendedReason: 'unpaid',
      openRuns: 1,
    });
    expect(await runOf(open.run.id)).toMatchObject({ gate: 'paused', reason: 'tenantSuspended' });

    const again = await suspend(open.tenantId, 'another reason');
    expect(again.body.data.suspendedReason).toBe('unpaid');
    const resumed = await call('post', `/admin/tenants/${open.tenantId}/resume`, admin.token);
    expect(resumed.body.data).toMatchObject({ isSuspended: false, suspendedReason: null });
    expect(await runOf(open.run.id)).toMatchObject({ gate: 'open', reason: null });
    const log = await api.db('campaign_log').where({ run_id: open.run.id }).orderBy('created_at');
    expect(log.slice(-2).map(({ kind, detail }) => [kind, detail])).toEqual([
      ['paused', { reason: 'tenantSuspended' }],
      ['resumed', {}],
    ]);
    const entries = await api.db('audit_log').where({ tenant_id: open.tenantId }).orderBy('at');
    expect(entries.map(({ action, actor_id }) => [action, actor_id])).toEqual([
      ['tenant.suspended', admin.userId],
      ['tenant.resumed', admin.userId],
    ]);
  });

  test('makes no call that was claimed before', async () => {
    const ledger = await buildLedger(api.db, { customers: 1 });
    const dispatch = await ledger.claimed();
    const loaded = await ledger.load(dispatch);
    await suspend(ledger.tenantId);
    expect(await ledger.gate(dispatch, { loaded })).toEqual({ kind: 'shut' });
  });

  test('keeps single messages back, also those that are asked for on another day', async () => {
    const { tenantId } = await askForMessages(api.db, 1);
    const gates = () =>
      api.db('campaign_runs').where({ tenant_id: tenantId }).orderBy('id').pluck('gate');
    await suspend(tenantId);
    expect(await gates()).toEqual(['paused']);

    // The first one of yesterday, so that today has none yet.
    await api.db.raw(`update campaign_runs set day = day - 1 where tenant_id = ?`, [tenantId]);
    await askForMessages(api.db, 1, { tenantId });
    expect(await gates()).toEqual(['paused', 'paused']);
    await call('post', `/admin/tenants/${tenantId}/resume`, admin.token);
    expect(await gates()).toEqual(['open', 'open']);
  });

  test('keeps paused what its people had paused, and nobody opens it meanwhile', async () => {
    const paused = await buildLedger(api.db, { customers: 1 });
    await api
      .db('campaign_runs')
      .where({ id: paused.run.id })
      .update({ gate: 'paused', gate_reason: 'prices are wrong' });
    await suspend(paused.tenantId);
    const turned = await withTenant(api.deps.db, paused.tenantId, (trx) =>
      setGate(trx, {
        tenantId: paused.tenantId,
        runId: paused.run.id,
        gate: 'open',
        reason: null,
        actor: { kind: 'operator', id: null },
      }),
    );
    expect(turned.changed).toBe(false);
    await call('post', `/admin/tenants/${paused.tenantId}/resume`, admin.token);
    expect(await runOf(paused.run.id)).toMatchObject({
      gate: 'paused',
      reason: 'prices are wrong',
    });
  });

  test('schedules nothing in a request that came in before', async () => {
    const tenant = await buildTenant(api.deps);
    await suspend(tenant.tenantId);
    const created = withTenant(api.deps.db, tenant.tenantId, (trx) =>
      createRun(trx, {
        id: newId(),
        tenantId: tenant.tenantId,
        campaignId: newId(),
        channel: 'email',
        contentVersion: 1,
        audience: { includeTags: [], excludeTags: [], customerIds: [] },
        schedule: { kind: 'now' },
        actor: { kind: 'user', id: tenant.userId },
      }),
    );
    await expect(created).rejects.toMatchObject({ code: 'tenantSuspended' });
  });

  test('is closed to its people, who go on elsewhere', async () => {
    const tenant = await buildTenant(api.deps);
    await suspend(tenant.tenantId);
    const closed = await call('get', '/customers', tenant.token);
    expect([closed.status, closed.body.code]).toEqual([403, 'tenantSuspended']);
    expect((await call('get', '/users/me', tenant.token)).status).toBe(200);
  });
});

test('rows that name a tenant are written while the tenant is kept from changes', async () => {
  const { tenantId } = await buildTenant(api.deps);
  await acrossTenants(api.db, 'identity', async (trx) => {
    await lockTenant(trx, tenantId);
    await api.db.transaction(async (other) => {
      await other.raw(`set local lock_timeout = '5s'`);
      // What a foreign key asks for.
      const seen = await other.raw('select from tenants where id = ? for key share', [tenantId]);
      expect(seen.rowCount).toBe(1);
    });
  });
});

describe('a suspended person', () => {
  test('is signed out everywhere, until resumed', async () => {
    const tenant = await buildTenant(api.deps);
    const path = `/admin/users/${tenant.userId}`;
    const answer = await call('post', `${path}/suspend`, admin.token, { reason: 'abuse' });
    expect(answer.body.data).toMatchObject({ isSuspended: true, suspendedReason: 'abuse' });
    expect((await call('get', '/users/me', tenant.token)).status).toBe(401);
    const [session] = await api.db('sessions').where({ user_id: tenant.userId });
    expect(session.revoked_reason).toBe('suspended');

    const resumed = await call('post', `${path}/resume`, admin.token);
    expect(resumed.body.data).toMatchObject({ isSuspended: false, suspendedReason: null });
    expect((await call('get', '/users/me', tenant.token)).status).toBe(401);
  });

  test('has no open link or login any more, also once resumed', async () => {
    const tenant = await buildTenant(api.deps);
    const { userId } = await signInAs(api.deps, { tenantId: tenant.tenantId, role: 'member' });
    const purposes = ['resetPassword', 'mfaLogin'] as const;
    const tokens = await acrossTenants(api.deps.db, 'identity', async (trx) => [
      await issueUserToken(trx, { userId, purpose: purposes[0] }),
      await issueUserToken(trx, { userId, purpose: purposes[1] }),
    ]);
    const path = `/admin/users/${userId}`;
    expect((await call('post', `${path}/suspend`, admin.token, { reason: 'x' })).status).toBe(200);
    await call('post', `${path}/resume`, admin.token);
    const found = await acrossTenants(api.deps.db, 'identity', async (trx) => [
      await findUserToken(trx, tokens[0] ?? '', purposes[0]),
      await findUserToken(trx, tokens[1] ?? '', purposes[1]),
    ]);
    expect(tokens).toEqual([expect.any(String), expect.any(String)]);
    expect(found).toEqual([null, null]);
  });

  test('is not oneself', async () => {
    const answer = await call('post', `/admin/users/${admin.userId}/suspend`, admin.token, {
      reason: 'x',
    });
    expect([answer.status, answer.body.code]).toEqual([409, 'ownAccount']);
  });
});

describe('acting as somebody else', () => {
  function impersonate(userId: string, tenantId: string, token = admin.token) {
    return call('post', `/admin/users/${userId}/impersonate`, token, {
      tenantId,
      reason: 'ticket 17',
    });
  }

  test('does what they may, and every entry of the audit log names the admin', async () => {
    const tenant = await buildTenant(api.deps);
    const begun = await impersonate(tenant.userId, tenant.tenantId);
    expect(begun.status).toBe(201);
    expect(begun.body.data).toMatchObject({ expiresIn: 3600, role: 'owner' });
    const { accessToken, sessionId } = begun.body.data;
    const done = await call('post', '/suppressions', accessToken, { address: 'kim@example.com' });
    expect(done.status).toBe(201);

    const entries = await api.db('audit_log').where({ tenant_id: tenant.tenantId }).orderBy('at');
    expect(
      entries.map(({ action, actor_id, impersonator_id }) => [action, actor_id, impersonator_id]),
    ).toEqual([
      ['user.impersonated', admin.userId, null],
      ['suppression.added', tenant.userId, admin.userId],
    ]);
    expect(entries[0].after).toEqual({ reason: 'ticket 17', sessionId });
    const session = await api.db('sessions').where({ id: sessionId }).first();
    expect(session.expires_at.getTime()).toBeLessThanOrEqual(Date.now() + 3_600_000);
    expect(await api.db('refresh_tokens').where({ session_id: sessionId })).toEqual([]);
  });

  test('changes neither the person, nor the tenant, nor its members and keys', async () => {
    const tenant = await buildTenant(api.deps);
    const { accessToken } = (await impersonate(tenant.userId, tenant.tenantId)).body.data;
    for (const [method, path, json] of [
      ['put', '/users/me', {}],
      ['put', '/users/me/password', {}],
      ['post', '/tenants', {}],
      ['post', '/auth/switch-tenant', { tenantId: tenant.tenantId }],
      ['put', `/tenants/${tenant.tenantId}`, {}],
      ['put', `/tenants/${tenant.tenantId}/users/${tenant.userId}`, { role: 'viewer' }],
      ['post', '/api-keys', {}],
      ['get', '/admin/stats', undefined],
    ] as const) {
      const answer = await call(method, path, accessToken, json);
      expect([path, answer.status]).toEqual([path, 403]);
    }
  });

  test('needs a fresh proof of who asks, and a tenant of the person', async () => {
    const tenant = await buildTenant(api.deps);
    const other = await buildTenant(api.deps);
    const elsewhere = await impersonate(tenant.userId, other.tenantId);
    expect([elsewhere.status, elsewhere.body.code]).toEqual([404, 'tenantNotFound']);

    const stale = await buildAdmin();
    await api
      .db('sessions')
      .where({ id: stale.sessionId })
      .update({ mfa_at: new Date(Date.now() - 3_600_000) });
    const unproven = await impersonate(tenant.userId, tenant.tenantId, stale.token);
    expect([unproven.status, unproven.body.code]).toEqual([403, 'stepUpRequired']);
    expect(await api.db('sessions').where({ user_id: tenant.userId })).toHaveLength(1);
  });

  test('ends by logging out, and ends no session of the person', async () => {
    const tenant = await buildTenant(api.deps);
    const { accessToken } = (await impersonate(tenant.userId, tenant.tenantId)).body.data;
    expect((await call('post', '/auth/logout', accessToken)).status).toBe(204);
    expect((await call('get', '/customers', accessToken)).status).toBe(401);
    expect((await call('get', '/customers', tenant.token)).status).toBe(200);
  });

  test('is over when the admin is none any more', async () => {
    const tenant = await buildTenant(api.deps);
    const other = await buildAdmin();
    const { accessToken } = (await impersonate(tenant.userId, tenant.tenantId, other.token)).body
      .data;
    expect((await call('get', '/customers', accessToken)).status).toBe(200);
    await api.db('users').where({ id: other.userId }).update({ is_platform_admin: false });
    expect((await call('get', '/customers', accessToken)).status).toBe(401);
  });

  test('is over when the admin ends all of their sessions, or a token of theirs is shown again', async () => {
    const tenant = await buildTenant(api.deps);
    for (const reason of ['logout', 'refreshReused'] as const) {
      const other = await buildAdmin();
      const { accessToken } = (await impersonate(tenant.userId, tenant.tenantId, other.token)).body
        .data;
      expect((await call('get', '/customers', accessToken)).status).toBe(200);
      const userId = other.userId;
      const whose = reason === 'logout' ? { userId } : { userId, only: other.sessionId };
      await acrossTenants(api.db, 'identity', (trx) => revokeSessions(trx, whose, reason));
      expect((await call('get', '/customers', accessToken)).status).toBe(401);
    }
    expect((await call('get', '/customers', tenant.token)).status).toBe(200);
  });

  test('is not done with another admin, or in a suspended tenant', async () => {
    const tenant = await buildTenant(api.deps);
    const other = await buildAdmin();
    const [membership] = await api.db('memberships').where({ user_id: other.userId });
    const asAdmin = await impersonate(other.userId, membership.tenant_id);
    expect([asAdmin.status, asAdmin.body.code]).toEqual([409, 'notImpersonable']);
    await suspend(tenant.tenantId);
    const closed = await impersonate(tenant.userId, tenant.tenantId);
    expect([closed.status, closed.body.code]).toEqual([409, 'notImpersonable']);
  });
});

test('nobody gives themselves the platform: made-up claims and bodies change nothing', async () => {
  const tenant = await buildTenant(api.deps);
  const viewer = await tokenFor(api.deps, tenant.tenantId, 'viewer');
  const [head = '', , signature = ''] = viewer.split('.');
  const claims = { ...JSON.parse(Buffer.from(viewer.split('.')[1] ?? '', 'base64url').toString()) };
  const forged = Buffer.from(
    JSON.stringify({ ...claims, role: 'owner', isPlatformAdmin: true, sub: admin.userId }),
  ).toString('base64url');
  const answer = await call('get', '/admin/stats', `${head}.${forged}.${signature}`);
  expect(answer.status).toBe(401);
  // A claim that is signed, but that nobody looks at.
  const put = await call('put', '/users/me', viewer, { isPlatformAdmin: true });
  expect(put.status).toBe(422);
});
