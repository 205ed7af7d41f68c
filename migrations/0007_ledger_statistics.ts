import type { Knex } from 'knex';

// A run's rows are written in one go and sent at once, before any statistics know the run. With
// statistics of older runs the planner takes a new one for a single row, finds every index that
// begins with run_id equally good, and walks a whole run for each of its dispatches. Without any, it
// takes a run for a two-hundredth of the table, and the narrower index always wins.
const tables = ['messages', 'dispatches', 'dispatch_attempts', 'message_events'];

export async function up(knex: Knex): Promise<void> {
  for (const table of tables) {
    await knex.raw(`alter table ${table} alter column run_id set statistics 0`);
    // What an earlier analyze found would stay for good. Giving a column the type it has drops its
    // statistics and rewrites nothing.
    await knex.raw(`alter table ${table} alter column run_id type uuid`);
  }
}

export async function down(knex: Knex): Promise<void> {
  for (const table of tables) {
    await knex.raw(`alter table ${table} alter column run_id set statistics -1`);
  }
}
