import { until } from '../support/conditions';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
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

test('never chooses what is suspended, not when its time has come and not when nothing else is there', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 2 });
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  const [first] = keyIds[0] ?? [];
  const resetsAt = now + 60_000;
  callWith(ring, askFor(poolId, { onlyKey: first ?? '' }), failureOf('budgetSpent', { resetsAt }));
  now = resetsAt + 1;
  for (let n = 0; n < 500; n++) {
    const key = chosen(ring.choose(askFor(poolId)));
    expect(key.keyId).not.toBe(first);
    key.release();
  }
  callWith(ring, askFor(poolId), failureOf('keyLimit'));
  const { skipped, isFull } = noKey(ring.choose(askFor(poolId)));
  expect(skipped.map(({ why }) => why)).toEqual(['suspended', 'suspended']);
  expect(isFull).toBe(false);
});

test('lets one call at a time try what has cooled: it is well after a success', async () => {
  const { poolId, accountIds } = await buildPool(database.db);
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  callWith(ring, askFor(poolId), failureOf('inFlightBudget', { retryAfterMs: 3_000 }));
  expect(noKey(ring.choose(askFor(poolId))).retryAt).toBe(now + 3_000);
  await ring.flush();
  now += 3_000;
  const trial = chosen(ring.choose(askFor(poolId)));
  expect(trial.isTrial).toBe(true);
  expect(noKey(ring.choose(askFor(poolId))).skipped).toMatchObject([{ why: 'cooling' }]);
  ring.seen({ key: trial, model: 'maker/large', failure: null, firstTokenMs: 1, totalMs: 2 });
  trial.release();
  expect(chosen(ring.choose(askFor(poolId))).isTrial).toBe(false);
  await ring.flush();
  expect(await storedHealth(database.app, poolId)).toEqual([]);
  const told = await database.db('llm_transitions').where({ account_id: accountIds[0] });
  expect(told).toHaveLength(2);
});

test('cools longer after a failed trial, and lets another call try when one says nothing', async () => {
  const { poolId } = await buildPool(database.db);
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  callWith(ring, askFor(poolId), failureOf('platformRateLimit'));
  now += 10_000;
  expect(callWith(ring, askFor(poolId), failureOf('invalidRequest', { status: 400 })).isTrial).toBe(
    true,
  );
  expect(callWith(ring, askFor(poolId), failureOf('platformRateLimit')).isTrial).toBe(true);
  expect(noKey(ring.choose(askFor(poolId))).retryAt).toBe(now + 20_000);
  await ring.flush();
  expect(await storedHealth(database.app, poolId)).toMatchObject([
    { failures: 2, until: now + 20_000 },
  ]);
});

test('does not let whoever failed once try what may fail again', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 3 });
  const [cooled, failed, well] = keyIds[0] ?? [];
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  callWith(
    ring,
    askFor(poolId, { onlyKey: cooled ?? '' }),
    failureOf('authentication', { status: 401 }),
  );
  now += 30_000;
  for (let n = 0; n < 100; n++) {
    const again = askFor(poolId, { withoutKeys: new Set([failed ?? '']) });
    expect(chosen(ring.choose(again)).keyId).toBe(well);
  }
});

test('serves with the keys that are taken when most are refused, and calls the refused ones once', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { accounts: 2, keys: 3 });
  const [all, dead] = [keyIds.flat(), new Set(keyIds.flat().slice(0, 4))];
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  const early = chosen(ring.choose(askFor(poolId, { onlyKey: all[5] ?? '' })));
  for (const onlyKey of dead) {
    callWith(ring, askFor(poolId, { onlyKey }), failureOf('authentication', { status: 401 }));
  }
  await ring.flush();
  const ofPlatform = async () =>
    (await storedHealth(database.app, poolId)).filter(
      ({ subject }) => subject.scope === 'platform',
    );
  expect(await ofPlatform()).toMatchObject([{ state: 'draining', reason: 'authentication' }]);
  // What began before they were refused proves nothing of now.
  now += 10_000;
  ring.seen({ key: early, model: 'maker/large', failure: null, firstTokenMs: 1, totalMs: 10_001 });
  early.release();
  await ring.flush();
  expect(await ofPlatform()).toHaveLength(1);
  for (let n = 0; n < 200; n++) {
    expect(dead).not.toContain(callWith(ring, askFor(poolId), null).keyId);
  }
  await ring.flush();
  expect(await ofPlatform()).toEqual([]);
  // When they have cooled, each is tried once, and nothing begins anew.
  now += 20_000;
  const tried = [];
  for (let n = 0; n < 400; n++) {
    const key = chosen(ring.choose(askFor(poolId)));
    const end = dead.has(key.keyId) ? failureOf('authentication', { status: 401 }) : null;
    ring.seen({ key, model: 'maker/large', failure: end, firstTokenMs: null, totalMs: 1 });
    key.release();
    tried.push(...(end === null ? [] : [key.keyId]));
  }
  expect(tried.toSorted()).toEqual([...dead].toSorted());
  await ring.flush();
  expect(await ofPlatform()).toEqual([]);
});

