import { openRouterKeys } from '../../../lib/config';
import { sealedPlace } from '../../../models/identity/sealedPlaces';
import { ensureConfiguredKeys, type ConfiguredAccount } from '../../../models/llm/configuredKeys';
import { testSealing } from '../../support/accounts';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(() => database.drop());

const configured: ConfiguredAccount = {
  name: 'OpenRouter',
  vendor: 'openrouter',
  baseUrl: 'https://openrouter.ai/api/v1',
  managementKey: 'sk-or-management',
  keys: ['sk-or-v1-first', 'sk-or-v1-second'],
  allowedModels: null,
};

const ensure = (...accounts: ConfiguredAccount[]) =>
  ensureConfiguredKeys(database.app, testSealing, accounts);

const keys = () => database.db('llm_keys').orderBy('last4');

test('takes keys in once, sealed, whoever starts when', async () => {
  await Promise.all([ensure(configured), ensure(configured), ensure(configured)]);
  const stored = await keys();
  expect(stored.map(({ last4 }) => last4)).toEqual(['cond', 'irst']);
  for (const { id, secret } of stored) {
    const opened = testSealing.open(secret, sealedPlace('llmKeys', { key: [id], tenantId: null }));
    expect(configured.keys).toContain(opened);
  }
  expect(await database.db('llm_accounts')).toHaveLength(1);
  expect(await ensure(configured)).toEqual([]);
});

test('adds a new one to the account that is there, and brings none back that was revoked', async () => {
  const [accountId] = await ensure(configured);
  await database.db('llm_keys').where({ last4: 'irst' }).update({ standing: 'revoked' });
  const more = { ...configured, keys: [...configured.keys, 'sk-or-v1-third'] };
  expect(await ensure(more)).toEqual([accountId]);
  const stored = await keys();
  expect(stored.map(({ last4, standing }) => [last4, standing])).toEqual([
    ['cond', 'active'],
    ['hird', 'active'],
    ['irst', 'revoked'],
  ]);
});

test('takes a management key in that is configured later, once, and in the place of none', async () => {
  await ensure({ ...configured, managementKey: null });
  const account = () => database.db('llm_accounts').first();
  expect(await account()).toMatchObject({ has_management_key: false });
  await ensure(configured);
  const { id, management_key: sealed } = await account();
  const place = sealedPlace('llmAccounts', { key: [id], tenantId: null });
  expect(testSealing.open(sealed, place)).toBe(configured.managementKey);
  // What people do with it afterwards stays.
  await ensure({ ...configured, managementKey: 'sk-or-another' });
  expect((await account()).management_key).toBe(sealed);
  await database.db('llm_accounts').update({ management_key: null });
  await ensure(configured);
  expect(await account()).toMatchObject({ has_management_key: false });
  expect(await database.db('llm_accounts')).toHaveLength(1);
});

test('does not bring one back that was removed', async () => {
  await ensure(configured);
  await database.db('llm_keys').where({ last4: 'irst' }).delete();
  expect(await ensure(configured)).toEqual([]);
  expect((await keys()).map(({ last4 }) => last4)).toEqual(['cond']);
});

test('takes keys of another address for another account, whatever its name', async () => {
  await ensure(configured);
  const moved = {
    ...configured,
    baseUrl: 'https://elsewhere.example/v1',
    keys: ['sk-or-v1-third'],
  };
  await ensure(moved);
  await ensure({ ...moved, keys: ['sk-or-v1-fourth'] });
  const accounts = await database.db('llm_accounts').orderBy('created_at');
  expect(accounts.map(({ name }) => name)).toEqual([
    'OpenRouter',
    'OpenRouter at elsewhere.example',
  ]);
  expect((await keys()).map(({ last4, account_id }) => [last4, account_id])).toEqual([
    ['cond', accounts[0].id],
    ['hird', accounts[1].id],
    ['irst', accounts[0].id],
    ['urth', accounts[1].id],
  ]);
});

test('keeps accounts apart that lie at the same address', async () => {
  const other = { ...configured, name: 'South', keys: ['sk-or-v1-third'] };
  await ensure(configured, other);
  await ensure({ ...other, keys: ['sk-or-v1-fourth'] });
  const accounts = await database.db('llm_accounts').orderBy('created_at');
  expect(accounts.map(({ name }) => name)).toEqual(['OpenRouter', 'South']);
  expect((await keys()).map(({ last4, account_id }) => [last4, account_id])).toEqual([
    ['cond', accounts[0].id],
    ['hird', accounts[1].id],
    ['irst', accounts[0].id],
    ['urth', accounts[1].id],
  ]);
});

test('adds nothing for an account without keys', async () => {
  expect(await ensure({ ...configured, keys: [] })).toEqual([]);
  expect(await database.db('llm_accounts')).toEqual([]);
});

test('numbered keys come in the order of their numbers', () => {
  const given = {
    OPENROUTER_API_KEY_10: 'sk-or-v1-ten',
    OPENROUTER_API_KEY_2: 'sk-or-v1-two',
    OPENROUTER_API_KEY_3: '',
    OPENROUTER_API_KEY_X: 'sk-or-v1-none',
  };
  expect(openRouterKeys(given)).toEqual(['sk-or-v1-two', 'sk-or-v1-ten']);
  expect(() => openRouterKeys({ OPENROUTER_API_KEY_4: 'a b' })).toThrow('OPENROUTER_API_KEY_4');
});
