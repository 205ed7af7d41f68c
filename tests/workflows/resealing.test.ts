import { Writable } from 'node:stream';
import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import { createResealSlice, type ResealedSlice } from '../../activities/identity/reseal';
import { createAccountSenders } from '../../activities/messages/accountSenders';
import type { Knex } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { createMetrics } from '../../lib/metrics';
import { createSealing, type Sealing } from '../../lib/sealing';
import { acrossTenants, withTenant } from '../../models/base';
import {
  countSealed,
  introduceKey,
  listSealedOtherwise,
  replaceSealed,
} from '../../models/identity/resealing';
import { openCredentials, sealCredentials } from '../../models/messages/accountCredentials';
import { replaceProviderAccount, requireProviderAccount } from '../../models/messages/accounts';
import { startResealing } from '../../workers/schedules';
import { lookAtSealedValues } from '../../workers/sealedValues';
import { collectSealingMetrics } from '../../workers/sealingMetrics';
import { resealingWorkflowId } from '../../workflows/identity/resealing';
import { startCampaignGround, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { adminOf, createTestDatabase, type TestDatabase } from '../support/postgres';
import { apiKeyOf, writeSealedAccounts, type SealedAccount } from '../support/sealedAccounts';

// The data key of the workflow's own payloads is sealed with the key of the tests.
const keys = [
  ...['k1', 'k2', 'k3', 'k4'].map((id, n) => ({ id, key: Buffer.alloc(32, n + 1) })),
  { id: 'test', key: Buffer.alloc(32, 7) },
];
const first = (id: string) => [...keys].sort((a, b) => Number(b.id === id) - Number(a.id === id));
const sealingFirst = (id: string): Sealing => createSealing(first(id));
const alone = (id: string) => createSealing(keys.filter((key) => key.id === id));
const logger = createLogger({ name: 'test', level: 'fatal' });

let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround({ deps: { sealing: sealingFirst('k1') } });
  await ground.startWorker();
});

afterAll(() => ground.stop());

// Resealing walks through a whole database, so each test has one of its own with a worker on it.
async function onOwnRows(
  rows: { accounts: number; sealing?: Sealing },
  work: (own: {
    db: Knex;
    accounts: SealedAccount[];
    keyCounts: () => Promise<object>;
  }) => Promise<void>,
): Promise<void> {
  const database: TestDatabase = await createTestDatabase();
  const { app: db } = database;
  try {
    const accounts = await writeSealedAccounts(db, rows.sealing ?? sealingFirst('k1'), {
      accounts: rows.accounts,
      tenants: 3,
    });
    const keyCounts = async () => {
      const counts = await acrossTenants(db, 'resealing', countSealed);
      return Object.fromEntries(counts.map(({ keyId, values }) => [keyId, values]));
    };
    await work({ db, accounts, keyCounts });
  } finally {
    await database.drop();
  }
}

function slice(
  db: Knex,
  keyId: string,
  options: { sealing?: Sealing; begun?: ResealedSlice } = {},
) {
  const environment = new MockActivityEnvironment({ heartbeatDetails: options.begun });
  const run = createResealSlice({
    ...ground.deps,
    db,
    sealing: options.sealing ?? sealingFirst('k1'),
  });
  return environment.run<Parameters<typeof run>, ResealedSlice, typeof run>(run, {
    keyId,
    from: null,
  });
}

async function rowsOf(db: Knex): Promise<{ id: string; credentials: string }[]> {
  return adminOf(db)('provider_accounts').orderBy('id');
}

test('seals all values again and changes nothing else of their rows', async () => {
  await onOwnRows({ accounts: 1_203 }, async ({ db, accounts, keyCounts }) => {
    const before = await rowsOf(db);
    expect(await slice(db, 'k2')).toEqual({
      next: null,
      resealed: 1_203,
      unreadable: 0,
      unreadableValues: [],
      supersededBy: null,
    });
    expect(await keyCounts()).toEqual({ k2: 1_203 });
    const after = await rowsOf(db);
    expect(after).toEqual(before.map((row, n) => ({ ...row, credentials: after[n]?.credentials })));
    for (const account of [accounts[0], accounts[700], accounts[1_202]]) {
      expect(await opened(db, alone('k2'), account)).toBe(apiKeyOf(account ?? { id: '' }, 0));
    }

    expect(await slice(db, 'k2')).toMatchObject({ next: null, resealed: 0 });
    expect(await rowsOf(db)).toEqual(after);
  });
});

test('goes on where a lost attempt was, and takes what it did for done', async () => {
  await onOwnRows({ accounts: 700 }, async ({ db, accounts, keyCounts }) => {
    const ids = accounts.map(({ id }) => id).sort();
    const begun: ResealedSlice = {
      next: { name: 'providerAccounts', after: [ids[599] ?? ''] },
      resealed: 600,
      unreadable: 0,
      unreadableValues: [],
      supersededBy: null,
    };
    expect(await slice(db, 'k2', { begun })).toMatchObject({ next: null, resealed: 700 });
    expect(await keyCounts()).toEqual({ k1: 600, k2: 100 });
  });
});

