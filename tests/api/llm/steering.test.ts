import { subjectIn } from '../../../domain/llm/health';
import { platformPool } from '../../../domain/llm/types';
import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { applyHealth } from '../../../models/llm/health';
import { startTestApi, type TestApi } from '../../support/api';
import { dataOf } from '../../support/campaigns';
import { until } from '../../support/conditions';
import { buildTenant } from '../../support/factories';
import { newTenantOwner, startOwnersApi, type Owner } from './owners';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { keyStatusesOf, startKeyringGround, takeAccount } from '../../workflows/llm/ground';

// Without a worker: what people say holds all the same.
let api: TestApi;
let admin: Owner;

beforeAll(async () => {
  ({ api, admin } = await startOwnersApi());
});

afterAll(() => api.stop());

/** Whoever owns keys: a tenant by its own routes, the platform by those of its admins. */
const owners = [
  ['a tenant', '/api/v1/llm/keys', () => newTenantOwner(api)],
  ['the platform', '/api/v1/admin/llm/keys', () => Promise.resolve(admin)],
] as const;

async function addKeys(ownerId: string | null, count = 2) {
  const accountId = await insertLlmAccount(api.db, {
    baseUrl: 'http://127.0.0.1:9/openrouter/api/v1',
    tenantId: ownerId,
  });
  const keyIds: string[] = [];
  for (let n = 1; n <= count; n += 1) {
    const secret = `sk-or-v1-${newId()}`;
    const label = `demo-${n}`;
    keyIds.push(await insertLlmKey(api.db, { accountId, tenantId: ownerId, secret, label }));
  }
  const [first = '', second = ''] = keyIds;
  return { accountId, first, second };
}

const rowOf = (id: string) => api.db('llm_keys').where({ id }).first();
const wordsOn = (keyId: string) => api.db('llm_transitions').where({ key_id: keyId }).orderBy('id');