test('fails fast when all keys are refused, and tries each once when it has cooled', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 3 });
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  for (let round = 0; round < 4; round++) {
    for (const _ of keyIds.flat()) {
      callWith(ring, askFor(poolId), failureOf('authentication', { status: 401 }));
    }
    expect(noKey(ring.choose(askFor(poolId))).retryAt).toBe(now + 30_000);
    now += 30_000;
  }
  expect(callWith(ring, askFor(poolId), null).isTrial).toBe(true);
  await ring.flush();
  const rows = await storedHealth(database.app, poolId);
  expect(rows.map(({ subject, state }) => [subject.scope, state])).toEqual([
    ['key', 'cooling'],
    ['key', 'cooling'],
  ]);
});

test('leaves keys alone by what they may: models, time, workspace, a person', async () => {
  const { poolId, keyIds, accountIds } = await buildPool(database.db, { keys: 5 });
  const [models = '', expired = '', spent = '', shared = '', well = ''] = keyIds[0] ?? [];
  const set = (id: string, columns: Record<string, unknown>) =>
    database.db('llm_keys').where({ id }).update(columns);
  await set(models, { allowed_models: ['maker/small', 'other/*'] });
  await set(expired, { expires_at: new Date(Date.now() - 1_000) });
  await set(spent, { workspace: 'team' });
  await set(shared, { workspace: 'team' });
  const ring = await rings.open();
  callWith(ring, askFor(poolId, { onlyKey: spent }), failureOf('budgetSpent', { status: 403 }));
  const asked = askFor(poolId, { withoutKeys: new Set([well]) });
  expect(noKey(ring.choose(asked)).skipped).toEqual([
    { keyId: models, accountId: accountIds[0], why: 'modelNotAllowed', until: null },
    { keyId: expired, accountId: accountIds[0], why: 'expired', until: null },
    { keyId: spent, accountId: accountIds[0], why: 'suspended', until: null },
    { keyId: shared, accountId: accountIds[0], why: 'suspended', until: null },
    { keyId: well, accountId: accountIds[0], why: 'tried', until: null },
  ]);
  expect(chosen(ring.choose({ ...asked, model: 'other/any' })).keyId).toBe(models);
  expect(chosen(ring.choose({ ...asked, model: 'maker/small' })).keyId).toBe(models);
  expect(noKey(ring.choose({ ...asked, model: 'maker/small:free' })).skipped).toHaveLength(5);
  await database.db('llm_accounts').where({ id: accountIds[0] }).update({ standing: 'revoked' });
  await until('the account is revoked', () => stateOf(ring, well) === 'revoked');
});

test('leaves one key alone, and not its workspace, whose budget of ours is spent', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { keys: 2, key: { workspace: 'team' } });
  const [spent = '', other] = keyIds[0] ?? [];
  const ring = await rings.open();
  callWith(ring, askFor(poolId, { onlyKey: spent }), failureOf('budgetSpent', { status: null }));
  expect([spent, other].map((id) => stateOf(ring, id))).toEqual(['suspended', 'active']);
  await ring.flush();
  const again = await rings.open();
  expect([spent, other].map((id) => stateOf(again, id))).toEqual(['suspended', 'active']);
});

test('leaves an account alone for free models only, where that is what is limited', async () => {
  const { poolId } = await buildPool(database.db);
  const ring = await rings.open();
  const free = askFor(poolId, { model: 'maker/small:free' });
  callWith(ring, free, failureOf('platformRateLimit', { isFreeClass: true, retryAfterMs: 9_000 }));
  expect(noKey(ring.choose(askFor(poolId, { model: 'other/one:free' }))).skipped).toMatchObject([
    { why: 'cooling' },
  ]);
  expect(isChosen(ring.choose(askFor(poolId, { model: 'maker/small' })))).toBe(true);
});

test('says of a model that it is down, and until when, and of all others that they are not', async () => {
  const { poolId } = await buildPool(database.db);
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  callWith(ring, askFor(poolId), failureOf('upstreamRateLimit', { retryAfterMs: 4_000 }));
  expect(ring.modelDown(poolId, 'maker/large')).toEqual({
    until: now + 4_000,
    reason: 'upstreamRateLimit',
  });
  expect(ring.modelDown(poolId, 'maker/small')).toBeNull();
  now += 4_000;
  expect(ring.modelDown(poolId, 'maker/large')).toBeNull();
  const trial = chosen(ring.choose(askFor(poolId)));
  expect(trial.isTrial).toBe(true);
  expect(ring.modelDown(poolId, 'maker/large')?.reason).toBe('upstreamRateLimit');
});

test('benches bad keys and not the model, when half of the keys are bad', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { accounts: 2, keys: 3 });
  const bad = new Set([keyIds[0]?.[0], keyIds[0]?.[1], keyIds[1]?.[0]]);
  const ring = await rings.open();
  for (let n = 0; n < 60; n++) {
    const key = chosen(ring.choose(askFor(poolId)));
    const end = bad.has(key.keyId) ? failureOf('brokenAnswer', { status: 200 }) : null;
    ring.seen({ key, model: 'maker/large', failure: end, firstTokenMs: null, totalMs: 1 });
    key.release();
  }
  const states = ring.snapshot().filter((key) => key.poolId === poolId);
  expect(
    new Set(states.filter(({ state }) => state === 'cooling').map(({ keyId }) => keyId)),
  ).toEqual(bad);
  expect(ring.modelDown(poolId, 'maker/large')).toBeNull();
});

