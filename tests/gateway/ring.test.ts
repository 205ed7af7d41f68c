import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { startRingLoader } from '../../gateway/ringLoader';
import { createDatabase, type Knex } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { subjectIn } from '../../domain/llm/health';
import { acrossTenants } from '../../models/base';
import { applyHealth, type PoolEvent } from '../../models/llm/health';
import { until } from '../support/conditions';
import { insertLlmAccount, insertLlmKey } from '../support/llm';
import {
  administer,
  createTestDatabase,
  withDatabase,
  type TestDatabase,
} from '../support/postgres';
import { insertTenant } from '../support/records';
import {
  askFor,
  buildPool,
  callWith,
  chosen,
  createTestRings,
  failureOf,
  isChosen,
  noKey,
  stateOf,
  storedHealth,
  type Told,
  type TestRings,
} from '../support/ring';

let database: TestDatabase;
let rings: TestRings;

beforeAll(async () => {
  database = await createTestDatabase();
  rings = createTestRings(database);
});

afterEach(() => rings.close());

afterAll(() => database.drop());

test('chooses a key with its secret opened, which it shows to nobody else', async () => {
  const { poolId, keyIds, accountIds } = await buildPool(database.db);
  const ring = await rings.open();
  const key = chosen(ring.choose(askFor(poolId)));
  expect(key).toMatchObject({
    keyId: keyIds[0]?.[0],
    poolId,
    vendor: 'openrouter',
    isTrial: false,
  });
  expect(key.credentials).toEqual({
    baseUrl: 'https://llm.test/api/v1',
    apiKey: `sk-or-test-${accountIds[0]}-0`,
  });
  expect(JSON.stringify([key, ring.snapshot()])).not.toContain('sk-or-test');
  expect(ring.snapshot([key.poolId])).toEqual(
    ring.snapshot().filter(({ poolId: of }) => of === key.poolId),
  );
  expect(ring.snapshot([])).toEqual([]);
  expect(ring.snapshot().find(({ keyId }) => keyId === key.keyId)?.inFlight).toBe(1);
  key.release();
  key.release();
  expect(ring.snapshot().find(({ keyId }) => keyId === key.keyId)?.inFlight).toBe(0);
});

test('leaves a key alone at once that failed, and has it written for all others', async () => {
  const ground = await buildPool(database.db, { keys: 2 });
  const { poolId, accountIds } = ground;
  const told: Told = { changed: [], wanted: [] };
  // It would look by itself long after this test has failed.
  const [ring, other] = [await rings.open({ told }), await rings.open({ pollMs: 600_000 })];
  await until('it listens', () => isListening(database.db));
  const { keyId } = callWith(ring, askFor(poolId), failureOf('keyLimit', { status: 402 }));
  const next = chosen(ring.choose(askFor(poolId)));
  expect(next.keyId).not.toBe(keyId);
  await ring.flush();
  await until('the other ring knows', () => stateOf(other, keyId) === 'suspended');
  expect(await storedHealth(database.app, poolId)).toMatchObject([
    { subject: { scope: 'key', keyId }, state: 'suspended', reason: 'keyLimit' },
  ]);
  await until('it was told', () => told.changed.length > 0);
  expect(told.changed).toEqual(accountIds);
});

test('is told of what a person changes, and does not look for it', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 2 });
  const [first] = keyIds[0] ?? [];
  const ring = await rings.open({ pollMs: 600_000 });
  await until('it listens', () => isListening(database.db));
  await until('it is calm', () => stateOf(ring, first) === 'active');
  await database.db('llm_keys').where({ id: first }).update({ standing: 'paused' });
  await until('it is paused', () => stateOf(ring, first) === 'paused');
  const { skipped } = noKey(ring.choose(askFor(poolId, { onlyKey: first ?? '' })));
  expect(skipped).toMatchObject([{ keyId: first, why: 'paused' }]);
});

