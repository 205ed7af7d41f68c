import type { Knex } from 'knex';
import { may, raiseWalls } from './walls';

// Who did what, from where, and what it changed. There are no foreign keys: an entry outlives the
// tenant and the person it tells of. Rows are only ever added. Of the roles but the owner, which the
// application never is, nobody may change them, and a trigger says so once more, because a grant is
// quickly given.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table audit_log (
      id uuid primary key,
      tenant_id uuid,
      at timestamptz not null default now(),
      actor_kind text not null
        check (actor_kind in ('user', 'apiKey', 'system', 'operator', 'anonymous')),
      actor_id text,
      impersonator_id uuid,
      action text not null,
      target_kind text,
      target_id text,
      ip inet,
      user_agent text,
      request_id text,
      before jsonb,
      after jsonb
    );
    comment on column audit_log.tenant_id is 'null for what is of the platform';

    create index audit_log_tenant on audit_log (tenant_id, at, id);
    create index audit_log_at on audit_log (at, id);
    create index audit_log_actor on audit_log (tenant_id, actor_id, at) where actor_id is not null;
    create index audit_log_target on audit_log (tenant_id, target_id, at) where target_id is not null;

    create function refuse_audit_change() returns trigger language plpgsql as $$
    begin
      if (select rolname from pg_roles r join pg_class c on c.relowner = r.oid where c.oid = tg_relid)
          <> current_user then
        raise exception 'audit_log is append-only' using errcode = 'insufficient_privilege';
      end if;
      return null;
    end $$;
    create trigger audit_log_append_only before update or delete or truncate on audit_log
      for each statement execute function refuse_audit_change();
  `);
  await raiseWalls(knex, {
    audit_log: {
      tenant: may.add,
      platform: {
        identity: may.add,
        platformAdmin: may.add,
        payloadKeys: may.add,
        reconcile: may.add,
      },
    },
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop table audit_log;
    drop function refuse_audit_change();
  `);
}
