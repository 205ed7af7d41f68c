import { sealedPlace } from '../../../models/identity/sealedPlaces';
import { startTestApi, type TestApi } from '../../support/api';
import { testSealing } from '../../support/accounts';
import { dataOf } from '../../support/campaigns';
import { buildTenant } from '../../support/factories';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { signInAs } from '../../support/tokens';

let api: TestApi;
let admin: string;

beforeAll(async () => {
  api = await startTestApi();
  const { tenantId } = await buildTenant(api.deps);
  const signedIn = await signInAs(api.deps, { tenantId, role: 'viewer' });
  await api.db('users').where({ id: signedIn.userId }).update({ is_platform_admin: true });
  admin = signedIn.token;
});

afterAll(() => api.stop());

let made = 0;

const secretOf = () => `sk-or-v1-${String((made += 1)).padStart(12, '0')}`;

/** Whoever owns keys: a tenant by its own routes, the platform by those of its admins. */
const owners = [
  ['a tenant', '/api/v1/llm', async () => (await buildTenant(api.deps)).token],
  ['the platform', '/api/v1/admin/llm', async () => admin],
] as const;

describe.each(owners)('%s', (_, base, tokenOf) => {
  const post = async (token: string, path: string, json: object) =>
    api.send('post', `${base}${path}`, { token, json });
  const addAccount = async (token: string, values: object = {}) =>
    dataOf(await post(token, '/accounts', { name: `Account ${secretOf()}`, ...values }), 201);

  test('adds an account and a key, sealed, and shows no secret again', async () => {
    const token = await tokenOf();
    const managementKey = secretOf();
    const secret = secretOf();
    const account = await addAccount(token, { managementKey });
    expect(account).toMatchObject({
      vendor: 'openrouter',
      baseUrl: 'https://openrouter.ai/api/v1',
      hasManagementKey: true,
      standing: 'active',
      balance: null,
    });
    const answer = await post(token, '/keys', { accountId: account.id, secret, label: 'First' });
    const key = dataOf(answer, 201);
    expect(answer.headers.get('Location')).toBe(`${base}/keys/${key.id}`);
    expect(key).toMatchObject({ label: 'First', last4: secret.slice(-4), weight: 100 });

    const row = await api.db('llm_keys').where({ id: key.id }).first();
    const place = sealedPlace('llmKeys', { key: [key.id], tenantId: row.tenant_id });
    expect(testSealing.open(row.secret, place)).toBe(secret);
    const shown = await Promise.all(
      ['/accounts', '/keys', `/keys/${key.id}`].map((path) =>
        api.send('get', `${base}${path}`, { token }),
      ),
    );
    const accountAgain = await api.send('get', `${base}/accounts/${account.id}`, { token });
    expect(dataOf(accountAgain, 200).keys).toBe(1);
    for (const { status, text } of [...shown, accountAgain, answer]) {
      expect([status, text]).toEqual([status === 201 ? 201 : 200, text]);
      expect(text).not.toContain(secret);
      expect(text).not.toContain(managementKey);
      expect(text).not.toContain(row.secret);
    }
  });

  test('takes a key once, and a name once', async () => {
    const token = await tokenOf();
    const account = await addAccount(token);
    const key = { accountId: account.id, secret: secretOf(), label: 'Twice' };
    dataOf(await post(token, '/keys', key), 201);
    const again = await post(token, '/keys', { ...key, label: 'Another' });
    expect([again.status, again.body.code]).toEqual([409, 'llmKeyKnown']);
    const named = await post(token, '/accounts', { name: account.name.toUpperCase() });
    expect([named.status, named.body.code]).toEqual([409, 'llmAccountNameTaken']);
  });

  test.each([
    [{ baseUrl: 'ftp://example.com' }, 'baseUrl'],
    [{ baseUrl: 'https://example.com/?key=a' }, 'baseUrl'],
    [{ maxConcurrency: 0 }, 'maxConcurrency'],
    [{ managementKey: 'with a space in it' }, 'managementKey'],
    [{ apiKey: 'sk-something' }, 'apiKey'],
  ])('names what is wrong in an account %j', async (values, path) => {
    const answer = await post(await tokenOf(), '/accounts', { name: 'Wrong', ...values });
    expect([answer.status, answer.body.errors[0].path]).toEqual([422, path]);
  });

  test.each([
    [{ secret: 'short' }, 'secret'],
    [{ weight: 1.5 }, 'weight'],
    [{ allowedModels: ['a model'] }, 'allowedModels.0'],
    [{ expiresAt: 'tomorrow' }, 'expiresAt'],
    [{ accountId: '0190a1b2-0000-7000-8000-000000000000' }, 'accountId'],
  ])('names what is wrong in a key %j, and keeps none of it', async (values, path) => {
    const token = await tokenOf();
    const account = await addAccount(token);
    const key = { accountId: account.id, secret: secretOf(), label: 'Wrong', ...values };
    const answer = await post(token, '/keys', key);
    expect([answer.status, answer.body.errors[0].path]).toEqual([422, path]);
    expect(await api.db('llm_keys').where({ account_id: account.id })).toEqual([]);
  });

  test('changes what is given, if nobody did meanwhile, and tells the ring', async () => {
    const token = await tokenOf();
    const account = await addAccount(token);
    const secret = secretOf();
    const key = dataOf(
      await post(token, '/keys', { accountId: account.id, secret, label: 'Old', weight: 7 }),
      201,
    );
    const path = `${base}/keys/${key.id}`;
    const { headers } = await api.send('get', path, { token });
    const versions = async (): Promise<number> => {
      const [row] = await api.db('llm_pools').sum('ring_version as sum');
      return Number(row?.sum);
    };
    const before = await versions();
    const change = { token, headers: { 'If-Match': headers.get('ETag') ?? '' } };
    const changed = dataOf(
      await api.send('patch', path, {
        ...change,
        json: { label: 'New', allowedModels: ['openai/*'] },
      }),
      200,
    );
    expect(changed).toMatchObject({ label: 'New', weight: 7, allowedModels: ['openai/*'] });
    expect(await versions()).toBeGreaterThan(before);
    const late = await api.send('patch', path, { ...change, json: { label: 'Late' } });
    expect(late.status).toBe(412);
  });

  test('sends no key to an address that it was not given for', async () => {
    const token = await tokenOf();
    const managementKey = secretOf();
    const account = await addAccount(token, { managementKey });
    const move = (json: object) =>
      api.send('patch', `${base}/accounts/${account.id}`, { token, json });
    const elsewhere = { baseUrl: 'https://elsewhere.example/v1' };
    const kept = await move(elsewhere);
    expect([kept.status, kept.body.code]).toEqual([409, 'llmAccountHasKeys']);
    expect(dataOf(await move({ ...elsewhere, managementKey: secretOf() }), 200)).toMatchObject(
      elsewhere,
    );
    await post(token, '/keys', { accountId: account.id, secret: secretOf(), label: 'Held' });
    const held = await move({ baseUrl: 'https://third.example/v1', managementKey: null });
    expect([held.status, held.body.code]).toEqual([409, 'llmAccountHasKeys']);
    const row = await api.db('llm_accounts').where({ id: account.id }).first();
    expect([row.base_url, row.has_management_key]).toEqual([elsewhere.baseUrl, true]);
  });

  test('removes what is not in use any more', async () => {
    const token = await tokenOf();
    const account = await addAccount(token);
    const key = dataOf(
      await post(token, '/keys', { accountId: account.id, secret: secretOf(), label: 'Last' }),
      201,
    );
    const remove = (path: string) => api.send('delete', `${base}${path}`, { token });
    const early = await remove(`/keys/${key.id}`);
    expect([early.status, early.body.code]).toEqual([409, 'llmKeyNotRevoked']);
    const full = await remove(`/accounts/${account.id}`);
    expect([full.status, full.body.code]).toEqual([409, 'llmAccountHasKeys']);
    await api.db('llm_keys').where({ id: key.id }).update({ standing: 'revoked' });
    expect((await remove(`/keys/${key.id}`)).status).toBe(204);
    expect((await remove(`/accounts/${account.id}`)).status).toBe(204);
    expect((await api.send('get', `${base}/accounts/${account.id}`, { token })).status).toBe(404);
  });
});

