import { forgiveAll } from '../../../api/identity/checkPassword';
import { acrossTenants } from '../../../models/base';
import { startTestApi, type TestApi } from '../../support/api';
import { auditedActions, codeOf, logIn, password, registerPerson, type TestPerson } from './people';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

function post(path: string, token: string | undefined, json: unknown = {}) {
  return api.send('post', `/api/v1/auth${path}`, { token, json });
}

interface MfaPerson extends TestPerson {
  secret: string;
  recoveryCodes: string[];
}

async function withMfa(): Promise<MfaPerson> {
  const person = await registerPerson(api);
  const enrolled = await post('/mfa/enroll', person.accessToken);
  const { secret } = enrolled.body.data;
  const verified = await post('/mfa/verify', person.accessToken, { code: codeOf(secret, -1) });
  return { ...person, secret, recoveryCodes: verified.body.data.recoveryCodes };
}

async function mfaTokenOf(person: TestPerson): Promise<string> {
  return (await logIn(api, person)).body.data.mfaToken;
}

// Nobody has shown anything for a while.
function forgetStepUp(person: TestPerson) {
  return api.db('sessions').where({ user_id: person.userId }).update({ mfa_at: null });
}

describe('enrolling', () => {
  test('shows a seed, and counts once a code of it was shown', async () => {
    const person = await registerPerson(api);
    const enrolled = await post('/mfa/enroll', person.accessToken);
    expect(enrolled.status).toBe(200);
    const { secret, otpauthUrl, qrSvg } = enrolled.body.data;
    expect(otpauthUrl).toContain(`secret=${secret}`);
    expect(qrSvg).toMatch(/^<svg[^]*<\/svg>\s*$/);
    expect((await logIn(api, person)).body.data.accessToken).toEqual(expect.any(String));

    const wrong = await post('/mfa/verify', person.accessToken, { code: '000000' });
    expect([wrong.status, wrong.body.code]).toEqual([403, 'codeRefused']);
    const verified = await post('/mfa/verify', person.accessToken, { code: codeOf(secret) });
    expect(verified.body.data.recoveryCodes).toHaveLength(10);
    expect((await logIn(api, person)).body.data).toEqual({
      mfaRequired: true,
      mfaToken: expect.any(String),
    });
    expect(await auditedActions(api, person.tenantId)).toContain('user.mfaEnabled');
  });

  test('keeps the seed sealed and the recovery codes as hashes', async () => {
    const person = await withMfa();
    const [user] = await api.db('users').where({ id: person.userId });
    expect(user.mfa_secret).toMatch(/^1\.test\./);
    expect(user.mfa_secret).not.toContain(person.secret);
    const codes = await api.db('recovery_codes').where({ user_id: person.userId });
    expect(codes).toHaveLength(10);
  });

  test('a second time is refused while there is a second factor', async () => {
    const person = await withMfa();
    expect((await post('/mfa/enroll', person.accessToken)).body.code).toBe('mfaEnabled');
    const again = await post('/mfa/verify', person.accessToken, { code: codeOf(person.secret) });
    expect(again.body.code).toBe('mfaNotEnrolled');
  });
});