test('listens again when its connection is gone, and reads what it missed', async () => {
  const { keyIds } = await buildPool(database.db);
  const [keyId] = keyIds[0] ?? [];
  const ring = await rings.open({ pollMs: 600_000 });
  await until('it listens', () => isListening(database.db));
  expect(stateOf(ring, keyId)).toBe('active');
  await database.db.transaction(async (trx) => {
    await trx.raw(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where query = 'listen llm_ring' and datname = current_database()`,
    );
    await trx('llm_keys').where({ id: keyId }).update({ standing: 'paused' });
  });
  await until('it knows', () => stateOf(ring, keyId) === 'paused');
});

test('finds by itself what nobody told', async () => {
  const { poolId, keyIds } = await buildPool(database.db);
  const [keyId] = keyIds[0] ?? [];
  const ring = await rings.open({ pollMs: 50 });
  expect(stateOf(ring, keyId)).toBe('active');
  await untold(poolId, (trx) =>
    trx('llm_keys').where({ id: keyId }).update({ standing: 'paused' }),
  );
  await until('it knows', () => stateOf(ring, keyId) === 'paused');
});

test('finds a new key that nobody told of, also after it wrote something later itself', async () => {
  const { poolId, keyIds, accountIds } = await buildPool(database.db, { keys: 2 });
  const ring = await rings.open({ pollMs: 300 });
  let added = '';
  await untold(poolId, async (trx) => {
    added = await insertLlmKey(trx, {
      accountId: accountIds[0] ?? '',
      tenantId: poolId,
      secret: `sk-or-test-${poolId}-added`,
    });
  });
  const asked = askFor(poolId, { onlyKey: keyIds[0]?.[0] ?? '' });
  callWith(ring, asked, failureOf('keyLimit', { status: 402 }));
  await ring.flush();
  await until('it knows', () => stateOf(ring, added) === 'active');
  const key = chosen(ring.choose(askFor(poolId, { onlyKey: added })));
  expect(key.credentials.apiKey).toBe(`sk-or-test-${poolId}-added`);
});

test('knows after a restart what was learned before it', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 3 });
  const [suspended, cooling, well] = keyIds[0] ?? [];
  const before = await rings.open();
  callWith(
    before,
    askFor(poolId, { onlyKey: suspended ?? '' }),
    failureOf('keyLimit', { status: 402 }),
  );
  callWith(
    before,
    askFor(poolId, { onlyKey: cooling ?? '' }),
    failureOf('authentication', { status: 401 }),
  );
  await before.close();
  const after = await rings.open();
  expect([suspended, cooling, well].map((id) => stateOf(after, id))).toEqual([
    'suspended',
    'cooling',
    'active',
  ]);
  for (let n = 0; n < 200; n++) {
    expect(chosen(after.choose(askFor(poolId))).keyId).toBe(well);
  }
});

test('keeps what it learned while it cannot be written, whatever it reads meanwhile', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 2 });
  const [first] = keyIds[0] ?? [];
  const ring = await rings.open();
  await until('it listens', () => isListening(database.db));
  const holder = await database.db.transaction();
  await holder.raw('select 1 from llm_pools where id = ? for update', [poolId]);
  callWith(ring, askFor(poolId, { onlyKey: first ?? '' }), failureOf('keyLimit', { status: 402 }));
  // It reads the pool as it was before.
  const woken = ring.changed(20_000, new AbortController().signal);
  await database.db.raw('select pg_notify(?, ?)', ['llm_ring', poolId]);
  await woken;
  expect(stateOf(ring, first)).toBe('suspended');
  expect(await storedHealth(database.app, poolId)).toEqual([]);
  await holder.commit();
  await ring.flush();
  expect(await storedHealth(database.app, poolId)).toMatchObject([{ state: 'suspended' }]);
  expect(stateOf(ring, first)).toBe('suspended');
});

test('goes on while Postgres is away, and writes what it learned when it is back', async () => {
  const own = await createTestDatabase();
  const name = new URL(own.adminUrl).pathname.slice(1);
  const elsewhere = withDatabase(own.adminUrl, 'postgres');
  const accountId = await insertLlmAccount(own.db, { baseUrl: 'https://llm.test' });
  const keyIds: string[] = [];
  for (const n of [1, 2]) {
    keyIds.push(await insertLlmKey(own.db, { accountId, secret: `sk-or-test-away-${n}` }));
  }
  const [first = '', second = ''] = keyIds;
  const poolId = '00000000-0000-0000-0000-000000000000';
  let now = Date.now();
  const ring = await rings.open({ db: own.app, now: () => now, pollMs: 100 });
  await administer(elsewhere, `alter database ${name} with allow_connections false`);
  try {
    await administer(
      elsewhere,
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
    );
    callWith(ring, askFor(poolId, { onlyKey: first }), failureOf('keyLimit', { status: 402 }));
    callWith(
      ring,
      askFor(poolId, { onlyKey: second }),
      failureOf('authentication', { status: 401 }),
    );
    expect(
      noKey(ring.choose(askFor(poolId)))
        .skipped.map(({ why }) => why)
        .toSorted(),
    ).toEqual(['cooling', 'suspended']);
    await until('it could not write', () =>
      rings.lines.some((line) => line.includes('health of keys not written yet')),
    );
    const started = await rings.open({ db: own.app, pollMs: 100 });
    expect(noKey(started.choose(askFor(poolId))).skipped).toEqual([]);
    now += 30_000;
    expect(callWith(ring, askFor(poolId), null)).toEqual({ keyId: second, isTrial: true });
    expect(stateOf(ring, second)).toBe('active');
  } finally {
    await administer(elsewhere, `alter database ${name} with allow_connections true`);
  }
  await ring.flush();
  const rows = await own.db('llm_health').select('key_id', 'state');
  expect(rows).toEqual([{ key_id: first, state: 'suspended' }]);
  await own.db('llm_keys').where({ id: second }).update({ standing: 'paused' });
  const [, later] = rings.opened;
  await until(
    'whoever started meanwhile knows',
    () => later && stateOf(later, first) === 'suspended',
  );
  await until('it hears again', () => stateOf(ring, second) === 'paused');
  await rings.close();
  await own.drop();
});

test('asks the pools in the order of the tenant, by its settings', async () => {
  const { poolId } = await buildPool(database.db);
  const empty = await insertTenant(database.db);
  const ring = await rings.open({ pollMs: 50 });
  const platformPool = '00000000-0000-0000-0000-000000000000';
  expect(ring.poolsOf(poolId)).toEqual([poolId, platformPool]);
  expect(ring.poolsOf(empty)).toEqual([platformPool]);
  for (const [keySource, expected] of [
    ['own', [poolId]],
    ['platform', [platformPool]],
    ['ownFirst', [poolId, platformPool]],
  ] as const) {
    await database
      .db('llm_settings')
      .insert({ tenant_id: poolId, key_source: keySource })
      .onConflict('tenant_id')
      .merge();
    await until(keySource, () => ring.poolsOf(poolId).join() === expected.join());
  }
  await database.db('llm_settings').insert({ tenant_id: empty, key_source: 'own' });
  await until('own', () => ring.poolsOf(empty).join() === empty);
  expect(noKey(ring.choose(askFor(empty)))).toEqual({ retryAt: null, isFull: false, skipped: [] });
});

test('wakes whoever waits: of a call that ended, of a change, of time and of nothing more', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { key: { max_concurrency: 1 } });
  const ring = await rings.open();
  const never = new AbortController();
  const key = chosen(ring.choose(askFor(poolId)));
  const ended = ring.changed(600_000, never.signal);
  key.release();
  await ended;
  const stop = new AbortController();
  const stopped = ring.changed(600_000, stop.signal);
  stop.abort();
  await stopped;
  await ring.changed(600_000, stop.signal);
  await ring.changed(1, never.signal);
  await until('it listens', () => isListening(database.db));
  const told = ring.changed(600_000, never.signal);
  await database.db('llm_keys').where({ id: keyIds[0]?.[0] }).update({ weight: 7 });
  await told;
  callWith(ring, askFor(poolId), failureOf('inFlightBudget', { retryAfterMs: 1_500 }));
  await ring.flush();
  const trial = await until('nothing changes but the time', async () => {
    await ring.changed(600_000, never.signal);
    const answer = ring.choose(askFor(poolId));
    return isChosen(answer) && answer;
  });
  expect(trial.isTrial).toBe(true);
});

test('says that accounts are wanted when somebody asks and all of them cool', async () => {
  const { poolId, accountIds } = await buildPool(database.db, { accounts: 2 });
  const told: Told = { changed: [], wanted: [] };
  const ring = await rings.open({ told });
  for (const _ of accountIds) {
    callWith(ring, askFor(poolId), failureOf('platformRateLimit', { retryAfterMs: 30_000 }));
  }
  expect(told.wanted).toEqual([]);
  for (let n = 0; n < 20; n++) {
    noKey(ring.choose(askFor(poolId)));
  }
  await until('it was told', () => told.wanted.length > 0);
  expect(told.wanted.toSorted()).toEqual(accountIds.toSorted());
});

test.each([
  ['paused', { standing: 'paused' }],
  ['expired', { expires_at: new Date(0) }],
  // Sealed for another row.
  ['unreadable', {}],
])('says so too where a key is %s besides', async (what, columns) => {
  const { poolId, accountIds, keyIds } = await buildPool(database.db, { keys: 2 });
  const [besides = '', served = ''] = keyIds[0] ?? [];
  const { secret } = await database
    .db('llm_keys')
    .where({ id: what === 'unreadable' ? served : besides })
    .first('secret');
  await database
    .db('llm_keys')
    .where({ id: besides })
    .update({ ...columns, secret });
  const told: Told = { changed: [], wanted: [] };
  const ring = await rings.open({ told });
  callWith(ring, askFor(poolId, { onlyKey: served }), failureOf('serverError', { status: 502 }));
  expect(told.wanted).toEqual([]);
  const subject = subjectIn('key', { accountId: accountIds[0] ?? '', keyId: served, model: '' });
  await apply({
    poolId,
    type: 'tripped',
    kind: 'serverError',
    subject,
    at: Date.now(),
    actor: { kind: 'call', id: null },
    evidence: {},
  });
  await until('it cools', () => stateOf(ring, served) === 'cooling');
  noKey(ring.choose(askFor(poolId)));
  await until('it was told', () => told.wanted.length > 0);
  expect(told.wanted).toEqual(accountIds);
});

test('drops only what the database refuses, and writes what else was learned with it', async () => {
  const [ground, other] = [await buildPool(database.db, { keys: 3 }), await buildPool(database.db)];
  const [first = '', second = '', third = ''] = ground.keyIds[0] ?? [];
  const ring = await rings.open();
  // Written together.
  for (const [onlyKey, message] of [
    [first, 'spent'],
    [second, 'spent \u0000'],
    [third, 'spent'],
  ] as const) {
    callWith(ring, askFor(ground.poolId, { onlyKey }), failureOf('keyLimit', { message }));
  }
  callWith(ring, askFor(other.poolId), failureOf('keyLimit'));
  await ring.flush();
  const written = await storedHealth(database.app, ground.poolId);
  expect(new Set(written.map(({ subject }) => subject.keyId))).toEqual(new Set([first, third]));
  expect(await storedHealth(database.app, other.poolId)).toHaveLength(1);
  expect(rings.lines.filter((line) => line.includes('refused by the database'))).toHaveLength(1);
});

test('writes and reads again soon after the host of Postgres is gone without a word', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 2 });
  const [first = '', second = ''] = keyIds[0] ?? [];
  const way = await openWay(new URL(database.url));
  const url = new URL(database.url);
  url.host = `127.0.0.1:${way.port}`;
  const db = createDatabase({ url: url.href, applicationName: 'behind-a-way' });
  try {
    const ring = await rings.open({ db, pollMs: 200 });
    expect(stateOf(ring, first)).toBe('active');
    way.swallow();
    callWith(ring, askFor(poolId, { onlyKey: first }), failureOf('keyLimit'));
    await database.db('llm_keys').where({ id: second }).update({ standing: 'paused' });
    await until('it is read', () => stateOf(ring, second) === 'paused');
    await until(
      'it is written',
      async () => (await storedHealth(database.app, poolId)).length === 1,
    );
    await rings.close();
  } finally {
    way.close();
    await db.destroy();
  }
});

test('follows a database whose versions go back, as after a restore', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 2 });
  const [first = '', second = ''] = keyIds[0] ?? [];
  const ring = await rings.open({ pollMs: 100 });
  callWith(ring, askFor(poolId, { onlyKey: first }), failureOf('keyLimit'));
  await ring.flush();
  expect(stateOf(ring, first)).toBe('suspended');
  await database.db('llm_health').where({ tenant_id: poolId }).delete();
  await database.db('llm_pools').where({ id: poolId }).update({ ring_version: 1 });
  await until('it knows no more than the database', () => stateOf(ring, first) === 'active');
  await database.db('llm_keys').where({ id: second }).update({ standing: 'paused' });
  await until('it is told as before', () => stateOf(ring, second) === 'paused');
});

test('reads a pool that is older than what is known twice at once, then with pauses', async () => {
  const { poolId } = await buildPool(database.db);
  const takes: boolean[] = [];
  const loader = await startRingLoader({
    db: database.app,
    logger: createLogger({ name: 'test', level: 'fatal' }),
    pollMs: 600_000,
    take(pool, isCertain) {
      if (pool.id === poolId) {
        takes.push(isCertain);
        return isCertain;
      }
      return true;
    },
    keep: () => undefined,
    versionOf: () => 0,
    loaded: () => undefined,
  });
  await until('it is certain', () => takes.includes(true));
  await loader.close();
  expect(takes.length).toBeLessThan(15);
});

test('takes what another process learned, and what a probe found', async () => {
  const { poolId, keyIds, accountIds } = await buildPool(database.db);
  const ring = await rings.open();
  const subject = subjectIn('key', {
    accountId: accountIds[0] ?? '',
    keyId: keyIds[0]?.[0] ?? '',
    model: '',
  });
  callWith(ring, askFor(poolId), failureOf('authentication', { status: 401 }));
  await ring.flush();
  const probe = { kind: 'probe', id: null } as const;
  await apply({
    poolId,
    type: 'failed',
    kind: 'authentication',
    subject,
    at: Date.now(),
    actor: probe,
    retryAfterMs: null,
    resetsAt: null,
    evidence: { status: 401 },
  });
  await until('it is suspended', () => stateOf(ring, keyIds[0]?.[0]) === 'suspended');
  await apply({ poolId, type: 'recovered', subject, at: Date.now(), actor: probe });
  const key = await until('it is well', () => {
    const answer = ring.choose(askFor(poolId));
    return isChosen(answer) && answer;
  });
  expect(key.isTrial).toBe(false);
});

test('leaves a key out that does not open, and serves with the others', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 2 });
  const [broken, well] = keyIds[0] ?? [];
  const row = await database.db('llm_keys').where({ id: well }).first('secret');
  // Sealed for another row.
  await database.db('llm_keys').where({ id: broken }).update({ secret: row.secret });
  const ring = await rings.open();
  for (let n = 0; n < 20; n++) {
    expect(chosen(ring.choose(askFor(poolId))).keyId).toBe(well);
  }
  expect(rings.lines.some((line) => line.includes(broken ?? '?'))).toBe(true);
});

test('puts no key into a log line', () => {
  expect(rings.lines.length).toBeGreaterThan(0);
  expect(rings.lines.join('')).not.toContain('sk-or-test');
});

function apply(...events: PoolEvent[]) {
  return acrossTenants(database.app, 'llmRing', (trx) => applyHealth(trx, events));
}

async function isListening(db: Knex): Promise<boolean> {
  const found = await db('pg_stat_activity')
    .where({ query: 'listen llm_ring' })
    .whereRaw('datname = current_database()')
    .select('pid');
  return found.length === rings.opened.length;
}

/** Changes a pool without anybody being told. */
async function untold(poolId: string, work: (trx: Knex.Transaction) => Promise<unknown>) {
  await database.db.transaction(async (trx) => {
    await trx.raw('set local session_replication_role = replica');
    await work(trx);
    await trx('llm_pools').where({ id: poolId }).increment('ring_version', 1);
  });
}

/** A way to Postgres on which what is under way can be swallowed, as if its host had vanished. */
async function openWay(to: URL) {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ host: to.hostname, port: Number(to.port) });
    for (const [from, onto] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.on('data', (bytes: Buffer) => open.has(from) && onto.write(bytes));
      from.on('error', () => undefined);
      from.on('close', () => open.has(from) && onto.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    /** Of the connections there are; those that come later get through. */
    swallow: () => open.clear(),
    close() {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}
