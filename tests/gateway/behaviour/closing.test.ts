import { errorTold, read, told } from '../../support/llmGround';
import { until } from '../../support/conditions';
import { onLlmGround } from './here';

const here = onLlmGround({ idleMs: 600_000 });

const ending = { kind: 'unavailable', code: 'llmUnavailable', retryAfterSeconds: 1 };
const long = { deadlineMs: 600_000, firstTokenMs: 600_000 };

const records = () => here.ground.database.db('llm_calls').where({ tenant_id: here.tenant.id });

test('a process that ends calls off what is under way, and records it', async () => {
  await here.ground.faults({ fault: 'hang' });
  const asked = [1, 2, 3].map(() => told(here.llm.gateway.chat(here.tenant.ask(long))));
  const streamed = read(here.llm.gateway.stream(here.tenant.ask({ ...long, consumer: 'raw' })));
  await until('all are asked', async () => (await here.tenant.calls()).length === 4);
  await here.llm.close();
  const rows = await records();
  expect(rows.map(({ outcome, attempts }) => [outcome, attempts])).toEqual(
    Array(4).fill(['failed', 1]),
  );
  expect(await Promise.all(asked)).toEqual(Array(3).fill(ending));
  expect(errorTold((await streamed).error)).toEqual(ending);
});

test('what had begun is billed, and nothing is asked any more', async () => {
  await here.ground.faults({ fault: 'midStreamSilence' });
  const pieces = here.llm.gateway
    .stream(here.tenant.ask({ ...long, consumer: 'raw' }))
    [Symbol.asyncIterator]();
  await pieces.next();
  const rest = (async () => {
    while ((await pieces.next()).done !== true) {
      // Reads on to its end.
    }
  })().catch(errorTold);
  await here.llm.close();
  expect(await rest).toBeDefined();
  const [row] = await records();
  expect(row).toMatchObject({ outcome: 'failed', attempts: 1 });
  expect(Number(row.cost_micros)).toBeGreaterThan(0);
  expect(await told(here.llm.gateway.chat(here.tenant.ask()))).toEqual(ending);
  expect(await here.tenant.calls()).toHaveLength(1);
});

test('what nobody reads on is recorded as well', async () => {
  await here.ground.faults({ fault: 'midStreamSilence' });
  const pieces = here.llm.gateway
    .stream(here.tenant.ask({ ...long, consumer: 'raw' }))
    [Symbol.asyncIterator]();
  await pieces.next();
  await here.llm.close();
  const [row] = await records();
  expect(row).toMatchObject({ outcome: 'failed', attempts: 1 });
  expect(Number(row.cost_micros)).toBeGreaterThan(0);
});

test('what is being opened is closed again: nobody was asked, and it costs nothing', async () => {
  const lock = await here.ground.database.db.transaction();
  await lock.raw('lock table llm_calls in access exclusive mode');
  const asked = told(here.llm.gateway.chat(here.tenant.ask()));
  await until('it waits to be opened', async () => {
    const { rows } = await lock.raw('select 1 from pg_locks where not granted limit 1');
    return rows.length === 1;
  });
  const closed = here.llm.close();
  await lock.commit();
  await closed;
  expect(await asked).toEqual(ending);
  expect(await records()).toEqual([
    expect.objectContaining({ outcome: 'failed', attempts: 0, cost_micros: 0 }),
  ]);
});