test('leaves a model alone that fails with all keys, and tells why', async () => {
  const { poolId } = await buildPool(database.db, { keys: 3 });
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  for (let n = 0; n < 10; n++) {
    callWith(ring, askFor(poolId), failureOf('serverError', { status: 502 }));
  }
  expect(ring.modelDown(poolId, 'maker/large')).toEqual({
    until: now + 5_000,
    reason: 'serverError',
  });
  expect(isChosen(ring.choose(askFor(poolId, { model: 'maker/small' })))).toBe(true);
  now += 5_000;
  callWith(ring, askFor(poolId), failureOf('timeout', { status: 504 }));
  expect(ring.modelDown(poolId, 'maker/large')?.until).toBe(now + 10_000);
  await ring.flush();
  const [row] = await storedHealth(database.app, poolId);
  expect(row).toMatchObject({ subject: { scope: 'model' }, failures: 2 });
});

test('leaves an address alone that cannot be reached, until anything answers there', async () => {
  const { poolId } = await buildPool(database.db, { keys: 2 });
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  const early = chosen(ring.choose(askFor(poolId)));
  for (let n = 0; n < 3; n++) {
    callWith(ring, askFor(poolId), failureOf('unreachable', { status: null }));
  }
  expect(noKey(ring.choose(askFor(poolId))).retryAt).toBe(now + 2_000);
  now += 500;
  ring.seen({ key: early, model: 'maker/large', failure: null, firstTokenMs: 1, totalMs: 2 });
  expect(isChosen(ring.choose(askFor(poolId)))).toBe(true);
});

test('gives up half of what is under way where the vendor says it is too much', async () => {
  const { poolId } = await buildPool(database.db);
  let now = Date.now();
  const ring = await rings.open({ now: () => now });
  const running = Array.from({ length: 8 }, () => chosen(ring.choose(askFor(poolId))));
  callWith(ring, askFor(poolId), failureOf('inFlightBudget', { retryAfterMs: 1_000 }));
  running.forEach((key) => key.release());
  now += 1_000;
  callWith(ring, askFor(poolId), null);
  const again = [];
  for (
    let answer = ring.choose(askFor(poolId));
    isChosen(answer);
    answer = ring.choose(askFor(poolId))
  ) {
    again.push(answer);
  }
  expect(again).toHaveLength(4);
  expect(noKey(ring.choose(askFor(poolId))).isFull).toBe(true);
});

test('keeps a part of the room for people who wait', async () => {
  const { poolId } = await buildPool(database.db, { account: { max_concurrency: 10 } });
  const ring = await rings.open();
  const bulk = askFor(poolId, { priority: 'bulk' });
  const taken = Array.from({ length: 7 }, () => chosen(ring.choose(bulk)));
  expect(noKey(ring.choose(bulk))).toMatchObject({ isFull: true, skipped: [{ why: 'full' }] });
  expect(isChosen(ring.choose(askFor(poolId, { priority: 'transactional' })))).toBe(false);
  Array.from({ length: 3 }, () => chosen(ring.choose(askFor(poolId))));
  expect(isChosen(ring.choose(askFor(poolId)))).toBe(false);
  taken[0]?.release();
  expect(isChosen(ring.choose(askFor(poolId)))).toBe(true);
});

test('keeps a conversation with one account while that has room, and ends it where it drains', async () => {
  const { poolId, accountIds } = await buildPool(database.db, { accounts: 3, keys: 2 });
  const ring = await rings.open();
  const talks = Array.from({ length: 30 }, (_, n) => `talk ${n}`);
  const homeOfTalk = (conversation: string) => {
    const key = chosen(ring.choose(askFor(poolId, { conversation })));
    key.release();
    return key.accountId;
  };
  const homes = new Map(talks.map((talk) => [talk, homeOfTalk(talk)]));
  expect(new Set(homes.values())).toEqual(new Set(accountIds));
  for (const talk of talks) {
    expect(homeOfTalk(talk)).toBe(homes.get(talk));
  }
  await database.db('llm_accounts').where({ id: accountIds[0] }).update({ standing: 'draining' });
  await until(
    'it drains',
    () => ring.snapshot().find((key) => key.accountId === accountIds[0])?.state === 'draining',
  );
  for (const talk of talks) {
    expect(homeOfTalk(talk)).toBe(homes.get(talk));
  }
  for (let n = 0; n < 50; n++) {
    expect(homeOfTalk(`new ${n}`)).not.toBe(accountIds[0]);
  }
});

test('uses what drains when nothing else is there', async () => {
  const { poolId, keyIds } = await buildPool(database.db, { key: { standing: 'draining' } });
  const ring = await rings.open();
  expect(chosen(ring.choose(askFor(poolId))).keyId).toBe(keyIds[0]?.[0]);
});
