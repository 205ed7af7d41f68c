import type { temporal } from '@temporalio/proto';
import type { FailureKind } from '../../../domain/llm/failures';
import { instantWords } from '../../../domain/llm/keyrings/words';
import { subjectIn, type HealthEvent } from '../../../domain/llm/health';
import { acrossTenants } from '../../../models/base';
import { applyHealth } from '../../../models/llm/health';
import { newId } from '../../../lib/ids';
import {
  drainKeyUpdate,
  explainKeyQuery,
  keyringStatusQuery,
  keyStateChangedSignal,
  pauseAccountUpdate,
  pauseKeyUpdate,
  probeAccountUpdate,
  probeKeyUpdate,
  resumeAccountUpdate,
  resumeKeyUpdate,
  revokeKeyUpdate,
  rotateKeyUpdate,
  wantedSignal,
  type KeyringStatus,
} from '../../../workflows/llm/messages';
import { recordKeyring } from '../../replay/record';
import { until } from '../../support/conditions';
import { exportWorkflows } from '../../support/exportedHistories';
import { insertLlmKey } from '../../support/llm';
import { insertTenant } from '../../support/records';
import {
  addVendorKey,
  callsOf,
  changeVendorKey,
  handleOf,
  healthOf,
  setCredit,
  setFaults,
  startKeyringGround,
  takeAccount,
  type KeyringGround,
  type TestAccount,
} from './ground';

let ground: KeyringGround;

beforeAll(async () => {
  ground = await startKeyringGround();
});

afterAll(() => ground.stop());

/** An account of a new tenant's own pool, with its keyring at work. */
async function prepare(
  options: { hasManagementKey?: boolean } = {},
): Promise<TestAccount & { tenantId: string }> {
  const tenantId = await insertTenant(ground.admin);
  const account = await takeAccount(ground, { tenantId, ...options });
  const { accountId } = account;
  await ground.keyrings.ensure([
    { accountId, tenantId, name: `Acme ${account.vendorId}`, keys: 3 },
  ]);
  // Its first look asks for every key's limits.
  await until('the first look', async () => {
    const rows = await ground.admin('llm_keys').where({ account_id: accountId });
    return rows.every(({ limits_at: at }) => at !== null);
  });
  return { ...account, tenantId };
}

/** Writes what a call's failure says, as the ring of a process does, and tells the keyring. */
async function callFails(
  account: TestAccount,
  kind: FailureKind,
  {
    keyId = account.keyIds[0] ?? '',
    ...options
  }: {
    keyId?: string;
    scope?: 'key' | 'account';
    status?: number;
    retryAfterMs?: number;
    resetsAt?: number;
  } = {},
): Promise<void> {
  const { scope = 'key', status = 401, retryAfterMs = null, resetsAt = null } = options;
  const event: HealthEvent = {
    type: 'failed',
    subject: subjectIn(scope, { accountId: account.accountId, keyId, model: '' }),
    actor: { kind: 'call', id: null },
    at: Date.now(),
    kind,
    retryAfterMs,
    resetsAt,
    evidence: { status, retryAfterMs, resetsAt },
  };
  await acrossTenants(ground.deps.db, 'llmRing', (trx) =>
    applyHealth(trx, [{ ...event, poolId: account.tenantId ?? '' }]),
  );
  await changed(account);
}

async function changed(account: TestAccount): Promise<void> {
  await handleOf(ground, account).signal(keyStateChangedSignal);
}

/** As if the time had come: states wait for hours that tests do not have. */
async function timeComes(account: TestAccount): Promise<void> {
  const past = ground.admin.raw(`now() - interval '3 seconds'`);
  await ground
    .admin('llm_health')
    .where({ account_id: account.accountId })
    .update({
      next_check_at: past,
      until: ground.admin.raw(
        "case when until is null then null else now() - interval '3 seconds' end",
      ),
    });
  await changed(account);
}

