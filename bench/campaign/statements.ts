import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BenchGround } from './ground';

/** Begins the count of Postgres's statements anew, so that planning and set-up stay out of it. */
export async function countStatements(ground: BenchGround): Promise<void> {
  await ground.db.raw('create extension if not exists pg_stat_statements');
  await ground.db.raw('select pg_stat_statements_reset()');
}

/** Writes what each statement has cost since, the costliest first, into `statements.txt`. */
export async function writeStatements(ground: BenchGround, folder: string): Promise<void> {
  const found = await ground.db.raw(
    `select calls, round(total_exec_time::numeric, 1) as ms, round(mean_exec_time::numeric, 3) as mean,
            round((shared_blks_hit + shared_blks_read)::numeric / calls, 1) as blocks,
            regexp_replace(query, '\\s+', ' ', 'g') as query
       from pg_stat_statements order by total_exec_time desc limit 40`,
  );
  const rows: { calls: number; ms: string; mean: string; blocks: string; query: string }[] =
    found.rows;
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, 'statements.txt'),
    rows
      .map(
        (row) =>
          `${row.ms} ms, ${row.calls} calls, ${row.mean} ms and ${row.blocks} blocks each: ${row.query}\n`,
      )
      .join(''),
  );
}
