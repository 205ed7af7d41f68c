import type { Llm } from '../../../gateway';
import {
  errorTold,
  knows,
  openLlmGround,
  read,
  told,
  type LlmGround,
  type LlmTenant,
} from '../../support/llmGround';
import { until } from '../../support/conditions';

let ground: LlmGround;
let llm: Llm;
let tenant: LlmTenant;

beforeAll(async () => {
  ground = await openLlmGround();
});

afterAll(() => ground.close());

beforeEach(async () => {
  llm = await ground.process({ idleMs: 600_000 });
  tenant = await ground.tenant();
  await knows(llm, tenant);
});

const ending = { kind: 'unavailable', code: 'llmUnavailable', retryAfterSeconds: 1 };
const long = { deadlineMs: 600_000, firstTokenMs: 600_000 };

const records = () => ground.database.db('llm_calls').where({ tenant_id: tenant.id });

test('a process that ends calls off what is under way, and records it', async () => {
  await ground.faults({ fault: 'hang' });
  const asked = [1, 2, 3].map(() => told(llm.gateway.chat(tenant.ask(long))));
  const streamed = read(llm.gateway.stream(tenant.ask({ ...long, consumer: 'raw' })));
  await until('all are asked', async () => (await tenant.calls()).length === 4);
  await llm.close();
  const rows = await records();
  expect(rows.map(({ outcome, attempts }) => [outcome, attempts])).toEqual(
    Array(4).fill(['failed', 1]),
  );
  expect(await Promise.all(asked)).toEqual(Array(3).fill(ending));
  expect(errorTold((await streamed).error)).toEqual(ending);
});

test('what had begun is billed, and nothing is asked any more', async () => {
  await ground.faults({ fault: 'midStreamSilence' });
  const pieces = llm.gateway
    .stream(tenant.ask({ ...long, consumer: 'raw' }))
    [Symbol.asyncIterator]();
  await pieces.next();
  const rest = (async () => {
    while ((await pieces.next()).done !== true) {
      // Reads on to its end.
    }
  })().catch(errorTold);
  await llm.close();
  expect(await rest).toBeDefined();
  const [row] = await records();
  expect(row).toMatchObject({ outcome: 'failed', attempts: 1 });
  expect(Number(row.cost_micros)).toBeGreaterThan(0);
  expect(await told(llm.gateway.chat(tenant.ask()))).toEqual(ending);
  expect(await tenant.calls()).toHaveLength(1);
});

test('what nobody reads on is recorded as well', async () => {
  await ground.faults({ fault: 'midStreamSilence' });
  const pieces = llm.gateway
    .stream(tenant.ask({ ...long, consumer: 'raw' }))
    [Symbol.asyncIterator]();
  await pieces.next();
  await llm.close();
  const [row] = await records();
  expect(row).toMatchObject({ outcome: 'failed', attempts: 1 });
  expect(Number(row.cost_micros)).toBeGreaterThan(0);
});

test('what is being opened is closed again: nobody was asked, and it costs nothing', async () => {
  const lock = await ground.database.db.transaction();
  await lock.raw('lock table llm_calls in access exclusive mode');
  const asked = told(llm.gateway.chat(tenant.ask()));
  await until('it waits to be opened', async () => {
    const { rows } = await lock.raw('select 1 from pg_locks where not granted limit 1');
    return rows.length === 1;
  });
  const closed = llm.close();
  await lock.commit();
  await closed;
  expect(await asked).toEqual(ending);
  expect(await records()).toEqual([
    expect.objectContaining({ outcome: 'failed', attempts: 0, cost_micros: 0 }),
  ]);
});
