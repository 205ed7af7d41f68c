import type { Knex } from 'knex';
import { admitPurpose, dismissPurpose, may } from './walls';

// What a call may cost is asked of its tenant's plan, and whether its words are kept of the settings.
const forLedger = { subscriptions: may.read, llm_settings: may.read };

// Rows come in the order of their time, so that a summary of blocks finds the old ones, and costs
// the many that are written hardly anything.
const byTime = { llm_calls: 'created_at', llm_transitions: 'at' };

export async function up(knex: Knex): Promise<void> {
  for (const [table, column] of Object.entries(byTime)) {
    await knex.raw(`create index ${table}_${column} on ${table} using brin (${column})`);
  }
  await knex.raw('create index llm_usage_days_day on llm_usage_days (day)');
  await admitPurpose(knex, 'llmLedger', forLedger);
}

export async function down(knex: Knex): Promise<void> {
  await dismissPurpose(knex, 'llmLedger', forLedger);
  await knex.raw('drop index llm_usage_days_day');
  for (const [table, column] of Object.entries(byTime)) {
    await knex.raw(`drop index ${table}_${column}`);
  }
}