describe('logging in with a second factor', () => {
  test('takes a code once, also when it comes twice at the same moment', async () => {
    const person = await withMfa();
    const tokens = await Promise.all([mfaTokenOf(person), mfaTokenOf(person)]);
    const code = codeOf(person.secret);
    const answers = await Promise.all(
      tokens.map((mfaToken) => post('/mfa/login', undefined, { mfaToken, code })),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 401]);

    const replayed = await post('/mfa/login', undefined, {
      mfaToken: await mfaTokenOf(person),
      code,
    });
    expect([replayed.status, replayed.body.code]).toEqual([401, 'wrongCode']);
    const next = await post('/mfa/login', undefined, {
      mfaToken: await mfaTokenOf(person),
      code: codeOf(person.secret, 1),
    });
    expect(next.status).toBe(200);
    expect(
      (await api.send('get', '/api/v1/users/me', { token: next.body.data.accessToken })).status,
    ).toBe(200);
  });

  test('a code of an earlier step is over with a later one', async () => {
    const person = await withMfa();
    const login = async (steps: number) =>
      post('/mfa/login', undefined, {
        mfaToken: await mfaTokenOf(person),
        code: codeOf(person.secret, steps),
      });
    expect((await login(1)).status).toBe(200);
    expect((await login(0)).status).toBe(401);
  });

  test('a login token is good for one login, and opens nothing else', async () => {
    const person = await withMfa();
    const mfaToken = await mfaTokenOf(person);
    expect((await api.send('get', '/api/v1/users/me', { token: mfaToken })).status).toBe(401);
    const [first, second] = person.recoveryCodes;
    expect((await post('/mfa/login', undefined, { mfaToken, recoveryCode: first })).status).toBe(
      200,
    );
    const again = await post('/mfa/login', undefined, { mfaToken, recoveryCode: second });
    expect(again.body.code).toBe('mfaTokenInvalid');

    const late = await mfaTokenOf(person);
    await api
      .db('user_tokens')
      .where({ user_id: person.userId })
      .update({ expires_at: api.db.fn.now() });
    const over = await post('/mfa/login', undefined, { mfaToken: late, recoveryCode: second });
    expect(over.body.code).toBe('mfaTokenInvalid');
  });

  test('a recovery code is good once, however it is typed', async () => {
    const person = await withMfa();
    const [first = ''] = person.recoveryCodes;
    const typed = first.toLowerCase().replaceAll('-', ' ');
    const login = async (recoveryCode: string) =>
      post('/mfa/login', undefined, { mfaToken: await mfaTokenOf(person), recoveryCode });
    expect((await login(typed)).status).toBe(200);
    expect((await login(first)).status).toBe(401);
    expect(await auditedActions(api, person.tenantId)).toContain('user.recoveryCodeUsed');
  });

  test('wrong codes lock out, however often the password was right in between', async () => {
    const person = await withMfa();
    const statuses: number[] = [];
    for (let n = 0; n < 12; n += 1) {
      const login = await logIn(api, person);
      const answer =
        login.status === 200
          ? await post('/mfa/login', undefined, {
              mfaToken: login.body.data.mfaToken,
              code: '000000',
            })
          : login;
      statuses.push(answer.status);
    }
    expect(statuses.slice(0, 9)).toEqual(Array(9).fill(401));
    expect(statuses.at(-1)).toBe(429);
  });
});

test('a password that is changed or set takes no wrong codes back', async () => {
  const person = await withMfa();
  const mfaToken = await mfaTokenOf(person);
  const show = (code: string, token = mfaToken) =>
    post('/mfa/login', undefined, { mfaToken: token, code });
  for (let n = 0; n < 10; n += 1) {
    expect((await show('000000')).status).toBe(401);
  }
  await acrossTenants(api.deps.db, 'identity', (trx) => forgiveAll(trx, api.deps, person.email));
  const answer = await show(codeOf(person.secret), await mfaTokenOf(person));
  expect([answer.status, answer.body.code]).toEqual([429, 'tooManyAttempts']);
});

describe('turning a second factor on', () => {
  test('asks for a step-up', async () => {
    const person = await registerPerson(api);
    const { secret } = (await post('/mfa/enroll', person.accessToken)).body.data;
    await forgetStepUp(person);
    const answer = await post('/mfa/verify', person.accessToken, { code: codeOf(secret) });
    expect([answer.status, answer.body.code]).toEqual([403, 'stepUpRequired']);
  });

  test('takes no seed that was shown a quarter of an hour ago', async () => {
    const person = await registerPerson(api);
    const { secret } = (await post('/mfa/enroll', person.accessToken)).body.data;
    await api
      .db('users')
      .where({ id: person.userId })
      .update({ mfa_proposed_at: api.db.raw(`now() - interval '15 minutes'`) });
    const late = await post('/mfa/verify', person.accessToken, { code: codeOf(secret) });
    expect([late.status, late.body.code]).toEqual([409, 'mfaNotEnrolled']);
    const again = (await post('/mfa/enroll', person.accessToken)).body.data;
    const json = { code: codeOf(again.secret) };
    expect((await post('/mfa/verify', person.accessToken, json)).status).toBe(200);
  });

  test('looks at ten wrong codes in a row', async () => {
    const person = await registerPerson(api);
    const { secret } = (await post('/mfa/enroll', person.accessToken)).body.data;
    for (let n = 0; n < 10; n += 1) {
      const wrong = await post('/mfa/verify', person.accessToken, { code: '000000' });
      expect(wrong.body.code).toBe('codeRefused');
    }
    const answer = await post('/mfa/verify', person.accessToken, { code: codeOf(secret) });
    expect([answer.status, answer.body.code]).toEqual([429, 'tooManyAttempts']);
  });
});

