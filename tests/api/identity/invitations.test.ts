import { newId } from '../../../lib/ids';
import { ensureTestAccount } from '../../support/accounts';
import { startTestApi, type TestApi } from '../../support/api';
import { buildTenant, type TestTenant } from '../../support/factories';
import { signInAs } from '../../support/tokens';
import { askWhileChanged, logIn, mailTo, password, registerPerson } from './people';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
  await ensureTestAccount(api.deps.db);
});

afterAll(() => api.stop());

/** A tenant with an owner who may invite: one whose own address is verified. */
async function buildInviter(): Promise<TestTenant> {
  const tenant = await buildTenant(api.deps, { companyName: 'Bells <& Co>' });
  await api.db('users').where({ id: tenant.userId }).update({ email_verified_at: new Date() });
  return tenant;
}

function pathOf(tenantId: string, rest: string): string {
  return `/api/v1/tenants/${tenantId}/${rest}`;
}

function invite(
  { tenantId, token }: Pick<TestTenant, 'tenantId' | 'token'>,
  json: Record<string, unknown>,
  headers: Record<string, string> = {},
) {
  return api.send('post', pathOf(tenantId, 'users'), { token, headers, json });
}

/** Invites a fresh address and reads the mail. */
async function invited(tenant: TestTenant, role = 'member') {
  const email = `kim-${newId()}@example.com`;
  const answer = await invite(tenant, { email, role });
  expect(answer.status).toBe(201);
  const id: string = answer.body.data.id;
  return { email, id, token: await tokenTo(email), answer };
}

async function tokenTo(email: string): Promise<string> {
  const mail = await mailTo(api, email);
  if (mail === null) {
    throw new Error('There is no mail');
  }
  return mail.token;
}

function accept(token: string, overrides: Record<string, unknown> = {}) {
  return api.send('post', '/api/v1/auth/invitations/accept', {
    json: { token, password, ...overrides },
  });
}

function rolesOf(tenantId: string, email: string) {
  return api
    .db('memberships')
    .join('users', 'users.id', 'memberships.user_id')
    .where({ tenant_id: tenantId, email_key: email.toLowerCase() })
    .pluck('role');
}

function patch(id: string, columns: Record<string, unknown>) {
  return api.db('invitations').where({ id }).update(columns);
}

