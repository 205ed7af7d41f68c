import { MockActivityEnvironment } from '@temporalio/testing';
import { createKeyringActivities } from '../../../activities/llm/keyrings';
import type { Knex } from '../../../lib/db';
import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { setAccountStanding, setKeyStanding } from '../../../models/llm/standings';
import { until } from '../../support/conditions';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

/** A key that was rotated long ago, with the one that came in its place. */
async function prepare() {
  const tenantId = await insertTenant(database.db);
  const accountId = await insertLlmAccount(database.db, {
    baseUrl: 'http://localhost:1/api/v1',
    tenantId,
  });
  const keyId = await insertLlmKey(database.db, {
    accountId,
    tenantId,
    secret: `sk-or-v1-${newId()}`,
    columns: {
      standing: 'draining',
      standing_at: database.db.raw(`now() - interval '11 minutes'`),
    },
  });
  await insertLlmKey(database.db, {
    accountId,
    tenantId,
    secret: `sk-or-v1-${newId()}`,
    columns: { replaces: keyId },
  });
  return { accountId, tenantId, keyId };
}

const revoke = (order: { accountId: string; tenantId: string; keyId: string }) =>
  createKeyringActivities({ db: database.app }).revokeReplacedKey(order);

async function standingOf(keyId: string): Promise<string> {
  const [row] = await database.db('llm_keys').where({ id: keyId });
  return row.standing;
}

test('a word that was written before its worker died undoes nothing that was said since', async () => {
  const { accountId, tenantId, keyId } = await prepare();
  const owner = { accountId, tenantId };
  const activities = createKeyringActivities({ db: database.app });
  const [pauseKey, pauseAccount] = [
    () =>
      activities.setKeyStanding({
        ...owner,
        keyId,
        standing: 'paused',
        reason: null,
        actorId: null,
        newKeyId: null,
      }),
    () =>
      activities.setAccountStanding({ ...owner, standing: 'paused', reason: null, actorId: null }),
  ];
  const said = { standing: 'active', reason: null, actorId: null } as const;
  for (const [word, takenBack, stands] of [
    [
      pauseKey,
      (trx: Knex.Transaction) =>
        setKeyStanding(trx, { ownerId: tenantId, id: keyId }, { ...said, actorKind: 'user' }),
      () => standingOf(keyId),
    ],
    [
      pauseAccount,
      (trx: Knex.Transaction) =>
        setAccountStanding(trx, { ownerId: tenantId, id: accountId }, said),
      async () => (await database.db('llm_accounts').where({ id: accountId }).first()).standing,
    ],
  ] as const) {
    const own = new MockActivityEnvironment({ activityId: newId() });
    expect(await own.run(word)).toEqual({ isChanged: true });
    expect(await stands()).toBe('paused');
    await acrossTenants(database.app, 'llmRing', takenBack);
    expect(await own.run(word)).toEqual({ isChanged: false });
    expect(await stands()).toBe('active');
    const another = new MockActivityEnvironment({ activityId: newId() });
    expect(await another.run(word)).toEqual({ isChanged: true });
  }
});

test('a rotated key that nobody uses any more is revoked, once', async () => {
  const order = await prepare();
  expect(await revoke(order)).toEqual({ isRevoked: true });
  expect(await revoke(order)).toEqual({ isRevoked: true });
  expect(await standingOf(order.keyId)).toBe('revoked');
  expect(await database.db('llm_transitions').where({ key_id: order.keyId })).toHaveLength(1);
});

test.each([
  { word: 'takes it back', standing: 'active' },
  { word: 'takes it back and drains it anew', standing: 'draining' },
])('when a person $word while its calls are looked for, it stays', async ({ standing }) => {
  const order = await prepare();
  const person = await database.db.transaction();
  await person('llm_keys')
    .where({ id: order.keyId })
    .update({ standing, standing_at: person.fn.now() });
  const revoked = revoke(order);
  // It has read the key as it was, and waits for the row to write it.
  await until('the key to be waited for', async () => {
    const { rows } = await database.db.raw(
      `select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rows.length > 0;
  });
  await person.commit();
  expect(await revoked).toEqual({ isRevoked: false });
  expect(await standingOf(order.keyId)).toBe(standing);
});