test('a refused key whose own page refuses it as well is suspended, and serves again when it does not', async () => {
  const account = await prepare();
  const [keyId = ''] = account.keyIds;
  const [label = ''] = account.labels;
  await changeVendorKey(ground, label, { isRevoked: true });
  await callFails(account, 'authentication');
  const suspended = await until('the key to be suspended', async () => {
    const row = await healthOf(ground.admin, { keyId });
    return row?.state === 'suspended' && row;
  });
  expect(suspended).toMatchObject({ reason: 'authentication' });
  const wait = suspended.next_check_at.getTime() - suspended.updated_at.getTime();
  expect(wait).toBe(5 * 60_000);

  await changeVendorKey(ground, label, { isRevoked: false });
  await timeComes(account);
  await until('the key to be well', async () => !(await healthOf(ground.admin, { keyId })));
  expect(await callsOf(ground, account.labels, 'chat')).toEqual([]);
  await recordKeyring(ground.temporal.client, 'a-refused-key-is-verified', account.accountId);
});

test('a key that was refused once and is good on its page cools its time and is not suspended', async () => {
  const account = await prepare();
  const [keyId = ''] = account.keyIds;
  await callFails(account, 'authentication');
  await until('the page to be read', async () => {
    const row = await healthOf(ground.admin, { keyId });
    return row?.evidence.verify === false;
  });
  const cooling = await healthOf(ground.admin, { keyId });
  expect(cooling).toMatchObject({ state: 'cooling', reason: 'authentication', failures: 1 });
  expect(cooling.until.getTime() - cooling.since.getTime()).toBe(30_000);

  await timeComes(account);
  await until('the key to be well', async () => !(await healthOf(ground.admin, { keyId })));
});

test('an account that is limited is left alone until its time, then asked with the smallest call', async () => {
  const account = await prepare();
  const resetsAt = Date.now() + 2_500;
  await callFails(account, 'platformRateLimit', { scope: 'account', status: 429, resetsAt });
  await until('the account to be well', async () => {
    const row = await healthOf(ground.admin, { accountId: account.accountId, scope: 'account' });
    return row === undefined;
  });
  const calls = await callsOf(ground, account.labels, 'chat');
  expect(calls).toMatchObject([{ model: 'openai/gpt-4o-mini', status: 200 }]);
  expect(calls[0]?.at).toBeGreaterThanOrEqual(resetsAt);
  await recordKeyring(ground.temporal.client, 'a-limited-account-comes-back', account.accountId);
});

test('while somebody waits an account that may be asked long before its time is found out', async () => {
  const account = await prepare();
  await setFaults(ground, [
    { fault: 'platformRateLimit', account: account.vendorId, paths: ['chat'], forMs: 3_000 },
  ]);
  await callFails(account, 'platformRateLimit', {
    scope: 'account',
    status: 429,
    retryAfterMs: 30 * 60_000,
  });
  await until('the account to be well', async () => {
    ground.keyrings.wanted([account.accountId]);
    const row = await healthOf(ground.admin, { accountId: account.accountId, scope: 'account' });
    return row === undefined;
  });
  const calls = await callsOf(ground, account.labels, 'chat');
  const refused = calls.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  // It was in their hands: what was refused is not written down each time.
  const told = await ground.admin('llm_transitions').where({
    account_id: account.accountId,
    to_state: 'cooling',
  });
  expect(told).toHaveLength(1);
  expect(calls.at(-1)?.status).toBe(200);
  await setFaults(ground, []);
});

test('nobody asks whether the limit of a day is over, however many wait', async () => {
  const account = await prepare();
  await callFails(account, 'platformRateLimit', {
    scope: 'account',
    status: 429,
    resetsAt: Date.now() + 5 * 60 * 60_000,
  });
  ground.keyrings.wanted([account.accountId]);
  await until('the wait', async () => {
    const status = await handleOf(ground, account).query(keyringStatusQuery);
    return status?.keys.every(({ state }) => state === 'cooling');
  });
  const told = await waitsFor(account);
  expect(told).toMatch(/^Account Acme a\d+ cools until .* until the next look$/);
  expect(await callsOf(ground, account.labels, 'chat')).toEqual([]);
});

