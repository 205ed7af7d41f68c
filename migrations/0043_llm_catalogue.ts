import type { Knex } from 'knex';

// Told of models and of tenants' settings alone: health of keys changes many times a second, and
// whoever has the catalogue in memory reads all of it.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create function llm_catalogue_changed() returns trigger language plpgsql as $$
    begin
      perform pg_notify('llm_catalogue', '');
      return null;
    end $$;
    create trigger llm_models_catalogue after insert or update or delete on llm_models
      for each statement execute function llm_catalogue_changed();
    create trigger llm_settings_catalogue after insert or update or delete on llm_settings
      for each statement execute function llm_catalogue_changed();
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop trigger llm_models_catalogue on llm_models;
    drop trigger llm_settings_catalogue on llm_settings;
    drop function llm_catalogue_changed();
  `);
}
