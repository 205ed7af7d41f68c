import { withTenant } from '../../../models/base';
import { openCredentials } from '../../../models/messages/accountCredentials';
import { startTestApi, type TestApi } from '../../support/api';
import { dataOf } from '../../support/campaigns';
import { buildTenant } from '../../support/factories';
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

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

const rowOf = (id: string) => api.db('provider_accounts').where({ id }).first();

const openedOf = (tenantId: string, id: string) =>
  withTenant(api.deps.db, tenantId, (trx) =>
    openCredentials(trx, api.deps.sealing, { id, tenantId }),
  );

test.each([
  ['SendGrid', sendGridBody(), { region: 'global' }],
  [
    'SendGrid with its activity feed',
    sendGridBody({ settings: { activityLookUp: true } }),
    { region: 'global', activityLookUp: true },
  ],
  ['SMTP', smtpBody(), { host: 'smtp.example.com', port: 587, security: 'starttls' }],
  ['Twilio', twilioBody(), { accountSid: `AC${'0'.repeat(32)}` }],
  ['Twilio for WhatsApp', twilioBody({ channel: 'whatsapp' }), undefined],
  ['Meta', metaBody(), metaBody().settings],
])(
  'adds an account at %s, seals what opens it, and shows it no more',
  async (_, json, settings) => {
    const tenant = await buildTenant(api.deps);
    const answer = await api.send('post', accountsPath, { token: tenant.token, json });
    const account = dataOf(answer, 201);

    expect(answer.headers.get('Location')).toBe(`${accountsPath}/${account.id}`);
    expect(account).toMatchObject({
      vendor: json.vendor,
      channel: json.channel,
      name: json.name,
      active: true,
      isDefault: false,
      lastTest: null,
      ...(settings === undefined ? {} : { settings }),
    });
    expect(Object.keys(account)).not.toContain('credentials');
    const row = await rowOf(account.id);
    for (const secret of Object.values(json.credentials)) {
      expect(JSON.stringify(row)).not.toContain(secret);
      expect(answer.text).not.toContain(secret);
    }
    const opened = await openedOf(tenant.tenantId, account.id);
    expect(opened.credentials).toEqual(json.credentials);
  },
);

test('an account begins with the rate of new ones', async () => {
  const config = { ...api.deps.config, BULK_EMAIL_RATE_LIMIT_PER_MIN: 600 };
  const limited = await startTestApi({ config });
  try {
    const account = await postAccount(limited, await buildTenant(limited.deps));
    const limits = await limited.db.raw(
      `select to_jsonb(a) || coalesce((select jsonb_agg(to_jsonb(l)) from provider_limits l
         where l.account_id = a.id), '[]') as row from provider_accounts a where id = ?`,
      [account.id],
    );
    expect(JSON.stringify(limits.rows)).toContain('600');
  } finally {
    await limited.stop();
  }
});

test('the same request again adds one account', async () => {
  const { token, tenantId } = await buildTenant(api.deps);
  const request = { token, json: sendGridBody(), headers: { 'Idempotency-Key': 'once' } };
  const first = await api.send('post', accountsPath, request);
  const again = await api.send('post', accountsPath, request);

  expect(dataOf(again, 201)).toEqual(dataOf(first, 201));
  expect(await api.db('provider_accounts').where({ tenant_id: tenantId })).toHaveLength(1);
});

test('lists by channel, vendor and activity, page by page', async () => {
  const tenant = await buildTenant(api.deps);
  for (const json of [
    sendGridBody({ name: 'a' }),
    smtpBody({ name: 'b', active: false }),
    twilioBody({ name: 'c' }),
  ]) {
    await postAccount(api, tenant, json);
  }
  const names = async (query: string) => {
    const answer = await api.send('get', `${accountsPath}?sort=name&${query}`, tenant);
    return dataOf(answer, 200).map(({ name }: { name: string }) => name);
  };
  expect(await names('')).toEqual(['a', 'b', 'c']);
  expect(await names('channel=email')).toEqual(['a', 'b']);
  expect(await names('vendor=twilio')).toEqual(['c']);
  expect(await names('active=false')).toEqual(['b']);

  const first = await api.send('get', `${accountsPath}?sort=name&perPage=2`, tenant);
  expect(first.body.meta).toMatchObject({ total: 3, pages: 2 });
  expect(await names(`perPage=2&cursor=${first.body.meta.nextCursor}`)).toEqual(['c']);
});

