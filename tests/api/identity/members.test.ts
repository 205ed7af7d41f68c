import { roles } from '../../../domain/identity/permissions';
import { newId } from '../../../lib/ids';
import { startTestApi, type TestApi } from '../../support/api';
import { buildTenant } from '../../support/factories';
import { signInAs } from '../../support/tokens';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

function usersOf(tenantId: string, userId = ''): string {
  return `/api/v1/tenants/${tenantId}/users${userId === '' ? '' : `/${userId}`}`;
}

function roleOf(tenantId: string, userId: string) {
  return api.db('memberships').where({ tenant_id: tenantId, user_id: userId }).first('role');
}

function putRole(tenantId: string, userId: string, token: string, json: unknown) {
  return api.send('put', usersOf(tenantId, userId), { token, json });
}

function owner(tenantId: string) {
  return signInAs(api.deps, { tenantId, role: 'owner' });
}

describe('GET /tenants/:id/users', () => {
  test('lists who works there, and nothing of what they do elsewhere', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await api.send('get', `${usersOf(tenant.tenantId)}?sort=-memberSince`, {
      token: tenant.tokenOf('agency'),
    });

    expect(answer.status).toBe(200);
    expect(answer.body.meta.total).toBe(4);
    const found = answer.body.data.find((one: { role: string }) => one.role === 'owner');
    expect(found).toEqual({
      userId: tenant.userId,
      email: tenant.email,
      firstName: 'Olga',
      lastName: 'Owner',
      role: 'owner',
      memberSince: expect.any(String),
      lastLoginAt: expect.any(String),
      isMfaEnabled: false,
      isEmailVerified: expect.any(Boolean),
      isSuspended: false,
    });
    const owners = await api.send('get', `${usersOf(tenant.tenantId)}?role=owner`, tenant);
    expect(owners.body.data).toHaveLength(1);
  });

  test('goes on by its cursor', async () => {
    const tenant = await buildTenant(api.deps);
    const path = `${usersOf(tenant.tenantId)}?perPage=3&sort=email`;
    const first = await api.send('get', path, tenant);
    const second = await api.send('get', `${path}&cursor=${first.body.meta.nextCursor}`, tenant);

    const emails = [...first.body.data, ...second.body.data].map(({ email }) => email);
    expect(new Set(emails).size).toBe(4);
    expect(second.body.meta.nextCursor).toBeNull();
  });

  test('is closed to members, viewers and other tenants', async () => {
    const tenant = await buildTenant(api.deps);
    const other = await buildTenant(api.deps);
    const statuses = await Promise.all(
      [tenant.tokenOf('member'), tenant.tokenOf('viewer'), other.token].map(
        async (token) => (await api.send('get', usersOf(tenant.tenantId), { token })).status,
      ),
    );
    expect(statuses).toEqual([403, 403, 404]);
  });
});

describe('PUT /tenants/:id/users/:userId', () => {
  test('gives another role, which holds from the next request on', async () => {
    const tenant = await buildTenant(api.deps);
    const viewer = await signInAs(api.deps, { ...tenant, role: 'viewer' });
    const answer = await putRole(tenant.tenantId, viewer.userId, tenant.token, { role: 'agency' });

    expect(answer.status).toBe(200);
    expect(answer.body.data).toMatchObject({ userId: viewer.userId, role: 'agency' });
    const members = await api.send('get', usersOf(tenant.tenantId), viewer);
    expect(members.status).toBe(200);
    const [entry] = await api.db('audit_log').where({ target_id: viewer.userId });
    expect(entry).toMatchObject({
      action: 'member.roleChanged',
      actor_id: tenant.userId,
      before: { role: 'viewer' },
      after: { role: 'agency' },
    });
  });

  test.each(roles.filter((role) => role !== 'owner'))(
    'lets a %s raise neither themselves nor others',
    async (role) => {
      const tenant = await buildTenant(api.deps);
      const climber = await signInAs(api.deps, { ...tenant, role });
      const friend = await signInAs(api.deps, { ...tenant, role: 'viewer' });
      for (const userId of [climber.userId, friend.userId]) {
        const answer = await putRole(tenant.tenantId, userId, climber.token, { role: 'owner' });
        expect(answer.status).toBe(403);
      }
      expect(await roleOf(tenant.tenantId, climber.userId)).toEqual({ role });
      expect(await roleOf(tenant.tenantId, friend.userId)).toEqual({ role: 'viewer' });
    },
  );

  test('takes a role of the table and nothing beside it', async () => {
    const tenant = await buildTenant(api.deps);
    const viewer = await signInAs(api.deps, { ...tenant, role: 'viewer' });
    for (const json of [
      { role: 'platformAdmin' },
      { role: 'member', isPlatformAdmin: true },
      { role: 'member', tenantId: tenant.tenantId },
      { role: ['owner'] },
      {},
    ]) {
      const answer = await putRole(tenant.tenantId, viewer.userId, tenant.token, json);
      expect(answer.status).toBe(422);
    }
    expect(await roleOf(tenant.tenantId, viewer.userId)).toEqual({ role: 'viewer' });
  });

  test('knows nobody of another tenant, from either side', async () => {
    const mine = await buildTenant(api.deps);
    const theirs = await buildTenant(api.deps);
    const inTheirs = await putRole(theirs.tenantId, theirs.userId, mine.token, { role: 'viewer' });
    const inMine = await putRole(mine.tenantId, theirs.userId, mine.token, { role: 'owner' });
    const nobody = await putRole(mine.tenantId, newId(), mine.token, { role: 'owner' });

    expect([inTheirs.status, inMine.status, nobody.status]).toEqual([404, 404, 404]);
    expect(await roleOf(theirs.tenantId, theirs.userId)).toEqual({ role: 'owner' });
    expect(await roleOf(mine.tenantId, theirs.userId)).toBeUndefined();
  });

  test('changes nothing when the member was changed since they were read', async () => {
    const tenant = await buildTenant(api.deps);
    const viewer = await signInAs(api.deps, { ...tenant, role: 'viewer' });
    const answer = await api.send('put', usersOf(tenant.tenantId, viewer.userId), {
      token: tenant.token,
      json: { role: 'owner' },
      headers: { 'If-Match': '"older"' },
    });
    expect(answer.status).toBe(412);
    expect(await roleOf(tenant.tenantId, viewer.userId)).toEqual({ role: 'viewer' });
  });
});

