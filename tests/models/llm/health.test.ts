import { subjectIn, type HealthEvent, type HealthSubject } from '../../../domain/llm/health';
import type { FailureKind } from '../../../domain/llm/failures';
import { platformPool } from '../../../domain/llm/types';
import { acrossTenants } from '../../../models/base';
import {
  applyHealth,
  listTransitions,
  readHealth,
  type AppliedPool,
  type PoolEvent,
} from '../../../models/llm/health';
import { listPoolVersions, loadPools } from '../../../models/llm/pools';
import { insertTenant } from '../../support/records';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

interface Ground {
  poolId: string;
  accountId: string;
  keyIds: string[];
}

async function buildPool(keys = 1): Promise<Ground> {
  const tenantId = await insertTenant(database.db);
  const accountId = await insertLlmAccount(database.db, { baseUrl: 'https://llm.test', tenantId });
  const keyIds = [];
  for (let n = 0; n < keys; n++) {
    keyIds.push(
      await insertLlmKey(database.db, { accountId, tenantId, secret: `sk-${accountId}-${n}` }),
    );
  }
  return { poolId: tenantId, accountId, keyIds };
}

function apply(...events: PoolEvent[]): Promise<AppliedPool[]> {
  return acrossTenants(database.app, 'llmRing', (trx) => applyHealth(trx, events));
}

function health(poolId: string) {
  return acrossTenants(database.app, 'llmRing', (trx) => readHealth(trx, poolId));
}

function failed(
  poolId: string,
  subject: HealthSubject,
  kind: FailureKind,
  more: { at?: number; retryAfterMs?: number; actor?: HealthEvent['actor'] } = {},
): PoolEvent {
  return {
    poolId,
    type: 'failed',
    subject,
    kind,
    at: more.at ?? Date.now(),
    actor: more.actor ?? { kind: 'call', id: null },
    retryAfterMs: more.retryAfterMs ?? null,
    resetsAt: null,
    evidence: { status: 429 },
  };
}

const keyOf = ({ accountId, keyIds }: Ground, n = 0) =>
  subjectIn('key', { accountId, keyId: keyIds[n] ?? '', model: '' });
const accountOf = ({ accountId }: Ground) =>
  subjectIn('account', { accountId, keyId: '', model: '' });

test('writes what was learned, raises the version and tells which accounts are concerned', async () => {
  const ground = await buildPool();
  const { poolId, accountId } = ground;
  const before = (await listPoolVersions(database.app)).get(poolId) ?? 0;
  const at = Date.now();
  const [applied] = await apply(
    failed(poolId, accountOf(ground), 'inFlightBudget', { at, retryAfterMs: 3_000 }),
  );
  expect(applied).toMatchObject({ poolId, version: before + 1, accountIds: [accountId] });
  expect(await health(poolId)).toEqual([
    {
      subject: accountOf(ground),
      state: 'cooling',
      reason: 'inFlightBudget',
      until: at + 3_000,
      nextCheckAt: at + 3_000,
      failures: 1,
      evidence: { status: 429 },
      since: at,
      updatedAt: at,
    },
  ]);
  const [pool] = await loadPools(database.app, [poolId]);
  expect(pool).toMatchObject({
    id: poolId,
    version: before + 1,
    health: [{ reason: 'inFlightBudget' }],
  });
});

test('moves until forward only, whoever of two writers at once is first', async () => {
  const ground = await buildPool();
  const { poolId } = ground;
  const at = Date.now();
  const writers = [60_000, 5_000, 40_000, 1_000, 20_000].map((retryAfterMs) =>
    apply(failed(poolId, accountOf(ground), 'inFlightBudget', { at, retryAfterMs })),
  );
  await Promise.all(writers);
  expect(await health(poolId)).toMatchObject([{ until: at + 60_000, failures: 1 }]);
});

test('counts each failed trial once where several processes write at once', async () => {
  const ground = await buildPool();
  const { poolId } = ground;
  const at = Date.now();
  await apply(failed(poolId, accountOf(ground), 'inFlightBudget', { at, retryAfterMs: 10 }));
  await Promise.all(
    [1, 2, 3, 4].map(() =>
      apply(failed(poolId, accountOf(ground), 'inFlightBudget', { at: at + 20 })),
    ),
  );
  expect(await health(poolId)).toMatchObject([{ failures: 2, until: at + 20 + 4_000 }]);
});

