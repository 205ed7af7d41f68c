import { createCallLedger } from '../../../gateway/ledger';
import type { CallLedger, OpenCall, SettledCall } from '../../../gateway/types';
import { newId } from '../../../lib/ids';
import { createLogger } from '../../../lib/logger';
import { acrossTenants } from '../../../models/base';
import { saveModels } from '../../../models/llm/models';
import { testSealing } from '../../support/accounts';
import { startTestApi, type TestApi } from '../../support/api';
import { dataOf } from '../../support/campaigns';
import { buildTenant, type TestTenant } from '../../support/factories';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { openCall, settledCall } from '../../support/llmLedger';
import { signInAs } from '../../support/tokens';

let api: TestApi;
let admin: string;
let ledger: CallLedger;

const mini = 'test/mini';
const large = 'test/large';

beforeAll(async () => {
  api = await startTestApi();
  const { tenantId } = await buildTenant(api.deps);
  const signedIn = await signInAs(api.deps, { tenantId, role: 'viewer' });
  await api.db('users').where({ id: signedIn.userId }).update({ is_platform_admin: true });
  admin = signedIn.token;
  ledger = createCallLedger({
    db: api.deps.db,
    sealing: testSealing,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
  await acrossTenants(api.deps.db, 'llmRing', (trx) =>
    saveModels(
      trx,
      [mini, large, 'test/other'].map((id) => ({
        id,
        name: `Test: ${id}`,
        contextTokens: 1_000,
        maxOutputTokens: null,
        inputModalities: ['text'],
        outputModalities: ['text'],
        parameters: ['temperature'],
        promptMicrosPerMillion: 100,
        completionMicrosPerMillion: 200,
        cachedMicrosPerMillion: 50,
        requestMicros: 0,
        imageMicros: 0,
      })),
      { preferred: [mini], isComplete: true },
    ),
  );
});

afterAll(async () => {
  await ledger.close();
  await api.stop();
});

const get = (token: string, path: string) => api.send('get', `/api/v1${path}`, { token });
const send =
  (method: 'post' | 'put' | 'patch' | 'delete', token: string, path: string) =>
  (json: unknown, headers: Record<string, string> = {}) =>
    api.send(method, `/api/v1${path}`, { token, json, headers });

/** A call that was made and paid for. */
async function made(
  { tenantId, userId }: TestTenant,
  call: Partial<OpenCall> = {},
  ended: Partial<SettledCall> = {},
): Promise<OpenCall> {
  const asker = { tenantId, userId, feature: 'script', workflowId: null };
  const opened = openCall(tenantId, { asker, model: mini, ...call });
  await ledger.open(opened);
  ledger.settle(settledCall(opened, ended));
  await ledger.flush();
  return opened;
}

const thisMonth = () => `${new Date().toISOString().slice(0, 7)}-01`;

describe('budgets', () => {
  test('are written, listed with how they stand, changed and removed', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = tenant;
    await made(tenant, {}, { costMicros: 300 });
    const post = send('post', token, '/llm/budgets');
    const answer = await post({ scope: 'tenant', period: 'month', limitMicros: 10_000 });
    const budget = dataOf(answer, 201);
    expect(answer.headers.get('Location')).toBe(`/api/v1/llm/budgets/${budget.id}`);
    expect(budget).toMatchObject({ scope: 'tenant', subject: null, limitMicros: 10_000 });

    // What was spent before it was written is known.
    await ledger.open(openCall(tenant.tenantId));
    const [listed] = dataOf(await get(token, '/llm/budgets?scope=tenant'), 200);
    expect(listed).toMatchObject({ id: budget.id, spentMicros: 300, reservedMicros: 1_000 });
    expect(new Date(listed.resetsAt).getUTCDate()).toBe(1);
    expect(dataOf(await get(token, '/llm/budgets?scope=user'), 200)).toEqual([]);

    const path = `/llm/budgets/${budget.id}`;
    const read = await get(token, path);
    const etag = read.headers.get('ETag') ?? '';
    const put = send('put', token, path);
    const changed = dataOf(await put({ limitMicros: 1_400 }, { 'If-Match': etag }), 200);
    expect(changed).toMatchObject({ limitMicros: 1_400, scope: 'tenant' });
    const late = await put({ limitMicros: 5 }, { 'If-Match': etag });
    expect([late.status, late.body.code]).toEqual([412, 'changedMeanwhile']);
    await expect(ledger.open(openCall(tenant.tenantId))).rejects.toMatchObject({
      code: 'llmBudgetSpent',
    });

    expect((await send('delete', token, path)(undefined)).status).toBe(204);
    expect((await get(token, path)).status).toBe(404);
    await ledger.open(openCall(tenant.tenantId));
    const actions = await api
      .db('audit_log')
      .where({ tenant_id: tenant.tenantId, target_kind: 'llmBudget' })
      .orderBy('at')
      .select('action', 'before', 'after');
    expect(actions).toMatchObject([
      { action: 'llmBudget.created', after: { limitMicros: 10_000 } },
      {
        action: 'llmBudget.changed',
        before: { limitMicros: 10_000 },
        after: { limitMicros: 1_400 },
      },
      { action: 'llmBudget.deleted' },
    ]);
  });

  test('are one for each subject and period, of what is there', async () => {
    const tenant = await buildTenant(api.deps);
    const stranger = await buildTenant(api.deps);
    const post = send('post', tenant.token, '/llm/budgets');
    const user = {
      scope: 'user',
      subject: tenant.userId.toUpperCase(),
      period: 'day',
      limitMicros: 1,
    };
    expect(dataOf(await post(user), 201).subject).toBe(tenant.userId);
    const again = await post(user);
    expect([again.status, again.body.code]).toEqual([409, 'llmBudgetTaken']);
    dataOf(await post({ ...user, period: 'month' }), 201);

    const accountId = await insertLlmAccount(api.db, { baseUrl: 'http://vendor.test' });
    const platformKey = await insertLlmKey(api.db, { accountId, secret: newId() });
    const wrong = [
      { ...user, subject: stranger.userId },
      { ...user, subject: null },
      { ...user, scope: 'tenant' },
      { ...user, scope: 'feature', subject: 'No Feature' },
      { ...user, scope: 'key', subject: platformKey },
      { ...user, scope: 'key', subject: 'none' },
    ];
    for (const body of wrong) {
      const answer = await post(body);
      expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([422, 'subject']);
    }
    const negative = await post({ ...user, limitMicros: -1 });
    expect([negative.status, negative.body.errors?.[0]?.path]).toEqual([422, 'limitMicros']);
    expect(await api.db('llm_budgets').where({ tenant_id: tenant.tenantId })).toHaveLength(2);

    const ofPlatform = send('post', admin, '/admin/llm/budgets');
    const key = { scope: 'key', subject: platformKey, period: 'month', limitMicros: 5 };
    const bounded = dataOf(await ofPlatform(key), 201);
    const refused = await ofPlatform({ scope: 'tenant', period: 'month', limitMicros: 5 });
    expect([refused.status, refused.body.errors?.[0]?.path]).toEqual([422, 'scope']);
    expect((await get(tenant.token, `/llm/budgets/${bounded.id}`)).status).toBe(404);
  });

  test('an editor sees them and writes none', async () => {
    const tenant = await buildTenant(api.deps);
    const editor = tenant.tokenOf('member');
    expect((await get(editor, '/llm/budgets')).status).toBe(200);
    const body = { scope: 'tenant', period: 'day', limitMicros: 1 };
    expect((await send('post', editor, '/llm/budgets')(body)).status).toBe(403);
    expect((await get(tenant.tokenOf('viewer'), '/llm/budgets')).status).toBe(403);
  });
});

describe('usage', () => {
  test('sums up what calls cost, by what is asked for, and is what the calls say', async () => {
    const tenant = await buildTenant(api.deps);
    const { token, tenantId, userId } = tenant;
    await made(tenant, {}, { costMicros: 300 });
    await made(tenant, {}, { costMicros: 200, outcome: 'failed', failureKind: 'serverError' });
    await made(
      tenant,
      {
        model: large,
        asker: { tenantId, userId: null, feature: 'content', workflowId: 'content/7' },
      },
      { costMicros: 5_000, model: large },
    );
    const all = dataOf(await get(token, '/llm/usage?per=month'), 200);
    expect(all).toMatchObject({
      rows: [{ startsOn: thisMonth(), calls: 3, failed: 1, costMicros: 5_500, promptTokens: 300 }],
      total: { calls: 3, failed: 1, costMicros: 5_500, completionTokens: 60 },
    });
    const { rows } = dataOf(await get(token, '/llm/usage?per=month&by=feature,user'), 200);
    expect(rows).toMatchObject([
      { feature: 'content', userId: null, calls: 1, costMicros: 5_000 },
      { feature: 'script', userId, calls: 2, costMicros: 500 },
    ]);
    const some = dataOf(await get(token, `/llm/usage?model=${encodeURIComponent(large)}`), 200);
    expect(some.total).toMatchObject({ calls: 1, costMicros: 5_000 });
    const past = dataOf(await get(token, '/llm/usage?from=2024-01-01&to=2024-12-31'), 200);
    expect(past).toMatchObject({ rows: [], total: { calls: 0, costMicros: 0 } });

    const other = await buildTenant(api.deps);
    await made(other, {}, { costMicros: 77 });
    expect(dataOf(await get(other.token, '/llm/usage'), 200).total.costMicros).toBe(77);
    const platform = dataOf(
      await get(admin, `/admin/llm/usage?by=tenant&tenantId=${tenantId}`),
      200,
    );
    expect(platform.rows).toMatchObject([{ tenantId, costMicros: 5_500 }]);
    const both = dataOf(await get(admin, '/admin/llm/usage?by=tenant&per=month'), 200).rows;
    const found = both.filter((row: { tenantId: string }) =>
      [tenantId, other.tenantId].includes(row.tenantId),
    );
    expect(found).toHaveLength(2);
  });

  test('names what is wrong with a question', async () => {
    const { token } = await buildTenant(api.deps);
    const wrong = [
      ['by=tenant', 'by'],
      ['from=2026-02-30', 'from'],
      ['from=2026-02-02&to=2026-02-01', 'from'],
      ['from=2020-01-01&to=2026-02-01', 'from'],
      ['per=week', 'per'],
      ['keyId=1', 'keyId'],
    ] as const;
    for (const [question, path] of wrong) {
      const answer = await get(token, `/llm/usage?${question}`);
      expect([question, answer.status, answer.body.errors?.[0]?.path]).toEqual([
        question,
        422,
        path,
      ]);
    }
  });

  test('calls are listed one by one, newest first, by what is asked for', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = tenant;
    const first = await made(tenant);
    const failed = await made(tenant, {}, { outcome: 'failed', failureKind: 'timeout' });
    const third = await made(tenant, { model: large }, { model: large });
    const ids = async (query: string) =>
      dataOf(await get(token, `/llm/calls${query}`), 200).map(({ id }: { id: string }) => id);
    expect(await ids('')).toEqual([third.callId, failed.callId, first.callId]);
    expect(await ids('?sort=createdAt')).toEqual([first.callId, failed.callId, third.callId]);
    expect(await ids('?outcome=failed')).toEqual([failed.callId]);
    expect(await ids(`?model=${encodeURIComponent(large)}`)).toEqual([third.callId]);
    expect(await ids('?to=2024-01-01T00:00:00Z')).toEqual([]);
    const page = await get(token, '/llm/calls?perPage=2');
    const cursor = page.body.meta.nextCursor;
    expect(await ids(`?perPage=2&cursor=${cursor}`)).toEqual([first.callId]);

    const detail = dataOf(await get(token, `/llm/calls/${first.callId}`), 200);
    expect(detail).toMatchObject({
      outcome: 'succeeded',
      costMicros: 700,
      tokens: { prompt: 100, completion: 20 },
      prices: { promptMicrosPerMillion: 100 },
      hasPrompt: false,
      tries: [{ n: 1, status: 200, totalMs: 120 }],
    });
    const stranger = await buildTenant(api.deps);
    expect((await get(stranger.token, `/llm/calls/${first.callId}`)).status).toBe(404);
    expect(dataOf(await get(admin, `/admin/llm/calls/${first.callId}`), 200)).toMatchObject({
      tenantId: tenant.tenantId,
    });
    const ofTenant = await get(admin, `/admin/llm/calls?tenantId=${tenant.tenantId}&perPage=1`);
    expect(dataOf(ofTenant, 200)).toMatchObject([{ id: third.callId }]);
  });
});