describe('an invitation', () => {
  test('makes an account whose address is verified, with the role it names', async () => {
    const tenant = await buildInviter();
    const { email, id, token, answer } = await invited(tenant, 'agency');
    expect(answer.body.data).toMatchObject({ id, email, role: 'agency', isExpired: false });
    expect(answer.text).not.toContain(token);
    const mail = await mailTo(api, email);
    expect(mail?.link).toBe(`http://carillon.test/account/invitation?token=${token}`);
    expect(mail?.html).toContain('Bells &lt;&amp; Co&gt;');

    const accepted = await accept(token, { firstName: 'Kim' });
    expect(accepted.status).toBe(200);
    expect(accepted.body.data).toEqual({
      tenantId: tenant.tenantId,
      tenantName: 'Bells <& Co>',
      role: 'agency',
      email,
    });
    const login = await logIn(api, { email });
    expect(login.body.data).toMatchObject({
      role: 'agency',
      tenant: { id: tenant.tenantId },
      user: { firstName: 'Kim', isEmailVerified: true, isPlatformAdmin: false },
    });
    const entries = await api.db('audit_log').where({ target_id: id }).orderBy('at');
    expect(entries.map(({ action }) => action)).toEqual(['invitation.sent', 'invitation.accepted']);
    expect(JSON.stringify(entries)).not.toContain(email);
    const [row] = await api.db('invitations').where({ id });
    expect(JSON.stringify(row)).not.toContain(token);
  });

  test('is good once, also for many who come at once', async () => {
    const tenant = await buildInviter();
    const { email, token } = await invited(tenant);
    const answers = await Promise.all(Array.from({ length: 4 }, () => accept(token)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const again = await accept(token);
    expect([again.status, again.body.code]).toEqual([404, 'linkOver']);
    expect(await rolesOf(tenant.tenantId, email)).toEqual(['member']);

    const userIds = await api.db('users').where({ email_key: email }).pluck('id');
    await api.db('memberships').whereIn('user_id', userIds).delete();
    expect((await accept(token)).status).toBe(404);
    expect(await rolesOf(tenant.tenantId, email)).toEqual([]);
  });

  test.each([
    ['over', { expires_at: new Date(Date.now() - 1_000) }],
    ['taken back', { revoked_at: new Date() }],
  ])('that is %s opens nothing', async (_, columns) => {
    const tenant = await buildInviter();
    const { email, id, token } = await invited(tenant);
    await patch(id, columns);
    const answer = await accept(token);
    expect([answer.status, answer.body.code]).toEqual([404, 'linkOver']);
    const page = await api.send('get', `/account/invitation?token=${token}`);
    expect(page.status).toBe(404);
    expect(await api.db('users').where({ email_key: email })).toEqual([]);
  });

  test('of a suspended tenant opens nothing until it goes on', async () => {
    const tenant = await buildInviter();
    const { token } = await invited(tenant);
    const suspend = (at: Date | null) =>
      api.db('tenants').where({ id: tenant.tenantId }).update({ suspended_at: at });
    await suspend(new Date());
    expect((await accept(token)).status).toBe(404);
    await suspend(null);
    expect((await accept(token)).status).toBe(200);
  });

  test('chooses neither role nor tenant by what is sent with it', async () => {
    const tenant = await buildInviter();
    const { email, token } = await invited(tenant, 'viewer');
    for (const more of [
      { role: 'owner' },
      { tenantId: newId() },
      { email: 'other@example.com' },
      { isPlatformAdmin: true },
    ]) {
      expect((await accept(token, more)).status).toBe(422);
    }
    expect((await accept(token)).status).toBe(200);
    expect(await rolesOf(tenant.tenantId, email)).toEqual(['viewer']);
  });

  test.each(['short', 'password1234', 'bells bells bells'])(
    'takes no password like %s',
    async (weak) => {
      const tenant = await buildInviter();
      const { email, token } = await invited(tenant);
      const answer = await accept(token, { password: weak });
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].path).toBe('password');
      expect(await api.db('users').where({ email_key: email })).toEqual([]);
      expect((await accept(token)).status).toBe(200);
    },
  );
});

describe('whoever has an account', () => {
  test('shows its password, which the token does not stand for', async () => {
    const tenant = await buildInviter();
    const person = await registerPerson(api);
    const made = await invite(tenant, { email: person.email.toUpperCase(), role: 'member' });
    const token = await tokenTo(made.body.data.email);
    const wrong = await accept(token, { password: 'something quite different' });
    expect([wrong.status, wrong.body.code]).toEqual([401, 'wrongCredentials']);
    expect(await rolesOf(tenant.tenantId, person.email)).toEqual([]);

    expect((await accept(token)).status).toBe(200);
    const listed = await api.send('get', '/api/v1/tenants', { token: person.accessToken });
    expect(listed.body.data).toHaveLength(2);
  });

  test('joins when signed in with the very address, and nobody else does', async () => {
    const tenant = await buildInviter();
    const person = await registerPerson(api);
    const other = await registerPerson(api);
    await invite(tenant, { email: person.email, role: 'viewer' });
    const json = { token: await tokenTo(person.email) };
    const join = (token: string) => api.send('post', '/api/v1/users/me/tenants', { token, json });

    const stolen = await join(other.accessToken);
    expect([stolen.status, stolen.body.code]).toEqual([403, 'invitationOfOther']);
    expect((await join(person.accessToken)).status).toBe(200);
    expect((await join(person.accessToken)).status).toBe(404);
    expect(await rolesOf(tenant.tenantId, person.email)).toEqual(['viewer']);
    expect(await rolesOf(tenant.tenantId, other.email)).toEqual([]);
  });

  test('keeps the role they have when they came to work there meanwhile', async () => {
    const tenant = await buildInviter();
    const person = await registerPerson(api);
    await invite(tenant, { email: person.email, role: 'viewer' });
    await api
      .db('memberships')
      .insert({ tenant_id: tenant.tenantId, user_id: person.userId, role: 'owner' });
    expect((await accept(await tokenTo(person.email))).status).toBe(200);
    expect(await rolesOf(tenant.tenantId, person.email)).toEqual(['owner']);
  });
});

