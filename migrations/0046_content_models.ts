import type { Knex } from 'knex';
import { listOf } from './sql';

const before = [
  'llmBudgetSpent',
  'refused',
  'llmFailed',
  'llmUnavailable',
  'notUsable',
  'cancelled',
  'notStarted',
  'notEnded',
];

// A model that cannot be asked is no model that would not write.
export async function up(knex: Knex): Promise<void> {
  await allow(knex, [...before, 'modelNotUsable']);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    update content_generations set reason = 'refused' where reason = 'modelNotUsable'
  `);
  await allow(knex, before);
}

function allow(knex: Knex, reasons: readonly string[]): Promise<unknown> {
  return knex.raw(`
    alter table content_generations drop constraint content_generations_reason_check,
      add constraint content_generations_reason_check check (reason in (${listOf(reasons)}))
  `);
}
