import { createDataConverter } from '../../../clients/dataConverter';
import { createDatabase, type Knex } from '../../../lib/db';
import { newId, newRandomId } from '../../../lib/ids';
import { createLogger } from '../../../lib/logger';
import { createSealing } from '../../../lib/sealing';
import type { AccessTokens } from '../../../lib/accessTokens';
import { accessTokensOf } from '../../../models/identity/signingKeys';
import { createDataKeys, rotateDataKey } from '../../../models/identity/dataKeys';
import { freePort } from '../../../workers/launch/ports';
import { testSealing } from '../../support/accounts';
import { testDataKeys } from '../../support/dataConverter';
import { until } from '../../support/conditions';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { buildTenant } from '../../support/factories';

let database: TestDatabase;
let db: Knex;
let accessTokens: AccessTokens;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
  accessTokens = accessTokensOf(db, testSealing);
  await accessTokens.reload();
});

afterAll(async () => {
  accessTokens.close();
  await database.drop();
});

const newTenant = async () => (await buildTenant({ db, accessTokens })).tenantId;

test('makes one key a tenant, however many processes need it at once', async () => {
  const tenantId = await newTenant();
  const processes = Array.from({ length: 8 }, () => testDataKeys(db));
  const keys = await Promise.all(processes.map((each) => each.current(tenantId)));
  expect(new Set(keys.map((key) => key.id)).size).toBe(1);
  expect(keys[0]?.tenantId).toBe(tenantId);
  expect(await db('tenant_data_keys').where({ tenant_id: tenantId })).toHaveLength(1);
});

test('gives the platform a key of its own, and so for a tenant that is not there', async () => {
  const keys = testDataKeys(db);
  const [platform, again, nobody] = [
    await keys.current(null),
    await testDataKeys(db).current(null),
    await keys.current(newId()),
  ];
  expect(platform.tenantId).toBeNull();
  expect([again.id, nobody.id]).toEqual([platform.id, platform.id]);
});

test('keeps keys sealed in their rows', async () => {
  const tenantId = await newTenant();
  const { id, key } = await testDataKeys(db).current(tenantId);
  const row = await db('tenant_data_keys').where({ id }).first();
  expect(row.sealed_key).not.toContain(key.export().toString('base64'));
  const place = { table: 'tenant_data_keys', rowId: id, tenantId };
  expect(testSealing.open(row.sealed_key, place)).toBe(key.export().toString('base64'));
});

test('goes on reading with old keys after a new one was made current', async () => {
  const tenantId = await newTenant();
  const before = await testDataKeys(db).current(tenantId);
  const rotations = await Promise.all([
    rotateDataKey(db, testSealing, tenantId),
    rotateDataKey(db, testSealing, tenantId),
  ]);
  expect(rotations[0]?.keyId).not.toBe(before.id);

  const keys = testDataKeys(db);
  const after = await keys.current(tenantId);
  expect(after.id).not.toBe(before.id);
  expect((await keys.byId(before.id)).key.equals(before.key)).toBe(true);
});

test('replaces a key by itself once it is old', async () => {
  const tenantId = await newTenant();
  const old = await testDataKeys(db).current(tenantId);
  await db('tenant_data_keys')
    .where({ id: old.id })
    .update({ created_at: db.raw(`now() - interval '31 days'`) });
  const next = await testDataKeys(db).current(tenantId);
  expect(next.id).not.toBe(old.id);
  expect(await testDataKeys(db).current(tenantId)).toMatchObject({ id: next.id });
});

test('says which sealing key is missing when a data key cannot be opened', async () => {
  const tenantId = await newTenant();
  const { id } = await testDataKeys(db).current(tenantId);
  const sealing = createSealing([{ id: 'another', key: Buffer.alloc(32, 9) }]);
  const logger = createLogger({ name: 'test', level: 'fatal' });
  const keys = createDataKeys({ db, sealing, logger });
  await expect(keys.byId(id)).rejects.toMatchObject({
    failure: 'keyUnavailable',
    message: expect.stringContaining('sealed with the key "test"'),
  });
});

test('knows no key that is not there', async () => {
  const keys = testDataKeys(db);
  await expect(keys.byId(newRandomId())).rejects.toMatchObject({ failure: 'unknownKey' });
  await expect(keys.byId('../etc')).rejects.toMatchObject({ failure: 'malformed' });
});

describe('while the database is away', () => {
  test('goes on with what was used before, and the platform’s key stands in for others', async () => {
    const own = await createTestDatabase();
    const { tenantId } = await buildTenant({ db: own.db, accessTokens });
    const keys = testDataKeys(own.db);
    await keys.prepare();
    const [platform, used] = [await keys.current(null), await keys.current(tenantId)];
    const { payloadCodecs: [codec] = [] } = createDataConverter(keys);
    const [encrypted = {}] =
      (await codec?.encode([{ data: Buffer.from('x') }], {
        type: 'workflow',
        namespace: 'n',
        workflowId: `campaign/${tenantId}/1`,
      })) ?? [];
    await own.drop();

    expect((await keys.current(tenantId)).id).toBe(used.id);
    expect((await keys.current(newId())).id).toBe(platform.id);
    const [clear] = (await codec?.decode([encrypted])) ?? [];
    expect(Buffer.from(clear?.data ?? []).toString()).toBe('x');
    await expect(keys.byId(newRandomId())).rejects.toMatchObject({ failure: 'keyUnavailable' });
  });

  test('asks anew for a key once somebody has waited for it in vain', async () => {
    const tenantId = await newTenant();
    const { id } = await testDataKeys(db).current(tenantId);
    const keys = testDataKeys(db);
    await db.transaction(async (trx) => {
      await trx.raw('lock table tenant_data_keys in access exclusive mode');
      // Nobody joins the one that hangs, nor begins another for now.
      await until('nobody waits for it', async () => {
        const outcome = await keys.byId(id).then(() => 'found', String);
        return outcome.includes('did not answer a moment ago');
      });
    });
    await until('it is found again', () =>
      keys.byId(id).then(
        () => true,
        () => false,
      ),
    );
    expect((await keys.byId(id)).id).toBe(id);
  });

  test('does not pretend to have a key that it never had', async () => {
    const away = createDatabase({
      url: `postgres://nobody@127.0.0.1:${await freePort()}/nothing`,
      applicationName: 'carillon-test',
    });
    await expect(testDataKeys(away).prepare()).rejects.toMatchObject({
      failure: 'keyUnavailable',
    });
    await away.destroy();
  });
});
