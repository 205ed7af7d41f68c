import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import {
  endGeneration,
  planGeneration,
  postponeGeneration,
  requireGeneration,
} from '../../../models/content/generations';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

test('what is written down twice, because nobody heard that it was, is counted once', async () => {
  const key = { tenantId: await insertTenant(database.db), id: newId() };
  const brief = { goal: 'a', facts: ['b'], tone: null, language: 'en', count: 1 };
  const asked = { ...brief, channel: 'email', campaignId: null, model: null } as const;
  const first = { callIds: [newId(), newId()], costMicros: 7, model: 'one' };
  const second = { callIds: [newId()], costMicros: 5, model: 'other' };
  const generation = await withTenant(database.app, key.tenantId, async (trx) => {
    await planGeneration(trx, key, { ...asked, createdBy: newId() });
    await postponeGeneration(trx, key, new Date(), first);
    await postponeGeneration(trx, key, new Date(), first);
    await postponeGeneration(trx, key, new Date(), { callIds: [], costMicros: 0, model: null });
    await endGeneration(trx, key, { variants: [] }, second);
    await endGeneration(trx, key, { variants: [] }, second);
    return requireGeneration(trx, key);
  });
  expect(generation).toMatchObject({
    state: 'done',
    callIds: [...first.callIds, ...second.callIds],
    costMicros: 12,
    model: 'other',
  });
});