test('a change keeps what it does not name, credentials above all', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postAccount(api, tenant, smtpBody());
  const before = await rowOf(id);
  const json = { name: 'Other', settings: { port: 465, security: 'tls' } };
  const changed = await api.send('patch', `${accountsPath}/${id}`, { ...tenant, json });

  expect(dataOf(changed, 200)).toMatchObject({
    name: 'Other',
    settings: { host: 'smtp.example.com', port: 465, security: 'tls' },
  });
  expect((await rowOf(id)).credentials).toBe(before.credentials);

  const cleared = await api.send('patch', `${accountsPath}/${id}`, {
    ...tenant,
    json: { settings: { port: null } },
  });
  expect(dataOf(cleared, 200).settings.port).toBe(587);
});

test('new credentials replace the old ones and forget the last test', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postAccount(api, tenant);
  await api.db('provider_accounts').where({ id }).update({
    tested_at: new Date(),
    test_outcome: 'accepted',
  });
  const path = `${accountsPath}/${id}`;
  const renamed = await api.send('patch', path, { ...tenant, json: { name: 'Other' } });
  expect(dataOf(renamed, 200).lastTest).toMatchObject({ outcome: 'accepted', reason: null });

  const json = { credentials: { apiKey: 'SG.another' } };
  expect(dataOf(await api.send('patch', path, { ...tenant, json }), 200).lastTest).toBeNull();
  const opened = await openedOf(tenant.tenantId, id);
  expect(opened.credentials).toEqual({ apiKey: 'SG.another' });
});

test('PUT writes all of an account; credentials that are not given stay', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postAccount(api, tenant);
  const { credentials: _, senders: __, ...json } = sendGridBody({ settings: { region: 'eu' } });
  const replaced = await api.send('put', `${accountsPath}/${id}`, { ...tenant, json });

  expect(dataOf(replaced, 200)).toMatchObject({ settings: { region: 'eu' }, senders: [] });
  const opened = await openedOf(tenant.tenantId, id);
  expect(opened).toEqual({
    vendor: 'sendgrid',
    settings: { region: 'eu' },
    credentials: { apiKey },
  });
});

test('vendor and channel stay what they were', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postAccount(api, tenant, twilioBody());
  const before = await rowOf(id);
  for (const [json, field] of [
    [sendGridBody(), 'vendor'],
    [twilioBody({ channel: 'whatsapp' }), 'channel'],
  ]) {
    const answer = await api.send('put', `${accountsPath}/${id}`, { ...tenant, json });
    expect(answer.status).toBe(422);
    expect(answer.body.errors).toMatchObject([{ path: field, code: 'fixed' }]);
  }
  const patched = await api.send('patch', `${accountsPath}/${id}`, {
    ...tenant,
    json: { vendor: 'meta' },
  });
  expect(patched.body.errors).toMatchObject([{ path: 'vendor', code: 'unknownField' }]);
  expect(await rowOf(id)).toEqual(before);
});

test('a change of what was changed meanwhile answers 412', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postAccount(api, tenant);
  const path = `${accountsPath}/${id}`;
  const read = await api.send('get', path, tenant);
  const headers = { 'If-Match': read.headers.get('ETag') ?? '' };
  expect((await api.send('patch', path, { ...tenant, headers, json: { name: 'b' } })).status).toBe(
    200,
  );
  for (const [method, json] of [
    ['patch', { name: 'c' }],
    ['put', sendGridBody()],
  ] as const) {
    expect((await api.send(method, path, { ...tenant, headers, json })).status).toBe(412);
  }
});