test('an account without credit is asked for its balance, by no call of a model, until there is some', async () => {
  const account = await prepare();
  await setCredit(ground, account.vendorId, 0);
  await callFails(account, 'credits', { scope: 'account', status: 402 });
  await timeComes(account);
  const of = { accountId: account.accountId, scope: 'account' } as const;
  await until('the balance to be read', async () => {
    const [row] = await ground.admin('llm_accounts').where({ id: account.accountId });
    return row.balance_micros === 0;
  });
  const checked = await until('the next look to be put off', async () => {
    const row = await healthOf(ground.admin, of);
    return row.next_check_at > new Date() && row;
  });
  expect(checked).toMatchObject({ state: 'suspended', reason: 'credits' });
  expect(await handleOf(ground, account).query(explainKeyQuery, account.keyIds[0] ?? '')).toMatch(
    /is suspended with its account Acme a\d+ because 402, the account is out of credit; next look at/,
  );

  await setCredit(ground, account.vendorId, 5_000_000);
  await timeComes(account);
  await until('the account to be well', async () => !(await healthOf(ground.admin, of)));
  expect(await callsOf(ground, account.labels, 'chat')).toEqual([]);
  const [row] = await ground.admin('llm_accounts').where({ id: account.accountId });
  expect(row.balance_micros).toBe(5_000_000);
});

test('an account whose management key is refused comes back by a call of a model', async () => {
  const account = await prepare();
  await setFaults(ground, [
    { fault: 'unauthorized', account: account.vendorId, paths: ['credits'] },
  ]);
  await callFails(account, 'credits', { scope: 'account', status: 402 });
  await timeComes(account);
  const of = { accountId: account.accountId, scope: 'account' } as const;
  await until('the account to be well', async () => !(await healthOf(ground.admin, of)));
  expect(await callsOf(ground, account.labels, 'chat')).toMatchObject([{ status: 200 }]);
  await setFaults(ground, []);
});

test('whoever waits after others did has what was asked for them go on ever more rarely', async () => {
  const account = await prepare();
  await setFaults(ground, [
    { fault: 'platformRateLimit', account: account.vendorId, paths: ['chat'] },
  ]);
  const retryAfterMs = 30 * 60_000;
  await callFails(account, 'platformRateLimit', { scope: 'account', status: 429, retryAfterMs });
  const asked = async () =>
    (await eventsOf(account)).flatMap(
      ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
    );
  const countOf = async (name: string) => (await asked()).filter((one) => one === name).length;
  const want = () => handleOf(ground, account).signal(wantedSignal);
  await want();
  await until('it to be asked for', async () => (await countOf('probeOften')) === 1);
  // Whoever waits says so every few seconds: who said it ten seconds ago does not wait any more.
  const wantedAt = Date.now();
  await until('nobody to wait any more', async () => {
    const { raw } = await handleOf(ground, account).describe();
    return Date.now() > wantedAt + 10_500 && (raw.pendingActivities ?? []).length === 0;
  });
  const before = await countOf('probeCapacity');
  await want();
  await until(
    'it to be asked for once more',
    async () => (await countOf('probeOften')) + (await countOf('probeCapacity')) > before + 1,
  );
  expect(await countOf('probeOften')).toBe(1);
  await setFaults(ground, []);
});

test('a spent limit comes back when the vendor resets it, or when it is raised before', async () => {
  const account = await prepare();
  const [keyId = ''] = account.keyIds;
  const [label = ''] = account.labels;
  await changeVendorKey(ground, label, { limitMicros: 0, limitReset: 'daily' });
  await callFails(account, 'keyLimit', { status: 402 });
  const learned = await until('the reset to be known', async () => {
    const row = await healthOf(ground.admin, { keyId });
    return row?.until !== null && row;
  });
  expect(learned).toMatchObject({ state: 'suspended', reason: 'keyLimit' });
  expect(learned.until.toISOString()).toMatch(/T00:00:00\.000Z$/);
  expect(learned.until.getTime() - Date.now()).toBeLessThanOrEqual(24 * 60 * 60_000);

  await changeVendorKey(ground, label, { limitMicros: 9_000_000 });
  await ground.admin('llm_health').where({ key_id: keyId }).update({ next_check_at: new Date() });
  await changed(account);
  await until('the key to be well', async () => !(await healthOf(ground.admin, { keyId })));
  const [row] = await ground.admin('llm_keys').where({ id: keyId });
  expect(row).toMatchObject({ limit_micros: 9_000_000, limit_reset: 'daily' });
  expect(await callsOf(ground, [label], 'chat')).toEqual([]);
});