describe('the page of the mail', () => {
  function submit(token: string, values: Record<string, string>) {
    return api.send('post', '/account/invitation', {
      body: new URLSearchParams({ token, ...values }),
    });
  }

  test('asks for a password, says what is wrong with it, and accepts', async () => {
    const tenant = await buildInviter();
    const { email, token } = await invited(tenant);
    const page = await api.send('get', `/account/invitation?token=${token}`);
    expect(page.status).toBe(200);
    expect(page.text).toContain('Bells &lt;&amp; Co&gt;');
    expect(page.text).toContain('autocomplete="new-password"');
    expect(page.headers.get('Referrer-Policy')).toBe('no-referrer');

    const weak = await submit(token, { password: 'password1234' });
    expect(weak.status).toBe(422);
    expect(weak.text).toContain('role="alert"');
    const done = await submit(token, { password, firstName: 'Kim', lastName: '' });
    expect(done.status).toBe(200);
    expect(await rolesOf(tenant.tenantId, email)).toEqual(['member']);
    expect((await submit(token, { password })).status).toBe(404);
  });

  test('asks whoever has an account for its password', async () => {
    const tenant = await buildInviter();
    const person = await registerPerson(api);
    await invite(tenant, { email: person.email, role: 'member' });
    const token = await tokenTo(person.email);
    const page = await api.send('get', `/account/invitation?token=${token}`);
    expect(page.text).toContain('autocomplete="current-password"');
    const wrong = await submit(token, { password: 'something quite different' });
    expect(wrong.status).toBe(422);
    expect(wrong.text).toContain('This is not the password of your account.');
    expect((await submit(token, { password })).status).toBe(200);
    expect(await rolesOf(tenant.tenantId, person.email)).toEqual(['member']);
  });
});