describe('the last owner', () => {
  test('is neither demoted nor removed, and does not leave', async () => {
    const tenant = await buildTenant(api.deps);
    const demoted = await putRole(tenant.tenantId, tenant.userId, tenant.token, { role: 'member' });
    const removed = await api.send('delete', usersOf(tenant.tenantId, tenant.userId), tenant);
    const left = await api.send('delete', usersOf(tenant.tenantId, 'me'), tenant);

    for (const answer of [demoted, removed, left]) {
      expect([answer.status, answer.body.code]).toEqual([409, 'lastOwner']);
    }
    expect(await roleOf(tenant.tenantId, tenant.userId)).toEqual({ role: 'owner' });
  });

  test('stays when all owners demote each other at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const tenant = await buildTenant(api.deps);
      const { tenantId } = tenant;
      const owners = [tenant, ...(await Promise.all([owner(tenantId), owner(tenantId)]))];
      await Promise.all(
        owners.flatMap(({ token }) =>
          owners
            .filter((other) => other.token !== token)
            .map((other) => putRole(tenantId, other.userId, token, { role: 'viewer' })),
        ),
      );
      const left = await api.db('memberships').where({ tenant_id: tenantId, role: 'owner' });
      expect(left).toHaveLength(1);
    }
  });

  test('stays when all owners leave at once', async () => {
    const tenant = await buildTenant(api.deps);
    const others = await Promise.all([owner(tenant.tenantId), owner(tenant.tenantId)]);
    const answers = await Promise.all(
      [tenant, ...others].map(({ token }) =>
        api.send('delete', usersOf(tenant.tenantId, 'me'), { token }),
      ),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([204, 204, 409]);
  });
});

describe('DELETE /tenants/:id/users/:userId', () => {
  test('takes the tenant from somebody’s tokens at once, and from nothing else of theirs', async () => {
    const tenant = await buildTenant(api.deps);
    const member = await signInAs(api.deps, { ...tenant, role: 'member' });
    const answer = await api.send('delete', usersOf(tenant.tenantId, member.userId), tenant);

    expect(answer.status).toBe(204);
    const after = await api.send('get', '/api/v1/customers', member);
    expect(after.status).toBe(401);
    const session = await api.db('sessions').where({ id: member.sessionId }).first();
    expect(session).toMatchObject({ tenant_id: null, revoked_at: null });
    const again = await api.send('delete', usersOf(tenant.tenantId, member.userId), tenant);
    expect(again.status).toBe(404);
  });

  test('is for owners; leaving is for everybody', async () => {
    const tenant = await buildTenant(api.deps);
    const viewer = await signInAs(api.deps, { ...tenant, role: 'viewer' });
    const refused = await api.send('delete', usersOf(tenant.tenantId, tenant.userId), viewer);
    const left = await api.send('delete', usersOf(tenant.tenantId, 'me'), viewer);

    expect(refused.status).toBe(403);
    expect(left.status).toBe(204);
    expect(await roleOf(tenant.tenantId, viewer.userId)).toBeUndefined();
    expect(await roleOf(tenant.tenantId, tenant.userId)).toEqual({ role: 'owner' });
  });
});
