import { subjectIn, type HealthEvent } from '../../domain/llm/health';
import { createHealthNews } from '../../gateway/healthNews';
import { createRing } from '../../gateway/ring';
import { createLogger } from '../../lib/logger';
import { createMetrics } from '../../lib/metrics';
import { newId } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { applyHealth } from '../../models/llm/health';
import { testSealing } from '../support/accounts';
import { insertLlmAccount, insertLlmKey } from '../support/llm';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { insertTenant } from '../support/records';
import { askFor, callWith, failureOf } from '../support/ring';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

/** A pool of a tenant with accounts of one key each, and what is told of it. */
async function prepare(accounts: number) {
  const poolId = await insertTenant(database.db);
  const keys: { accountId: string; keyId: string; model: string }[] = [];
  for (let n = 0; n < accounts; n += 1) {
    const accountId = await insertLlmAccount(database.db, {
      baseUrl: 'https://llm.test',
      tenantId: poolId,
    });
    const secret = `sk-or-v1-${newId()}`;
    const keyId = await insertLlmKey(database.db, { accountId, secret, tenantId: poolId });
    keys.push({ accountId, keyId, model: 'acme/one' });
  }
  const metrics = createMetrics('test');
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  const logger = createLogger({ name: 'test', level: 'error', destination: { write } });
  return { poolId, keys, metrics, lines, logger, news: createHealthNews({ logger, metrics }) };
}

type Prepared = Awaited<ReturnType<typeof prepare>>;

async function apply({ poolId, news }: Prepared, event: Happened): Promise<void> {
  const whole: HealthEvent = {
    type: 'failed',
    actor: { kind: 'probe', id: null },
    at: Date.now(),
    retryAfterMs: null,
    resetsAt: null,
    evidence: { message: 'words of the vendor' },
    ...event,
  };
  news(
    await acrossTenants(database.app, 'llmRing', (trx) => applyHealth(trx, [{ ...whole, poolId }])),
  );
}

type Happened = Pick<Extract<HealthEvent, { type: 'failed' }>, 'kind' | 'subject'>;

async function countOf({ metrics }: Prepared, name: string, labels: object): Promise<number> {
  const found = await metrics.getSingleMetric(name)?.get();
  const value = found?.values.find((one) =>
    Object.entries(labels).every(([label, text]) => one.labels[label] === text),
  );
  return value?.value ?? -1;
}

const changes = 'carillon_llm_health_changes_total';
const down = 'carillon_llm_pools_down_total';

test('a key that its vendor refused for good is told once, by its ids alone', async () => {
  const ground = await prepare(2);
  const { keys, lines } = ground;
  const [key] = keys;
  const labels = { scope: 'key', reason: 'authentication', to: 'suspended' };
  // It is there before it happens: an increase is seen of nothing else.
  expect(await countOf(ground, changes, labels)).toBe(0);
  const subject = subjectIn('key', key ?? missing());
  for (const _ of [1, 2, 3]) {
    await apply(ground, { kind: 'authentication', subject });
  }
  expect(await countOf(ground, changes, labels)).toBe(1);
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 50,
    poolId: ground.poolId,
    keyId: key?.keyId,
    accountId: key?.accountId,
  });
  expect(lines[0]).not.toContain('words of the vendor');
  expect(await countOf(ground, down, { pool: 'tenants' })).toBe(0);
});

test.each([
  { kind: 'notPermitted', scope: 'accountModel' },
  { kind: 'modelUnavailable', scope: 'model' },
] as const)('a model that is off ($kind) is told', async ({ kind, scope }) => {
  const ground = await prepare(1);
  await apply(ground, { kind, subject: subjectIn(scope, ground.keys[0] ?? missing()) });
  expect(await countOf(ground, changes, { scope, reason: kind, to: 'cooling' })).toBe(1);
  expect(JSON.parse(ground.lines[0] ?? '')).toMatchObject({ level: 50, model: 'acme/one' });
});

test('what ends by itself is counted and pages nobody, until no account is left', async () => {
  const ground = await prepare(2);
  const { keys, lines } = ground;
  for (const [n, key] of keys.entries()) {
    await apply(ground, { kind: 'platformRateLimit', subject: subjectIn('account', key) });
    expect(lines).toHaveLength(n);
  }
  const labels = { scope: 'account', reason: 'platformRateLimit', to: 'cooling' };
  expect(await countOf(ground, changes, labels)).toBe(2);
  expect(await countOf(ground, down, { pool: 'tenants' })).toBe(1);
  expect(lines[0]).toContain('no account of a pool');
  // Nothing new: it was so before.
  await apply(ground, { kind: 'credits', subject: subjectIn('account', keys[0] ?? missing()) });
  expect(await countOf(ground, down, { pool: 'tenants' })).toBe(1);
});

test('keys that people took out of service, or that have expired, are no help to a pool', async () => {
  for (const columns of [{ standing: 'paused' }, { expires_at: new Date(Date.now() - 1_000) }]) {
    const ground = await prepare(2);
    const [key, other] = ground.keys;
    await database.db('llm_keys').where({ id: other?.keyId }).update(columns);
    await apply(ground, { kind: 'keyLimit', subject: subjectIn('key', key ?? missing()) });
    expect(await countOf(ground, down, { pool: 'tenants' })).toBe(1);
  }
});

test('a ring tells what its calls showed, once it is written', async () => {
  const ground = await prepare(1);
  const { poolId, keys, logger, news } = ground;
  const ring = await createRing({
    db: database.app,
    sealing: testSealing,
    logger,
    tell: { stateChanged: () => undefined, wanted: () => undefined },
    news,
  });
  callWith(ring, askFor(poolId), failureOf('keyLimit', { status: 402 }));
  await ring.flush();
  await ring.close();
  expect(keys).toHaveLength(1);
  const labels = { scope: 'key', reason: 'keyLimit', to: 'suspended' };
  expect(await countOf(ground, changes, labels)).toBe(1);
  expect(await countOf(ground, down, { pool: 'tenants' })).toBe(1);
});

test('the ring and the probes of one process count together', async () => {
  const ground = await prepare(1);
  const again = createHealthNews(ground);
  await apply(
    { ...ground, news: again },
    {
      kind: 'credits',
      subject: subjectIn('account', ground.keys[0] ?? missing()),
    },
  );
  expect(await countOf(ground, down, { pool: 'tenants' })).toBe(1);
});

function missing(): never {
  throw new Error('The pool has no such key');
}
