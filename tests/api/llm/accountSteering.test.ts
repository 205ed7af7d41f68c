import { newId } from '../../../lib/ids';
import { startTestApi, type TestApi } from '../../support/api';
import { dataOf } from '../../support/campaigns';
import { until } from '../../support/conditions';
import { buildTenant } from '../../support/factories';
import { newTenantOwner, startOwnersApi, type Owner } from './owners';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import {
  callsOf,
  changeVendorKey,
  keyStatusesOf,
  setFaults,
  startKeyringGround,
  takeAccount,
} from '../../workflows/llm/ground';

// Without a worker: what people say holds all the same.
let api: TestApi;
let admin: Owner;

beforeAll(async () => {
  ({ api, admin } = await startOwnersApi());
});

afterAll(() => api.stop());

/** Whoever owns accounts: a tenant by its own routes, the platform by those of its admins. */
const owners = [
  ['a tenant', '/api/v1/llm', () => newTenantOwner(api)],
  ['the platform', '/api/v1/admin/llm', () => Promise.resolve(admin)],
] as const;

async function addAccount(ownerId: string | null) {
  const accountId = await insertLlmAccount(api.db, {
    baseUrl: 'http://127.0.0.1:9/openrouter/api/v1',
    tenantId: ownerId,
    name: `Acme ${newId()}`,
  });
  const secret = `sk-or-v1-${newId()}`;
  const keyId = await insertLlmKey(api.db, { accountId, tenantId: ownerId, secret, label: 'one' });
  return { accountId, keyId };
}

const accountRow = (id: string) => api.db('llm_accounts').where({ id }).first();
const wordsOn = (accountId: string) =>
  api.db('llm_transitions').where({ account_id: accountId, scope: 'account' }).orderBy('id');

describe.each(owners)('%s', (_, base, signIn) => {
  const post = (token: string, path: string, json?: object) =>
    api.send('post', `${base}${path}`, { token, ...(json === undefined ? {} : { json }) });

  test('pauses, drains and resumes an account with all its keys at once, with no workflow to be had', async () => {
    const { token, userId, ownerId } = await signIn();
    const { accountId, keyId } = await addAccount(ownerId);
    const answer = await post(token, `/accounts/${accountId}/pause`, { reason: 'strange bills' });
    expect(dataOf(answer, 202)).toMatchObject({
      id: accountId,
      standing: 'paused',
      standingReason: 'strange bills',
    });
    expect(answer.body.meta).toEqual({ workflowId: `keyring/${accountId}`, workflow: 'pending' });
    dataOf(await post(token, `/accounts/${accountId}/pause`, { reason: 'again' }), 202);
    expect(await accountRow(accountId)).toMatchObject({
      standing_reason: 'strange bills',
      standing_by: userId,
    });
    expect(await wordsOn(accountId)).toMatchObject([
      { from_state: 'active', to_state: 'paused', actor_kind: 'user', actor_id: userId },
    ]);
    const entries = await api.db('audit_log').where({ target_id: accountId });
    expect(entries).toMatchObject([
      { action: 'llmAccount.paused', actor_id: userId, tenant_id: ownerId },
    ]);
    const explained = dataOf(
      await api.send('get', `${base}/keys/${keyId}/explain`, { token }),
      200,
    );
    expect(explained).toMatchObject({ state: 'paused', reason: 'strange bills' });
    expect(explained.history).toMatchObject([{ scope: 'account', from: 'active', to: 'paused' }]);
    const probed = await post(token, `/keys/${keyId}/probe`);
    expect([probed.status, probed.body.code]).toEqual([409, 'llmKeyNotInUse']);

    expect(dataOf(await post(token, `/accounts/${accountId}/drain`, {}), 202).standing).toBe(
      'draining',
    );
    const back = dataOf(await post(token, `/accounts/${accountId}/resume`), 202);
    expect(back).toMatchObject({ standing: 'active', standingReason: null });
    const listed = dataOf(await api.send('get', `${base}/keys/status`, { token }), 200);
    expect(listed.find((key: { keyId: string }) => key.keyId === keyId).state).toBe('active');
  });

  test('asks about an account only where there are workflows, and never about a paused one', async () => {
    const { token, ownerId } = await signIn();
    const { accountId } = await addAccount(ownerId);
    const away = await post(token, `/accounts/${accountId}/probe`);
    expect([away.status, away.body.code]).toEqual([503, 'workflowsUnavailable']);
    await post(token, `/accounts/${accountId}/pause`, {});
    const paused = await post(token, `/accounts/${accountId}/probe`);
    expect([paused.status, paused.body.code]).toEqual([409, 'llmAccountNotInUse']);
  });

  test('refuses what is wrong, and changes nothing', async () => {
    const { token, ownerId } = await signIn();
    const { accountId } = await addAccount(ownerId);
    const wrong = await post(token, `/accounts/${accountId}/pause`, { reason: 'one\ntwo' });
    expect([wrong.status, wrong.body.errors.map((one: { path: string }) => one.path)]).toEqual([
      422,
      ['reason'],
    ]);
    for (const path of ['pause', 'resume', 'drain', 'probe']) {
      const missing = await post(token, `/accounts/${newId()}/${path}`, {});
      expect([path, missing.status, missing.body.code]).toEqual([path, 404, 'llmAccountNotFound']);
    }
    const stranger = await buildTenant(api.deps);
    const pause = `/api/v1/llm/accounts/${accountId}/pause`;
    const others = await api.send('post', pause, { token: stranger.token, json: {} });
    expect(others.status).toBe(404);
    const viewer = stranger.tokenOf('viewer');
    expect((await api.send('post', pause, { token: viewer, json: {} })).status).toBe(403);
    expect((await api.send('post', pause, { json: {} })).status).toBe(401);
    expect(await accountRow(accountId)).toMatchObject({ standing: 'active' });
    expect(await wordsOn(accountId)).toEqual([]);
  });
});

