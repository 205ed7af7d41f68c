import type { Knex } from '../../lib/db';
import { errorCode } from '../../lib/errorCode';
import { migrationNames } from '../../migrations';
import { acrossTenants } from '../base';

// No table, no role, or nothing that the role may read: the schema is of before the walls.
const beforeWalls = new Set(['42P01', '22023', '42501']);

/** The migrations this build knows and the database has not run. */
export async function pendingMigrations(db: Knex): Promise<string[]> {
  const done = await acrossTenants(db, 'readiness', namesOfDone).catch((error: unknown) => {
    if (beforeWalls.has(errorCode(error) ?? '')) {
      return null;
    }
    throw error;
  });
  return done === null
    ? migrationNames.slice(migrationNames.indexOf('0020_walls'))
    : migrationNames.filter((name) => !done.has(name));
}

async function namesOfDone(trx: Knex.Transaction): Promise<Set<string>> {
  const found = await trx.raw('select name from knex_migrations');
  const rows: { name: string }[] = found.rows;
  return new Set(rows.map(({ name }) => name));
}
