import { MockActivityEnvironment } from '@temporalio/testing';
import { createProbes, type Probed, type ProbeOrder } from '../../../activities/llm/probes';
import { subjectIn } from '../../../domain/llm/health';
import { createLogger } from '../../../lib/logger';
import { acrossTenants } from '../../../models/base';
import { applyHealth, type AppliedPool } from '../../../models/llm/health';
import { createLlmProviders } from '../../../providers/llm';
import { startSandbox, type Sandbox } from '../../../sandbox';
import { testSealing } from '../../support/accounts';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';
import {
  callsOf,
  changeVendorKey,
  healthOf,
  insertModels,
  setCredit,
  setFaults,
  takeAccount,
  vendorAccounts,
  type TestAccount,
} from '../../workflows/llm/ground';

const logger = createLogger({ name: 'test', level: 'fatal' });
const llmProviders = createLlmProviders({ onlyPublic: false });

let database: TestDatabase;
const news: AppliedPool[] = [];
let sandbox: Sandbox;
let ground: { admin: TestDatabase['db']; sandbox: Sandbox };

beforeAll(async () => {
  [database, sandbox] = await Promise.all([
    createTestDatabase(),
    startSandbox({ port: 0, logger, openRouterAccounts: vendorAccounts }),
  ]);
  ground = { admin: database.db, sandbox };
  await insertModels(database.db);
});

afterEach(() => setFaults(ground, []));

afterAll(async () => {
  await Promise.all(Object.values(llmProviders).map((vendor) => vendor.close()));
  await sandbox.close();
  await database.drop();
});

async function prepare(options: { hasManagementKey?: boolean } = {}) {
  const tenantId = await insertTenant(ground.admin);
  return { ...(await takeAccount(ground, { tenantId, ...options })), tenantId };
}

type Prepared = TestAccount & { tenantId: string };

type Probes = ReturnType<typeof createProbes>;

/** Asks as an activity does. */
function run(ask: (probes: Probes) => Promise<Probed>): Promise<Probed> {
  const probes = createProbes({
    db: database.app,
    sealing: testSealing,
    llmProviders,
    healthNews: (pools) => news.push(...pools),
    logger,
  });
  const work = () => ask(probes);
  return new MockActivityEnvironment().run<[], Probed, typeof work>(work);
}

const orderOf = (account: Prepared, order: Partial<ProbeOrder> = {}): ProbeOrder => ({
  accountId: account.accountId,
  tenantId: account.tenantId,
  keyId: account.keyIds[0] ?? '',
  scope: 'account',
  model: null,
  ...order,
});

/** The account cools for a minute because it was limited. */
async function limit(account: Prepared): Promise<void> {
  const keyId = account.keyIds[0] ?? '';
  await acrossTenants(database.app, 'llmRing', (trx) =>
    applyHealth(trx, [
      {
        type: 'failed',
        kind: 'platformRateLimit',
        subject: subjectIn('account', { accountId: account.accountId, keyId, model: '' }),
        actor: { kind: 'call', id: null },
        at: Date.now() - 1_000,
        retryAfterMs: 60_000,
        resetsAt: null,
        evidence: { status: 429 },
        poolId: account.tenantId,
      },
    ]),
  );
}

const accountHealth = ({ accountId }: Prepared) =>
  healthOf(ground.admin, { accountId, scope: 'account' });

test('a call that is let in shows that the account may be used, whatever fails behind it', async () => {
  for (const fault of [undefined, 'upstreamRateLimit', 'invalidRequest', 'moderation'] as const) {
    const account = await prepare();
    await limit(account);
    const of = { account: account.vendorId, paths: ['chat' as const] };
    await setFaults(ground, fault === undefined ? [] : [{ fault, ...of }]);
    const done = await run((ask) => ask.probeCapacity(orderOf(account)));
    expect([fault, done.outcome]).toEqual([fault, fault === undefined ? 'well' : 'failed']);
    expect([fault, await accountHealth(account)]).toEqual([fault, undefined]);
  }
});

test.each(['serverError', 'unauthorized', 'connectionReset'] as const)(
  'one that meets %s shows nothing of it',
  async (fault) => {
    const account = await prepare();
    await limit(account);
    const before = await accountHealth(account);
    await setFaults(ground, [{ fault, account: account.vendorId, paths: ['chat'] }]);
    const done = await run((ask) => ask.probeCapacity(orderOf(account)));
    expect(done.outcome).toBe('failed');
    expect(await accountHealth(account)).toEqual(before);
    // Whoever it is about is told of.
    const key = await healthOf(ground.admin, { keyId: account.keyIds[0] ?? '' });
    expect(key?.reason).toBe(fault === 'unauthorized' ? 'authentication' : undefined);
  },
);

test('one that is limited again says until when, and that it was so again', async () => {
  const account = await prepare();
  await limit(account);
  await setFaults(ground, [
    {
      fault: 'platformRateLimit',
      account: account.vendorId,
      paths: ['chat'],
      resetsInSeconds: 300,
    },
  ]);
  await run((ask) => ask.probeCapacity(orderOf(account)));
  const row = await accountHealth(account);
  expect(row).toMatchObject({ state: 'cooling', failures: 2 });
  expect(row.until.getTime() - Date.now()).toBeGreaterThan(200_000);
});

