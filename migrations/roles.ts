import type { Knex } from 'knex';
import { platformRole, tenantRole } from './walls';

/** What an administrator runs where the migrating role may not create roles. */
export function rolesSql(login: string): string {
  return [
    ...[tenantRole, platformRole].map((role) => `create role ${role} nologin;`),
    `grant ${tenantRole}, ${platformRole} to "${login}";`,
  ].join('\n');
}

/**
 * Makes the two roles where the cluster has none, and lets whoever migrates become them: with one
 * address for everything, it is the application, too.
 *
 * @throws with the SQL for an administrator where the migrating role may not do it
 */
export async function ensureRoles(knex: Knex): Promise<void> {
  const found = await knex.raw(
    `select current_user as login,
            (select array_agg(rolname::text) from pg_roles
              where rolname in ('${tenantRole}', '${platformRole}')) as roles`,
  );
  const { login, roles }: { login: string; roles: string[] | null } = found.rows[0];
  const missing = [tenantRole, platformRole].filter((role) => roles?.includes(role) !== true);
  try {
    // A savepoint: what is refused in it is told in our words.
    await knex.transaction(async (trx) => {
      for (const role of missing) {
        await createRole(trx, role);
      }
    });
  } catch (error) {
    throw new Error(
      `The role "${login}" may not create the roles that keep tenants apart. Let an administrator of ` +
        `this Postgres run the following, then migrate again:\n${rolesSql(login)}`,
      { cause: error },
    );
  }
  await becomeBoth(knex);
}

// Two databases of one cluster may be migrated at the same moment.
async function createRole(trx: Knex, role: string): Promise<void> {
  await trx.raw(
    `do $$ begin
       create role ${role} nologin;
     exception when duplicate_object or unique_violation then null;
     end $$`,
  );
}

// Where another role is the application, an administrator lets that one become them instead.
async function becomeBoth(knex: Knex): Promise<void> {
  for (const role of [tenantRole, platformRole]) {
    await knex.raw(
      `do $$ begin
         -- Whoever made a role may give it to others, which from Postgres 16 on is not to become it.
         if not pg_has_role(current_user, '${role}',
              case when current_setting('server_version_num')::int >= 160000
                then 'set' else 'member' end) then
           execute format('grant ${role} to %I', current_user);
         end if;
       exception when insufficient_privilege then null;
       end $$`,
    );
  }
}