describe('settings and words', () => {
  test('begin as they are unset, and are written as a whole', async () => {
    const tenant = await buildTenant(api.deps);
    const before = await get(tenant.token, '/llm/settings');
    expect(dataOf(before, 200)).toEqual({
      keySource: 'ownFirst',
      defaultModel: null,
      keepsPrompts: false,
      promptDays: 30,
      hedgeAfterMs: null,
    });
    const put = send('put', tenant.token, '/llm/settings');
    const etag = before.headers.get('ETag') ?? '';
    const wanted = { keySource: 'own', defaultModel: large, hedgeAfterMs: 800 };
    const written = await put(wanted, { 'If-Match': etag });
    expect(dataOf(written, 200)).toMatchObject({ ...wanted, keepsPrompts: false });
    expect(dataOf(await get(tenant.token, '/llm/settings'), 200)).toMatchObject(wanted);
    expect((await put({}, { 'If-Match': etag })).status).toBe(412);
    const unknown = await put({ defaultModel: 'test/none' });
    expect([unknown.status, unknown.body.errors?.[0]?.path]).toEqual([422, 'defaultModel']);
    expect((await put({ promptDays: 0 })).status).toBe(422);
    expect((await send('put', tenant.tokenOf('agency'), '/llm/settings')({})).status).toBe(403);
    expect(dataOf(await get(tenant.token, '/llm/settings'), 200)).toMatchObject(wanted);
  });

  test('words of a call are shown to owners, who are named; switched off they are forgotten', async () => {
    const tenant = await buildTenant(api.deps);
    const { token, tenantId } = tenant;
    const put = send('put', token, '/llm/settings');
    dataOf(await put({ keepsPrompts: true, promptDays: 2 }), 200);
    const call = await made(tenant);
    const path = `/llm/calls/${call.callId}/prompt`;
    const none = await get(token, path);
    expect([none.status, none.body.code]).toEqual([404, 'llmPromptNotFound']);
    ledger.keepPrompt({ callId: call.callId, tenantId, content: '{"asked":"bells"}' });
    await ledger.flush();
    expect(dataOf(await get(token, path), 200).content).toBe('{"asked":"bells"}');
    expect(dataOf(await get(token, `/llm/calls/${call.callId}`), 200).hasPrompt).toBe(true);
    expect((await get(tenant.tokenOf('agency'), path)).status).toBe(403);
    const stranger = await buildTenant(api.deps);
    expect((await get(stranger.token, path)).status).toBe(404);
    expect(
      await api.db('audit_log').where({ tenant_id: tenantId, action: 'llmPrompt.read' }),
    ).toMatchObject([{ actor_id: tenant.userId, target_id: call.callId }]);

    dataOf(await put({ keepsPrompts: false }), 200);
    expect(await api.db('llm_prompts').where({ tenant_id: tenantId })).toEqual([]);
  });
});

