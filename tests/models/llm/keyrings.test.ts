import { acrossTenants } from '../../../models/base';
import { loadKeyring, loadKeyrings } from '../../../models/llm/keyrings';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

test.each([
  ['nothing but expired keys', { expires_at: new Date(0) }, true],
  ['nothing but paused keys', { standing: 'paused' }, true],
  ['a key that expires later', { expires_at: new Date(Date.now() + 3_600_000) }, false],
])('a pool with %s is down: it says so', async (_, columns, isPoolDown) => {
  const tenantId = await insertTenant(database.db);
  const accountId = await insertLlmAccount(database.db, { baseUrl: 'https://llm.test', tenantId });
  await insertLlmKey(database.db, { accountId, tenantId, secret: `sk-${accountId}`, columns });
  const seen = await acrossTenants(database.app, 'llmRing', (trx) =>
    loadKeyring(trx, { ownerId: tenantId, id: accountId }),
  );
  expect(seen?.isPoolDown).toBe(isPoolDown);
});

test('where no account is well, the first that has a key to ask with looks after its pool', async () => {
  const tenantId = await insertTenant(database.db);
  const add = () => insertLlmAccount(database.db, { baseUrl: 'https://llm.test', tenantId });
  const [none, paused, first, second] = [await add(), await add(), await add(), await add()];
  for (const [accountId, standing] of [
    [paused, 'paused'],
    [first, 'active'],
    [second, 'active'],
  ] as const) {
    const columns = { standing };
    await insertLlmKey(database.db, { accountId, tenantId, secret: `sk-${accountId}`, columns });
    await database.db('llm_health').insert({
      tenant_id: tenantId,
      scope: 'account',
      account_id: accountId,
      state: 'cooling',
      reason: 'platformRateLimit',
    });
  }
  const rings = await acrossTenants(database.app, 'llmRing', (trx) => loadKeyrings(trx, tenantId));
  const looksAfter = rings.filter(({ isFirstOfPool }) => isFirstOfPool);
  expect(rings.map(({ account }) => account.id)).toEqual([none, paused, first, second]);
  expect(looksAfter.map(({ account }) => account.id)).toEqual([first]);
});

test('of keys that were revoked the last ones are shown, however many there were', async () => {
  const tenantId = await insertTenant(database.db);
  const accountId = await insertLlmAccount(database.db, { baseUrl: 'https://llm.test', tenantId });
  for (let n = 0; n < 60; n += 1) {
    await insertLlmKey(database.db, {
      accountId,
      tenantId,
      secret: `sk-${accountId}-${n}`,
      label: `key ${n}`,
      columns: { standing: 'revoked', standing_at: new Date(Date.now() - (60 - n) * 60_000) },
    });
  }
  await insertLlmKey(database.db, { accountId, tenantId, secret: `sk-${accountId}`, label: 'one' });
  const [ring] = await acrossTenants(database.app, 'llmRing', (trx) => loadKeyrings(trx, tenantId));
  const labels = ring?.keys.map(({ label }) => label) ?? [];
  expect(labels).toHaveLength(51);
  expect(labels).toEqual(expect.arrayContaining(['one', 'key 59', 'key 10']));
});