describe.each(owners)('%s', (_, base, signIn) => {
  const post = (token: string, path: string, json?: object) =>
    api.send('post', `${base}${path}`, { token, ...(json === undefined ? {} : { json }) });

  test('pauses, drains and resumes a key at once, with no workflow to be had', async () => {
    const { token, userId, ownerId } = await signIn();
    const { first, accountId } = await addKeys(ownerId);
    const answer = await post(token, `/${first}/pause`, { reason: 'strange bills' });
    expect(dataOf(answer, 202)).toMatchObject({
      keyId: first,
      accountId,
      state: 'paused',
      reason: 'strange bills',
      text: `Key demo-1 is paused by user ${userId} ("strange bills").`,
    });
    expect(answer.body.meta).toEqual({ workflowId: `keyring/${accountId}`, workflow: 'pending' });
    dataOf(await post(token, `/${first}/pause`, { reason: 'again' }), 202);
    expect(await rowOf(first)).toMatchObject({
      standing: 'paused',
      standing_reason: 'strange bills',
      standing_by: userId,
    });
    expect(await wordsOn(first)).toMatchObject([
      { from_state: 'active', to_state: 'paused', actor_kind: 'user', actor_id: userId },
    ]);
    const [entry] = await api.db('audit_log').where({ action: 'llmKey.paused', target_id: first });
    expect(entry).toMatchObject({ actor_id: userId, tenant_id: ownerId });
    const listed = dataOf(await api.send('get', `${base}/status`, { token }), 200);
    expect(listed.find((key: { keyId: string }) => key.keyId === first).state).toBe('paused');

    expect(dataOf(await post(token, `/${first}/drain`, {}), 202).state).toBe('draining');
    expect(dataOf(await post(token, `/${first}/resume`), 202).state).toBe('active');
    const explained = await api.send('get', `${base}/${first}/explain`, { token });
    expect(dataOf(explained, 200).history).toMatchObject([
      { from: 'draining', to: 'active', by: 'user', userId },
      { from: 'paused', to: 'draining' },
      { from: 'active', to: 'paused', reason: 'strange bills' },
    ]);
  });

  test('puts a new key in the place of one that is revoked at once, or ends what it began', async () => {
    const { token, userId, ownerId } = await signIn();
    const { first, second, accountId } = await addKeys(ownerId);
    const secret = `sk-or-v1-${newId()}`;
    const replaced = await post(token, `/${first}/replace`, { secret });
    const created = dataOf(replaced, 201);
    expect(created).toMatchObject({ accountId, label: 'demo-1 (2)', state: 'active' });
    expect(replaced.text).not.toContain(secret);
    expect(await rowOf(first)).toMatchObject({ standing: 'revoked', standing_by: userId });
    expect(await rowOf(created.keyId)).toMatchObject({ standing: 'active', replaces: first });
    const again = await post(token, `/${first}/replace`, { secret: `sk-or-v1-${newId()}` });
    expect([again.status, again.body.code]).toEqual([409, 'llmKeyRevoked']);

    const body = { secret: `sk-or-v1-${newId()}`, label: 'fresh' };
    const send = () =>
      api.send('post', `${base}/${second}/rotate`, {
        token,
        json: body,
        headers: { 'Idempotency-Key': `rotate-${second}` },
      });
    const fresh = dataOf(await send(), 201);
    expect(dataOf(await send(), 201)).toEqual(fresh);
    expect(fresh).toMatchObject({ label: 'fresh', state: 'active' });
    expect(await rowOf(second)).toMatchObject({ standing: 'draining' });
    const keys = await api.db('llm_keys').where({ account_id: accountId });
    expect(keys).toHaveLength(4);
    const explained = await api.send('get', `${base}/${second}/explain`, { token });
    expect(dataOf(explained, 200).text).toContain('fresh came in its place');
    const known = await post(token, `/${fresh.keyId}/rotate`, { secret: body.secret });
    expect([known.status, known.body.code]).toEqual([409, 'llmKeyKnown']);
    expect(await rowOf(fresh.keyId)).toMatchObject({ standing: 'active' });
  });

  test('says why a key cools and what was before', async () => {
    const { token, ownerId } = await signIn();
    const { first, accountId } = await addKeys(ownerId);
    const resetsAt = Date.now() + 60_000;
    const subject = subjectIn('account', { accountId, keyId: first, model: '' });
    const evidence = { status: 429, resetsAt };
    await acrossTenants(api.deps.db, 'llmRing', (trx) =>
      applyHealth(trx, [
        {
          type: 'failed',
          kind: 'platformRateLimit',
          actor: { kind: 'call', id: null },
          at: Date.now(),
          poolId: ownerId ?? platformPool,
          retryAfterMs: null,
          subject,
          resetsAt,
          evidence,
        },
      ]),
    );
    const path = `${base}/${first}/explain`;
    const explained = dataOf(await api.send('get', path, { token }), 200);
    const until = new Date(resetsAt).toISOString();
    expect(explained).toMatchObject({ state: 'cooling', scope: 'account', until });
    expect(explained.text).toContain(
      'because 429, the vendor limits the account (X-RateLimit-Reset)',
    );
    expect(explained.history).toMatchObject([{ from: 'well', to: 'cooling', by: 'call' }]);
  });

  test('asks about a key only where there are workflows, and never about a paused one', async () => {
    const { token, ownerId } = await signIn();
    const { first } = await addKeys(ownerId);
    const away = await post(token, `/${first}/probe`);
    expect([away.status, away.body.code]).toEqual([503, 'workflowsUnavailable']);
    await post(token, `/${first}/pause`, {});
    const paused = await post(token, `/${first}/probe`);
    expect([paused.status, paused.body.code]).toEqual([409, 'llmKeyNotInUse']);
  });

  test('refuses what is wrong, and changes nothing', async () => {
    const { token, ownerId } = await signIn();
    const { first } = await addKeys(ownerId);
    const wrong = await post(token, `/${first}/replace`, { secret: 'short', label: '' });
    expect([wrong.status, wrong.body.errors.map((one: { path: string }) => one.path)]).toEqual([
      422,
      ['secret', 'label'],
    ]);
    for (const path of ['pause', 'resume', 'drain', 'revoke', 'probe']) {
      const missing = await post(token, `/${newId()}/${path}`, {});
      expect([path, missing.status, missing.body.code]).toEqual([path, 404, 'llmKeyNotFound']);
    }
    const stranger = await buildTenant(api.deps);
    const pause = `/api/v1/llm/keys/${first}/pause`;
    const others = await api.send('post', pause, { token: stranger.token, json: {} });
    expect(others.status).toBe(404);
    const viewer = stranger.tokenOf('viewer');
    expect((await api.send('post', pause, { token: viewer, json: {} })).status).toBe(403);
    expect((await api.send('post', pause, { json: {} })).status).toBe(401);
    expect(await rowOf(first)).toMatchObject({ standing: 'active' });
    expect(await wordsOn(first)).toEqual([]);
  });

  test('asks to show who it is before a key is revoked for ever', async () => {
    const { token, userId, ownerId } = await signIn();
    const { first } = await addKeys(ownerId);
    const shown = await api.db('sessions').where({ user_id: userId }).select('id', 'mfa_at');
    await api.db('sessions').where({ user_id: userId }).update({ mfa_at: null });
    for (const path of ['revoke', 'rotate', 'replace']) {
      const answer = await post(token, `/${first}/${path}`, { secret: `sk-or-v1-${newId()}` });
      expect([path, answer.status, answer.body.code]).toEqual([path, 403, 'stepUpRequired']);
    }
    expect(await rowOf(first)).toMatchObject({ standing: 'active' });
    for (const { id, mfa_at } of shown) {
      await api.db('sessions').where({ id }).update({ mfa_at });
    }
    expect(dataOf(await post(token, `/${first}/revoke`, {}), 202).state).toBe('revoked');
    const back = await post(token, `/${first}/resume`);
    expect([back.status, back.body.code]).toEqual([409, 'llmKeyRevoked']);
  });
});

