import { Writable } from 'node:stream';
import { pino } from 'pino';
import { createSealing } from '../../../lib/sealing';
import { startTestApi, type TestApi } from '../../support/api';
import { dataOf } from '../../support/campaigns';
import { checksumOf } from '../../support/checksum';
import { buildTenant, type TestTenant } from '../../support/factories';
import {
  accountsPath,
  apiKey,
  metaBody,
  postAccount,
  sendGridBody,
  smtpBody,
  twilioBody,
} from './ground';

let api: TestApi;
let log = '';

beforeAll(async () => {
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      log += chunk.toString();
      done();
    },
  });
  api = await startTestApi({ logger: pino({ level: 'trace' }, sink) });
});

afterAll(() => api.stop());

/** Every operation on one account, each with a request that is right for its owner. */
const operations: [string, string, object | undefined][] = [
  ['get', '', undefined],
  ['put', '', sendGridBody({ name: 'taken over' })],
  ['patch', '', { name: 'taken over' }],
  ['delete', '', undefined],
  ['post', '/default', {}],
  ['delete', '/default', undefined],
  ['post', '/test', {}],
  ['get', '/limits', undefined],
  ['put', '/limits', { limits: [{ per: 'day', unit: 'messages', most: 1 }] }],
  ['get', '/rate', undefined],
  ['delete', '/block', undefined],
];

describe.each(operations)('%s %s', (method, path, json) => {
  let owner: TestTenant;
  let id: string;

  beforeEach(async () => {
    owner = await buildTenant(api.deps);
    ({ id } = await postAccount(api, owner));
    // What would be lost: the default, too.
    await api.send('post', `${accountsPath}/${id}/default`, { ...owner, json: {} });
  });

  test.each<[string, (tenant: TestTenant) => Promise<string | undefined>, number, string]>([
    ['nobody', async () => undefined, 401, 'tokenMissing'],
    [
      'another tenant',
      async () => (await buildTenant(api.deps)).token,
      404,
      'providerAccountNotFound',
    ],
    ['a viewer', async (tenant) => tenant.tokenOf('viewer'), 403, 'forbidden'],
  ])('by %s changes and shows nothing', async (_, tokenFor, status, code) => {
    const token = await tokenFor(owner);
    const before = await checksumOf(api.db);
    const answer = await api.send(method, `${accountsPath}/${id}${path}`, { token, json });

    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.text).not.toContain('Newsletter');
    expect(await checksumOf(api.db)).toBe(before);
  });

  test('by a member is for reading alone', async () => {
    const token = owner.tokenOf('member');
    const answer = await api.send(method, `${accountsPath}/${id}${path}`, { token, json });
    expect(answer.status).toBe(method === 'get' ? 200 : 403);
  });

  test.each(['0190a000-0000-7000-8000-000000000000', 'sendgrid', 'x'])(
    'of the unknown account %s answers 404',
    async (unknown) => {
      const answer = await api.send(method, `${accountsPath}/${unknown}${path}`, {
        ...owner,
        json,
      });
      expect([answer.status, answer.body.code]).toEqual([404, 'providerAccountNotFound']);
    },
  );
});

test('a list shows one tenant’s accounts and needs a role that reads', async () => {
  const [mine, theirs] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  const { id } = await postAccount(api, mine);
  await postAccount(api, theirs);

  const listed = dataOf(await api.send('get', accountsPath, mine), 200);
  expect(listed.map((account: { id: string }) => account.id)).toEqual([id]);
  expect((await api.send('get', accountsPath)).status).toBe(401);
  const viewer = await api.send('get', accountsPath, { token: mine.tokenOf('viewer') });
  expect(viewer.status).toBe(403);
});

test('no answer and no log line holds a secret, whatever is done with it', async () => {
  const tenant = await buildTenant(api.deps);
  const answers: string[] = [];
  const call = async (method: string, path: string, json?: object) => {
    const { text, body, status } = await api.send(method, `${accountsPath}${path}`, {
      ...tenant,
      json,
      headers: method === 'post' ? { 'Idempotency-Key': `secrets-${answers.length}` } : {},
    });
    answers.push(text);
    return { status, id: body?.data?.id };
  };
  const bodies = [sendGridBody(), smtpBody(), twilioBody(), metaBody()];
  for (const json of bodies) {
    const { id } = await call('post', '', json);

    expect((await call('put', `/${id}`, json)).status).toBe(200);
    expect((await call('patch', `/${id}`, { credentials: json.credentials })).status).toBe(200);
    await call('get', `/${id}`);
    await call('get', '');
    // What is wrong beside a secret must not bring it into the problem.
    await call('post', '', { ...json, name: 7, more: json.credentials });
    await call('patch', `/${id}`, { credentials: { ...json.credentials, more: 1 } });
    const wrong = Object.entries(json.credentials).map(([key, value]) => [key, `${value} \r\n`]);
    await call('patch', `/${id}`, { credentials: Object.fromEntries(wrong) });
  }
  const broken = await api.send('post', accountsPath, {
    ...tenant,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(sendGridBody()).slice(0, -1),
  });
  expect(broken.status).toBe(400);
  answers.push(broken.text);

  // Postgres refuses the row and names its values: the worst that our own mistakes could do.
  await api.db.raw('alter table provider_accounts add constraint none check (false) not valid');
  const failed = await call('post', '', sendGridBody());
  await api.db.raw('alter table provider_accounts drop constraint none');
  expect(failed.status).toBe(500);

  // Nor does what cannot be opened any more.
  const { id } = await call('post', '', sendGridBody());
  const otherKey = createSealing([{ id: 'other', key: Buffer.alloc(32, 1) }]);
  const sealed = otherKey.seal('{}', {
    table: 'provider_accounts',
    rowId: id,
    tenantId: tenant.tenantId,
  });
  await api.db('provider_accounts').where({ id }).update({ credentials: sealed });
  expect((await call('post', `/${id}/test`, {})).status).toBe(409);

  expect(answers.length).toBeGreaterThan(30);
  // The log is there, with the error of the worst case and of the key that is gone.
  for (const logged of ['/provider-accounts', 'violates check constraint', 'the key \\"other\\"']) {
    expect([logged, log.includes(logged)]).toEqual([logged, true]);
  }
  const secrets = bodies.flatMap(({ credentials }) => Object.values(credentials));
  expect(secrets).toContain(apiKey);
  for (const secret of secrets.filter((text) => text !== 'mailer')) {
    expect([secret, log.includes(secret)]).toEqual([secret, false]);
    expect(answers.filter((text) => text.includes(secret))).toEqual([]);
  }
  const stored = await api.db.raw(`select to_jsonb(r)::text as row from idempotency_keys r`);
  expect(stored.rows.length).toBeGreaterThan(0);
  expect(JSON.stringify(stored.rows)).not.toContain(apiKey);
});
