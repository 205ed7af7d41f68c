import { startTestApi, type TestApi } from '../../support/api';
import { askWhileChanged, logIn, password, registerPerson } from './people';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

let accounts = 0;

function registration(overrides: Record<string, unknown> = {}) {
  accounts += 1;
  return {
    companyName: 'Bells & Co',
    email: `owner${accounts}@Example.com`,
    password: 'a password of some length',
    firstName: 'Olga',
    timeZone: 'Europe/Berlin',
    language: 'de',
    ...overrides,
  };
}

function register(json: unknown, headers: Record<string, string> = {}) {
  return api.send('post', '/api/v1/auth/register', { json, headers });
}

describe('POST /auth/register', () => {
  test('creates a tenant and its owner, who is logged in at once', async () => {
    const answer = await register(registration());

    expect(answer.status).toBe(201);
    const { accessToken, expiresIn, user, tenant, role } = answer.body.data;
    expect(role).toBe('owner');
    expect(expiresIn).toBe(900);
    expect(user).toMatchObject({ firstName: 'Olga', lastName: null, isEmailVerified: false });
    expect(user.email).toMatch(/^owner\d+@example\.com$/);
    expect(tenant).toMatchObject({ name: 'Bells & Co', timeZone: 'Europe/Berlin' });

    const me = await api.send('get', '/api/v1/users/me', { token: accessToken });
    expect(me.status).toBe(200);
    expect(me.body.data).toMatchObject({ user, tenant, role });
    expect(me.body.data.permissions).toContain('member:write');
  });

  test('stores a password as argon2id and never answers it', async () => {
    const answer = await register(registration());
    const { id } = answer.body.data.user;

    const stored = await api.db('users').where({ id }).first('password_hash');
    expect(stored.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(answer.text).not.toContain('argon2');
  });

  test('refuses an address that has an account, whatever its case', async () => {
    const first = registration();
    await register(first);
    const answer = await register(registration({ email: first.email.toUpperCase() }));

    expect(answer.status).toBe(409);
    expect(answer.body.code).toBe('emailTaken');
    expect(await api.db('users').whereRaw('lower(email) = lower(?)', first.email)).toHaveLength(1);
  });

  test('names every field that is wrong', async () => {
    const answer = await register({
      email: 'nobody',
      password: 'short',
      timeZone: 'CET',
      language: 'not a tag',
      admin: true,
    });

    expect(answer.status).toBe(422);
    expect(answer.headers.get('Content-Type')).toContain('application/problem+json');
    expect(
      answer.body.errors.map((error: { path: string; code: string }) => [error.path, error.code]),
    ).toEqual([
      ['companyName', 'required'],
      ['email', 'wrongEmail'],
      ['password', 'tooSmall'],
      ['timeZone', 'unknownTimeZone'],
      ['language', 'wrongLanguage'],
      ['admin', 'unknownField'],
    ]);
  });

  test('answers the same account when it is repeated with its Idempotency-Key', async () => {
    const json = registration();
    const first = await register(json, { 'Idempotency-Key': 'again' });
    const second = await register(json, { 'Idempotency-Key': 'again' });

    expect(second.status).toBe(201);
    expect(second.headers.get('Idempotency-Replayed')).toBe('true');
    expect(second.body.data.tenant).toEqual(first.body.data.tenant);
    expect(second.body.data.user.id).toBe(first.body.data.user.id);

    const other = await register({ ...json, companyName: 'Other' }, { 'Idempotency-Key': 'again' });
    expect(other.status).toBe(409);
    expect(other.body.code).toBe('idempotencyKeyReused');
  });

  test.each([
    ['has a second factor now', { mfa_enabled_at: new Date() }],
    ['is suspended', { suspended_at: new Date() }],
    ['is older than ten minutes', { created_at: new Date(Date.now() - 11 * 60_000) }],
  ])('is no login to an account that %s', async (_, columns) => {
    const json = registration();
    const headers = { 'Idempotency-Key': 'later' };
    const { user } = (await register(json, headers)).body.data;
    await api.db('users').where({ id: user.id }).update(columns);
    const answer = await register(json, headers);

    expect([answer.status, answer.body.code]).toEqual([409, 'emailTaken']);
    expect(await api.db('sessions').where({ user_id: user.id })).toHaveLength(1);
  });

  test('counts wrong passwords of a repeated registration like those of a login', async () => {
    const json = registration();
    const headers = { 'Idempotency-Key': 'guessed' };
    await register(json, headers);
    const statuses: number[] = [];
    for (let n = 0; n < 11; n += 1) {
      const guess = await register({ ...json, password: `a wrong long guess ${n}` }, headers);
      statuses.push(guess.status);
    }

    expect(statuses).toEqual([...Array<number>(10).fill(409), 429]);
    expect((await register(json, headers)).status).toBe(429);
  });

  test('lets one of many who come at once have the address', async () => {
    const json = registration();
    const answers = await Promise.all(Array.from({ length: 5 }, () => register(json)));

    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      201, 409, 409, 409, 409,
    ]);
  });
});

