import { createServer, type Server } from 'node:net';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createLlmTending } from '../../../activities/llm/tending';
import { newId } from '../../../lib/ids';
import { createLogger } from '../../../lib/logger';
import { createLlmProviders } from '../../../providers/llm';
import { testSealing } from '../../support/accounts';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';
import { startSandbox, type Sandbox } from '../../../sandbox';
import { vendorAccounts } from '../../workflows/llm/ground';

let database: TestDatabase;
let sandbox: Sandbox;
let silent: Server;

const logger = createLogger({ name: 'test', level: 'silent' });
const llmProviders = createLlmProviders({ onlyPublic: false });

beforeAll(async () => {
  silent = createServer(() => undefined).listen(0, '127.0.0.1');
  [database, sandbox] = await Promise.all([
    createTestDatabase(),
    startSandbox({ port: 0, logger, openRouterAccounts: vendorAccounts }),
  ]);
});

afterAll(async () => {
  await Promise.all(Object.values(llmProviders).map((vendor) => vendor.close()));
  silent.close();
  await sandbox.close();
  await database.drop();
});

function run<T>(
  work: (tending: ReturnType<typeof createLlmTending>) => Promise<T>,
  llmRetention = { callDays: 400, transitionDays: 90 },
): Promise<T> {
  const deps = { db: database.app, sealing: testSealing, llmProviders, logger, llmRetention };
  const done = () => work(createLlmTending(deps));
  return new MockActivityEnvironment().run<[], T, typeof done>(done);
}

// The address would keep a client waiting for ever.
test('an address that never answers and a key that nothing opens leave the other lists to be read', async () => {
  const address = silent.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const [secret = ''] = vendorAccounts.map(({ keys }) => keys[0]?.secret);
  const [good, hanging, locked] = [
    await insertLlmAccount(database.db, { baseUrl: `${sandbox.url}/openrouter/api/v1` }),
    await insertLlmAccount(database.db, { baseUrl: `http://127.0.0.1:${port}/v1` }),
    await insertLlmAccount(database.db, { baseUrl: 'http://127.0.0.1:9/v1' }),
  ];
  const keyId = await insertLlmKey(database.db, { accountId: good, secret });
  await insertLlmKey(database.db, { accountId: hanging, secret: `sk-${newId()}` });
  const { secret: sealedElsewhere } = await database.db('llm_keys').where({ id: keyId }).first();
  await insertLlmKey(database.db, {
    accountId: locked,
    secret: `sk-${newId()}`,
    columns: { secret: sealedElsewhere },
  });
  const synced = await run((tending) => tending.syncLlmModels());
  expect(synced.models).toBeGreaterThan(5);

  // Once a day is enough, unless a key comes that may be of a new address.
  const areDue = async () => (await run((tending) => tending.tendLlmCalls())).areModelsDue;
  expect(await areDue()).toBe(false);
  await insertLlmKey(database.db, { accountId: good, secret: `sk-${newId()}` });
  expect(await areDue()).toBe(true);
});

test('forgets all that is due at once, however much it is, and keeps it as long as it is told', async () => {
  const tenantId = await insertTenant(database.db);
  const add = (count: number, days: number) =>
    database.db.raw(
      `insert into llm_calls (id, tenant_id, feature, kind, model_asked, estimate_micros,
         is_streamed, may_use_platform, created_at, expires_at, outcome, settled_at)
       select gen_random_uuid(), :tenantId, 'script', 'chat', 'acme/one', 1, false, true,
              now() - :days * interval '1 day', now(), 'succeeded', now()
         from generate_series(1, cast(:count as int))`,
      { tenantId, days, count },
    );
  await add(4_500, 61);
  await add(3, 59);
  expect(await run((tending) => tending.tendLlmCalls())).toMatchObject({ forgotten: 0 });
  const done = await run((tending) => tending.tendLlmCalls(), { callDays: 60, transitionDays: 1 });
  expect(done).toMatchObject({ forgotten: 4_500, isMoreLeft: false });
  expect(await database.db('llm_calls').where({ tenant_id: tenantId })).toHaveLength(3);
});