describe('an operator in the Temporal UI', () => {
  let account: TestAccount & { tenantId: string };

  beforeAll(async () => {
    account = await prepare();
  });

  test('pauses and resumes a key, and a word said twice is one', async () => {
    const [keyId = ''] = account.keyIds;
    const handle = handleOf(ground, account);
    const word = { keyId, reason: 'strange bills' };
    const paused = await handle.executeUpdate(pauseKeyUpdate, { args: [word] });
    await handle.executeUpdate(pauseKeyUpdate, { args: [word] });
    expect(paused).toMatchObject({ state: 'paused', reason: 'strange bills' });
    expect(await handle.query(explainKeyQuery, keyId)).toBe(
      `Key ${account.labels[0]} is paused by an operator ("strange bills").`,
    );
    expect(await wordsOn(keyId)).toMatchObject([
      { from_state: 'active', to_state: 'paused', actor_kind: 'user', reason: 'strange bills' },
    ]);
    const resumed = await handle.executeUpdate(resumeKeyUpdate, { args: [{ keyId }] });
    expect(resumed.state).toBe('active');
  });

  test('asks for a key that cools, which serves at once when its vendor says so', async () => {
    const [, keyId = ''] = account.keyIds;
    await callFails(account, 'authentication', { keyId });
    await until('the key to cool', () => healthOf(ground.admin, { keyId }));
    const probed = await handleOf(ground, account).executeUpdate(probeKeyUpdate, {
      args: [{ keyId }],
    });
    expect(probed.state).toBe('active');
    expect(await healthOf(ground.admin, { keyId })).toBeUndefined();
  });

  test('rotates a key: the old one ends what it began, and is revoked when nothing is open', async () => {
    const [, , keyId = ''] = account.keyIds;
    const secret = `sk-or-v1-${newId()}`;
    const newKeyId = await insertLlmKey(ground.admin, {
      accountId: account.accountId,
      tenantId: account.tenantId,
      secret,
      label: 'the new one',
    });
    const handle = handleOf(ground, account);
    const draining = await handle.executeUpdate(rotateKeyUpdate, { args: [{ keyId, newKeyId }] });
    expect(draining).toMatchObject({ state: 'draining' });
    expect(draining.text).toContain('the new one came in its place');
    // It was not made at the vendor yet: it is no good, and the old one goes on.
    await until('the new one to be refused', () => healthOf(ground.admin, { keyId: newKeyId }));
    await addVendorKey(ground, account.vendorId, { secret, label: newKeyId });
    await handle.executeUpdate(probeKeyUpdate, { args: [{ keyId: newKeyId }] });
    const callId = await openCall(account.tenantId);
    await ground
      .admin('llm_keys')
      .where({ id: keyId })
      .update({ standing_at: ground.admin.raw(`now() - interval '11 minutes'`) });
    await ground
      .admin('llm_calls')
      .where({ id: callId })
      .update({ created_at: ground.admin.raw(`now() - interval '12 minutes'`) });
    await changed(account);
    await until('somebody to look whether calls are open', async () =>
      (await eventsOf(account)).some(
        (event) =>
          event.activityTaskScheduledEventAttributes?.activityType?.name === 'revokeReplacedKey',
      ),
    );
    expect((await keyRow(keyId)).standing).toBe('draining');

    await ground.admin('llm_calls').where({ id: callId }).delete();
    await until(
      'the old key to be revoked',
      async () => (await keyRow(keyId)).standing === 'revoked',
    );
    expect(await keyRow(newKeyId)).toMatchObject({ standing: 'active', replaces: keyId });
    expect((await wordsOn(keyId)).map((row) => [row.to_state, row.actor_kind])).toEqual([
      ['draining', 'user'],
      ['revoked', 'timer'],
    ]);
    await recordKeyring(ground.temporal.client, 'a-key-is-rotated', account.accountId);
  });

  test('revokes a key for ever', async () => {
    const [keyId = ''] = account.keyIds;
    const handle = handleOf(ground, account);
    await handle.executeUpdate(revokeKeyUpdate, { args: [{ keyId }] });
    await expect(handle.executeUpdate(drainKeyUpdate, { args: [{ keyId }] })).rejects.toMatchObject(
      {
        cause: { type: 'llmKeyRevoked' },
      },
    );
    expect((await keyRow(keyId)).standing).toBe('revoked');
  });

  test('pauses, asks about and resumes the whole account in one word each', async () => {
    const own = await prepare();
    const handle = handleOf(ground, own);
    const reason = 'strange bills';
    const paused = await handle.executeUpdate(pauseAccountUpdate, { args: [{ reason }] });
    expect(paused?.keys.map(({ state }) => state)).toEqual(['paused', 'paused', 'paused']);
    expect(paused?.keys[0]?.text).toBe(
      `Key ${own.labels[0]} is paused with its account Acme ${own.vendorId} by an operator ("strange bills").`,
    );
    const before = (await callsOf(ground, own.labels)).length;
    await handle.executeUpdate(probeAccountUpdate, { args: [{}] });
    expect(await callsOf(ground, own.labels)).toHaveLength(before);

    // As the UI does when nothing is put in.
    const resumed = await handle.executeUpdate<KeyringStatus, []>(resumeAccountUpdate.name);
    expect(resumed?.keys.map(({ state }) => state)).toEqual(['active', 'active', 'active']);
    expect(await detailsOf(own)).toContain(
      `Acme ${own.vendorId}: active → paused ("strange bills")`,
    );
    // Long before its time: whoever asks wants to know now.
    await callFails(own, 'platformRateLimit', {
      scope: 'account',
      status: 429,
      retryAfterMs: 30 * 60_000,
    });
    const probed = await handle.executeUpdate(probeAccountUpdate, { args: [{}] });
    expect(probed?.keys.map(({ state }) => state)).toEqual(['active', 'active', 'active']);
    expect(await callsOf(ground, own.labels, 'chat')).toHaveLength(1);
    await expect(
      handle.executeUpdate(pauseAccountUpdate, { args: [{ actorId: 'ana' }] }),
    ).rejects.toMatchObject({
      cause: { message: 'actorId must be the id of a user; leave it out for an operator.' },
    });
    await recordKeyring(ground.temporal.client, 'an-account-is-steered', own.accountId);
  });

  test('is told what is wrong with a word', async () => {
    const handle = handleOf(ground, account);
    await expect(
      handle.executeUpdate(pauseKeyUpdate, { args: [{ keyId: 'demo-2' }] }),
    ).rejects.toMatchObject({ cause: { message: 'keyId must be the id of a key.' } });
    const [, keyId = ''] = account.keyIds;
    for (const [said, message] of [
      [
        { keyId, actorId: 'ana' },
        'actorId must be the id of a user; leave it out for an operator.',
      ],
      [{ keyId, reason: 'one\ntwo' }, 'reason must be one line of at most 200 characters.'],
      [{ keyId, reason: 'x'.repeat(201) }, 'reason must be one line of at most 200 characters.'],
    ] as const) {
      await expect(handle.executeUpdate(pauseKeyUpdate, { args: [said] })).rejects.toMatchObject({
        cause: { message },
      });
    }
    expect((await keyRow(keyId)).standing).toBe('active');
    const other = await takeAccount(ground, { tenantId: account.tenantId });
    for (const keyId of [newId(), other.keyIds[0] ?? '']) {
      await expect(
        handle.executeUpdate(pauseKeyUpdate, { args: [{ keyId }] }),
      ).rejects.toMatchObject({ cause: { type: 'llmKeyNotFound' } });
    }
    expect((await keyRow(other.keyIds[0] ?? '')).standing).toBe('active');
  });
});

