import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;
const messagesOfRun = 3_000;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

test("reads a dispatch's messages by their numbers, whatever statistics know of other runs", async () => {
  const { db } = database;
  for (let run = 0; run < 5; run += 1) {
    await writeRun(db, newId());
  }
  await db.raw('vacuum (analyze) messages');
  // Its rows came after the last analyze, as those of every run do that is sent at once.
  const fresh = newId();
  await writeRun(db, fresh);
  const explained = await db.raw(
    `explain (format json)
     select customer_id from messages
      where run_id = ? and n between 1001 and 2000 and dispatch_n = 2 and outcome is null`,
    [fresh],
  );
  expect(JSON.stringify(explained.rows)).toContain('"Index Name":"messages_pkey"');
});

async function writeRun(db: Knex, runId: string): Promise<void> {
  await db.raw(
    `insert into messages (run_id, n, tenant_id, dispatch_n, customer_id, channel)
     select ?, i, ?, 1 + (i - 1) / 1000, gen_random_uuid(), 'email' from generate_series(1, ?) as i`,
    [runId, newId(), messagesOfRun],
  );
}
