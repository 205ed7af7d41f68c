import { newId } from '../../../lib/ids';
import { startTestApi, type TestApi } from '../../support/api';
import { auditedActions, logIn, registerPerson } from './people';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

function getMe(token: string) {
  return api.send('get', '/api/v1/users/me', { token });
}

function refresh(refreshToken: string, key?: string) {
  return api.send('post', '/api/v1/auth/refresh', {
    json: { refreshToken },
    ...(key === undefined ? {} : { headers: { 'Idempotency-Key': key } }),
  });
}

describe('POST /auth/refresh', () => {
  test('answers a fresh access token and the next refresh token, and the session lasts anew', async () => {
    const person = await registerPerson(api);
    await api
      .db('sessions')
      .where({ user_id: person.userId })
      .update({ expires_at: api.db.raw(`now() + interval '1 hour'`) });
    const answer = await refresh(person.refreshToken);

    expect(answer.status).toBe(200);
    const { accessToken, refreshToken, user } = answer.body.data;
    expect(user.id).toBe(person.userId);
    expect(refreshToken).not.toBe(person.refreshToken);
    expect((await getMe(accessToken)).status).toBe(200);
    const [session] = await api.db('sessions').where({ user_id: person.userId });
    expect(session.expires_at.getTime()).toBeGreaterThan(Date.now() + 6.9 * 86_400_000);
  });

  test('stores no token, only its hash', async () => {
    const person = await registerPerson(api);
    const rows = await api.db.raw('select encode(hash, $$escape$$) as text from refresh_tokens');
    expect(JSON.stringify(rows.rows)).not.toContain(person.refreshToken);
  });

  test('a token that is shown again ends the session, with every token of it', async () => {
    const person = await registerPerson(api);
    const next = (await refresh(person.refreshToken)).body.data;
    const again = await refresh(person.refreshToken);

    expect(again.status).toBe(401);
    expect(again.body.code).toBe('refreshTokenReused');
    expect((await getMe(next.accessToken)).status).toBe(401);
    expect((await getMe(person.accessToken)).status).toBe(401);
    const successor = await refresh(next.refreshToken);
    expect([successor.status, successor.body.code]).toEqual([401, 'refreshTokenInvalid']);
    expect(await auditedActions(api, person.tenantId)).toContain('session.refreshReused');
  });

  test('of many at once one is taken, and the others end the session', async () => {
    const person = await registerPerson(api);
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => refresh(person.refreshToken)),
    );
    const taken = answers.filter(({ status }) => status === 200);
    expect(taken).toHaveLength(1);
    expect((await getMe(taken[0]?.body.data.accessToken)).status).toBe(401);
  });

  test('a lost answer is asked for again by its Idempotency-Key, until its token is used', async () => {
    const person = await registerPerson(api);
    const [first, repeated] = [
      await refresh(person.refreshToken, 'once'),
      await refresh(person.refreshToken, 'once'),
    ];
    expect(repeated.status).toBe(200);
    expect(repeated.body.data.refreshToken).toBe(first.body.data.refreshToken);

    const next = await refresh(first.body.data.refreshToken, 'twice');
    expect(next.status).toBe(200);
    const late = await refresh(person.refreshToken, 'once');
    expect(late.body.code).toBe('refreshTokenReused');
    expect((await getMe(next.body.data.accessToken)).status).toBe(401);
  });

  test('another Idempotency-Key is no repeat, nor is the same one after a minute', async () => {
    const first = await registerPerson(api);
    await refresh(first.refreshToken, 'mine');
    expect((await refresh(first.refreshToken, 'guessed')).body.code).toBe('refreshTokenReused');

    const second = await registerPerson(api);
    await refresh(second.refreshToken, 'mine');
    await api
      .db('refresh_tokens')
      .whereNotNull('used_at')
      .update({ used_at: api.db.raw(`now() - interval '61 seconds'`) });
    expect((await refresh(second.refreshToken, 'mine')).body.code).toBe('refreshTokenReused');
  });

  test.each([
    ['made up', () => 'A'.repeat(43)],
    ['empty', () => ''],
  ])('refuses a token that is %s', async (_, token) => {
    expect([401, 422]).toContain((await refresh(token())).status);
  });

  test('refuses a token of a session that is over, and of somebody suspended', async () => {
    const person = await registerPerson(api);
    await api.db('users').where({ id: person.userId }).update({ suspended_at: api.db.fn.now() });
    expect((await refresh(person.refreshToken)).status).toBe(403);

    const other = await registerPerson(api);
    await api
      .db('sessions')
      .where({ user_id: other.userId })
      .update({ expires_at: api.db.fn.now() });
    expect((await refresh(other.refreshToken)).body.code).toBe('refreshTokenInvalid');
  });
});