test('a tenant’s and the platform’s keys are not each other’s', async () => {
  const { token } = await buildTenant(api.deps);
  const own = dataOf(
    await api.send('post', '/api/v1/llm/accounts', { token, json: { name: 'Own' } }),
    201,
  );
  const ofPlatform = dataOf(
    await api.send('post', '/api/v1/admin/llm/accounts', {
      token: admin,
      json: { name: 'Of the platform' },
    }),
    201,
  );
  const asked = await Promise.all([
    api.send('get', `/api/v1/llm/accounts/${ofPlatform.id}`, { token }),
    api.send('get', `/api/v1/admin/llm/accounts/${own.id}`, { token: admin }),
    api.send('post', '/api/v1/llm/keys', {
      token,
      json: { accountId: ofPlatform.id, secret: secretOf(), label: 'Theirs' },
    }),
  ]);
  expect(asked.map(({ status }) => status)).toEqual([404, 404, 422]);
});

test('a repeated request adds one key', async () => {
  const { token } = await buildTenant(api.deps);
  const send = (path: string, json: object, key: string) =>
    api.send('post', path, { token, json, headers: { 'Idempotency-Key': key } });
  const account = dataOf(await send('/api/v1/llm/accounts', { name: 'Once' }, 'account'), 201);
  const body = { accountId: account.id, secret: secretOf(), label: 'Once' };
  const [first, second] = [
    await send('/api/v1/llm/keys', body, 'key'),
    await send('/api/v1/llm/keys', body, 'key'),
  ];
  expect(dataOf(second, 201).id).toBe(dataOf(first, 201).id);
  expect(await api.db('llm_keys').where({ account_id: account.id })).toHaveLength(1);
});