describe('a step-up', () => {
  test('is asked for before what is dangerous, and is the password without a second factor', async () => {
    const person = await registerPerson(api);
    await forgetStepUp(person);
    const refused = await post('/mfa/enroll', person.accessToken);
    expect([refused.status, refused.body.code]).toEqual([403, 'stepUpRequired']);

    const wrong = await post('/step-up', person.accessToken, { password: 'not it at all' });
    expect([wrong.status, wrong.body.code]).toEqual([403, 'stepUpRefused']);
    expect((await post('/mfa/enroll', person.accessToken)).status).toBe(403);
    expect((await post('/step-up', person.accessToken, { password })).status).toBe(204);
    expect((await post('/mfa/enroll', person.accessToken)).status).toBe(200);
    expect(await auditedActions(api, person.tenantId)).toEqual(
      expect.arrayContaining(['user.stepUpFailed', 'user.steppedUp']),
    );
  });

  test('is the second factor for who has one: a password may be known with the token', async () => {
    const person = await withMfa();
    await forgetStepUp(person);
    const byPassword = await post('/step-up', person.accessToken, { password });
    expect(byPassword.status).toBe(422);
    expect((await post('/mfa/disable', person.accessToken)).status).toBe(403);
    const code = codeOf(person.secret, 1);
    expect((await post('/step-up', person.accessToken, { code })).status).toBe(204);
    expect((await post('/step-up', person.accessToken, { code })).status).toBe(403);
    expect((await post('/mfa/disable', person.accessToken)).status).toBe(204);
    expect((await logIn(api, person)).body.data.accessToken).toEqual(expect.any(String));
  });

  test('holds for ten minutes, and for its own session alone', async () => {
    const person = await registerPerson(api);
    const second = (await logIn(api, person)).body.data;
    await forgetStepUp(person);
    await post('/step-up', person.accessToken, { password });
    expect((await post('/mfa/enroll', second.accessToken)).status).toBe(403);
    await api
      .db('sessions')
      .where({ user_id: person.userId })
      .update({ mfa_at: api.db.raw(`now() - interval '11 minutes'`) });
    expect((await post('/mfa/enroll', person.accessToken)).status).toBe(403);
  });

  test('is not guessed, and guessing locks nobody out of logging in', async () => {
    const person = await registerPerson(api);
    const answers = await Promise.all(
      Array.from({ length: 14 }, () =>
        post('/step-up', person.accessToken, { password: 'a guess' }),
      ),
    );
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(10);
    expect((await post('/step-up', person.accessToken, { password })).status).toBe(429);
    expect((await logIn(api, person)).status).toBe(200);
  });

  test('new recovery codes end those before', async () => {
    const person = await withMfa();
    const renewed = await post('/mfa/recovery-codes', person.accessToken);
    expect(renewed.body.data.recoveryCodes).toHaveLength(10);
    const login = async (recoveryCode: unknown) =>
      post('/mfa/login', undefined, { mfaToken: await mfaTokenOf(person), recoveryCode });
    expect((await login(person.recoveryCodes[0])).status).toBe(401);
    expect((await login(renewed.body.data.recoveryCodes[0])).status).toBe(200);
  });
});
