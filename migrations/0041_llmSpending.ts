import type { Knex } from 'knex';
import { admitPurpose, dismissPurpose, may } from './walls';

// What a call may cost is asked of its tenant's plan, and whether its words are kept of the settings.
const forLedger = { subscriptions: may.read, llm_settings: may.read };

export async function up(knex: Knex): Promise<void> {
  await admitPurpose(knex, 'llmLedger', forLedger);
}

export async function down(knex: Knex): Promise<void> {
  await dismissPurpose(knex, 'llmLedger', forLedger);
}