test('what happened to a key is told however much happened to the others of its account', async () => {
  const { token, tenantId } = await buildTenant(api.deps);
  const { accountId, keyId } = await addAccount(tenantId);
  const other = await insertLlmKey(api.db, { accountId, tenantId, secret: `sk-${newId()}` });
  const happened = (of: string, reason: string) => ({
    id: newId(),
    tenant_id: tenantId,
    scope: 'key',
    account_id: accountId,
    key_id: of,
    from_state: 'well',
    to_state: 'cooling',
    reason,
    actor_kind: 'call',
  });
  await api.db('llm_transitions').insert(happened(keyId, 'authentication'));
  await api
    .db('llm_transitions')
    .insert(Array.from({ length: 60 }, () => happened(other, 'serverError')));
  const path = `/api/v1/llm/keys/${keyId}/explain`;
  const { history } = dataOf(await api.send('get', path, { token }), 200);
  expect(history).toMatchObject([{ reason: 'authentication', to: 'cooling', by: 'call' }]);
});

test('where workflows are at work they take a word up, ask about all, and end with the account', async () => {
  const ground = await startKeyringGround();
  const own = await startTestApi({ db: ground.deps.db, keyrings: ground.keyrings });
  try {
    const { token, tenantId } = await buildTenant(own.deps);
    const account = await takeAccount(ground, { tenantId });
    const send = (word: string) =>
      own.send('post', `/api/v1/llm/accounts/${account.accountId}/${word}`, { token, json: {} });
    const [label = ''] = account.labels;
    await changeVendorKey(ground, label, { limitMicros: 0 });
    expect(dataOf(await send('probe'), 200)).toMatchObject({ standing: 'active' });
    const row = await ground.admin('llm_accounts').where({ id: account.accountId }).first();
    expect(row.balance_micros).toBe(20_000_000);
    const read = await ground.admin('llm_keys').where({ account_id: account.accountId });
    expect(read.every(({ limits_at: at }) => at !== null)).toBe(true);
    const states = async () => (await keyStatusesOf(ground, account)).map(({ state }) => state);
    expect(await states()).toEqual(['suspended', 'active', 'active']);
    expect(await callsOf(ground, account.labels, 'chat')).toEqual([]);

    // It is asked about, and only its answer is awaited.
    await setFaults(ground, [{ fault: 'hang', account: account.vendorId, paths: ['key'] }]);
    expect((await send('probe')).status).toBe(202);
    await setFaults(ground, []);

    const paused = await send('pause');
    expect([paused.status, paused.body.meta.workflow]).toEqual([200, 'informed']);
    await until('the keyring to know', async () =>
      (await states()).every((state) => state === 'paused'),
    );
    await ground
      .admin('llm_keys')
      .where({ account_id: account.accountId })
      .update({ standing: 'revoked' });
    const removed = await own.send('delete', `/api/v1/llm/accounts/${account.accountId}`, {
      token,
    });
    expect(removed.status).toBe(204);
    const handle = ground.temporal.client.workflow.getHandle(`keyring/${account.accountId}`);
    await until('the keyring to end', async () => {
      const { status } = await handle.describe();
      return status.name === 'COMPLETED';
    });
  } finally {
    await own.stop();
    await ground.stop();
  }
});