describe('inviting', () => {
  test('is for owners, whose own address is verified, in their own tenant', async () => {
    const tenant = await buildInviter();
    const other = await buildInviter();
    const json = { email: `kim-${newId()}@example.com`, role: 'owner' };
    for (const role of ['agency', 'member', 'viewer'] as const) {
      const answer = await invite({ ...tenant, token: tenant.tokenOf(role) }, json);
      expect(answer.status).toBe(403);
    }
    expect((await invite({ ...other, token: tenant.token }, json)).status).toBe(404);
    await api.db('users').where({ id: tenant.userId }).update({ email_verified_at: null });
    const unverified = await invite(tenant, json);
    expect([unverified.status, unverified.body.code]).toEqual([403, 'emailNotVerified']);
    expect(await api.db('invitations').where({ email: json.email })).toEqual([]);
  });

  test('asks an address once, until the invitation is over, and no member', async () => {
    const tenant = await buildInviter();
    const { email, id } = await invited(tenant);
    const twice = await invite(tenant, { email: email.toUpperCase(), role: 'viewer' });
    expect([twice.status, twice.body.code]).toEqual([409, 'alreadyInvited']);
    await patch(id, { expires_at: new Date(Date.now() - 1_000) });
    expect((await invite(tenant, { email, role: 'viewer' })).status).toBe(201);
    const member = await invite(tenant, { email: tenant.email.toUpperCase(), role: 'viewer' });
    expect([member.status, member.body.code]).toEqual([409, 'alreadyMember']);

    const address = `lee-${newId()}@example.com`;
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => invite(tenant, { email: address, role: 'viewer' })),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 409, 409, 409]);
  });

  test('with one Idempotency-Key sends one mail', async () => {
    const tenant = await buildInviter();
    const json = { email: `kim-${newId()}@example.com`, role: 'member' };
    const headers = { 'Idempotency-Key': 'kim' };
    const first = await invite(tenant, json, headers);
    const token = await tokenTo(json.email);
    const again = await invite(tenant, json, headers);
    expect(again.body.data).toEqual(first.body.data);
    expect(await tokenTo(json.email)).toBe(token);
  });

  test('lists what is open; it is sent again with another link, or taken back', async () => {
    const tenant = await buildInviter();
    const { id, email, token } = await invited(tenant);
    const at = pathOf(tenant.tenantId, `invitations/${id}`);
    const list = () => api.send('get', pathOf(tenant.tenantId, 'invitations'), tenant);
    expect((await list()).body.data).toMatchObject([{ id, email, invitedBy: tenant.userId }]);

    const early = await api.send('post', `${at}/resend`, tenant);
    expect([early.status, early.body.code]).toEqual([429, 'invitationJustSent']);
    await patch(id, { expires_at: new Date(Date.now() - 1_000) });
    const resent = await api.send('post', `${at}/resend`, tenant);
    expect(resent.body.data).toMatchObject({ id, isExpired: false });
    const other = await tokenTo(email);
    expect(other).not.toBe(token);
    expect((await accept(token)).status).toBe(404);

    const stranger = await buildInviter();
    const theirs = pathOf(stranger.tenantId, `invitations/${id}`);
    expect((await api.send('delete', theirs, stranger)).status).toBe(404);
    expect((await api.send('delete', at, tenant)).status).toBe(204);
    expect((await api.send('delete', at, tenant)).status).toBe(404);
    expect((await accept(other)).status).toBe(404);
    expect((await list()).body.data).toEqual([]);
  });

  test('mails to an address once a minute, also when it is taken back in between', async () => {
    const tenant = await buildInviter();
    const { id, email, token } = await invited(tenant);
    await api.send('delete', pathOf(tenant.tenantId, `invitations/${id}`), tenant);
    const json = { email: email.toUpperCase(), role: 'member' };
    const again = await invite(tenant, json);
    expect([again.status, again.body.code]).toEqual([429, 'invitationJustSent']);
    expect(await tokenTo(email)).toBe(token);
    await patch(id, { expires_at: api.db.raw(`expires_at - interval '61 seconds'`) });
    expect((await invite(tenant, json)).status).toBe(201);
  });

  test('is over with the role of whoever did it', async () => {
    const tenant = await buildInviter();
    const owner = await signInAs(api.deps, { ...tenant, role: 'owner' });
    const json = { email: `kim-${newId()}@example.com`, role: 'owner' };
    expect((await invite({ ...tenant, token: owner.token }, json)).status).toBe(201);
    const token = await tokenTo(json.email);
    await api.send('delete', pathOf(tenant.tenantId, `users/${owner.userId}`), tenant);
    expect((await accept(token)).status).toBe(404);
    expect(await rolesOf(tenant.tenantId, json.email)).toEqual([]);
  });
});

test('whoever is an owner no more when the request has come in invites nobody', async () => {
  const tenant = await buildInviter();
  const { id } = await invited(tenant);
  await patch(id, { expires_at: new Date(Date.now() + 86_400_000) });
  const { tenantId, userId, token } = tenant;
  const row = {
    table: 'memberships',
    where: { tenant_id: tenantId, user_id: userId },
    to: { role: 'member' },
  };
  const asks = [
    () => invite(tenant, { email: 'friend@example.com', role: 'owner' }),
    () => api.send('post', pathOf(tenantId, `invitations/${id}/resend`), { token }),
  ];
  for (const ask of asks) {
    const answer = await askWhileChanged(api, row, ask);
    expect([answer.status, answer.body.code]).toEqual([403, 'forbidden']);
    await api.db('memberships').where(row.where).update({ role: 'owner' });
  }
  expect(await api.db('invitations').where({ tenant_id: tenantId }).pluck('id')).toEqual([id]);
});

test('the password of who has a second factor takes no earlier wrong one back', async () => {
  const tenant = await buildInviter();
  const person = await registerPerson(api);
  await invite(tenant, { email: person.email, role: 'member' });
  const token = await tokenTo(person.email);
  await api.db('users').where({ id: person.userId }).update({ mfa_enabled_at: new Date() });
  await api.db('sign_in_failures').delete();
  for (let n = 0; n < 3; n += 1) {
    await logIn(api, { email: person.email, password: 'a wrong guess' });
  }
  expect((await accept(token)).status).toBe(200);
  expect(await api.db('sign_in_failures').pluck('failures')).toEqual([3]);
});
