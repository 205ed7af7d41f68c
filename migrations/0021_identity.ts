import type { Knex } from 'knex';
import { isEnvelope } from './sealed';
import { listOf } from './sql';
import { lowerWalls, may, raiseWalls, thisTenant } from './walls';

const roles = ['owner', 'agency', 'member', 'viewer'];

// A person is one account on the whole platform and a member of any number of tenants, in each with a
// role of its own. A session is one sign-in: every token of it, access and refresh, is over with it.
// What opens something (tokens, invitations, API keys, recovery codes) is stored as its hash alone.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table memberships (
      tenant_id uuid not null references tenants (id),
      user_id uuid not null,
      role text not null check (role in (${listOf(roles)})),
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (tenant_id, user_id)
    );
    insert into memberships (tenant_id, user_id, role, created_at)
    select tenant_id, id, role, created_at from users;

    drop index users_email;
    alter table users
      drop constraint users_pkey,
      add constraint users_pkey primary key using index users_id,
      drop column tenant_id,
      drop column role,
      -- A plain column: an index over an expression is of no use behind row-level security.
      add column email_key text not null generated always as (lower(email)) stored,
      add column company_name text,
      add column email_verified_at timestamptz,
      add column password_changed_at timestamptz not null default now(),
      add column is_platform_admin boolean not null default false,
      add column suspended_at timestamptz,
      add column suspended_reason text,
      add column mfa_secret text check (${isEnvelope('mfa_secret')}),
      add column mfa_enabled_at timestamptz,
      -- The newest step of time whose code was taken: a code is good once.
      add column mfa_last_step bigint;
    create unique index users_email on users (email_key);
    alter table memberships
      add constraint memberships_user_id_fkey foreign key (user_id) references users (id) on delete cascade;
    create index memberships_user on memberships (user_id);

    alter table tenants
      add column suspended_at timestamptz,
      add column suspended_reason text,
      add column created_by uuid;

    create table sessions (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      kind text not null default 'api' check (kind in ('api', 'codec')),
      -- The tenant it works in now; null for a person of no tenant.
      tenant_id uuid references tenants (id) on delete set null,
      created_at timestamptz not null default now(),
      last_used_at timestamptz not null default now(),
      expires_at timestamptz not null,
      revoked_at timestamptz,
      revoked_reason text check (revoked_reason in
        ('logout', 'refreshReused', 'passwordChanged', 'revoked', 'suspended', 'ended')),
      -- When a second factor was last shown.
      mfa_at timestamptz,
      impersonated_by uuid references users (id) on delete cascade,
      ip inet,
      user_agent text
    );
    create index sessions_user on sessions (user_id, created_at);
    create index sessions_tenant on sessions (tenant_id);
    create index sessions_impersonated_by on sessions (impersonated_by);
    create index sessions_expires_at on sessions (expires_at);

    create table refresh_tokens (
      hash bytea primary key,
      session_id uuid not null references sessions (id) on delete cascade,
      issued_at timestamptz not null default now(),
      used_at timestamptz
    );
    create index refresh_tokens_session on refresh_tokens (session_id);

    create table user_tokens (
      hash bytea primary key,
      user_id uuid not null references users (id) on delete cascade,
      purpose text not null check (purpose in ('resetPassword', 'verifyEmail', 'mfaLogin')),
      created_at timestamptz not null default now(),
      expires_at timestamptz not null,
      used_at timestamptz
    );
    create index user_tokens_user on user_tokens (user_id, purpose);
    create index user_tokens_expires_at on user_tokens (expires_at);

    create table recovery_codes (
      user_id uuid not null references users (id) on delete cascade,
      hash bytea not null,
      created_at timestamptz not null default now(),
      used_at timestamptz,
      primary key (user_id, hash)
    );

    -- Wrong passwords and codes are counted by address, whether it has an account or not, so that
    -- being locked out tells nothing. The address is kept as a keyed hash.
    create table sign_in_failures (
      subject bytea primary key,
      failures int not null,
      last_at timestamptz not null default now(),
      locked_until timestamptz
    );
    create index sign_in_failures_last_at on sign_in_failures (last_at);

    create table invitations (
      tenant_id uuid not null references tenants (id),
      id uuid not null,
      email text not null,
      email_key text not null generated always as (lower(email)) stored,
      role text not null check (role in (${listOf(roles)})),
      hash bytea not null unique,
      invited_by uuid references users (id) on delete set null,
      created_at timestamptz not null default now(),
      expires_at timestamptz not null,
      accepted_at timestamptz,
      accepted_by uuid references users (id) on delete set null,
      revoked_at timestamptz,
      primary key (tenant_id, id)
    );
    create unique index invitations_open on invitations (tenant_id, email_key)
      where accepted_at is null and revoked_at is null;
    create index invitations_invited_by on invitations (invited_by);
    create index invitations_accepted_by on invitations (accepted_by);

    create table api_keys (
      tenant_id uuid not null references tenants (id),
      id uuid not null,
      name text not null,
      -- The beginning of the key, for people to know it by.
      prefix text not null,
      hash bytea not null unique,
      scopes text[] not null,
      allowed_ips cidr[] not null default '{}',
      expires_at timestamptz,
      last_used_at timestamptz,
      last_used_ip inet,
      created_by uuid references users (id) on delete set null,
      created_at timestamptz not null default now(),
      revoked_at timestamptz,
      primary key (tenant_id, id)
    );
    create index api_keys_created_by on api_keys (created_by);

    -- The keys that access tokens are signed with. The public halves are published; a token names its
    -- key, so that a new one can take over while tokens of the old one are about.
    create table signing_keys (
      kid text primary key,
      algorithm text not null check (algorithm in ('ES256')),
      public_jwk jsonb not null,
      private_key text not null check (${isEnvelope('private_key')}),
      created_at timestamptz not null default now(),
      -- Signs from here on, when every process has had the time to know it.
      signs_from timestamptz not null,
      -- Verifies until here; null for keys that still sign.
      verifies_until timestamptz
    );
  `);
  await raiseWalls(knex, {
    // Whoever signs in has not said which tenant is theirs, and a person is nobody's.
    // A tenant sees who works in it, and nothing that opens an account.
    users: {
      tenant: may.read,
      columns: [
        'id',
        'email',
        'email_key',
        'first_name',
        'last_name',
        'last_login_at',
        'mfa_enabled_at',
        'email_verified_at',
        'suspended_at',
      ],
      own: `exists (
        select 1 from memberships m where m.user_id = users.id and m.tenant_id = ${thisTenant})`,
      platform: { identity: may.keep, resealing: may.change },
    },
    memberships: { tenant: may.read, platform: { identity: may.doAll } },
    sessions: { platform: { identity: may.doAll } },
    refresh_tokens: { own: 'false', platform: { identity: may.doAll } },
    user_tokens: { own: 'false', platform: { identity: may.doAll } },
    recovery_codes: { own: 'false', platform: { identity: may.doAll } },
    sign_in_failures: { own: 'false', platform: { identity: may.doAll } },
    invitations: { tenant: may.keep, platform: { identity: may.keep } },
    api_keys: { tenant: may.keep, platform: { identity: may.change } },
    signing_keys: { own: 'false', platform: { identity: may.doAll, resealing: may.change } },
  });
}

// A person keeps the first of their tenants; people of none go. The roles that are not known yet
// become that of a member.
export async function down(knex: Knex): Promise<void> {
  await lowerWalls(knex, ['users']);
  await knex.raw(`
    drop table signing_keys, api_keys, invitations, sign_in_failures, recovery_codes, user_tokens,
      refresh_tokens, sessions;
    alter table tenants
      drop column suspended_at, drop column suspended_reason, drop column created_by;
    drop index users_email;
    alter table users
      add column tenant_id uuid references tenants (id),
      add column role text check (role in ('owner', 'member', 'viewer'));
    update users u set tenant_id = m.tenant_id,
           role = case m.role when 'agency' then 'member' else m.role end
      from (select distinct on (user_id) * from memberships order by user_id, created_at, tenant_id) m
     where m.user_id = u.id;
    drop table memberships;
    delete from users where tenant_id is null;
    alter table users
      alter column tenant_id set not null,
      alter column role set not null,
      drop column email_key,
      drop column company_name,
      drop column email_verified_at,
      drop column password_changed_at,
      drop column is_platform_admin,
      drop column suspended_at,
      drop column suspended_reason,
      drop column mfa_secret,
      drop column mfa_enabled_at,
      drop column mfa_last_step,
      drop constraint users_pkey,
      add constraint users_pkey primary key (tenant_id, id);
    create unique index users_email on users (lower(email));
    create unique index users_id on users (id);
  `);
}