test.each<[string, object, string, string]>([
  ['no vendor', { ...sendGridBody(), vendor: undefined }, 'vendor', 'notAllowed'],
  ['an unknown vendor', sendGridBody({ vendor: 'pigeon' }), 'vendor', 'notAllowed'],
  [
    'a channel its vendor does not serve',
    sendGridBody({ channel: 'sms' }),
    'channel',
    'notAllowed',
  ],
  [
    'another vendor’s credentials',
    sendGridBody({ credentials: { authToken: 'f'.repeat(32) } }),
    'credentials.authToken',
    'unknownField',
  ],
  ['no credentials', sendGridBody({ credentials: undefined }), 'credentials', 'required'],
  [
    'a key of no SendGrid',
    sendGridBody({ credentials: { apiKey: 'secret' } }),
    'credentials.apiKey',
    'wrongFormat',
  ],
  [
    'a key with a line break',
    sendGridBody({ credentials: { apiKey: 'SG.a\r\nX-Y: z' } }),
    'credentials.apiKey',
    'wrongFormat',
  ],
  [
    'an address that is none',
    sendGridBody({ senders: [{ address: 'shop' }] }),
    'senders.0.address',
    'wrongEmail',
  ],
  [
    'a sender name of two lines',
    sendGridBody({ senders: [{ address: 'a@example.com', name: 'a\r\nBcc: b@example.com' }] }),
    'senders.0.name',
    'wrongFormat',
  ],
  [
    'a sender twice',
    sendGridBody({ senders: [{ address: 'a@example.com' }, { address: 'A@example.com' }] }),
    'senders',
    'senderRepeated',
  ],
  [
    'a base URL',
    sendGridBody({ settings: { baseUrl: 'http://127.0.0.1:8025' } }),
    'settings.baseUrl',
    'notAllowedHere',
  ],
  [
    'a base URL with Twilio',
    twilioBody({ settings: { accountSid: `AC${'0'.repeat(32)}`, baseUrl: 'https://example.com' } }),
    'settings.baseUrl',
    'notAllowedHere',
  ],
  [
    'a password sent in clear',
    smtpBody({ settings: { host: 'smtp.example.com', security: 'none' } }),
    'settings.security',
    'notAllowedHere',
  ],
  ['no host', smtpBody({ settings: {} }), 'settings.host', 'required'],
  [
    'a URL as host',
    smtpBody({ settings: { host: 'http://smtp.example.com' } }),
    'settings.host',
    'wrongFormat',
  ],
  [
    'a host with a port',
    smtpBody({ settings: { host: 'smtp.example.com:25' } }),
    'settings.host',
    'wrongFormat',
  ],
  [
    'port 0',
    smtpBody({ settings: { host: 'smtp.example.com', port: 0 } }),
    'settings.port',
    'tooSmall',
  ],
  [
    'a short account SID',
    twilioBody({ settings: { accountSid: 'AC1' } }),
    'settings.accountSid',
    'wrongFormat',
  ],
  [
    'an e-mail address as a sender of texts',
    twilioBody({ senders: [{ address: 'a@example.com' }] }),
    'senders.0.address',
    'wrongFormat',
  ],
  [
    'a verify token that can be guessed',
    metaBody({ credentials: { ...metaBody().credentials, verifyToken: 'bells' } }),
    'credentials.verifyToken',
    'wrongFormat',
  ],
  [
    'a version that is none',
    metaBody({ settings: { ...metaBody().settings, apiVersion: 'latest' } }),
    'settings.apiVersion',
    'wrongFormat',
  ],
  ['a default in passing', sendGridBody({ isDefault: true }), 'isDefault', 'unknownField'],
  [
    'another tenant',
    sendGridBody({ tenantId: '0190a000-0000-7000-8000-000000000000' }),
    'tenantId',
    'unknownField',
  ],
])(
  'refuses an account with %s, names the field, and writes nothing',
  async (_, json, path, code) => {
    const { token, tenantId } = await buildTenant(api.deps);
    const answer = await api.send('post', accountsPath, { token, json });

    expect({ status: answer.status, errors: answer.body.errors }).toMatchObject({
      status: 422,
      errors: expect.arrayContaining([expect.objectContaining({ path, code })]),
    });
    expect(await api.db('provider_accounts').where({ tenant_id: tenantId })).toEqual([]);
  },
);

