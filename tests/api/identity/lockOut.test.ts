import { startTestApi, type ApiAnswer, type TestApi } from '../../support/api';
import { ensureTestAccount } from '../../support/accounts';
import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { auditedActions, logIn, mailTo, password, registerPerson } from './people';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({
    config: loadConfig([], {
      NODE_ENV: 'test',
      TRUST_PROXY: 'true',
      PUBLIC_URL: 'http://carillon.test',
      RATE_LIMIT_AUTH_PER_MIN: '0',
    }),
  });
  await ensureTestAccount(api.deps.db);
});

afterAll(() => api.stop());

const stranger = '203.0.113.7';
const home = '198.51.100.20';

async function guess(email: string, times: number, ip = stranger): Promise<ApiAnswer[]> {
  return Promise.all(
    Array.from({ length: times }, () => logIn(api, { email, password: 'a wrong guess' }, ip)),
  );
}

function told({ status, body }: ApiAnswer) {
  return { status, ...body, requestId: '' };
}

test('of many wrong passwords at once ten are looked at, whoever has the address', async () => {
  const person = await registerPerson(api);
  for (const email of [person.email, 'nobody-at-all@example.com']) {
    const answers = await guess(email, 25);
    const statuses = answers.map(({ status }) => status).sort((a, b) => a - b);
    expect(statuses).toEqual([...Array<number>(10).fill(401), ...Array<number>(15).fill(429)]);
    const [row] = answers.filter(({ status }) => status === 429);
    expect(Number(row?.headers.get('Retry-After'))).toBeGreaterThan(0);
  }
  expect(await auditedActions(api, person.tenantId)).toContain('user.lockedOut');
});

test('who is locked out is told alike, with the right password as well', async () => {
  const person = await registerPerson(api);
  await guess(person.email, 10);
  await guess('nobody-either@example.com', 10);
  const right = await logIn(api, person, stranger);
  const unknown = await logIn(api, { email: 'nobody-either@example.com' }, stranger);
  expect(told(right)).toEqual(told(unknown));
  expect(right.body.code).toBe('tooManyAttempts');
});

test('the same is kept of no address but a keyed hash', async () => {
  await guess('secret-address@example.com', 1);
  const rows = await api.db('sign_in_failures');
  expect(JSON.stringify(rows.map((row) => row.subject.toString('latin1')))).not.toContain(
    'secret-address',
  );
});

test('strangers do not lock out who has been signed in from home', async () => {
  const person = await registerPerson(api);
  await api.db('users').where({ id: person.userId }).update({ email_verified_at: api.db.fn.now() });
  expect((await logIn(api, person, home)).status).toBe(200);
  await guess(person.email, 12);
  expect((await logIn(api, person, stranger)).status).toBe(429);
  expect((await logIn(api, person, home)).status).toBe(200);
});

test('guesses from home are counted as well', async () => {
  const person = await registerPerson(api);
  await logIn(api, person, home);
  await guess(person.email, 10, home);
  expect((await logIn(api, person, home)).status).toBe(429);
});

test.each(['\u0130', '\u212a'])('%j stands for no letter of an address', async (letter) => {
  const person = await registerPerson(api, { email: `kim-i-${newId()}@example.com` });
  const similar = person.email.replace(letter === '\u212a' ? 'k' : 'i', letter);
  expect((await logIn(api, { email: similar }, stranger)).status).toBe(401);
  const answers = await guess(similar, 12);
  const statuses = answers.map(({ status }) => status).sort((a, b) => a - b);
  expect(statuses).toEqual([...Array<number>(9).fill(401), 429, 429, 429]);
  expect((await logIn(api, person, stranger)).status).toBe(200);
});

test('a right password in between begins anew', async () => {
  const person = await registerPerson(api);
  for (let round = 0; round < 2; round += 1) {
    await guess(person.email, 9);
    expect((await logIn(api, person, stranger)).status).toBe(200);
  }
});

test('each wrong one after the first lock locks for twice as long', async () => {
  const person = await registerPerson(api);
  await guess(person.email, 10);
  const waits: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const refused = await logIn(api, person, stranger);
    waits.push(Math.round(Number(refused.headers.get('Retry-After')) / 60));
    await api.db('sign_in_failures').update({ locked_until: api.db.fn.now() });
    await guess(person.email, 1);
  }
  expect(waits).toEqual([15, 30, 60]);
});

test('a password set by mail lets the owner in at once', async () => {
  const person = await registerPerson(api);
  await guess(person.email, 10);
  await api.send('post', '/api/v1/auth/forgot', { json: { email: person.email } });
  const mail = await mailTo(api, person.email);
  const to = 'nine green bottles on a wall';
  await api.send('post', '/api/v1/auth/reset', { json: { token: mail?.token, password: to } });
  expect((await logIn(api, { email: person.email, password: to }, stranger)).status).toBe(200);
});

test('a password is the same however its characters were composed', async () => {
  const person = await registerPerson(api, { password: `${password} caf\u00e9` });
  const answer = await logIn(
    api,
    { email: person.email, password: `${password} cafe\u0301` },
    home,
  );
  expect(answer.status).toBe(200);
});
