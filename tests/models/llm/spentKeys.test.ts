import { newId } from '../../../lib/ids';
import { acrossTenants, withTenant } from '../../../models/base';
import { liftSpentKey } from '../../../models/llm/spentKeys';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

const spentUntil = '2030-01-01T00:00:00Z';

async function benchedKey(tenantId: string | null, evidence: object) {
  const { db } = database;
  const accountId = await insertLlmAccount(db, { baseUrl: 'https://example.com', tenantId });
  const keyId = await insertLlmKey(db, { accountId, tenantId, secret: `sk-${newId()}` });
  await db('llm_health').insert({
    tenant_id: tenantId,
    scope: 'key',
    account_id: accountId,
    key_id: keyId,
    state: 'suspended',
    reason: 'budgetSpent',
    until: spentUntil,
    evidence,
    updated_at: new Date(Date.now() - 1_000),
  });
  return keyId;
}

const lift = (ownerId: string | null, keyId: string) => {
  const actorId = newId();
  return ownerId === null
    ? acrossTenants(database.app, 'platformAdmin', (trx) =>
        liftSpentKey(trx, { ownerId, keyId, actorId }),
      )
    : withTenant(database.app, ownerId, (trx) => liftSpentKey(trx, { ownerId, keyId, actorId }));
};

describe.each([
  ['a tenant', () => insertTenant(database.db)],
  ['the platform', () => Promise.resolve(null)],
])('a key of %s', (_, ownerOf) => {
  test('serves again when our own budget had benched it, and that is told of', async () => {
    const ownerId = await ownerOf();
    const keyId = await benchedKey(ownerId, { status: null });
    await lift(ownerId, keyId);
    expect(await database.db('llm_health').where({ key_id: keyId })).toEqual([]);
    const [told] = await database.db('llm_transitions').where({ key_id: keyId });
    expect(told).toMatchObject({ to_state: 'well', actor_kind: 'user', tenant_id: ownerId });
  });

  test('stays benched by what its vendor said', async () => {
    const ownerId = await ownerOf();
    const keyId = await benchedKey(ownerId, { status: 403 });
    await lift(ownerId, keyId);
    expect(await database.db('llm_health').where({ key_id: keyId })).toHaveLength(1);
  });
});

test('a tenant lifts nothing of another one', async () => {
  const [mine, theirs] = [await insertTenant(database.db), await insertTenant(database.db)];
  const keyId = await benchedKey(theirs, { status: null });
  await lift(mine, keyId);
  expect(await database.db('llm_health').where({ key_id: keyId })).toHaveLength(1);
});
