import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { newId } from '../../lib/ids';
import { startTestApi, type TestApi } from '../support/api';
import { logIn, registerPerson } from '../api/identity/people';

const run = promisify(execFile);

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

async function createAdmin(...args: string[]): Promise<Ended> {
  const script = ['node_modules/.bin/tsx', 'workers/createAdmin.ts', ...args];
  try {
    const { stdout, stderr } = await run(process.execPath, script, {
      env: { ...process.env, NODE_ENV: 'test', DATABASE_URL: api.deps.config.DATABASE_URL },
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = Object.assign({ code: 0, stdout: '', stderr: '' }, error);
    return { code, stdout, stderr };
  }
}

function userOf(email: string) {
  return api.db('users').where({ email_key: email }).first();
}

test('the first admin comes from the machine, with a password that opens nothing but another one', async () => {
  const email = `admin-${newId()}@example.com`;
  const made = await createAdmin('--email', email);
  expect(made).toMatchObject({ code: 0, stderr: '' });
  const password = /: ([\w-]{20})$/m.exec(made.stdout)?.[1] ?? '';
  const { accessToken: token } = (await logIn(api, { email, password })).body.data;
  const stats = () => api.send('get', '/api/v1/admin/stats', { token });
  const closed = await stats();
  expect([closed.status, closed.body.code]).toEqual([403, 'passwordExpired']);

  const json = { current: password, new: 'nine green bottles on a wall' };
  const changed = await api.send('put', '/api/v1/users/me/password', { token, json });
  expect(changed.status).toBe(204);
  expect((await stats()).status).toBe(200);
  const [entry] = await api.db('audit_log').where({ target_id: (await userOf(email)).id });
  expect(entry).toMatchObject({ action: 'user.madePlatformAdmin', actor_kind: 'operator' });

  const again = await createAdmin('--email', email);
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect((await logIn(api, { email, password: json.new })).status).toBe(200);
});

test('a password that nobody used in time opens nothing, and there is another one', async () => {
  const email = `admin-${newId()}@example.com`;
  const first = await createAdmin('--email', email);
  await api
    .db('users')
    .where({ email_key: email })
    .update({ password_expires_at: new Date(Date.now() - 1_000) });
  const passwordIn = ({ stdout }: Ended) => /: ([\w-]{20})$/m.exec(stdout)?.[1] ?? '';
  expect((await logIn(api, { email, password: passwordIn(first) })).status).toBe(401);
  const second = await createAdmin('--email', email);
  expect((await logIn(api, { email, password: passwordIn(second) })).status).toBe(200);
});

test('somebody with an account becomes an admin only when that is said, and keeps their password', async () => {
  const person = await registerPerson(api);
  expect((await createAdmin('--email', person.email)).code).toBe(1);
  expect((await userOf(person.email)).is_platform_admin).toBe(false);
  const promoted = await createAdmin('--email', person.email, '--existing');
  expect(promoted.code).toBe(0);
  expect(promoted.stdout).not.toContain('password');
  expect((await logIn(api, person)).body.data.user.isPlatformAdmin).toBe(true);
});

test('without an address nothing is made', async () => {
  for (const args of [[], ['--email', 'nobody']]) {
    const ended = await createAdmin(...args);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('npm run admin:create');
  }
});
