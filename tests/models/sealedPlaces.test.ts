import { newId } from '../../lib/ids';
import { createSealing } from '../../lib/sealing';
import { acrossTenants } from '../../models/base';
import { countSealed, listSealedOtherwise } from '../../models/identity/resealing';
import {
  sealedColumnNames,
  sealedColumns,
  sealedPlace,
  type SealedColumnName,
} from '../../models/identity/sealedPlaces';
import { rotateDataKey } from '../../models/identity/dataKeys';
import { rotateSigningKeys } from '../../models/identity/signingKeys';
import { claimKey, storeAnswer } from '../../models/requests/idempotencyKeys';
import { ensureTestAccount, testSealing } from '../support/accounts';
import { insertLlmAccount, insertLlmKey } from '../support/llm';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { insertTenant } from '../support/records';
import { writeSealedAccounts } from '../support/sealedAccounts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

// How each column's own model seals into it, with the key of the tests; how many values it writes.
const writers = {
  providerAccounts: async () => {
    await ensureTestAccount(database.app);
    await writeSealedAccounts(database.db, testSealing, { accounts: 3, tenants: 2 });
    return 4;
  },
  dataKeys: async () => {
    await rotateDataKey(database.app, testSealing, null);
    await rotateDataKey(database.app, testSealing, await insertTenant(database.db));
    return 2;
  },
  signingKeys: async () => {
    await rotateSigningKeys(database.app, testSealing);
    return 1;
  },
  llmAccounts: async () => {
    await insertLlmAccount(database.db, { baseUrl: 'https://example.com', managementKey: 'sk-m' });
    return 1;
  },
  llmKeys: async () => {
    const accountId = await insertLlmAccount(database.db, { baseUrl: 'https://example.com' });
    await insertLlmKey(database.db, { accountId, secret: 'sk-a' });
    return 1;
  },
  answers: async () => {
    const tenantId = await insertTenant(database.db);
    const claim = {
      tenantId,
      key: 'a/b',
      route: 'POST /llm/chat',
      bodyDigest: Buffer.from('a'),
      claimedBy: newId(),
    };
    await claimKey(database.app, testSealing, claim);
    const answer = { status: 200, headers: {}, body: '{"data":{}}' };
    await storeAnswer(database.app, claim, answer, testSealing);
    return 1;
  },
  llmPrompts: async () => {
    const [tenantId, callId] = [await insertTenant(database.db), newId()];
    await database.db('llm_calls').insert({
      id: callId,
      tenant_id: tenantId,
      feature: 'script',
      kind: 'chat',
      model_asked: 'a',
      estimate_micros: 1,
      may_use_platform: true,
      is_streamed: false,
      expires_at: new Date(),
    });
    const place = sealedPlace('llmPrompts', { key: [callId], tenantId });
    await database.db('llm_prompts').insert({
      call_id: callId,
      tenant_id: tenantId,
      content: testSealing.seal('a prompt', place),
      expires_at: new Date(),
    });
    return 1;
  },
  mfaSecrets: async () => {
    const userId = newId();
    await database.db('users').insert({
      id: userId,
      email: `${userId}@example.com`,
      password_hash: 'no password fits this',
    });
    const place = sealedPlace('mfaSecrets', { key: [userId], tenantId: null });
    await database
      .db('users')
      .where({ id: userId })
      .update({ mfa_secret: testSealing.seal('seed', place) });
    return 1;
  },
} satisfies Record<SealedColumnName, () => Promise<number>>;

test('every column that takes envelopes alone is registered, and the other way round', async () => {
  const found = await database.db.raw(
    `select c.conrelid::regclass::text as "table", a.attname as "column"
       from pg_constraint c
       join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any(c.conkey)
      where c.contype = 'c' and position('){4}$' in pg_get_constraintdef(c.oid)) > 0
      order by 1, 2`,
  );
  const columns: { table: string; column: string }[] = found.rows;
  const registered = Object.values(sealedColumns).map(({ table, column }) => ({ table, column }));
  expect(columns.length).toBeGreaterThan(0);
  expect(columns).toEqual(
    registered.toSorted((a, b) => (`${a.table} ${a.column}` < `${b.table} ${b.column}` ? -1 : 1)),
  );
});

test.each(sealedColumnNames)(
  '%s names the primary key and the tenant of its table',
  async (name) => {
    const { table, key, tenant } = sealedColumns[name];
    const found = await database.db.raw(
      `select a.attname as "column", format_type(a.atttypid, null) as type
       from pg_index i, unnest(i.indkey) with ordinality k (attnum, place)
       join pg_attribute a on a.attnum = k.attnum
      where i.indrelid = cast(? as regclass) and i.indisprimary and a.attrelid = i.indrelid
      order by k.place`,
      [table],
    );
    const columns: { column: string; type: string }[] = found.rows;
    const types: Record<string, string> = { int: 'integer' };
    expect(columns).toEqual(
      Object.entries(key).map(([column, type]) => ({ column, type: types[type] ?? type })),
    );
    expect(await database.db.schema.hasColumn(table, 'tenant_id')).toBe(tenant === 'tenant_id');
  },
);

test.each(sealedColumnNames)(
  '%s is sealed by its model where the registry opens it',
  async (name) => {
    const written = await writers[name]();
    const rows = await acrossTenants(database.app, 'resealing', (trx) =>
      listSealedOtherwise(trx, name, { keyId: 'none', after: null, limit: 100 }),
    );
    expect(rows).toHaveLength(written);
    for (const row of rows) {
      expect(testSealing.open(row.sealed, sealedPlace(name, row))).not.toBe('');
      const elsewhere = { ...row, key: row.key.map((part) => `${part}x`) };
      expect(() => testSealing.open(row.sealed, sealedPlace(name, elsewhere))).toThrow(
        'does not open',
      );
    }
    const counts = await acrossTenants(database.app, 'resealing', countSealed);
    expect(counts).toContainEqual({ name, keyId: testSealing.keyId, values: written });
  },
);

test('an envelope of a key that is not given says which key, and what to do', () => {
  const place = sealedPlace('providerAccounts', { key: ['a'], tenantId: null });
  const other = createSealing([{ id: 'other', key: Buffer.alloc(32, 1) }]);
  expect(() => testSealing.open(other.seal('x', place), place)).toThrow(
    'The value was sealed with the key "other", which is not among the keys given (test): SEALING_KEYS needs it, behind the first.',
  );
});