test.each([
  [{ settings: { port: 99_999 } }, [{ path: 'settings.port', code: 'tooBig' }]],
  [{ settings: { region: 'eu' } }, [{ path: 'settings.region', code: 'unknownField' }]],
  [{ credentials: { apiKey: 'SG.x' } }, [{ path: 'credentials.username' }]],
  [{ credentials: { password: 'alone' } }, [{ path: 'credentials.username', code: 'required' }]],
  [{ name: null }, [{ path: 'name', code: 'wrongType' }]],
  [{ settings: { host: null } }, [{ path: 'settings.host', code: 'required' }]],
])('a change of %j is checked as the stored vendor asks', async (json, errors) => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postAccount(api, tenant, smtpBody());
  const before = await rowOf(id);
  const answer = await api.send('patch', `${accountsPath}/${id}`, { ...tenant, json });

  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject(
    expect.arrayContaining(errors.map((each) => expect.objectContaining(each))),
  );
  expect(await rowOf(id)).toEqual(before);
});

describe.each(['development', 'production'] as const)('in %s', (environment) => {
  let other: TestApi;

  beforeAll(async () => {
    other = await startTestApi({ config: { ...api.deps.config, NODE_ENV: environment } });
  });

  afterAll(() => other.stop());

  const inDevelopment = environment === 'development' ? 201 : 422;
  const baseUrl = (url: string) => sendGridBody({ settings: { baseUrl: url } });
  const smtp = (settings: object) => smtpBody({ settings: { host: '93.184.216.34', ...settings } });

  test.each<[string, object, number]>([
    ['the sandbox', baseUrl('http://127.0.0.1:8025'), inDevelopment],
    ['the sandbox by name', baseUrl('http://localhost:8025'), inDevelopment],
    ['an address of the cloud', baseUrl('http://169.254.169.254'), 422],
    ['a name that looks local', baseUrl('http://127.0.0.1.example.com'), 422],
    ['a base URL with a login', baseUrl('http://user:word@127.0.0.1'), 422],
    ['a file', baseUrl('file:///etc/passwd'), 422],
    ['a password in clear', smtp({ security: 'none' }), inDevelopment],
    ['a local mail server', smtp({ host: '127.0.0.1' }), inDevelopment],
    ['a local mail server by name', smtp({ host: 'localhost' }), inDevelopment],
    ['a local mail server by number', smtp({ host: '2130706433' }), inDevelopment],
    ['a local mail server by IPv6', smtp({ host: '::ffff:7f00:1' }), inDevelopment],
    ['a neighbour', smtp({ host: 'postgres' }), inDevelopment],
    ['a public mail server', smtp({}), 201],
  ])('an account that leads to %s is answered as it must be', async (_, json, status) => {
    const tenant = await buildTenant(other.deps);
    const answer = await other.send('post', accountsPath, { token: tenant.token, json });
    expect([answer.status, answer.body.code]).toEqual([
      status,
      status === 201 ? undefined : 'validationFailed',
    ]);
    // A change is no way around it.
    const { vendor, channel, settings, ...rest } = { ...smtpBody(), ...json };
    const written =
      vendor === 'smtp' ? smtpBody({ settings: { host: '93.184.216.34' } }) : sendGridBody();
    const { id } = await postAccount(other, tenant, written);
    for (const [method, change] of [
      ['patch', { settings }],
      ['put', { vendor, channel, settings, ...rest }],
    ] as const) {
      const changed = await other.send(method, `${accountsPath}/${id}`, {
        ...tenant,
        json: change,
      });
      expect([method, changed.status]).toEqual([method, status === 201 ? 200 : 422]);
    }
  });
});
