import { hashPassword } from '../../../lib/passwords';
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

const me = '/api/v1/users/me';
const profile = {
  firstName: 'Ana',
  lastName: 'Bell',
  companyName: 'Bell & Co',
  language: 'es',
  timeZone: 'Europe/Madrid',
};

function userRow(userId: string) {
  return api.db('users').where({ id: userId }).first();
}

describe('PUT /users/me', () => {
  test('writes the whole profile, unless it changed since it was read', async () => {
    const { token, userId } = await buildTenant(api.deps);
    const read = await api.send('get', me, { token });
    const headers = { 'If-Match': read.headers.get('ETag') ?? '' };
    const written = await api.send('put', me, { token, headers, json: profile });
    const late = await api.send('put', me, { token, headers, json: { firstName: 'Eve' } });
    const cleared = await api.send('put', me, { token, json: { firstName: 'Ana' } });

    expect(written.status).toBe(200);
    expect(written.body.data.user).toMatchObject(profile);
    expect(late.status).toBe(412);
    expect(cleared.body.data.user).toMatchObject({ firstName: 'Ana', timeZone: null });
    const entries = await api.db('audit_log').where({ target_id: userId }).orderBy('at');
    expect(entries.map(({ after }) => after)).toEqual([
      { changed: ['firstName', 'lastName', 'language', 'timeZone', 'companyName'] },
      { changed: ['lastName', 'language', 'timeZone', 'companyName'] },
    ]);
    expect(JSON.stringify(entries)).not.toContain('Madrid');
  });

  test.each([
    ['role', 'owner'],
    ['isPlatformAdmin', true],
    ['email', 'other@example.com'],
    ['emailVerifiedAt', '2026-01-01T00:00:00Z'],
    ['tenantId', '00000000-0000-7000-8000-000000000000'],
    ['passwordHash', 'x'],
    ['id', '00000000-0000-7000-8000-000000000000'],
  ])('assigns no %s', async (field, value) => {
    const tenant = await buildTenant(api.deps);
    const viewer = await signInAs(api.deps, { ...tenant, role: 'viewer' });
    const before = await userRow(viewer.userId);
    const answer = await api.send('put', me, {
      token: viewer.token,
      json: { ...profile, [field]: value },
    });

    expect(answer.status).toBe(422);
    expect(answer.body.errors).toMatchObject([{ path: field, code: 'unknownField' }]);
    expect(await userRow(viewer.userId)).toEqual(before);
    const roles = await api.db('memberships').where({ user_id: viewer.userId }).select('role');
    expect(roles).toEqual([{ role: 'viewer' }]);
  });
});

describe('PUT /users/me/password', () => {
  const path = `${me}/password`;
  const old = 'the first long password';
  const next = 'the second long password';

  async function personWithPassword() {
    const tenant = await buildTenant(api.deps);
    const person = await signInAs(api.deps, { ...tenant, role: 'member' });
    await api
      .db('users')
      .where({ id: person.userId })
      .update({ password_hash: await hashPassword(old) });
    return { ...person, tenantId: tenant.tenantId };
  }

  test('ends all other sessions and leaves this one', async () => {
    const person = await personWithPassword();
    const { email } = await userRow(person.userId);
    const login = (password: string) =>
      api.send('post', '/api/v1/auth/login', { json: { email, password } });
    const elsewhere = await login(old);
    const answer = await api.send('put', path, {
      token: person.token,
      json: { current: old, new: next },
    });

    expect(answer.status).toBe(204);
    expect((await api.send('get', me, person)).status).toBe(200);
    const other = await api.send('get', me, { token: elsewhere.body.data.accessToken });
    expect(other.status).toBe(401);
    const ended = await api
      .db('sessions')
      .where({ user_id: person.userId })
      .whereNotNull('revoked_at');
    expect(ended.map(({ revoked_reason }) => revoked_reason)).toEqual(['passwordChanged']);
    expect((await login(old)).status).toBe(401);
    expect((await login(next)).status).toBe(200);
  });

  test('needs the present one, and one of two changes at once counts', async () => {
    const person = await personWithPassword();
    const wrong = await api.send('put', path, {
      token: person.token,
      json: { current: 'something else', new: next },
    });
    expect([wrong.status, wrong.body.code]).toEqual([403, 'wrongPassword']);

    const answers = await Promise.all(
      ['one', 'two'].map((word) =>
        api.send('put', path, {
          token: person.token,
          json: { current: old, new: `the long password number ${word}` },
        }),
      ),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([204, 403]);
  });

  test('is all that a one-time password opens, besides what one is', async () => {
    const person = await personWithPassword();
    await api
      .db('users')
      .where({ id: person.userId })
      .update({ password_expires_at: new Date(Date.now() + 60_000), is_platform_admin: true });
    const closed = await api.send('get', '/api/v1/customers', person);
    expect([closed.status, closed.body.code]).toEqual([403, 'passwordExpired']);

    const json = { current: old, new: next };
    expect((await api.send('put', path, { token: person.token, json })).status).toBe(204);
    expect((await api.send('get', '/api/v1/customers', person)).status).toBe(200);
    expect((await userRow(person.userId)).password_expires_at).toBeNull();
  });
});
