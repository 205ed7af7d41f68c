import { ensureTestAccount } from '../../support/accounts';
import { startTestApi, type ApiAnswer, type TestApi } from '../../support/api';
import { until } from '../../support/conditions';
import { auditedActions, logIn, mailTo, password, registerPerson } from './people';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
  await ensureTestAccount(api.deps.db);
});

afterAll(() => api.stop());

const another = 'nine green bottles on a wall';

function forgot(email: string) {
  return api.send('post', '/api/v1/auth/forgot', { json: { email } });
}

function reset(token: string, to = another) {
  return api.send('post', '/api/v1/auth/reset', { json: { token, password: to } });
}

// Mails to verify addresses wait as well.
async function resetMailTo(email: string) {
  await until(
    'the mail is written',
    async () => (await mailTo(api, email))?.link.includes('/account/reset') === true,
  );
  const mail = await mailTo(api, email);
  if (mail === null) {
    throw new Error('There is no mail');
  }
  return mail;
}

test('choosing another password ends the links to set one, and takes not the same', async () => {
  const person = await registerPerson(api);
  await forgot(person.email);
  const { token } = await resetMailTo(person.email);
  const choose = (to: string) =>
    api.send('put', '/api/v1/users/me/password', {
      token: person.accessToken,
      json: { current: password, new: to },
    });
  const same = await choose(password);
  expect(same.status).toBe(422);
  expect(same.body.errors).toMatchObject([{ path: 'new', code: 'samePassword' }]);
  expect((await choose(another)).status).toBe(204);
  expect((await reset(token, 'one more password of mine')).body.code).toBe('linkOver');
});

describe('a forgotten password', () => {
  test('is set anew by the link of the mail, in the language of the person', async () => {
    const person = await registerPerson(api, { language: 'de' });
    expect((await forgot(person.email.toUpperCase())).status).toBe(202);
    const mail = await resetMailTo(person.email);
    expect(mail.subject).toBe('Neues Passwort festlegen');
    expect(mail.link).toMatch(/^http:\/\/carillon\.test\/account\/reset\?token=[\w-]{43}$/);
    expect(mail.html).toContain(mail.link);

    expect((await reset(mail.token)).status).toBe(204);
    expect((await logIn(api, { email: person.email, password: another })).status).toBe(200);
    expect((await logIn(api, person)).status).toBe(401);
    expect(await auditedActions(api, person.tenantId)).toEqual(
      expect.arrayContaining(['user.resetAsked', 'user.passwordReset']),
    );
  });

  test('ends all sessions and all other links, and shows that the address is theirs', async () => {
    const person = await registerPerson(api);
    const verification = await mailTo(api, person.email);
    await forgot(person.email);
    const { token } = await resetMailTo(person.email);
    await reset(token);

    expect((await api.send('get', '/api/v1/users/me', { token: person.accessToken })).status).toBe(
      401,
    );
    const refreshed = await api.send('post', '/api/v1/auth/refresh', {
      json: { refreshToken: person.refreshToken },
    });
    expect(refreshed.status).toBe(401);
    const verified = await api.send('post', '/api/v1/auth/verify-email', {
      json: { token: verification?.token },
    });
    expect(verified.body.code).toBe('linkOver');
    const [user] = await api.db('users').where({ id: person.userId });
    expect(user.email_verified_at).toBeInstanceOf(Date);
  });

  test('is set by one of many who show the link at once', async () => {
    const person = await registerPerson(api);
    await forgot(person.email);
    const { token } = await resetMailTo(person.email);
    const answers = await Promise.all(
      ['first', 'second', 'third'].map((word) => reset(token, `${word} of all the many bottles`)),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([204, 404, 404]);
    expect((await reset(token)).body.code).toBe('linkOver');
  });

  test('is not set by a link that is over, and nothing changes', async () => {
    const person = await registerPerson(api);
    await forgot(person.email);
    const { token } = await resetMailTo(person.email);
    await api
      .db('user_tokens')
      .where({ user_id: person.userId, purpose: 'resetPassword' })
      .update({ expires_at: api.db.fn.now() });

    expect((await reset(token)).body.code).toBe('linkOver');
    expect((await logIn(api, person)).status).toBe(200);
    const lasting = await api.db('user_tokens').where({ user_id: person.userId });
    const [row] = lasting.filter(({ purpose }) => purpose === 'resetPassword');
    expect(row.expires_at.getTime() - row.created_at.getTime()).toBeLessThanOrEqual(3_600_000);
  });

  test('a link for something else does not set it', async () => {
    const person = await registerPerson(api);
    const verification = await mailTo(api, person.email);
    expect((await reset(verification?.token ?? '')).body.code).toBe('linkOver');
  });

  test.each([
    ['short', 'tooSmall'],
    ['password1234', 'commonPassword'],
    [`${'ab'.repeat(65)}`, 'tooBig'],
  ])('%s is refused, and the link stays good', async (to, code) => {
    const person = await registerPerson(api);
    await forgot(person.email);
    const { token } = await resetMailTo(person.email);
    const refused = await reset(token, to);
    expect(refused.status).toBe(422);
    expect(refused.body.errors[0].code).toBe(code);
    expect((await reset(token)).status).toBe(204);
  });

  test('is asked for as often as one likes, and mailed once a minute', async () => {
    const person = await registerPerson(api);
    await forgot(person.email);
    await resetMailTo(person.email);
    await Promise.all([forgot(person.email), forgot(person.email)]);
    const mails = await api.db('transactional_contents').where({ address: person.email });
    expect(mails.filter(({ content }) => content.text.includes('/account/reset'))).toHaveLength(1);
  });

  test('answers alike whether anybody has the address', async () => {
    const person = await registerPerson(api);
    const timed = async (email: string): Promise<[ApiAnswer, number]> => {
      const began = performance.now();
      return [await forgot(email), performance.now() - began];
    };
    const [known, knownMs] = await timed(person.email);
    const [unknown, unknownMs] = await timed('nobody@example.org');
    expect([known.status, known.text]).toEqual([unknown.status, unknown.text]);
    // Both wait for the same moment, which is later than the mail is written.
    expect(Math.min(knownMs, unknownMs)).toBeGreaterThanOrEqual(295);
  });

  test('its mail belongs to no tenant that anybody sees', async () => {
    const person = await registerPerson(api);
    await forgot(person.email);
    await resetMailTo(person.email);
    const rows = await api
      .db('transactional_contents')
      .join('tenants', 'tenants.id', 'tenant_id')
      .where({ address: person.email })
      .select('is_platform');
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((row) => !row.is_platform)).toEqual([]);
    const members = await api
      .db('memberships')
      .join('tenants', 'tenants.id', 'tenant_id')
      .where({ is_platform: true });
    expect(members).toEqual([]);
  });
});