test('as many accounts and keys as every process can know are taken, and no more', async () => {
  const { token, tenantId } = await buildTenant(api.deps);
  const add = (path: string, json: object) =>
    api.send('post', `/api/v1/llm/${path}`, { token, json });
  const accountId = await insertLlmAccount(api.db, { baseUrl: 'https://llm.test', tenantId });
  const columns = { standing: 'revoked' };
  await insertLlmKey(api.db, { accountId, tenantId, secret: secretOf(), columns });
  const [keyId = ''] = await fill(199, async () =>
    insertLlmKey(api.db, { accountId, tenantId, secret: secretOf() }),
  );
  const key = () => ({ accountId, secret: secretOf(), label: 'One more' });
  expect((await add('keys', key())).status).toBe(201);
  for (const [path, body] of [
    ['keys', key()],
    [`keys/${keyId}/rotate`, { secret: secretOf() }],
  ] as const) {
    const refused = await add(path, body);
    expect([path, refused.status, refused.body.code]).toEqual([path, 409, 'llmKeysTooMany']);
  }
  // One comes and one goes.
  expect((await add(`keys/${keyId}/replace`, { secret: secretOf() })).status).toBe(201);

  await fill(48, async () => insertLlmAccount(api.db, { baseUrl: 'https://llm.test', tenantId }));
  expect((await add('accounts', { name: 'The last one' })).status).toBe(201);
  const refused = await add('accounts', { name: 'One more' });
  expect([refused.status, refused.body.code]).toEqual([409, 'llmAccountsTooMany']);
});

const fill = (count: number, make: () => Promise<string>) =>
  Promise.all(Array.from({ length: count }, make));
