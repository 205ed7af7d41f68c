import type { Knex } from 'knex';

// A refresh whose answer was lost may be asked for again under the same Idempotency-Key: what the
// token was used with is kept as a hash. And mails to people about their own account leave in the name
// of a tenant that nobody is a member of, so that no tenant sees or pays for them.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table refresh_tokens add column used_with bytea;
    alter table tenants add column is_platform boolean not null default false;
    create unique index tenants_platform on tenants (is_platform) where is_platform;
    alter table sessions drop constraint sessions_revoked_reason_check;
    alter table sessions add constraint sessions_revoked_reason_check check (revoked_reason in
      ('logout', 'refreshReused', 'passwordChanged', 'passwordReset', 'revoked', 'suspended', 'ended'));
    create index refresh_tokens_issued_at on refresh_tokens (issued_at);
    insert into tenants (id, name, is_platform)
    values ('00000000-0000-7000-8000-000000000001', 'Carillon', true)
    on conflict (id) do update set is_platform = true;
  `);
}

// The tenant stays: messages may be of it. Nobody is its member.
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop index refresh_tokens_issued_at;
    alter table refresh_tokens drop column used_with;
    update sessions set revoked_reason = 'passwordChanged' where revoked_reason = 'passwordReset';
    alter table sessions drop constraint sessions_revoked_reason_check;
    alter table sessions add constraint sessions_revoked_reason_check check (revoked_reason in
      ('logout', 'refreshReused', 'passwordChanged', 'revoked', 'suspended', 'ended'));
    drop index tenants_platform;
    alter table tenants drop column is_platform;
  `);
}