test('a tenant sees neither the platform’s keys nor another one’s', async () => {
  const [one, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  await addKeys(null);
  await addKeys(other.tenantId);
  const listed = await api.send('get', '/api/v1/llm/keys/status', { token: one.token });
  expect(dataOf(listed, 200)).toEqual([]);
  const asAdmin = await api.send('get', '/api/v1/admin/llm/keys/status', { token: one.token });
  expect(asAdmin.status).toBe(403);
});

test('two who steer one key at once both get an answer, and the last word holds', async () => {
  const { token, tenantId } = await buildTenant(api.deps);
  const { first, accountId } = await addKeys(tenantId);
  const subject = subjectIn('key', { accountId, keyId: first, model: '' });
  const answers = await Promise.all([
    ...['pause', 'resume', 'drain', 'pause'].map((word) =>
      api.send('post', `/api/v1/llm/keys/${first}/${word}`, { token, json: {} }),
    ),
    ...Array.from({ length: 8 }, (_, n) =>
      acrossTenants(api.deps.db, 'llmRing', (trx) =>
        applyHealth(trx, [
          {
            type: 'tripped',
            kind: 'serverError',
            actor: { kind: 'probe', id: null },
            at: Date.now() + n,
            poolId: tenantId,
            evidence: {},
            subject,
          },
        ]),
      ).then(() => ({ status: 202 })),
    ),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 202));
  const words = await wordsOn(first);
  const last = words.findLast(({ actor_kind: kind }) => kind === 'user');
  expect((await rowOf(first)).standing).toBe(last.to_state);
});

test('where workflows are at work they take a word up, and a key is asked about', async () => {
  const ground = await startKeyringGround();
  const own = await startTestApi({ db: ground.deps.db, keyrings: ground.keyrings });
  try {
    const { token, tenantId } = await buildTenant(own.deps);
    const account = await takeAccount(ground, { tenantId });
    const [keyId = ''] = account.keyIds;
    const send = (word: string) =>
      own.send('post', `/api/v1/llm/keys/${keyId}/${word}`, { token, json: {} });
    expect(dataOf(await send('probe'), 200).state).toBe('active');
    const paused = await send('pause');
    expect([paused.status, paused.body.meta.workflow]).toEqual([200, 'informed']);
    await until('the keyring to know', async () => {
      const [first] = await keyStatusesOf(ground, account);
      return first?.state === 'paused';
    });
  } finally {
    await own.stop();
    await ground.stop();
  }
});