describe('models', () => {
  test('are listed with their prices; admins switch them, choose the default and what stands in', async () => {
    const { token } = await buildTenant(api.deps);
    const listed = async () =>
      dataOf(await get(token, '/llm/models?search=TEST/'), 200).map(({ id }: { id: string }) => id);
    expect(await listed()).toEqual([large, mini, 'test/other']);
    const path = `/admin/llm/models/${encodeURIComponent(large)}`;
    const patch = send('patch', admin, path);
    const read = await get(admin, path);
    expect(dataOf(read, 200)).toMatchObject({ isEnabled: true, isDefault: false, goneAt: null });
    const etag = read.headers.get('ETag') ?? '';
    const changed = await patch({ isDefault: true, fallbacks: [mini] }, { 'If-Match': etag });
    expect(dataOf(changed, 200)).toMatchObject({ isDefault: true, fallbacks: [mini] });
    expect((await patch({ fallbacks: [] }, { 'If-Match': etag })).status).toBe(412);
    const before = `/admin/llm/models/${encodeURIComponent(mini)}`;
    expect(dataOf(await get(admin, before), 200).isDefault).toBe(false);

    const wrong = [
      [{ isEnabled: false }, 'isEnabled'],
      [{ fallbacks: [mini, large] }, 'fallbacks.1'],
      [{ fallbacks: ['test/none'] }, 'fallbacks.0'],
      [{ isDefault: false }, 'isDefault'],
    ] as const;
    for (const [body, field] of wrong) {
      const answer = await patch(body);
      expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([422, field]);
    }
    dataOf(await send('patch', admin, before)({ isEnabled: false }), 200);
    expect(await listed()).toEqual([large, 'test/other']);
    const shown = dataOf(await get(admin, '/admin/llm/models?search=test/&sort=-price'), 200);
    expect(shown.map(({ id }: { id: string }) => id)).toContain(mini);
    expect((await get(admin, '/admin/llm/models/test%2Fnone')).status).toBe(404);
    expect((await send('patch', token, path)({})).status).toBe(403);
    await send('patch', admin, before)({ isEnabled: true });
  });
});