test('names what does not open and seals the rest again', async () => {
  await onOwnRows({ accounts: 20 }, async ({ db, accounts, keyCounts }) => {
    const [lost, moved, ...others] = accounts;
    const gone = createSealing([{ id: 'gone', key: Buffer.alloc(32, 99) }]);
    await writeEnvelope(db, lost, sealCredentials(gone, at(lost), { apiKey: 'SG.x' }));
    await writeEnvelope(
      db,
      moved,
      sealCredentials(sealingFirst('k1'), at(others[0]), { apiKey: 'SG.x' }),
    );
    const done = await slice(db, 'k2');
    expect(done).toMatchObject({ next: null, resealed: 18, unreadable: 2 });
    expect(done.unreadableValues).toEqual(
      [
        { table: 'provider_accounts', id: at(lost).id, failure: 'unknownKey' },
        { table: 'provider_accounts', id: at(moved).id, failure: 'notAuthentic' },
      ].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    );
    expect(await keyCounts()).toEqual({ gone: 1, k1: 1, k2: 18 });
  });
});

test('lets a change win that comes between opening and writing', async () => {
  await onOwnRows({ accounts: 2 }, async ({ db, accounts }) => {
    const [changed, other] = accounts;
    const rows = await acrossTenants(db, 'resealing', (trx) =>
      listSealedOtherwise(trx, 'providerAccounts', { keyId: 'k2', after: null, limit: 10 }),
    );
    const to = (account: SealedAccount) =>
      sealCredentials(alone('k2'), account, { apiKey: apiKeyOf(account, 0) });
    await withTenant(db, at(changed).tenantId, async (trx) => {
      const stored = await requireProviderAccount(trx, at(changed));
      const values = { vendor: 'sendgrid', settings: { region: 'global' } } as const;
      await replaceProviderAccount(trx, sealingFirst('k1'), stored, {
        ...values,
        channel: 'email',
        name: 'Changed',
        senders: [],
        active: true,
        credentials: { apiKey: apiKeyOf(at(changed), 1) },
      });
    });
    const changes = rows.map(({ key, sealed }) => {
      const account = key[0] === at(changed).id ? at(changed) : at(other);
      return { key, from: sealed, to: to(account) };
    });
    const written = await acrossTenants(db, 'resealing', (trx) =>
      replaceSealed(trx, 'providerAccounts', changes),
    );
    expect(written).toBe(1);
    expect(await opened(db, sealingFirst('k1'), changed)).toBe(apiKeyOf(at(changed), 1));
    expect(await opened(db, alone('k2'), other)).toBe(apiKeyOf(at(other), 0));
  });
});

test('waits for no row that somebody holds', async () => {
  await onOwnRows({ accounts: 3 }, async ({ db, accounts, keyCounts }) => {
    await withTenant(db, at(accounts[1]).tenantId, async (trx) => {
      await trx('provider_accounts')
        .where({ id: at(accounts[1]).id })
        .forUpdate();
      expect(await slice(db, 'k2')).toMatchObject({ next: null, resealed: 2 });
    });
    expect(await keyCounts()).toEqual({ k1: 1, k2: 2 });
  });
});

test('ends for a key that was introduced later', async () => {
  await onOwnRows({ accounts: 3 }, async ({ db, keyCounts }) => {
    await acrossTenants(db, 'resealing', (trx) => introduceKey(trx, 'k2'));
    await acrossTenants(db, 'resealing', (trx) => introduceKey(trx, 'k3'));
    expect(await slice(db, 'k2')).toMatchObject({ resealed: 0, supersededBy: 'k3' });
    expect(await keyCounts()).toEqual({ k1: 3 });

    // Chosen by an operator, the older one is the newer from then on.
    await acrossTenants(db, 'resealing', (trx) => introduceKey(trx, 'k2', { chosen: true }));
    expect(await slice(db, 'k2')).toMatchObject({ resealed: 3, supersededBy: null });
  });
});

test('a worker without the key leaves the work to one that has it', async () => {
  await onOwnRows({ accounts: 1 }, async ({ db, keyCounts }) => {
    await expect(slice(db, 'k2', { sealing: alone('k1') })).rejects.toMatchObject({
      type: 'SealingKeyMissing',
      nonRetryable: false,
    });
    expect(await keyCounts()).toEqual({ k1: 1 });
  });
});

