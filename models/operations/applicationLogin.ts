import type { Knex } from '../../lib/db';
import { platformRole, tenantRole } from '../../migrations/walls';

interface Login {
  login: string;
  isSuperuser: boolean;
  bypassesWalls: boolean;
  ownsTables: boolean;
  /** Whether it may do something with a table without becoming one of the two roles. */
  mayTouch: boolean;
  mayBecomeBoth: boolean;
}

/**
 * Why the login of this pool must not serve tenants, as a sentence that says what to do; null when it
 * is as it should be. One that row-level security does not bind, or that has rights of its own, would
 * make of a forgotten `withTenant` a leak; production refuses it.
 */
export async function applicationLoginProblem(db: Knex): Promise<string | null> {
  const found = await db.raw(
    `with tables as (
       select c.oid, c.relowner from pg_class c
        where c.relnamespace = cast(current_schema() as regnamespace) and c.relkind in ('r', 'p')
     )
     select r.rolname as login, r.rolsuper as "isSuperuser", r.rolbypassrls as "bypassesWalls",
            exists (select 1 from tables where pg_has_role(session_user, relowner, 'usage'))
              as "ownsTables",
            exists (select 1 from tables
                     where has_table_privilege(session_user, oid, 'select, insert, update, delete'))
              as "mayTouch",
            (select count(*) = 2 from pg_roles b
              where b.rolname in (:tenantRole, :platformRole)
                and pg_has_role(session_user, b.oid, case
                      when current_setting('server_version_num')::int >= 160000
                      then 'set' else 'member' end)) as "mayBecomeBoth"
       from pg_roles r where r.rolname = session_user`,
    { tenantRole, platformRole },
  );
  const login: Login = found.rows[0];
  const wrong = reasons.find(({ isSo }) => isSo(login));
  return wrong === undefined
    ? null
    : `DATABASE_URL: the login "${login.login}" ${wrong.is}. Give the API and the workers a login of ` +
        'their own, and the owner of the tables to migrations alone, as MIGRATION_DATABASE_URL:\n' +
        `  create role carillon_app login noinherit password '…';\n` +
        `  grant ${tenantRole}, ${platformRole} to carillon_app;`;
}

const reasons: { isSo: (login: Login) => boolean; is: string }[] = [
  { isSo: (login) => login.isSuperuser, is: 'is a superuser, whom nothing keeps from any tenant' },
  { isSo: (login) => login.bypassesWalls, is: 'bypasses row-level security' },
  { isSo: (login) => login.ownsTables, is: 'owns the tables, or is a member of who does' },
  {
    isSo: (login) => login.mayTouch,
    is: 'may touch tables by itself (it inherits rights, or was granted some)',
  },
  {
    isSo: (login) => !login.mayBecomeBoth,
    is: `may not become ${tenantRole} and ${platformRole}`,
  },
];

/** @throws when the login must not serve tenants; outside production nothing is asked. */
export async function requireApplicationLogin(db: Knex, nodeEnv: string): Promise<void> {
  const problem = nodeEnv === 'production' ? await applicationLoginProblem(db) : null;
  if (problem !== null) {
    throw new Error(problem);
  }
}
