import { Client } from 'pg';
import { platformRole, tenantRole } from '../../migrations/walls';

/**
 * Makes the login of the API and the workers, and the two roles it works as, where they are missing,
 * and sets its password. By itself it may do nothing with a table: rights are not inherited, it
 * becomes one of the two for each transaction. `adminUrl` is an administrator's.
 */
export async function ensureAppLogin(
  adminUrl: string,
  login: { role: string; password: string },
): Promise<void> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const known = await client.query(
      'select rolname as name from pg_roles where rolname = any($1)',
      [[tenantRole, platformRole, login.role]],
    );
    const names = new Set(known.rows.map(({ name }: { name: string }) => name));
    for (const role of [tenantRole, platformRole]) {
      if (!names.has(role)) {
        await client.query(`create role ${role} nologin`);
      }
    }
    const role = client.escapeIdentifier(login.role);
    if (!names.has(login.role)) {
      await client.query(`create role ${role} login noinherit`);
    }
    await client.query(`alter role ${role} password ${client.escapeLiteral(login.password)}`);
    await client.query(`grant ${tenantRole}, ${platformRole} to ${role}`);
  } finally {
    await client.end();
  }
}