test('values of a key that is gone start nothing, and are told of', async () => {
  const gone = createSealing([{ id: 'gone', key: Buffer.alloc(32, 99) }]);
  await onOwnRows({ accounts: 2, sealing: gone }, async ({ db }) => {
    let log = '';
    const told = pino({}, new Writable({ write: (chunk, _, done) => done(void (log += chunk)) }));
    const { client } = ground.temporal;
    await lookAtSealedValues({ db, client, sealing: alone('k3'), logger: told });
    expect(log).toContain('values are sealed with keys that SEALING_KEYS lacks');
    expect(JSON.parse(log).missing).toEqual([
      { name: 'providerAccounts', keyId: 'gone', values: 2 },
    ]);
    const handle = client.workflow.getHandle(resealingWorkflowId('k3'));
    await expect(handle.describe()).rejects.toThrow('not found');
  });
});

test('workers show how many values each key has sealed', async () => {
  await onOwnRows({ accounts: 7 }, async ({ db, accounts }) => {
    await writeEnvelope(
      db,
      accounts[0],
      sealCredentials(alone('k2'), at(accounts[0]), { apiKey: 'SG.x' }),
    );
    const metrics = createMetrics('worker');
    collectSealingMetrics(metrics, db);
    const shown = await metrics.metrics();
    expect(shown).toContain('carillon_sealed_values{key_id="k1",process="worker"} 6');
    expect(shown).toContain('carillon_sealed_values{key_id="k2",process="worker"} 1');
  });
});

test('clients of accounts are kept, because the secrets are the same', async () => {
  await onOwnRows({ accounts: 1 }, async ({ db, accounts }) => {
    const senders = createAccountSenders({
      db,
      sealing: sealingFirst('k1'),
      timeoutMs: 1_000,
      publicUrl: 'http://carillon.test',
      onlyPublic: false,
    });
    const { id, tenantId } = at(accounts[0]);
    const before = await senders.of(tenantId, id);
    await slice(db, 'k2');
    expect((await senders.of(tenantId, id)).inTurn).toBe(before.inTurn);
    await senders.close();
  });
});

test('a worker that starts with a new key first has all sealed again, and goes on until it is', async () => {
  const { temporal, deps } = ground;
  const { db } = deps;
  const accounts = await writeSealedAccounts(db, sealingFirst('k1'), { accounts: 600, tenants: 2 });
  const look = (keyId: string) =>
    lookAtSealedValues({ db, client: temporal.client, sealing: sealingFirst(keyId), logger });
  const idOf = resealingWorkflowId;
  await adminOf(db)('provider_accounts').where({ id: 'sendgrid' }).delete();
  await look('k1');
  await expect(temporal.client.workflow.getHandle(idOf('k1')).describe()).rejects.toThrow(
    'not found',
  );

  const held = accounts[300];
  const handle = temporal.client.workflow.getHandle(idOf('k4'));
  await withTenant(db, at(held).tenantId, async (trx) => {
    await trx('provider_accounts')
      .where({ id: at(held).id })
      .forUpdate();
    await look('k4');
    // A worker that still has the old key first changes nothing back.
    await look('k1');
    await until('all but the held one', async () => {
      const counts = await acrossTenants(db, 'resealing', countSealed);
      return counts.some(
        ({ name, keyId, values }) =>
          keyId === 'k4' && name === 'providerAccounts' && values === 599,
      );
    });
  });
  expect(await handle.result()).toEqual({
    keyId: 'k4',
    resealed: 601,
    leftOver: 0,
    unreadable: 0,
    unreadableValues: [],
    supersededBy: null,
  });
  const counts = await acrossTenants(db, 'resealing', countSealed);
  expect(counts).toEqual([
    { name: 'dataKeys', keyId: 'k4', values: 1 },
    { name: 'providerAccounts', keyId: 'k4', values: 600 },
  ]);
  const described = await handle.describe();
  expect(described.typedSearchAttributes.getAll().map(({ value }) => value)).toContain('resealing');
  expect(await described.staticSummary()).toBe('Seals every secret again with the key k4');

  const again = await startResealing(temporal.client, 'k4');
  expect(await again.result()).toMatchObject({ resealed: 0, leftOver: 0 });
  await expect(temporal.client.workflow.getHandle(idOf('k1')).describe()).rejects.toThrow(
    'not found',
  );
});

function at(account: SealedAccount | undefined): SealedAccount {
  if (account === undefined) {
    throw new Error('There are fewer accounts than the test asks for');
  }
  return account;
}

async function opened(db: Knex, sealing: Sealing, account: SealedAccount | undefined) {
  const { credentials } = await withTenant(db, at(account).tenantId, (trx) =>
    openCredentials(trx, sealing, at(account)),
  );
  return 'apiKey' in credentials ? credentials.apiKey : undefined;
}

async function writeEnvelope(db: Knex, account: SealedAccount | undefined, credentials: string) {
  await adminOf(db)('provider_accounts')
    .where({ id: at(account).id })
    .update({ credentials });
}