describe('logging out', () => {
  test('ends the access token and the refresh token at once', async () => {
    const person = await registerPerson(api);
    const answer = await api.send('post', '/api/v1/auth/logout', { token: person.accessToken });

    expect(answer.status).toBe(204);
    expect((await getMe(person.accessToken)).status).toBe(401);
    expect((await refresh(person.refreshToken)).status).toBe(401);
    expect(
      (await api.send('post', '/api/v1/auth/logout', { token: person.accessToken })).status,
    ).toBe(401);
    expect(await auditedActions(api, person.tenantId)).toContain('user.loggedOut');
  });

  test('everywhere ends every session of the person, and of nobody else', async () => {
    const [person, other] = [await registerPerson(api), await registerPerson(api)];
    const second = (await logIn(api, person)).body.data;
    const answer = await api.send('post', '/api/v1/auth/logout-all', { token: second.accessToken });

    expect(answer.status).toBe(204);
    for (const token of [person.accessToken, second.accessToken]) {
      expect((await getMe(token)).status).toBe(401);
    }
    expect((await getMe(other.accessToken)).status).toBe(200);
  });
});

describe('the list of sessions', () => {
  test('shows where one is signed in, and which one asks', async () => {
    const person = await registerPerson(api);
    const login = await api.send('post', '/api/v1/auth/login', {
      json: { email: person.email, password: 'correct horse battery staple' },
      headers: { 'User-Agent': 'bell-browser/2' },
    });
    const answer = await api.send('get', '/api/v1/auth/sessions?sort=createdAt', {
      token: login.body.data.accessToken,
    });

    expect(answer.status).toBe(200);
    expect(answer.body.meta.total).toBe(2);
    expect(answer.body.data).toMatchObject([
      { isCurrent: false, kind: 'api', isImpersonated: false },
      { isCurrent: true, userAgent: 'bell-browser/2', ip: '127.0.0.1' },
    ]);
  });

  test('lets one be ended, but none of somebody else', async () => {
    const [person, other] = [await registerPerson(api), await registerPerson(api)];
    const [session] = await api.db('sessions').where({ user_id: other.userId });
    const foreign = await api.send('delete', `/api/v1/auth/sessions/${session.id}`, {
      token: person.accessToken,
    });
    expect(foreign.status).toBe(404);
    expect((await getMe(other.accessToken)).status).toBe(200);

    const second = (await logIn(api, other)).body.data;
    const ended = await api.send('delete', `/api/v1/auth/sessions/${session.id}`, {
      token: second.accessToken,
    });
    expect(ended.status).toBe(204);
    expect((await getMe(other.accessToken)).status).toBe(401);
    expect((await getMe(second.accessToken)).status).toBe(200);
    const missing = await api.send('delete', `/api/v1/auth/sessions/${newId()}`, {
      token: second.accessToken,
    });
    expect(missing.status).toBe(404);
  });

  test('says when a session was used, to the minute', async () => {
    const person = await registerPerson(api);
    const { db } = api;
    const stored = async () =>
      (await db('sessions').where({ user_id: person.userId }).first('last_used_at')).last_used_at;
    const before: Date = await stored();
    await getMe(person.accessToken);
    expect(await stored()).toEqual(before);

    await db('sessions')
      .where({ user_id: person.userId })
      .update({ last_used_at: db.raw(`now() - interval '2 minutes'`) });
    await getMe(person.accessToken);
    expect((await stored()).getTime()).toBeGreaterThanOrEqual(before.getTime());
  });
});
