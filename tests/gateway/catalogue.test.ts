import { createCatalogue, type Catalogue } from '../../gateway/catalogue';
import { modelsFor } from '../../gateway/models';
import { newId } from '../../lib/ids';
import { createLogger } from '../../lib/logger';
import { acrossTenants, withTenant } from '../../models/base';
import { findModelSources, saveModels, type OfferedModel } from '../../models/llm/models';
import { until } from '../support/conditions';
import { insertLlmAccount, insertLlmKey } from '../support/llm';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { insertTenant } from '../support/records';

let database: TestDatabase;
let catalogue: Catalogue;

beforeEach(async () => {
  database = await createTestDatabase();
  catalogue = createCatalogue({
    db: database.app,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
  await catalogue.ready;
});

afterEach(async () => {
  await catalogue.close();
  await database.drop();
});

function offer(id: string, values: Partial<OfferedModel> = {}): OfferedModel {
  return {
    id,
    name: id,
    contextTokens: 128_000,
    maxOutputTokens: null,
    inputModalities: ['text'],
    outputModalities: ['text'],
    parameters: ['temperature'],
    promptMicrosPerMillion: 150_000,
    completionMicrosPerMillion: 600_000,
    cachedMicrosPerMillion: 75_000,
    requestMicros: 0,
    imageMicros: 0,
    ...values,
  };
}

const save = (offered: OfferedModel[], isComplete = true, preferred: string[] = []) =>
  acrossTenants(database.app, 'llmRing', (trx) =>
    saveModels(trx, offered, { preferred, isComplete }),
  );

test('what vendors list is in the memory of a process soon after it was written', async () => {
  expect(catalogue.find('a/small')).toBeNull();
  await save([offer('a/small'), offer('b/large', { completionMicrosPerMillion: 9_000_000 })]);
  const small = await until('the model is known', () => catalogue.find('a/small'));
  expect(small).toMatchObject({
    contextTokens: 128_000,
    inputModalities: ['text'],
    promptMicrosPerMillion: 150_000,
  });
  expect(catalogue.priceOf('b/large')?.completionMicrosPerMillion).toBe(9_000_000);
  expect(catalogue.priceOf('c/none')).toBeNull();
});

test('settings of tenants are too, and changes of what is not read here are not told', async () => {
  const listens = (channel: string) =>
    database
      .db('pg_stat_activity')
      .where({ query: `listen ${channel}` })
      .whereRaw('datname = current_database()')
      .select('pid');
  await until('it listens', async () => (await listens('llm_catalogue')).length === 1);
  expect(await listens('llm_ring')).toEqual([]);
  const tenantId = await insertTenant(database.db);
  await withTenant(database.app, tenantId, (trx) =>
    trx('llm_settings').insert({ tenant_id: tenantId, keeps_prompts: true }),
  );
  await until('it knows', () => catalogue.settingsOf(tenantId).keepsPrompts);
});

test('what cannot be read at first is read as soon as it can be', async () => {
  await save([offer('a/small')]);
  await database.db.raw('alter table llm_models rename to llm_models_away');
  const late = createCatalogue({
    db: database.app,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
  try {
    await late.ready;
    expect(late.isLoaded()).toBe(false);
    const ask = { tenantId: newId(), model: 'a/small', fallbacks: null };
    expect(() => modelsFor(late, ask)).toThrow(expect.objectContaining({ kind: 'unavailable' }));
    await database.db.raw('alter table llm_models_away rename to llm_models');
    await until('it is read', () => late.isLoaded());
    expect(modelsFor(late, ask)).toEqual(['a/small']);
  } finally {
    await late.close();
  }
});

test('prices that change become a snapshot of their own, others none', async () => {
  await save([offer('a/small'), offer('b/large')]);
  const again = await save([offer('a/small'), offer('b/large')]);
  expect(again).toEqual({ models: 2, repriced: 0, gone: 0 });
  const changed = await save([offer('a/small', { promptMicrosPerMillion: 1 }), offer('b/large')]);
  expect(changed).toEqual({ models: 2, repriced: 1, gone: 0 });
  const snapshots = await database
    .db('llm_price_snapshots')
    .where({ model: 'a/small' })
    .orderBy('valid_from')
    .select('prompt_micros_per_million as prompt');
  expect(snapshots).toEqual([{ prompt: 150_000 }, { prompt: 1 }]);
  await catalogue.refresh();
  expect(catalogue.priceOf('a/small')?.promptMicrosPerMillion).toBe(1);
  expect(await database.db('llm_models').orderBy('id').select('id', 'version')).toEqual([
    // It became the default, then its price changed.
    { id: 'a/small', version: 3 },
    { id: 'b/large', version: 1 },
  ]);
});

test('a model that is gone from a whole list is not offered, until it is back', async () => {
  await save([offer('a/small'), offer('b/large')]);
  expect(await save([offer('a/small')], false)).toMatchObject({ gone: 0 });
  expect(await save([offer('a/small')])).toMatchObject({ gone: 1 });
  await catalogue.refresh();
  expect(catalogue.find('b/large')).toBeNull();
  expect(catalogue.priceOf('b/large')).not.toBeNull();
  await save([offer('a/small'), offer('b/large')]);
  await catalogue.refresh();
  expect(catalogue.find('b/large')).not.toBeNull();
});

test('the default is the tenant’s, else the platform’s, of what is offered', async () => {
  const free = offer('z/free', { completionMicrosPerMillion: 0 });
  await save([offer('a/small'), offer('b/large'), offer('c/third'), free], true, ['b/large']);
  const tenantId = await insertTenant(database.db);
  await withTenant(database.app, tenantId, (trx) =>
    trx('llm_settings').insert({ tenant_id: tenantId, default_model: 'a/small' }),
  );
  await catalogue.refresh();
  expect(catalogue.defaultModel(null)).toBe('b/large');
  expect(catalogue.defaultModel(tenantId)).toBe('a/small');
  expect(catalogue.settingsOf(tenantId)).toMatchObject({
    keySource: 'ownFirst',
    keepsPrompts: false,
  });
  await database.db('llm_models').where({ id: 'a/small' }).update({ is_enabled: false });
  await catalogue.refresh();
  expect(catalogue.defaultModel(tenantId)).toBe('b/large');
});

test('a chosen default stays; without one the cheapest that costs something is taken', async () => {
  const free = offer('z/free', { completionMicrosPerMillion: 0 });
  await save([offer('b/large', { completionMicrosPerMillion: 7 }), offer('a/small'), free]);
  await save([offer('b/large'), offer('a/small'), free], true, ['a/small']);
  await catalogue.refresh();
  expect(catalogue.defaultModel(null)).toBe('b/large');
});

test('fallbacks are those that are offered', async () => {
  await save([offer('a/small'), offer('b/large'), offer('c/third')]);
  await database
    .db('llm_models')
    .where({ id: 'a/small' })
    .update({ fallbacks: ['a/small', 'b/large', 'x/unknown', 'c/third'] });
  await database.db('llm_models').where({ id: 'c/third' }).update({ is_enabled: false });
  await catalogue.refresh();
  expect(catalogue.fallbacksOf('a/small')).toEqual(['b/large']);
  expect(catalogue.fallbacksOf('x/unknown')).toEqual([]);
});

test('lists are read by one living key of each endpoint of the platform, once they are due', async () => {
  const due = (ifOlderThanMs: number) =>
    acrossTenants(database.app, 'llmRing', (trx) => findModelSources(trx, { ifOlderThanMs }));
  expect(await due(0)).toEqual([]);
  const accountId = await insertLlmAccount(database.db, { baseUrl: 'http://vendor.test/v1' });
  const keyOf = (columns: object = {}) =>
    insertLlmKey(database.db, {
      accountId,
      secret: `sk-${Math.random()}`,
      columns: { ...columns },
    });
  await keyOf({ standing: 'revoked' });
  const keyId = await keyOf();
  await keyOf({ expires_at: new Date(0) });
  expect(await due(60_000)).toMatchObject([
    { keyId, vendor: 'openrouter', baseUrl: 'http://vendor.test/v1' },
  ]);
  await save([offer('a/small')]);
  expect(await due(60_000)).toEqual([]);
});
