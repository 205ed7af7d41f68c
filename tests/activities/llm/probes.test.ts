import {
  callsOf,
  changeVendorKey,
  healthOf,
  setCredit,
  setFaults,
} from '../../workflows/llm/ground';
import { bench, orderOf, startProbeGround, type Prepared, type ProbeGround } from './ground';

let ground: ProbeGround;

beforeAll(async () => {
  ground = await startProbeGround();
});

afterEach(() => setFaults(ground, []));

afterAll(() => ground.stop());

const prepare: ProbeGround['prepare'] = (options) => ground.prepare(options);
const run: ProbeGround['run'] = (ask) => ground.run(ask);

/** The account cools for a minute because it was limited. */
const limit = (account: Prepared) =>
  bench(ground, account, 'platformRateLimit', { retryAfterMs: 60_000 });

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
  ground.news.length = 0;
  await run((ask) => ask.verifyKey(orderOf(account, { scope: null })));
  expect(ground.news.map(({ poolId, changes }) => [poolId, changes[0]?.to?.reason])).toEqual([
    [account.tenantId, 'keyLimit'],
  ]);
});

test('a key that its page calls good and calls find spent is asked ever more rarely', async () => {
  const account = await prepare();
  const [keyId = ''] = account.keyIds;
  await changeVendorKey(ground, account.labels[0] ?? '', { limitMicros: 5_000_000 });
  const verify = () => run((ask) => ask.verifyKey(orderOf(account, { scope: 'key' })));
  await bench(ground, account, 'keyLimit', { scope: 'key' });
  await verify();
  expect(await healthOf(ground.admin, { keyId })).toBeUndefined();
  await bench(ground, account, 'keyLimit', { scope: 'key' });
  await verify();
  const row = await healthOf(ground.admin, { keyId });
  expect(row).toMatchObject({ state: 'suspended', reason: 'keyLimit' });
  expect(row.next_check_at.getTime() - row.since.getTime()).toBe(5 * 60_000);
});
