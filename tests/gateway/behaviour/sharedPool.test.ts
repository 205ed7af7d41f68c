import { platformPool } from '../../../domain/llm/types';
import { DEMO_OPENROUTER_ACCOUNTS, OPENROUTER_PATH } from '../../../sandbox';
import { until } from '../../support/conditions';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { models, told, type LlmTenant } from '../../support/llmGround';
import { onLlmGround } from './here';

// What tenants without keys of their own share: here one key, for one call at a time.
const here = onLlmGround();

let one: LlmTenant;
let other: LlmTenant;

beforeEach(async () => {
  const { db } = here.ground.database;
  const settings = { key_source: 'platform' };
  if ((await db('llm_keys').whereNull('tenant_id')).length === 0) {
    const [secret = ''] = DEMO_OPENROUTER_ACCOUNTS.flatMap(({ keys }) =>
      keys.map((key) => key.secret),
    );
    const accountId = await insertLlmAccount(db, {
      baseUrl: `${here.ground.sandbox.url}${OPENROUTER_PATH}`,
    });
    await insertLlmKey(db, { accountId, secret, columns: { max_concurrency: 1 } });
  }
  one = await here.ground.tenant([], { settings });
  other = await here.ground.tenant([], { settings });
  await until('the process knows', () => here.llm.ring.snapshot([platformPool]).length === 1);
});

test('whoever has many calls waiting holds up nobody who has one', async () => {
  await here.ground.faults({ latencyMs: 40 });
  let done = 0;
  const many = Array.from({ length: 30 }, async () => {
    const answer = await told(here.llm.gateway.chat(one.ask()));
    done += 1;
    return answer;
  });
  await until('they are at it', async () => (await one.calls()).length > 1);
  const before = done;
  expect(await told(here.llm.gateway.chat(other.ask()))).toMatchObject({ hasText: true });
  // What was under way, the next one by its turn, and what ended while it was opened.
  expect(done - before).toBeLessThanOrEqual(6);
  expect(await Promise.all(many)).toEqual(
    Array(30).fill(expect.objectContaining({ hasText: true })),
  );
});

test('whoever comes takes nothing from those who wait', async () => {
  await here.ground.faults({ latencyMs: 1_000, count: 1 });
  const order: string[] = [];
  const ask = async (name: string) => {
    await here.llm.gateway.chat(one.ask());
    order.push(name);
  };
  const first = ask('first');
  await until('it is under way', async () => (await one.calls()).length === 1);
  const changed = jest.spyOn(here.llm.ring, 'changed');
  const second = ask('second');
  await until('the second one waits', () => changed.mock.calls.length > 0);
  // At the very moment the key is free.
  const third = first.then(() => ask('third'));
  await Promise.all([first, second, third]);
  expect(order).toEqual(['first', 'second', 'third']);
});

test('whoever gives up waiting is out of the line', async () => {
  await here.ground.faults({ latencyMs: 1_500, count: 1 });
  const first = told(here.llm.gateway.chat(one.ask()));
  await until('it is under way', async () => (await one.calls()).length === 1);
  const gone = new AbortController();
  const changed = jest.spyOn(here.llm.ring, 'changed');
  const second = here.llm.gateway.chat(other.ask(), { signal: gone.signal });
  const hurried = told(here.llm.gateway.chat(other.ask({ deadlineMs: 400 })));
  await until('they wait', () => changed.mock.calls.length > 0);
  gone.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  expect(await hurried).toEqual({ kind: 'tooSlow', code: 'llmTooSlow' });
  expect(await first).toMatchObject({ hasText: true });
  expect(await other.calls()).toEqual([]);
  expect(here.llm.ring.snapshot([platformPool])).toEqual([
    expect.objectContaining({ inFlight: 0 }),
  ]);
});

test('a model that a tenant makes up is held against nobody', async () => {
  await here.ground.faults({ fault: 'noEndpoints' });
  const asked = (model: string) => told(here.llm.gateway.chat(one.ask({ model })));
  expect(await asked('made/up')).toEqual({
    kind: 'providerFailed',
    code: 'llmFailed',
    because: 'modelUnavailable',
  });
  expect(here.llm.ring.modelDown(platformPool, 'made/up')).toBeNull();
  expect(await asked(models.other)).toMatchObject({ code: 'llmUnavailable' });
  expect(here.llm.ring.modelDown(platformPool, models.other)).not.toBeNull();
  await here.llm.ring.flush();
  const rows = await here.ground.database.db('llm_health').whereNull('tenant_id');
  expect(rows.map(({ model }) => model)).toEqual([models.other]);
});
