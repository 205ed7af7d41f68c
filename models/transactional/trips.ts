import type { Knex } from 'knex';
import type { Rows, TripStatement } from '../../lib/db';
import { acrossTenantsInOneTrip } from '../base';

/** Statements of a lane, which serves all tenants; each finds a few rows by their keys. */
export function inOneTrip(db: Knex, statements: readonly TripStatement[]): Promise<Rows[]> {
  return acrossTenantsInOneTrip(db, 'transactional', statements, { arePlansKept: true });
}