describe('the page of the link', () => {
  const form = (body: string) => ({
    body,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Accept-Language': 'fr' },
  });

  test('takes the password without a script, and tells nobody its address', async () => {
    const person = await registerPerson(api);
    await forgot(person.email);
    const { token } = await resetMailTo(person.email);
    const path = `/account/reset?token=${token}`;
    const page = await api.send('get', path, { headers: { 'Accept-Language': 'fr' } });
    expect(page.status).toBe(200);
    expect(page.text).toContain('<html lang="fr">');
    expect(page.headers.get('Referrer-Policy')).toBe('no-referrer');
    expect(page.headers.get('Cache-Control')).toBe('no-store');
    expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'none'");
    expect(page.text).not.toContain('<script');

    const weak = await api.send('post', path, form(`token=${token}&password=password1234`));
    expect(weak.status).toBe(422);
    expect(weak.text).toContain('role="alert"');
    const done = await api.send(
      'post',
      path,
      form(`token=${token}&password=${encodeURIComponent(another)}`),
    );
    expect(done.status).toBe(200);
    expect((await logIn(api, { email: person.email, password: another })).status).toBe(200);
    expect((await api.send('get', path)).status).toBe(404);
  });

  test('shows what was put into its address as text', async () => {
    const page = await api.send('get', '/account/reset?token=%22%3E%3Cscript%3E');
    expect(page.status).toBe(404);
    expect(page.text).not.toContain('<script');
  });
});

describe('an address', () => {
  test('is verified by the page, which only looking at does not', async () => {
    const person = await registerPerson(api, { language: 'es-MX' });
    const mail = await mailTo(api, person.email);
    expect(mail?.subject).toBe('Confirma tu dirección de correo');
    const path = new URL(mail?.link ?? '').pathname + new URL(mail?.link ?? '').search;
    expect((await api.send('get', path)).status).toBe(200);
    const isVerified = async () =>
      (await api.send('get', '/api/v1/users/me', { token: person.accessToken })).body.data.user
        .isEmailVerified;
    expect(await isVerified()).toBe(false);

    const done = await api.send('post', path, {
      body: `token=${mail?.token}`,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    });
    expect(done.status).toBe(200);
    expect(await isVerified()).toBe(true);
    const again = await api.send('post', '/api/v1/auth/verify-email', {
      json: { token: mail?.token },
    });
    expect(again.status).toBe(404);
    expect(await auditedActions(api, person.tenantId)).toContain('user.emailVerified');
  });

  test('gets its mail again when a minute has passed, and none once it is verified', async () => {
    const person = await registerPerson(api);
    const resend = () =>
      api.send('post', '/api/v1/auth/verify-email/resend', { token: person.accessToken });
    const mails = async () =>
      (await api.db('transactional_contents').where({ address: person.email })).length;
    expect((await resend()).status).toBe(202);
    expect(await mails()).toBe(1);

    await api
      .db('user_tokens')
      .where({ user_id: person.userId })
      .update({ created_at: api.db.raw(`now() - interval '2 minutes'`) });
    await resend();
    expect(await mails()).toBe(2);
    await api
      .db('users')
      .where({ id: person.userId })
      .update({ email_verified_at: api.db.fn.now() });
    await api.db('user_tokens').where({ user_id: person.userId }).delete();
    await resend();
    expect(await mails()).toBe(2);
  });
});

test('registration takes nothing that is not asked of it', async () => {
  for (const extra of [
    { isPlatformAdmin: true },
    { role: 'owner' },
    { emailVerifiedAt: '2026-01-01T00:00:00Z' },
    { tenantId: '0190a000-0000-7000-8000-000000000000' },
    { mfaEnabledAt: null },
  ]) {
    const answer = await api.send('post', '/api/v1/auth/register', {
      json: { companyName: 'X', email: 'mass@example.com', password, ...extra },
    });
    expect([answer.status, answer.body.errors[0].code]).toEqual([422, 'unknownField']);
  }
  expect(await api.db('users').where({ email: 'mass@example.com' })).toEqual([]);
});