test('asks with the cheapest model that the key may use, and not where there is none', async () => {
  const account = await prepare();
  const [keyId = ''] = account.keyIds;
  const allow = (models: string[]) =>
    ground.admin('llm_keys').where({ id: keyId }).update({ allowed_models: models });
  await allow(['acme/*', 'openai/*']);
  await run((ask) => ask.probeCapacity(orderOf(account)));
  await allow(['nobody/*']);
  const none = await run((ask) => ask.probeCapacity(orderOf(account)));
  expect(none).toMatchObject({ outcome: 'notAsked', why: 'noModel' });
  expect(await callsOf(ground, account.labels, 'chat')).toMatchObject([
    { model: 'openai/gpt-4o-mini' },
  ]);
});

test('makes no call with a key that was paused since it was to be asked', async () => {
  const account = await prepare();
  const [keyId = ''] = account.keyIds;
  for (const standing of ['paused', 'revoked']) {
    await ground.admin('llm_keys').where({ id: keyId }).update({ standing });
    for (const name of ['probeCapacity', 'verifyKey', 'probeOften'] as const) {
      const done = await run((ask) => ask[name](orderOf(account)));
      expect(done).toEqual({ outcome: 'notAsked', why: standing, status: null });
    }
  }
  const gone = await run((ask) => ask.verifyKey(orderOf(account, { keyId: account.accountId })));
  expect(gone.why).toBe('gone');
  expect(await callsOf(ground, account.labels)).toEqual([]);
});

test('a key of another account or tenant is none', async () => {
  const [account, other] = [await prepare(), await prepare()];
  for (const order of [
    { keyId: other.keyIds[0] ?? '' },
    { keyId: other.keyIds[0] ?? '', tenantId: other.tenantId },
    { tenantId: other.tenantId },
  ]) {
    const done = await run((ask) => ask.verifyKey(orderOf(account, order)));
    expect(done).toMatchObject({ outcome: 'notAsked', why: 'gone' });
  }
});

test('a limit that is spent suspends a key before a call meets it, until its vendor resets it', async () => {
  const account = await prepare();
  const [keyId = ''] = account.keyIds;
  await changeVendorKey(ground, account.labels[0] ?? '', { limitMicros: 0, limitReset: 'daily' });
  const done = await run((ask) => ask.verifyKey(orderOf(account, { scope: null })));
  expect(done.outcome).toBe('spent');
  const row = await healthOf(ground.admin, { keyId });
  expect(row).toMatchObject({ state: 'suspended', reason: 'keyLimit' });
  expect(row.until.toISOString()).toMatch(/T00:00:00\.000Z$/);
  expect(row.next_check_at.getTime()).toBeLessThanOrEqual(Date.now() + 30 * 60_000);
  // Twice is as once.
  await run((ask) => ask.verifyKey(orderOf(account, { scope: 'key' })));
  expect(await ground.admin('llm_transitions').where({ key_id: keyId })).toHaveLength(1);
});

test('a credit that is spent suspends the account before a call meets it', async () => {
  const account = await prepare();
  const { accountId, tenantId } = account;
  const poll = (scope: 'account' | null) =>
    run((ask) => ask.pollAccount({ accountId, tenantId, scope }));
  await ground.admin('llm_accounts').where({ id: accountId }).update({
    balance_floor_micros: 1_000_000,
  });
  await setCredit(ground, account.vendorId, 1_000_000);
  expect((await poll(null)).outcome).toBe('spent');
  expect(await accountHealth(account)).toMatchObject({ state: 'suspended', reason: 'credits' });
  await setCredit(ground, account.vendorId, 1_000_001);
  expect((await poll(null)).outcome).toBe('well');
  // A figure that is looked at from time to time takes nothing back.
  expect(await accountHealth(account)).toBeDefined();
  expect((await poll('account')).outcome).toBe('well');
  expect(await accountHealth(account)).toBeUndefined();
});

test('a management key that its vendor refuses says nothing of the account', async () => {
  const account = await prepare();
  const { accountId, tenantId } = account;
  await setFaults(ground, [{ fault: 'unauthorized', paths: ['credits'] }]);
  const done = await run((ask) => ask.pollAccount({ accountId, tenantId, scope: 'account' }));
  expect(done).toMatchObject({ outcome: 'failed', why: 'authentication', status: 401 });
  expect(await ground.admin('llm_health').where({ account_id: accountId })).toEqual([]);
});

test('a key that nothing opens says so, without a part of it', async () => {
  const account = await prepare();
  const [keyId = ''] = account.keyIds;
  const [other = ''] = account.keyIds.slice(1);
  const [row] = await ground.admin('llm_keys').where({ id: other });
  await ground.admin('llm_keys').where({ id: keyId }).update({ secret: row.secret });
  const failed = run((ask) => ask.verifyKey(orderOf(account)));
  const told = String(await failed.catch((error: unknown) => error));
  expect(told).toContain('does not open in this row');
  expect(told).not.toContain(account.secrets[1]);
});

test('what a probe wrote is told to whoever pages people', async () => {
  const account = await prepare();
  await changeVendorKey(ground, account.labels[0] ?? '', { limitMicros: 0 });
  news.length = 0;
  await run((ask) => ask.verifyKey(orderOf(account, { scope: null })));
  expect(news.map(({ poolId, changes }) => [poolId, changes[0]?.to?.reason])).toEqual([
    [account.tenantId, 'keyLimit'],
  ]);
});