test('an operator reads which key cools, until when and why', async () => {
  const account = await prepare();
  const [, keyId = ''] = account.keyIds;
  const resetsAt = Date.now() + 20 * 60_000;
  await callFails(account, 'platformRateLimit', { scope: 'account', status: 429, resetsAt });
  await handleOf(ground, account).executeUpdate(pauseKeyUpdate, {
    args: [{ keyId, reason: 'too dear' }],
  });
  // With the day, shortly before midnight.
  const time = instantWords(new Date(resetsAt).toISOString(), Date.now());
  const details = await until('the details', async () => {
    const text = await detailsOf(account);
    return text.includes(time) && text.includes('paused') && text;
  });
  expect(details).toContain(
    `| ${account.labels[0]} | **cooling** | ${time} | its account: 429, the vendor limits the account (X-RateLimit-Reset) |`,
  );
  expect(details).toContain(`| ${account.labels[1]} | **paused** |`);
  expect(details).toContain('$20.00 of credit left');
  expect(details).toContain('active → paused ("too dear")');
  expect(details).not.toContain(account.secrets[0]);

  const described = await handleOf(ground, account).describe();
  const attributes = Object.fromEntries(
    described.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]),
  );
  expect(attributes).toMatchObject({
    CarillonKind: 'keyring',
    CarillonStatus: 'cooling',
    CarillonTenant: account.tenantId,
  });
  expect(await described.staticSummary()).toBe(
    `Key ring of account Acme ${account.vendorId} (3 keys)`,
  );
});

