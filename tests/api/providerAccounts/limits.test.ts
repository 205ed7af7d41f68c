import { withTenant } from '../../../models/base';
import { blockAccount, slowDown } from '../../../models/messages/accountPace';
import { reserveRate } from '../../../models/messages/rates';
import { startTestApi, type TestApi } from '../../support/api';
import { dataOf } from '../../support/campaigns';
import { buildTenant, type TestTenant } from '../../support/factories';
import { buildLedger } from '../../support/ledger';
import { tokenFor } from '../../support/tokens';
import { accountsPath, postAccount } from './ground';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

const daily = { per: 'day', unit: 'messages', most: 1_000, timeZone: 'UTC', growth: null };

interface Caller {
  token: string;
  id: string;
}

async function buildAccount(): Promise<Caller & { tenant: TestTenant }> {
  const tenant = await buildTenant(api.deps);
  const { id } = await postAccount(api, tenant);
  return { tenant, token: tenant.token, id };
}

const put = ({ token, id }: Caller, limits: unknown, headers = {}) =>
  api.send('put', `${accountsPath}/${id}/limits`, { token, json: { limits }, headers });

const get = ({ token, id }: Caller, what: 'limits' | 'rate') =>
  api.send('get', `${accountsPath}/${id}/${what}`, { token });

test('writes all limits of an account, the zone in its canonical name', async () => {
  const account = await buildAccount();
  const growth = { from: 50, by: 1.5, since: '2026-03-01' };
  const limits = [
    { per: 'second', unit: 'calls', most: 10 },
    { ...daily, timeZone: 'europe/berlin', growth },
  ];
  const shown = dataOf(await put(account, limits), 200).limits;
  expect(shown).toEqual([
    { per: 'second', unit: 'calls', most: 10, timeZone: 'UTC', growth: null },
    { ...daily, timeZone: 'Europe/Berlin', growth },
  ]);
  expect(dataOf(await get(account, 'limits'), 200).limits).toEqual(shown);
  expect(dataOf(await put(account, shown), 200).limits).toEqual(shown);
  expect(dataOf(await put(account, []), 200).limits).toEqual([]);
});

test.each([
  ['nothing', undefined, 'limits', 'required'],
  ['no list', {}, 'limits', 'wrongType'],
  ['no most', [{ per: 'day', unit: 'calls' }], 'limits.0.most', 'required'],
  ['none at all', [{ ...daily, most: 0 }], 'limits.0.most', 'tooSmall'],
  ['half a message', [{ ...daily, most: 1.5 }], 'limits.0.most', 'wrongType'],
  ['too many', [{ ...daily, most: 1e12 }], 'limits.0.most', 'tooBig'],
  ['a week', [{ ...daily, per: 'week' }], 'limits.0.per', 'notAllowed'],
  ['bytes', [{ ...daily, unit: 'bytes' }], 'limits.0.unit', 'notAllowed'],
  ['an offset', [{ ...daily, timeZone: '+02:00' }], 'limits.0.timeZone', 'unknownTimeZone'],
  ['a field of its own', [{ ...daily, burst: 5 }], 'limits.0.burst', 'unknownField'],
  ['one twice', [daily, { ...daily, most: 5 }], 'limits', 'limitRepeated'],
  [
    'a warm-up that begins above its limit',
    [{ ...daily, growth: { from: 1_001, by: 2, since: '2026-03-01' } }],
    'limits.0.growth.from',
    'tooBig',
  ],
  [
    'a warm-up that shrinks',
    [{ ...daily, growth: { from: 10, by: 0.9, since: '2026-03-01' } }],
    'limits.0.growth.by',
    'tooSmall',
  ],
  [
    'a warm-up without its day',
    [{ ...daily, growth: { from: 10, by: 2 } }],
    'limits.0.growth.since',
    'required',
  ],
  [
    'a day that is none',
    [{ ...daily, growth: { from: 10, by: 2, since: '2026-02-30' } }],
    'limits.0.growth.since',
    'wrongFormat',
  ],
  [
    'a day long ago',
    [{ ...daily, growth: { from: 10, by: 2, since: '1970-01-01' } }],
    'limits.0.growth.since',
    'outOfRange',
  ],
])('refuses %s and changes nothing', async (_, limits, field, code) => {
  const account = await buildAccount();
  await put(account, [daily]);
  const answer = await put(account, limits);
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toContainEqual(expect.objectContaining({ path: field, code }));
  expect(dataOf(await get(account, 'limits'), 200).limits).toEqual([daily]);
});