test('removes what is well again, and tells its story with the newest first', async () => {
  const ground = await buildPool();
  const { poolId, accountId } = ground;
  const at = Date.now();
  const subject = keyOf(ground);
  const user = { kind: 'user', id: '01890000-0000-7000-8000-000000000001' } as const;
  await apply(
    failed(poolId, subject, 'authentication', { at }),
    failed(poolId, subject, 'authentication', { at: at + 1, actor: { kind: 'probe', id: null } }),
  );
  await apply({ poolId, type: 'recovered', subject, at: at + 2, actor: user });
  expect(await health(poolId)).toEqual([]);
  const told = await acrossTenants(database.app, 'llmRing', (trx) =>
    listTransitions(trx, { accountId, keyId: subject.keyId, limit: 10 }),
  );
  expect(told.map(({ from, to, actor }) => [from, to, actor.kind])).toEqual([
    ['suspended', 'well', 'user'],
    ['cooling', 'suspended', 'probe'],
    ['well', 'cooling', 'call'],
  ]);
  expect(told[0]).toMatchObject({ subject, at: at + 2, actor: user, reason: 'authentication' });
});

test('saying the same twice changes nothing more', async () => {
  const ground = await buildPool();
  const { poolId, accountId } = ground;
  const event = failed(poolId, keyOf(ground), 'keyLimit');
  await apply(event);
  const [again] = await apply(event);
  expect(again?.changes).toEqual([]);
  const told = await acrossTenants(database.app, 'llmRing', (trx) =>
    listTransitions(trx, { accountId, limit: 10 }),
  );
  expect(told).toHaveLength(1);
});

test('suspends no key in an incident, whichever of several processes met it', async () => {
  const ground = await buildPool(4);
  const { poolId } = ground;
  const probe = { kind: 'probe', id: null } as const;
  await apply(failed(poolId, keyOf(ground, 0), 'authentication'));
  await apply(failed(poolId, keyOf(ground, 0), 'authentication', { actor: probe }));
  await Promise.all([1, 2].map((n) => apply(failed(poolId, keyOf(ground, n), 'authentication'))));
  await apply(failed(poolId, keyOf(ground, 1), 'authentication', { actor: probe }));
  const rows = await health(poolId);
  expect(rows.map(({ subject, state }) => `${subject.scope} ${state}`).toSorted()).toEqual([
    'key cooling',
    'key cooling',
    'key cooling',
    'platform draining',
  ]);
});

test('drops what is said of keys that are gone or are of somebody else, and writes the rest', async () => {
  const [ground, other] = [await buildPool(2), await buildPool()];
  const { poolId, keyIds } = ground;
  await database.db('llm_keys').where({ id: keyIds[0] }).delete();
  await apply(
    failed(poolId, keyOf(ground, 0), 'keyLimit'),
    failed(poolId, keyOf(other), 'keyLimit'),
    failed(poolId, keyOf(ground, 1), 'keyLimit'),
  );
  expect(await health(poolId)).toMatchObject([{ subject: { keyId: keyIds[1] } }]);
  expect(await health(other.poolId)).toEqual([]);
});

test('writes several pools in one transaction, the platform among them', async () => {
  const ground = await buildPool();
  const model = subjectIn('model', { accountId: '', keyId: '', model: 'maker/small' });
  await apply(
    failed(ground.poolId, model, 'modelUnavailable'),
    failed(platformPool, model, 'modelUnavailable'),
  );
  expect(await health(ground.poolId)).toMatchObject([{ subject: model }]);
  expect(await health(platformPool)).toMatchObject([{ subject: model }]);
  await apply({
    poolId: platformPool,
    type: 'recovered',
    subject: model,
    at: Date.now(),
    actor: { kind: 'system', id: null },
  });
  expect(await health(platformPool)).toEqual([]);
  expect(await health(ground.poolId)).toHaveLength(1);
});

test('loads a pool with its sealed keys in one moment, without those that are revoked', async () => {
  const { poolId, accountId, keyIds } = await buildPool(2);
  await database
    .db('llm_keys')
    .where({ id: keyIds[0] })
    .update({ allowed_models: ['maker/*'], workspace: 'team', limit_micros: 5_000_000 });
  await database.db('llm_keys').where({ id: keyIds[1] }).update({ standing: 'revoked' });
  const [pool] = await loadPools(database.app, [poolId]);
  expect(pool).toMatchObject({
    tenantId: poolId,
    keySource: null,
    accounts: [{ id: accountId, baseUrl: 'https://llm.test', standing: 'active' }],
    keys: [
      { id: keyIds[0], allowedModels: ['maker/*'], workspace: 'team', limitMicros: 5_000_000 },
    ],
  });
  expect(pool?.keys).toHaveLength(1);
  const all = await loadPools(database.app, null);
  expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining([poolId, platformPool]));
});