test('a keyring ends with its account, and one that was terminated is started again', async () => {
  const account = await prepare();
  const handle = handleOf(ground, account);
  await handle.terminate();
  const { accountId, tenantId } = account;
  await ground.keyrings.ensure([{ accountId, tenantId, name: 'Acme again', keys: 3 }]);
  expect((await handle.describe()).status.name).toBe('RUNNING');

  await ground.admin('llm_keys').where({ account_id: account.accountId }).delete();
  await ground.admin('llm_accounts').where({ id: account.accountId }).delete();
  await changed(account);
  await handle.result();
});

test('goes on in a new history when the server asks for one, and forgets no wait', async () => {
  const account = await prepare();
  const handle = handleOf(ground, account);
  const resetsAt = Date.now() + 60 * 60_000;
  await callFails(account, 'platformRateLimit', { scope: 'account', status: 429, resetsAt });
  const { runId } = await handle.describe();
  // The server asks after some four thousand events: a minute of a machine that is busy.
  await until(
    'the new history',
    async () => {
      // A workflow that is asked too much at once refuses some of it.
      await Promise.allSettled(Array.from({ length: 20 }, () => changed(account)));
      return (await handle.describe()).runId !== runId;
    },
    200_000,
  );
  const status = await until('its first look', () => handle.query(keyringStatusQuery));
  expect(status?.keys[0]).toMatchObject({
    state: 'cooling',
    until: new Date(resetsAt).toISOString(),
  });
  const paused = await handle.executeUpdate(pauseKeyUpdate, {
    args: [{ keyId: account.keyIds[0] ?? '' }],
  });
  expect(paused.state).toBe('paused');
}, 240_000);

test('no key is in anything that Temporal keeps, not even after decrypting it', async () => {
  const { workflows, others } = await exportWorkflows(ground.temporal.client, ground.namespace);
  const rings = workflows.filter(({ type }) => type === 'keyring');
  expect(rings.length).toBeGreaterThan(5);
  const texts = [others, ...workflows.flatMap(({ raw, clear }) => [raw, clear])];
  expect(texts.some((text) => text.includes('sk-or-v1-'))).toBe(false);
  // What people named is encrypted where it is kept, and there for who may read it.
  expect(rings.some(({ raw }) => raw.includes('Acme a0'))).toBe(false);
  expect(rings.some(({ clear }) => clear.includes('Acme a0'))).toBe(true);
});

async function keyRow(id: string) {
  const [row] = await ground.admin('llm_keys').where({ id });
  return row;
}

async function wordsOn(keyId: string) {
  return ground
    .admin('llm_transitions')
    .where({ key_id: keyId })
    .whereIn('actor_kind', ['user', 'timer'])
    .orderBy('id');
}

async function waitsFor(account: TestAccount): Promise<string> {
  const status = await handleOf(ground, account).query(keyringStatusQuery);
  return status?.waitsFor ?? '';
}

async function eventsOf(account: TestAccount) {
  const { events } = await handleOf(ground, account).fetchHistory();
  return events ?? [];
}

// As the UI asks for them.
async function detailsOf(account: TestAccount): Promise<string> {
  const metadata = await handleOf(ground, account).query<temporal.api.sdk.v1.IWorkflowMetadata>(
    '__temporal_workflow_metadata',
  );
  return metadata.currentDetails ?? '';
}

async function openCall(tenantId: string): Promise<string> {
  const id = newId();
  await ground.admin('llm_calls').insert({
    id,
    tenant_id: tenantId,
    feature: 'script',
    kind: 'chat',
    model_asked: 'openai/gpt-4o-mini',
    estimate_micros: 10,
    may_use_platform: true,
    is_streamed: false,
    expires_at: ground.admin.raw(`now() + interval '10 minutes'`),
  });
  return id;
}
