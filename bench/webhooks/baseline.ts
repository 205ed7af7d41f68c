import type { Knex } from '../../lib/db';
import { cpuSeconds } from '../campaign/processes';

export interface BaselineRun {
  rows: number;
  rowsPerSecond: number;
  postgresCpuSeconds: number;
}

const lanes = 4;

/**
 * The least that storing costs: the very rows of the run, from memory, into an empty table of the
 * same columns and indexes, as many a transaction as a post has events. Nothing is read, checked,
 * signed or applied.
 */
export async function insertBare(
  db: Knex,
  options: { runId: string; rows: number; batch: number; postgresPid: number },
): Promise<BaselineRun> {
  await db.raw('create table bare_events (like message_events including all)');
  const columns = named.map((name) => `array_agg(cast(${name} as text))::text as ${name}`);
  const found = await db.raw(
    `select count(*) as rows, ${columns.join(', ')}
       from (select *, (row_number() over (order by id) - 1) / ? as part
               from message_events where run_id = ? order by id limit ?) e
      group by part order by part`,
    [options.batch, options.runId, options.rows],
  );
  const batches: Record<string, string>[] = found.rows;
  const rows = found.rows.reduce((sum: number, batch: { rows: number }) => sum + batch.rows, 0);
  await db.raw('checkpoint');
  const cpuBefore = cpuSeconds([options.postgresPid]);
  const startedAt = performance.now();
  let next = 0;
  const lane = async () => {
    for (let batch = batches[next++]; batch !== undefined; batch = batches[next++]) {
      await db.raw(
        statement,
        named.map((name) => batch?.[name] ?? ''),
      );
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    rows,
    rowsPerSecond: rows / seconds,
    postgresCpuSeconds: cpuSeconds([options.postgresPid]) - cpuBefore,
  };
}

const named = [
  'run_id',
  'provider_event_id',
  'source',
  'tenant_id',
  'dispatch_n',
  'attempt',
  'message_n',
  'kind',
  'occurred_at',
  'payload',
] as const;

const statement = `insert into bare_events (${named.join(', ')})
  select * from unnest(cast(? as uuid[]), cast(? as text[]), cast(? as text[]), cast(? as uuid[]),
    cast(? as int[]), cast(? as int[]), cast(? as int[]), cast(? as text[]),
    cast(? as timestamptz[]), cast(? as jsonb[]))`;