describe('POST /auth/login', () => {
  test('answers a token for the right password, and remembers the login', async () => {
    const json = registration();
    const { user } = (await register(json)).body.data;
    const answer = await api.send('post', '/api/v1/auth/login', {
      json: { email: json.email.toUpperCase(), password: json.password },
    });

    expect(answer.status).toBe(200);
    expect(answer.body.data.user.id).toBe(user.id);
    const stored = await api.db('users').where({ id: user.id }).first('last_login_at');
    expect(stored.last_login_at).toBeInstanceOf(Date);
  });

  test('answers an unknown address and a wrong password alike', async () => {
    const json = registration();
    await register(json);
    const [unknown, wrong] = await Promise.all(
      ['nobody@example.com', json.email].map((email) =>
        api.send('post', '/api/v1/auth/login', { json: { email, password: 'wrong password' } }),
      ),
    );

    expect(unknown?.status).toBe(401);
    expect(wrong?.status).toBe(401);
    expect({ ...unknown?.body, requestId: '' }).toEqual({ ...wrong?.body, requestId: '' });
  });
});

describe('a login that is on its way', () => {
  test.each([
    ['another password is set', { password_hash: 'another' }],
    ['a second factor is turned on', { mfa_enabled_at: new Date() }],
    ['the account is suspended', { suspended_at: new Date() }],
  ])('is refused when %s', async (_, to) => {
    const person = await registerPerson(api);
    const row = { table: 'users', where: { id: person.userId }, to };
    const answer = await askWhileChanged(api, row, () => logIn(api, person));

    expect([answer.status, answer.body.code]).toEqual([401, 'wrongCredentials']);
    expect(await api.db('sessions').where({ user_id: person.userId })).toHaveLength(1);
  });

  test('does not show in a step-up what was the password before', async () => {
    const person = await registerPerson(api);
    const row = {
      table: 'users',
      where: { id: person.userId },
      to: { password_hash: 'another' },
    };
    const answer = await askWhileChanged(api, row, () =>
      api.send('post', '/api/v1/auth/step-up', { token: person.accessToken, json: { password } }),
    );

    expect([answer.status, answer.body.code]).toEqual([403, 'stepUpRefused']);
  });
});

describe('GET /users/me', () => {
  test.each([
    ['no token', undefined],
    ['no JWT', 'nonsense'],
    ['a token without a signature', unsigned()],
  ])('answers 401 to %s', async (_, token) => {
    const answer = await api.send('get', '/api/v1/users/me', { token });

    expect(answer.status).toBe(401);
    expect(answer.headers.get('WWW-Authenticate')).toContain('Bearer');
  });
});

function unsigned(): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { sub: 'x', tenant: 'x', role: 'owner', iss: 'carillon', aud: 'carillon-api' };
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`;
}