test('two who change them at once do not overwrite each other unknowingly', async () => {
  const account = await buildAccount();
  const etag = (await get(account, 'limits')).headers.get('ETag') ?? '';
  expect((await put(account, [daily], { 'If-Match': etag })).status).toBe(200);
  const late = await put(account, [], { 'If-Match': etag });
  expect([late.status, late.body.code]).toEqual([412, 'changedMeanwhile']);
  expect(dataOf(await get(account, 'limits'), 200).limits).toEqual([daily]);
});

test('the rate shows what is used, what is blocked and how slow it goes', async () => {
  const account = await buildAccount();
  const { db } = api;
  await put(account, [daily]);
  const call = { accountId: account.id, tenantId: account.tenant.tenantId, calls: 1, messages: 40 };
  await reserveRate(db, call);
  const nothing = { waiting: { messages: 0, until: null } };
  expect(dataOf(await get(account, 'rate'), 200)).toEqual({
    blockedUntil: null,
    blockedReason: null,
    pace: 1,
    windows: [
      {
        per: 'day',
        unit: 'messages',
        allowed: 1_000,
        used: 40,
        startsAt: `${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`,
      },
    ],
    ...nothing,
  });
  await blockAccount(db, account.id, { forMs: 3_600_000, reason: 'providerThrottled' });
  await slowDown(db, account.id);
  const slow = dataOf(await get(account, 'rate'), 200);
  expect(slow).toMatchObject({
    blockedUntil: expect.any(String),
    blockedReason: 'providerThrottled',
  });
  expect(slow.pace).toBeLessThan(0.6);
  const lifted = await api.send('delete', `${accountsPath}/${account.id}/block`, account);
  expect(dataOf(lifted, 200)).toMatchObject({ blockedUntil: null, pace: 1, ...nothing });
});

/** A tenant with an account and a run of it whose only call waits for the reason until tomorrow. */
async function buildWaiting(reason: string) {
  const { db } = api;
  const ledger = await buildLedger(db);
  const token = await tokenFor(api.deps, ledger.tenantId);
  const { id } = await postAccount(api, { token });
  await db('campaign_runs').where({ id: ledger.run.id }).update({ account_id: id });
  const until = new Date(Date.now() + 86_400_000);
  await db('dispatches')
    .where({ run_id: ledger.run.id })
    .update({ not_before: until, wait_reason: reason });
  const isSteered = async () => {
    const { run } = ledger;
    const [row] = await withTenant(db, ledger.tenantId, (trx) =>
      trx('campaign_runs').where({ id: run.id }),
    );
    return row.steered_at !== null;
  };
  return { ...ledger, token, id, until, isSteered };
}

const limitReason = 'rateLimit: 10 messages a day';

test.each([
  ['a new limit', 'put', 'limits', limitReason, true],
  ['a new limit', 'put', 'limits', 'providerThrottled', false],
  ['a new limit', 'put', 'limits', 'frequencyCap', false],
  ['a lifted block', 'delete', 'block', 'providerThrottled', true],
  ['a lifted block', 'delete', 'block', 'not_sent', true],
  ['a lifted block', 'delete', 'block', limitReason, false],
] as const)('%s (%s %s) wakes what waits for %s: %s', async (_, method, path, reason, isWoken) => {
  const waiting = await buildWaiting(reason);
  const other = await buildWaiting(reason);
  const before = dataOf(await get(waiting, 'rate'), 200).waiting;
  expect(before).toEqual(
    reason === 'frequencyCap'
      ? { messages: 0, until: null }
      : { messages: 3, until: waiting.until.toISOString() },
  );
  const answer = await api.send(method, `${accountsPath}/${waiting.id}/${path}`, {
    token: waiting.token,
    ...(method === 'put' ? { json: { limits: [daily] } } : {}),
  });
  expect(answer.status).toBe(200);
  expect(await waiting.dispatch(1)).toMatchObject(
    isWoken
      ? { not_before: null, wait_reason: null }
      : { not_before: waiting.until, wait_reason: reason },
  );
  expect(await waiting.isSteered()).toBe(isWoken);
  expect(await other.dispatch(1)).toMatchObject({ wait_reason: reason });
  expect(await other.isSteered()).toBe(false);
});