test('GET admin/stats says how much models are used and how the platform’s keys stand', async () => {
  const before = dataOf(await get(admin, '/admin/stats'), 200).llm;
  const tenant = await buildTenant(api.deps);
  await made(tenant, {}, { costMicros: 123, outcome: 'failed' });
  const accountOf = () => insertLlmAccount(api.db, { baseUrl: 'http://vendor.test' });
  const keyOf = (accountId: string, standing = 'active') =>
    insertLlmKey(api.db, { accountId, secret: newId(), columns: { standing } });
  const [well, broke] = [await accountOf(), await accountOf()];
  await keyOf(well);
  await keyOf(well, 'paused');
  await keyOf(well, 'revoked');
  const cooling = await keyOf(well);
  await keyOf(broke);
  await keyOf(broke, 'paused');
  const health = { reason: 'credits', evidence: '{}' };
  await api
    .db('llm_health')
    .insert([{ ...health, scope: 'account', account_id: broke, state: 'suspended' }]);
  await api.db('llm_health').insert([
    {
      ...health,
      reason: 'keyLimit',
      scope: 'key',
      account_id: well,
      key_id: cooling,
      state: 'cooling',
      until: new Date(Date.now() + 60_000),
    },
  ]);
  const after = dataOf(await get(admin, '/admin/stats'), 200).llm;
  for (const period of ['today', 'month']) {
    expect(after[period]).toEqual({
      calls: before[period].calls + 1,
      failed: before[period].failed + 1,
      costMicros: before[period].costMicros + 123,
    });
  }
  const more = Object.entries(after.keys).map(([state, count]) => [
    state,
    Number(count) - before.keys[state],
  ]);
  expect(Object.fromEntries(more)).toEqual({
    active: 1,
    paused: 2,
    revoked: 1,
    cooling: 1,
    suspended: 1,
    draining: 0,
  });
  expect(after.accountsOutOfCredit).toBe(before.accountsOutOfCredit + 1);
});
